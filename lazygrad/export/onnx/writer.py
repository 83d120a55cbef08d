"""A graph of ONNX that is being written: nodes with fresh names, and constants beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lazygrad.engine.trace.tracing import Stand
from lazygrad.errors import Origin
from lazygrad.export.onnx.needed import needed
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Shape, Spec, broadcast

__all__ = ["Unwritten", "Value", "Writer", "code_of", "graph_of"]


class Unwritten(Exception):
    """Why something has no form in ONNX, before it is known which node it is of."""


def _binary(name: str) -> tuple[Callable[[Value, Any], Value], Callable[[Value, Any], Value]]:
    """An operator, and the same with the operands exchanged."""

    def method(self: Value, other: Any) -> Value:
        return getattr(self.writer.xp, name)(self, other)  # type: ignore[no-any-return]

    def swapped(self: Value, other: Any) -> Value:
        return getattr(self.writer.xp, name)(other, self)  # type: ignore[no-any-return]

    return method, swapped


class Functions(Protocol):
    """The array namespace that writes: functions under NumPy's names."""

    def __getattr__(self, name: str) -> Callable[..., Value]: ...


class Value(Stand):
    """What a name in the graph of ONNX stands for: an array of a spec.

    Attributes:
        number: what it is, if it is a number that is known.
    """

    def __init__(self, writer: Writer, name: str, spec: Spec, number: Any = None) -> None:
        self.writer, self.name, self.spec, self.number = writer, name, spec, number
        self.shape, self.dtype, self.ndim = spec.shape, spec.dtype, len(spec.shape)
        self.size = spec.size

    def astype(self, dtype: Any) -> Value:
        """A copy in another dtype."""
        return self.writer.xp.astype(self, dtype)

    def __eq__(self, other: object) -> Any:
        return self.writer.xp.equal(self, other)

    __hash__ = object.__hash__

    def __neg__(self) -> Value:
        return self.writer.xp.negative(self)

    def __invert__(self) -> Value:
        return self.writer.xp.invert(self)

    __matmul__, __rmatmul__ = _binary("matmul")
    __add__, __radd__ = _binary("add")
    __sub__, __rsub__ = _binary("subtract")
    __mul__, __rmul__ = _binary("multiply")
    __truediv__, __rtruediv__ = _binary("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide")
    __mod__, __rmod__ = _binary("remainder")
    __pow__, __rpow__ = _binary("power")
    __and__, __rand__ = _binary("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor")
    __lshift__, __rlshift__ = _binary("left_shift")
    __rshift__, __rrshift__ = _binary("right_shift")
    __lt__ = _binary("less")[0]
    __le__ = _binary("less_equal")[0]
    __gt__ = _binary("greater")[0]
    __ge__ = _binary("greater_equal")[0]


