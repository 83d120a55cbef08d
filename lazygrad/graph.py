"""Op, Node, Graph, Tensor: an op applied to tensors makes a node in a graph, seen again as a tensor.

A graph is a list. Node *i* refers only to nodes before it, so a graph is acyclic, sorted and printable
by construction: nothing here sorts, searches or recurses. A node never stores numbers that were
computed; arrays that the user put into the graph lie beside the list, in ``Graph.constants``.
"""

from __future__ import annotations

import functools
import struct
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeAlias, TypeVar, cast

import numpy as np

from lazygrad.errors import GraphError, Origin, SpecError, TraceError, report
from lazygrad.spec import Mismatch, Shape, Spec

__all__ = [
    "Array",
    "Graph",
    "Node",
    "Op",
    "Tensor",
    "TensorLike",
    "checked_dtype",
    "current_graph",
    "freeze",
    "function",
    "functions",
    "here",
    "writing",
]

# What a kernel computes with. At the public door the same argument is a Tensor, or anything that
# NumPy takes for an array.
Array: TypeAlias = Any

# What a public function takes for a tensor: one, a number, or anything that NumPy takes for an array.
TensorLike: TypeAlias = "Tensor | np.ndarray[Any, Any] | np.generic | float | Sequence[Any]"

Specs: TypeAlias = "Spec | tuple[Spec, ...]"
F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = str(Path(__file__).parent) + "/"

# The one knot: a Tensor's operators need ops, and ops need Tensor. Every public function puts itself
# in here under its name, and ``Tensor.__add__`` looks "add" up when it is called.
functions: dict[str, Callable[..., Tensor]] = {}


def function(f: F) -> F:
    """Register ``f``, a composition of ops, as a public function of the language."""
    functions[f.__name__] = f
    return f


def here(part: str = "forward") -> Origin:
    """The line outside lazygrad that is being executed."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return Origin(None, 0, part)
        frame = frame.f_back
    return Origin(frame.f_code, frame.f_lasti, part)


def checked_dtype(dtype: Any) -> np.dtype[Any]:
    """A dtype that tensors can have; raises SpecError at the user's line for any other."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind not in "biuf":
        cure = "A dtype is one of NumPy's real or boolean ones, such as 'float32' or 'int64'."
        raise SpecError(report(f"cannot use {dtype!r} as a dtype", at=here(), cure=cure))
    return found


def freeze(value: Any) -> Hashable:
    """A hashable key that is equal only for equal settings.

    Python finds ``0.0 == -0.0``, ``1 == True`` and ``nan != nan``; as settings of an op the first two
    pairs differ and the last is the same.
    """
    kind = type(value)
    if kind is int or kind is str or value is None or isinstance(value, np.dtype):
        return cast(Hashable, value)
    if kind is bool:
        return ("bool", value)
    if kind is float:
        return ("float", struct.pack("<d", value))
    if kind is tuple or kind is list:
        return tuple([freeze(item) for item in value])
    if kind is slice:
        return ("slice", freeze(value.start), freeze(value.stop), freeze(value.step))
    if isinstance(value, np.generic):
        return (value.dtype, value.tobytes())
    if kind.__hash__ is None:
        raise Mismatch(f"A setting must be hashable, and a {kind.__name__} is not: give arrays as operands.")
    return (kind, value)


