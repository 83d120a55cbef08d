"""Op, Node, Graph: an op applied to tensors makes a node in a graph, which is seen again as a tensor.

A graph is a list. Node *i* refers only to nodes before it, so a graph is acyclic, sorted and printable
by construction: nothing here sorts, searches or recurses. A node never stores numbers that were
computed; arrays that the user put into the graph lie beside the list, in ``Graph.constants``.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar, cast

import numpy as np

from lazygrad.errors import GraphError, Origin, SpecError, report
from lazygrad.graph.registry import functions, here
from lazygrad.graph.spec import Mismatch, Spec, fits
from lazygrad.graph.tensor import Tensor
from lazygrad.pickled import checked, stamped

__all__ = ["Graph", "Node", "Op", "Specs", "current_graph", "freeze", "writing"]

Specs: TypeAlias = "Spec | tuple[Spec, ...]"
F = TypeVar("F", bound=Callable[..., Any])


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
    outside: bool = False  # whether its nodes stand where they were written, also while a body is being written

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """The spec of the result; raises :class:`Mismatch` with the reason where there is none."""
        raise NotImplementedError

    def labels(self, count: int) -> list[str]:
        """What messages call the operands."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> Any:
        # It is known by its name in the module of its class.
        module = sys.modules[type(self).__module__]
        return next(name for name, value in vars(module).items() if value is self)

    def __copy__(self) -> Self:
        return self  # there is one of each: a copy would be another op

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


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


# What a graph has beside its nodes for as long as it is written, differentiated and run.
PASSING = (
    "constants", "rules", "context", "origin", "memos", "plans", "_guides", "guide", "inner", "written", "same", "body",
)  # fmt: skip