def code_of(dtype: np.dtype[Any]) -> int:
    """ONNX' number of a dtype."""
    from onnx.helper import np_dtype_to_tensor_dtype

    return int(np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Writer:
    """Nodes of one graph, in order. A graph within it has a writer of its own, which gives names that are new to both.

    Args:
        opset: whose operators are written.
        namespace: makes the array namespace that writes into this graph.
        written: writes a graph of lazygrad's into it.
        outer: the writer of the graph around this one.
        word: what values are called that are written for no op.

    Attributes:
        nodes: what has been written.
        constants: the arrays of the outermost graph, by name, which graphs within it see as well.
        xp: the array namespace that writes into this graph.
    """

    def __init__(
        self,
        opset: int,
        namespace: Callable[[Writer], Functions],
        written: Callable[..., Any],
        outer: Writer | None = None,
        word: str = "value",
    ) -> None:
        self.opset = opset
        self.written = written
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {} if outer is None else outer.constants
        self._taken: dict[str, int] = {} if outer is None else outer._taken
        self._said: str = "" if outer is None else outer._said
        self._word: str = word if outer is None else outer._word
        self._namespace = namespace
        self.xp: Functions = namespace(self)

    def sub(self) -> Writer:
        """A writer of a graph within this one. It sees what this one has written."""
        return Writer(self.opset, self._namespace, self.written, self)

    @contextlib.contextmanager
    def at(self, origin: Origin, word: str) -> Iterator[None]:
        """What is written meanwhile is said to be of that line of the user's, and is named after ``word``."""
        before = self._said, self._word
        self._said = f"{origin.place}  {origin.text}".strip() if origin.code is not None else ""
        self._word = word
        try:
            yield
        finally:
            self._said, self._word = before

    def fresh(self, word: str) -> str:
        """A name that nothing has, the word itself for the first who wants it."""
        while True:
            number = self._taken.get(word, 0)
            self._taken[word] = number + 1
            name = f"{word}_{number}" if number else word
            if not number or name not in self._taken:
                self._taken.setdefault(name, 1)
                return name

    def node(self, kind: str, inputs: Sequence[str], outputs: int | Sequence[str] = 1, **attributes: Any) -> Any:
        """Append a node.

        Args:
            kind: the operator, as ONNX calls it.
            inputs: names; an empty one stands for an input that is left out.
            outputs: how many, or their names.
            attributes: those that are not None.

        Returns:
            The name of the output, or the names of several.
        """
        from onnx.helper import make_node

        names = [self.fresh(self._word) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        given = {name: value for name, value in attributes.items() if value is not None}
        name = self.fresh(f"{kind} of {self._word}")
        self.nodes.append(make_node(kind, list(inputs), names, name=name, doc_string=self._said or None, **given))
        return names[0] if len(names) == 1 else names

    def constant(self, array: Any, word: str = "constant") -> str:
        """The name of an array that lies beside the outermost graph."""
        name = self.fresh(word)
        self.constants[name] = np.asarray(array)
        return name

    def graph(self, graph: Graph, given: Mapping[int, Value]) -> list[Any]:
        """The values of all nodes of a graph, such as a body; see :func:`lazygrad.export.onnx.reading.write_graph`."""
        return self.written(self, graph, given)  # type: ignore[no-any-return]

    def number(self, value: Any, dtype: Any) -> Value:
        """A number."""
        array = np.asarray(value, dtype)
        return Value(self, self.constant(array), Spec((), array.dtype), array[()])

    def array(self, array: Any, dtype: Any = None) -> Value:
        """A constant array."""
        array = np.asarray(array, dtype)
        return Value(self, self.constant(array), Spec(array.shape, array.dtype))

    def sizes(self, shape: Sequence[int]) -> str:
        """The name of a list of sizes, or of places, as operators take it."""
        return self.constant(np.array([int(n) for n in shape], np.int64), "sizes")

    def made(
        self, kind: str, *operands: Value | str | None, shape: Shape | None = None, dtype: Any = None, **settings: Any
    ) -> Value:
        """What an operator gives.

        Args:
            kind: the operator, as ONNX calls it.
            operands: values, or names; None stands for one that is left out.
            shape: of the result; that to which the operands broadcast, if not given.
            dtype: of the result; that of the first operand, if not given.
            settings: the attributes of the node.
        """
        values = [x for x in operands if isinstance(x, Value)]
        spec = Spec(
            broadcast([x.shape for x in values]) if shape is None else tuple(shape),
            values[0].dtype if dtype is None else np.dtype(dtype),
        )
        names = ["" if x is None else x if isinstance(x, str) else x.name for x in operands]
        while names and not names[-1]:
            names.pop()
        return Value(self, self.node(kind, names, **settings), spec)


def graph_of(writer: Writer, name: str, inputs: Sequence[Value], outputs: Sequence[Value]) -> Any:
    """A graph within another one, of what has been written; an output that is none of its nodes' is copied."""
    from onnx.helper import make_graph, make_tensor_value_info

    made = {name for node in writer.nodes for name in node.output}
    given, seen = [], set()
    for x in outputs:
        own = x.name in made and x.name not in seen
        given.append(x if own else Value(writer, writer.node("Identity", [x.name]), x.spec))
        seen.add(x.name)
    taken, left = (
        [make_tensor_value_info(x.name, code_of(x.dtype), list(x.shape)) for x in xs] for xs in (inputs, given)
    )
    return make_graph(needed(writer.nodes, [x.name for x in given]), name, taken, left)