class Op:
    """A declaration: what a node of this op computes, and everything true of it.

    The decorators of :mod:`lazygrad.define` make ops. An op is called like the function it was
    declared with, less the leading ``xp``.
    """

    name: str
    kernel: Callable[..., Any]
    pure: bool = True

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """The spec of the result; raises :class:`Mismatch` with the reason where there is none."""
        raise NotImplementedError

    def labels(self, count: int) -> list[str]:
        """What messages call the operands."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<op {self.name}>"


class Node:
    """An op applied to earlier nodes of a graph. Immutable; equal only to itself."""

    __slots__ = ("inputs", "key", "op", "params", "spec")

    def __init__(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any], key: Hashable, spec: Specs) -> None:
        self.op = op
        self.inputs = inputs
        self.params = params
        self.key = key
        self.spec = spec

    def of(self, op: object) -> bool:
        """Whether the node applies ``op``, an op or the function that its decorator made of it."""
        return self.op is op


class Record(NamedTuple):
    """What one memoised stretch of writing appended: nodes up to ``end``, and its results."""

    end: int
    results: tuple[int, ...]
    reads: dict[str, int]


class Graph:
    """A list of nodes, and beside it what must not make two equal nodes differ.

    ``origins[i]`` says where the user wrote node *i*; ``constants`` holds arrays that nodes refer to by
    number; ``reads`` finds the node of a variable or placeholder by name; ``rules`` holds the
    derivatives that the user gave to single nodes.

    Writing the same step again usually appends the same nodes. A graph may therefore be given
    ``guides``, graphs written before: as long as each new node is the guide's, the guide's node is used
    again, with its inferred spec, and :meth:`replay` copies whole stretches. The first difference ends
    it. A guide changes the time that writing takes and nothing else.
    """

    def __init__(self, dtype: Any = np.float32, guides: Sequence[Graph] = ()) -> None:
        self.nodes: list[Node] = []
        self.origins: list[Origin] = []
        self.constants: list[Any] = []
        self.reads: dict[str, int] = {}
        self.rules: dict[int, Callable[..., Any]] = {}
        self.roots: tuple[int, ...] = ()
        self.draws = 0
        self.dtype = np.dtype(dtype)
        self.open = True
        self.context: Any = None
        self.origin: Origin | None = None
        self.records: dict[Any, Record] = {}
        self.plans: dict[Any, Any] = {}
        self._guides = tuple(guides)
        self.guide: Graph | None = self._guides[0] if guides else None

    def apply(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any], key: Hashable = None) -> Tensor:
        """Append the node ``op(*inputs, **params)`` and return it as a tensor; ``key`` is that of ``params``."""
        if not self.open:
            self.check_open(op.name)
        if key is None:
            key = self._key(op, inputs, params) if params else ()
        index = len(self.nodes)
        node = None
        if self.guide is not None:
            node = self._follow(index, op, inputs, key)
        if node is None:
            try:
                spec = op.infer(cast(list[Spec], [self.nodes[i].spec for i in inputs]), params)
            except Mismatch as reason:
                raise SpecError(self._mismatch(op, inputs, params, str(reason))) from None
            node = Node(op, inputs, params, key, spec)
        self.nodes.append(node)
        self.origins.append(self.origin or here())
        return Tensor(self, index, cast(Spec, node.spec))

    def _key(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any]) -> Hashable:
        try:
            return tuple([freeze(value) for value in params.values()])
        except Mismatch as reason:
            raise SpecError(self._mismatch(op, inputs, params, str(reason))) from None

    def tensor(self, index: int) -> Tensor:
        """The tensor of node ``index``."""
        return Tensor(self, index, cast(Spec, self.nodes[index].spec))

    def replay(self, key: Hashable, inputs: tuple[int, ...], write: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
        """The tensors ``write()`` returns, copied from the guide if it wrote the same there before.

        ``write`` must be a pure function of ``key``, of ``inputs`` and of the nodes so far.
        """
        start, call = len(self.nodes), (len(self.nodes), key, inputs)
        if self.guide is not None and not self.rules:
            record = self.guide.records.get(call)
            if record is not None:
                self.nodes += self.guide.nodes[start : record.end]
                self.origins += self.guide.origins[start : record.end]
                self.reads.update(record.reads)
                self.records[call] = record
                return [self.tensor(i) for i in record.results]
        known, constants, draws = len(self.reads), len(self.constants), self.draws
        results = list(write())
        if len(self.constants) == constants and self.draws == draws and not self.rules:
            reads = dict(list(self.reads.items())[known:])
            self.records[call] = Record(len(self.nodes), tuple(t.index for t in results), reads)
        return results

    def check_open(self, what: str) -> None:
        """Raise GraphError if the call of the step that wrote this graph has ended."""
        if not self.open:
            raise GraphError(
                report(
                    f"cannot {what}: the call of the step that this tensor belongs to has ended",
                    at=here(),
                    cure="A tensor lives as long as the call of the step that made it. Compute what you need "
                    "inside the step, and return it.",
                )
            )

    def close(self) -> None:
        """End the graph: no tensor of it can be used any more, and it holds no arrays."""
        self.open = False
        self.constants = []
        self.rules = {}
        self.context = None
        self.guide = None
        self._guides = ()

    def describe(self, index: int) -> str:
        """What messages call a node: a variable or placeholder by name, else the op and its line."""
        node = self.nodes[index]
        name = node.params.get("name")
        if name is not None and not node.inputs:
            return f"{node.op.name} {name!r}"
        return f"{node.op.name}, {self.origins[index].place}"

    def _follow(self, index: int, op: Op, inputs: tuple[int, ...], key: Hashable) -> Node | None:
        """The guide's node here, if it is the one wanted; else change to a guide that has it, or to none."""
        guide = self.guide
        assert guide is not None
        if index < len(guide.nodes):
            node = guide.nodes[index]
            if node.op is op and node.inputs == inputs and node.key == key:
                return node
        for other in self._guides:
            if other is not guide and index < len(other.nodes):
                node = other.nodes[index]
                if node.op is op and node.inputs == inputs and node.key == key and other.nodes[:index] == self.nodes:
                    self.guide = other
                    return node
        self.guide = None
        return None

    def _mismatch(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any], reason: str) -> str:
        specs = " and ".join(str(self.nodes[i].spec) for i in inputs)
        labels = [label + ":" for label in op.labels(len(inputs))]
        named = [str(self.nodes[i].spec) for i in inputs]
        wide, deep = max(map(len, labels), default=0), max(map(len, named), default=0)
        facts = [
            f"{label:<{wide}}  {spec:<{deep}}   {self.describe(i)}"
            for label, spec, i in zip(labels, named, inputs, strict=True)
        ]
        settings = ", ".join(f"{k}={v!r}" for k, v in params.items())
        what = f"cannot {op.name} {specs}" + (f" with {settings}" if settings else "")
        return report(what, at=self.origin or here(), facts=facts, cure=reason)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        """One line a node: its number, op, operands and settings, spec, and the user's line."""
        rows = []
        for i, (node, origin) in enumerate(zip(self.nodes, self.origins, strict=True)):
            operands = [f"%{j}" for j in node.inputs]
            shown = [k for k in node.params if k not in ("shape", "dtype") or node.inputs]
            settings = [f"{k}={_brief(node.params[k])}" for k in shown]
            spec = node.spec if isinstance(node.spec, Spec) else ", ".join(map(str, node.spec))
            mark = "*" if i in self.roots else " "
            rows.append((f"{mark}%{i} = {node.op.name}({', '.join(operands + settings)})", str(spec), origin.place))
        left, middle = (max((len(row[k]) for row in rows), default=0) for k in (0, 1))
        return "\n".join(f"{a:<{left}}  {b:<{middle}}  {c}" for a, b, c in rows)

    def to_dot(self) -> str:
        """The graph in the DOT language of Graphviz, see :func:`lazygrad.visualize.to_dot`."""
        return cast(str, functions["to_dot"](self))

    def render(self, path: str | Path) -> Path:
        """Draw the graph into an .svg, .png or .pdf file, see :func:`lazygrad.visualize.render`.

        Raises:
            SaveError: the suffix says no form, or a file cannot be written.
            BackendError: Graphviz is not installed; the DOT text is written all the same.
        """
        return cast(Path, functions["render"](self, path))