class Memo(NamedTuple):
    """What one memoised stretch of writing appended: nodes up to ``end``, and its results."""

    end: int
    results: tuple[int, ...]
    reads: dict[str, int]
    bodies: int


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

    what = ""  # of which loop it is the body

    def __init__(self, dtype: Any = np.float32, guides: Sequence[Graph] = ()) -> None:
        self.nodes: list[Node] = []
        self.origins: list[Origin] = []
        self.impure: list[int] = []  # the nodes that do something beside computing a value
        self.constants: list[Any] = []
        self.reads: dict[str, int] = {}
        self.rules: dict[int, Callable[..., Any]] = {}
        self.roots: tuple[int, ...] = ()
        self.draws = 0
        self.stream: int | None = None  # the node of the stream that draws read, once there is one
        self.rewrites: dict[str, int] = {}
        self.layers: dict[str, str] = {}  # of what kind they are, by their paths, once it is written
        self.dtype = np.dtype(dtype)
        self.halves: str | None = None  # the dtype to which a plan rounds the operands of products
        self.open = True
        self.context: Any = None
        self.origin: Origin | None = None
        self.memos: dict[Any, Memo] = {}
        self.plans: dict[Any, Any] = {}
        self._guides = tuple(guides)
        self.guide: Graph | None = self._guides[0] if guides else None
        self.inner: Graph | None = None  # the body that is being written, inside of this graph
        self.written: list[Graph] = []  # the bodies that were written, in order
        self.numbered = 0  # of a body: how many inputs it has
        self.same: dict[int, tuple[Graph, Sequence[int]]] = {}  # of a body: graphs whose tensors are nodes of it
        self.body: Any = None  # what it became

    @property
    def outermost(self) -> Graph:
        """The graph of the step."""
        return self

    def innermost(self) -> Graph:
        """The graph that is being written: this one, or a body inside of it."""
        graph = self
        while graph.inner is not None:
            graph = graph.inner
        return graph

    def lifted(self, x: Tensor) -> Tensor:
        """A tensor of this graph, as it is. A body takes those of the graphs around it too.

        Raises:
            GraphError: it is of another graph.
        """
        if x.graph is self:
            return x
        if x.graph.what:
            x.graph.check_open("use a tensor")
        raise GraphError(
            report(
                "cannot use tensors of two graphs together",
                at=here(),
                facts=[f"one:    {x!r}"],
                cure="Every call of a step writes its own graph. Make the tensor in the same call, "
                "or pass its value in as an array.",
            )
        )

    def apply(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any], key: Hashable = None) -> Tensor:
        """Append the node ``op(*inputs, **params)`` and return it as a tensor; ``key`` is that of ``params``."""
        if not self.open:
            self.check_open(op.name)
        if self.inner is not None and not op.outside:
            inner = self.innermost()
            return inner.apply(op, tuple([inner.lifted(self.tensor(i)).index for i in inputs]), params, key)
        if key is None:
            key = self._key(op, inputs, params) if params else ()
        index = len(self.nodes)
        node = None
        if self.guide is not None:
            node = self._follow(index, op, inputs, key)
        if node is None:
            try:
                spec = op.infer(cast(list[Spec], [self.nodes[i].spec for i in inputs]), params)
                if isinstance(spec, Spec):
                    fits(spec)
                else:
                    for one in spec:
                        fits(one)
            except Mismatch as reason:
                raise SpecError(self._mismatch(op, inputs, params, str(reason))) from None
            node = Node(op, inputs, params, key, spec)
        self.nodes.append(node)
        self.origins.append(self.origin or here())
        if not op.pure:
            self.impure.append(index)
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
        if self.inner is not None:  # it is written elsewhere
            return list(write())
        start, call = len(self.nodes), (len(self.nodes), key, inputs)
        if self.guide is not None and not self.rules:
            record = self.guide.memos.get(call)
            if record is not None:
                self.nodes += self.guide.nodes[start : record.end]
                self.origins += self.guide.origins[start : record.end]
                self.impure += [i for i in self.guide.impure if start <= i < record.end]
                self.reads.update(record.reads)
                self.memos[call] = record
                self.written += self.guide.written[len(self.written) : record.bodies]
                return [self.tensor(i) for i in record.results]
        known, apart = len(self.reads), (len(self.constants), self.outermost.draws, self.numbered)
        results = list(write())
        if (len(self.constants), self.outermost.draws, self.numbered) == apart and not self.rules:
            reads = dict(list(self.reads.items())[known:])
            self.memos[call] = Memo(len(self.nodes), tuple(t.index for t in results), reads, len(self.written))
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
        self.inner = None
        self.guide = None
        self._guides = ()

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or what a pickle has, is there to be looked at: nothing can be written in it.
        if any(graph is self for graph in writing.graphs):
            cure = "Copy or pickle what env.trace(step, ...) gives."
            raise GraphError(report("cannot copy a graph while it is being written", cure=cure))
        new = vars(Graph(self.dtype))
        return stamped({**vars(self), **{name: new[name] for name in PASSING}, "open": False})

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(
            checked(state, "a graph", "Pickle it with this version: env.trace(step, ...) makes it again.")
        )

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
        what = f"cannot {op.name}" + (f" {specs}" if specs else "") + (f" with {settings}" if settings else "")
        return report(what, at=self.origin or here(), facts=facts, cure=reason)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        """One line a node: its number, op, operands and settings, spec, and the user's line; bodies stand indented."""
        rows, inside = [], []
        for i, (node, origin) in enumerate(zip(self.nodes, self.origins, strict=True)):
            bodies = [(k, body) for k, value in node.params.items() for body in _bodies(value)]
            operands = [f"%{j}" for j in node.inputs]
            shown = [k for k in node.params if k not in ("shape", "dtype") or node.inputs]
            settings = [f"{k}={_brief(node.params[k])}" for k in shown if not _bodies(node.params[k])]
            spec = node.spec if isinstance(node.spec, Spec) else ", ".join(map(str, node.spec))
            mark = "*" if i in self.roots else " "
            rows.append((f"{mark}%{i} = {node.op.name}({', '.join(operands + settings)})", str(spec), origin.place))
            inside.append([f"    {line}" for k, body in bodies for line in (f"{k}:", *str(body).splitlines())])
        left, middle = (max((len(row[k]) for row in rows), default=0) for k in (0, 1))
        lines = [f"{a:<{left}}  {b:<{middle}}  {c}" for a, b, c in rows]
        return "\n".join(line for own, more in zip(lines, inside, strict=True) for line in (own, *more))

    def to_dot(self, fold: bool | int | None = None) -> str:
        """The graph in the DOT language of Graphviz, see :func:`lazygrad.visualize.to_dot`.

        Raises:
            SpecError: ``fold`` is neither True, False nor a number.
        """
        return cast(str, functions["to_dot"](self, fold))

    def render(self, path: str | Path, fold: bool | int | None = None) -> Path:
        """Draw the graph into an .html, .svg, .png or .pdf file, see :func:`lazygrad.visualize.render`.

        Args:
            path: the file; its suffix says the form.
            fold: True folds layers, the gradient and the update into boxes; False draws node by node; a number says how
                many boxes deep things are seen. If not given, what has many nodes is folded.

        Raises:
            SaveError: the suffix says no form, or a file cannot be written.
            SpecError: ``fold`` is neither True, False nor a number.
            BackendError: Graphviz is not installed; the DOT text is written all the same.
        """
        return cast(Path, functions["render"](self, path, fold))

    def _repr_html_(self) -> str | None:
        return cast("str | None", functions["_shown_html"](self))

    def _repr_svg_(self) -> str | None:
        return cast("str | None", functions["_shown_svg"](self))


def _bodies(setting: Any) -> list[Any]:
    """The bodies in a setting; they have a graph."""
    listed = setting if isinstance(setting, tuple) else (setting,)
    return [value for value in listed if isinstance(getattr(value, "graph", None), Graph)]


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