def _brief(setting: Any) -> str:
    """A setting on one line, cut where it is long."""
    text = str(setting)
    text = text if text.isprintable() else repr(setting)
    return " ".join(text[:60].split()) + ("…" if len(text) > 60 else "")


class _Writing(threading.local):
    """The graphs that this thread is writing, innermost last."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []


writing = _Writing()


def current_graph(what: str) -> Graph:
    """The graph being written, for functions that have no tensor to take it from."""
    if not writing.graphs:
        raise GraphError(
            report(
                f"cannot {what}: no graph is being written",
                at=here(),
                cure="Call it in a step, a function given to env.run, env.compile or env.trace.",
            )
        )
    return writing.graphs[-1]


@functools.cache
def _ufuncs() -> dict[np.ufunc, str]:
    """NumPy's ufuncs that are functions of the language, under any of NumPy's names for them."""
    named = {name: getattr(np, name, None) for name in functions}
    return {ufunc: name for name, ufunc in named.items() if isinstance(ufunc, np.ufunc)}


def _operator(name: str) -> Callable[[Tensor, Any], Tensor]:
    """The operator that calls the function ``name``, which is looked up when it is used."""

    def method(self: Tensor, other: Any) -> Tensor:
        return functions[name](self, other)

    return method


def _swapped(name: str) -> Callable[[Tensor, Any], Tensor]:
    """As :func:`_operator`, for the operand on the right."""

    def method(self: Tensor, other: Any) -> Tensor:
        return functions[name](other, self)

    return method


class Tensor:
    """A node as its user holds it: lazy, immutable, with NumPy's operators.

    ``==`` and ``hash`` are those of the handle: two tensors are equal if they are the same node.
    :func:`lazygrad.equal` compares elements.
    """

    __slots__ = ("graph", "index", "spec")

    def __init__(self, graph: Graph, index: int, spec: Spec) -> None:
        self.graph = graph
        self.index = index
        self.spec = spec

    @property
    def shape(self) -> Shape:
        """Sizes of the axes."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy dtype of the elements."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.spec.size

    @property
    def T(self) -> Tensor:
        """The tensor with its axes in reverse order."""
        return functions["permute_dims"](self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The tensor with its last two axes exchanged."""
        return functions["matrix_transpose"](self)

    @property
    def at(self) -> Any:
        """``x.at[index].set(value)`` and ``x.at[index].add(value)``: a new tensor, changed there."""
        return functions["at"](self)

    @property
    def origin(self) -> Origin:
        """Where the user wrote it."""
        return self.graph.origins[self.index]

    def eval(self) -> Any:
        """The value, now. Inside ``env.run`` only; raises :class:`TraceError` while tracing."""
        self.graph.check_open("evaluate")
        return self.graph.context.evaluator().push(self).run()[0]

    def show(self, label: str = "") -> Tensor:
        """The same tensor; prints its value, after ``label``, when it is evaluated."""
        return functions["show"](self, label)

    def hook(self, f: Callable[[Any], Any]) -> Tensor:
        """The same tensor; calls ``f(array)``, with a copy of its value, when it is evaluated."""
        return functions["hook"](self, f)

    def astype(self, dtype: Any) -> Tensor:
        """The tensor cast to ``dtype``."""
        return functions["astype"](self, dtype)

    def reshape(self, *shape: Any) -> Tensor:
        """The tensor in another shape; one size may be -1."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return functions["reshape"](self, tuple(sizes))

    def flatten(self) -> Tensor:
        """The tensor with one axis."""
        return self.reshape(-1)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Sum over ``axis``."""
        return functions["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Arithmetic mean over ``axis``."""
        return functions["mean"](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Largest element over ``axis``."""
        return functions["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Smallest element over ``axis``."""
        return functions["min"](self, axis=axis, keepdims=keepdims)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tensor) and self.graph is other.graph and self.index == other.index

    def __hash__(self) -> int:
        return hash((id(self.graph), self.index))

    def __repr__(self) -> str:
        return f"<Tensor {self.spec} {self.graph.describe(self.index)}>"

    def __len__(self) -> int:
        if not self.shape:
            raise SpecError(report(f"cannot take the length of {self.spec}", at=here(), cure="It has no axes."))
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Tensor:
        return functions["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise GraphError(
            report(
                f"cannot assign into {self.spec}: a tensor never changes",
                at=here(),
                facts=[f"tensor:  {self.spec}   {self.graph.describe(self.index)}"],
                cure="Write x = x.at[index].set(value) instead, or x.at[index].add(value) to add.",
            )
        )

    def _no_value(self, kind: str, instead: str) -> NoReturn:
        raise TraceError(
            report(
                f"cannot turn {self.spec} into {kind}: it has no value while the graph is being written",
                at=here(),
                facts=[f"tensor:  {self.spec}   {self.graph.describe(self.index)}"],
                cure=instead,
            )
        )

    def __bool__(self) -> NoReturn:
        self._no_value("a bool", "Write lg.where(condition, a, b) instead of if, or return it and look at the array.")

    def __float__(self) -> NoReturn:
        self._no_value("a float", "Return the tensor from the step, or call .eval() inside env.run.")

    def __int__(self) -> NoReturn:
        self._no_value("an int", "Return the tensor from the step, or call .eval() inside env.run.")

    def __index__(self) -> NoReturn:
        self._no_value("an index", "Use lg.take(x, indices), or x[indices] with this tensor as the index.")

    def __complex__(self) -> NoReturn:
        self._no_value("a complex", "Return the tensor from the step, or call .eval() inside env.run.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self._no_value("a NumPy array", "Use lazygrad's function (lg.*) in place of NumPy's, or return the tensor.")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # So ``array + tensor`` arrives here as np.add. A ufunc is the function of that name, lazily.
        if ufunc is np.divmod and method == "__call__" and not kwargs:
            return functions["floor_divide"](*inputs), functions["remainder"](*inputs)
        name = _ufuncs().get(ufunc)
        if name is None or method != "__call__" or kwargs:
            used = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            self._no_value(f"an argument of {used}", "Use a function of lazygrad (lg.*) in place of NumPy's.")
        return functions[name](*inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> NoReturn:
        name = function.__name__
        use = f"lg.{name}" if name in functions else "a function of lazygrad (lg.*)"
        self._no_value(f"an argument of np.{name}", f"Use {use} in place of NumPy's.")

    def __neg__(self) -> Tensor:
        return functions["negative"](self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return functions["abs"](self)

    def __invert__(self) -> Tensor:
        return functions["bitwise_invert"](self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    __add__ = _operator("add")
    __radd__ = _swapped("add")
    __sub__ = _operator("subtract")
    __rsub__ = _swapped("subtract")
    __mul__ = _operator("multiply")
    __rmul__ = _swapped("multiply")
    __truediv__ = _operator("divide")
    __rtruediv__ = _swapped("divide")
    __floordiv__ = _operator("floor_divide")
    __rfloordiv__ = _swapped("floor_divide")
    __mod__ = _operator("remainder")
    __rmod__ = _swapped("remainder")
    __pow__ = _operator("pow")
    __rpow__ = _swapped("pow")
    __matmul__ = _operator("matmul")
    __rmatmul__ = _swapped("matmul")
    __and__ = _operator("bitwise_and")
    __rand__ = _swapped("bitwise_and")
    __or__ = _operator("bitwise_or")
    __ror__ = _swapped("bitwise_or")
    __xor__ = _operator("bitwise_xor")
    __rxor__ = _swapped("bitwise_xor")
    __lshift__ = _operator("bitwise_left_shift")
    __rlshift__ = _swapped("bitwise_left_shift")
    __rshift__ = _operator("bitwise_right_shift")
    __rrshift__ = _swapped("bitwise_right_shift")
    __lt__ = _operator("less")
    __le__ = _operator("less_equal")
    __gt__ = _operator("greater")
    __ge__ = _operator("greater_equal")
