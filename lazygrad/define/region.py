"""The sixth kind of op, the region: one that has graphs among its settings; and how such a graph is written.

A region's kernel is a function of a :class:`Machine` in place of an array namespace. The machine runs bodies; how it
does is the engine's affair.

While a body is being written, whatever is written goes into it, whichever graph its operands are of: a tensor of a
graph around it becomes an input of the body, a *capture*. What has no place in a body (variables, placeholders,
constants) is written in the outermost graph, and captured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, cast

import numpy as np

from lazygrad.define import source
from lazygrad.define.kinds import item
from lazygrad.errors import GraphError, Origin, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node, Op, Specs, writing
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Mismatch, Shape, Spec
from lazygrad.graph.tensor import Tensor

__all__ = ["TURN", "BodyGraph", "Machine", "Region", "extract", "inside", "is_effect", "parameter", "results"]
__all__ += ["written"]


@source(given=True)
def _parameter(xp: Any, *, shape: Shape, dtype: Any, number: int) -> Any:
    """What a body is given."""


parameter: Any = _parameter

TURN = Spec((), np.dtype(np.uint64))  # of the number of a turn, that is of a slice

Run = Callable[[int, Sequence[Any]], list[Any]]  # run(turn, arrays of the inputs that change) -> arrays of the outputs


class Machine(Protocol):
    """What runs the bodies of a region."""

    xp: Any
    origin: Origin  # where the user wrote the region

    def bound(self, body: Body, captured: Sequence[Any]) -> Run:
        """The body as a function of a turn's number and of its other inputs, which stand before the captured ones."""


class Region(Op):
    """An op that has bodies among its settings. The kinds of loops are its subclasses.

    ``kernel(machine, *operands, **settings)`` gives an array where there is one result, else a tuple of them.
    """

    random = False
    recorded = False
    own = True
    vjp = None

    def __init__(self, name: str, pure: bool = True) -> None:
        self.name = name
        self.pure = pure

    def takes(self, params: dict[str, Any]) -> list[Spec]:
        """The specs of the operands."""
        raise NotImplementedError

    def gives(self, params: dict[str, Any]) -> list[Spec]:
        """The specs of the results."""
        raise NotImplementedError

    def infer(self, specs: Sequence[Spec], params: dict[str, Any]) -> Specs:
        """What the bodies give, for operands that they take."""
        wanted = self.takes(params)
        if list(specs) != wanted:
            raise Mismatch(f"It takes {', '.join(map(str, wanted))}.")
        found = self.gives(params)
        return found[0] if len(found) == 1 else tuple(found)

    def labels(self, count: int) -> list[str]:
        """They are numbered."""
        return [f"operand {i}" for i in range(count)]


def results(y: Tensor) -> list[Tensor]:
    """The results of a region, one tensor each."""
    if isinstance(y.spec, Spec):
        return [y]
    return [item(y, index=k) for k in range(len(cast(Any, y.spec)))]


def written(graph: Graph, op: Region, operands: Sequence[Tensor], params: dict[str, Any]) -> list[Tensor]:
    """The results of a new region."""
    inner = graph.innermost()
    return results(inner.apply(op, tuple([inner.lifted(t).index for t in operands]), params))


def is_effect(node: Node) -> bool:
    """Whether a node of a body happens in every turn, whoever reads it; an assignment is made by the loop."""
    return not node.op.pure and node.op.name not in ("assign", "after")


class BodyGraph(Graph):
    """A graph that is being written inside of another one.

    Attributes:
        outer: the graph around it.
        captures: for nodes of the graph around it the parameter that stands for each, in order.
        repeats: whether it runs turn by turn.
        turn: the parameter that stands for the number of the turn, if the body asked for it.
    """

    def __init__(self, outer: Graph, guides: Sequence[Graph] = (), what: str = "a loop", repeats: bool = False) -> None:
        super().__init__(outer.dtype, guides)
        self.outer: Graph | None = outer
        self.context = outer.context
        self.captures: dict[int, int] = {}
        self.what = what
        self.repeats = repeats
        self.turn: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "outer": None, "captures": {}, "turn": None}

    def turns(self) -> list[Tensor]:
        """The numbers of the turns that the loops around are in, the outermost first: each a tensor of its body."""
        found = self.outer.turns() if isinstance(self.outer, BodyGraph) else []
        if self.repeats:
            if self.turn is None:
                self.turn = self.parameter(TURN)
            found.append(self.turn)
        return found

    @property
    def outermost(self) -> Graph:
        """The graph of the step."""
        return self if self.outer is None else self.outer.outermost

    def parameter(self, spec: Spec) -> Tensor:
        """A new input."""
        self.numbered += 1
        return cast(Tensor, parameter.write(self, shape=spec.shape, dtype=spec.dtype, number=self.numbered - 1))

    def lifted(self, x: Tensor) -> Tensor:
        """A tensor of this graph, or of one around it, as one of this graph."""
        if x.graph is self:
            return x
        alike = self.same.get(id(x.graph))
        if alike is not None and alike[1][x.index] >= 0:
            return self.tensor(alike[1][x.index])
        outer = self.outer
        if outer is None:
            return super().lifted(x)
        if x.graph is not outer:
            x = outer.lifted(x)
        known = self.captures.get(x.index)
        if known is None:
            known = self.captures[x.index] = self.parameter(x.spec).index
        return self.tensor(known)

    def check_open(self, what: str) -> None:
        """Raise GraphError if the body has been written."""
        if not self.open:
            raise GraphError(_left(what, self.what))

    def close(self) -> None:
        """End the body; its rules stay, as the gradient of the loop is written later."""
        rules = self.rules
        super().close()
        self.rules = rules
        self.outer = None


def _left(what: str, loop: str) -> str:
    cure = "What a body computes leaves it as what it returns: as a carry, or as a y of every turn."
    return report(f"cannot {what}: the tensor was made in the body of {loop}, which has ended", at=here(), cure=cure)


@contextmanager
def inside(graph: BodyGraph) -> Iterator[BodyGraph]:
    """While it lasts, what is written goes into the body."""
    outer = graph.outer
    assert outer is not None
    height, before = len(writing.graphs), outer.inner
    try:
        outer.inner = graph
        writing.graphs.append(graph)
        yield graph
    finally:
        outer.inner = before
        del writing.graphs[height:]


def extract(
    graph: Graph,
    inputs: Sequence[int | Spec],
    outputs: Sequence[int],
    effects: Sequence[int] = (),
    skip: Callable[[Node], bool] | None = None,
) -> Body:
    """The part of a graph that computes ``outputs`` from ``inputs``, as a body.

    Args:
        graph: the nodes.
        inputs: nodes of any kind, where the part begins; in place of one a spec, of an input that is not read.
        outputs: nodes.
        effects: nodes that happen although no output may need them.
        skip: nodes in whose place their first operand is taken.
    """
    begun = {i for i in inputs if isinstance(i, int)}
    seen = {*outputs, *effects} | begun
    stack = [i for i in seen if i not in begun]
    while stack:
        for j in graph.nodes[stack.pop()].inputs:
            if j not in seen:
                seen.add(j)
                stack.append(j)
    made = Graph(graph.dtype)
    moved = [-1] * len(graph.nodes)
    order = []
    for number, i in enumerate(inputs):
        spec = i if isinstance(i, Spec) else cast(Spec, graph.nodes[i].spec)
        settings = {"shape": spec.shape, "dtype": spec.dtype, "number": number}
        order.append(len(made.nodes))
        if not isinstance(i, Spec):
            moved[i] = len(made.nodes)
        made.nodes.append(Node(parameter, (), settings, tuple(settings.values()), spec))
        made.origins.append(graph.origins[i] if not isinstance(i, Spec) else here())
    for i in sorted(seen - begun):
        node = graph.nodes[i]
        if skip is not None and node.inputs and skip(node):
            moved[i] = moved[node.inputs[0]]
            continue
        places = tuple([moved[j] for j in node.inputs])
        moved[i] = len(made.nodes)
        made.nodes.append(node if places == node.inputs else Node(node.op, places, node.params, node.key, node.spec))
        made.origins.append(graph.origins[i])
        if i in graph.rules:
            made.rules[moved[i]] = graph.rules[i]
    made.same = {key: (of, [moved[k] if k >= 0 else -1 for k in places]) for key, (of, places) in _same(graph)}
    made.impure = [moved[i] for i in sorted(seen - begun) if not graph.nodes[i].op.pure]
    made.open = False
    happen = tuple([i for i in made.impure if is_effect(made.nodes[i])])
    return Body(made, tuple(order), tuple([moved[i] for i in outputs]), happen)


def _same(graph: Graph) -> list[tuple[int, tuple[Graph, Sequence[int]]]]:
    """The graphs whose tensors are nodes of this one, itself among them, where rules of the user's may hold some."""
    if not graph.rules:
        return []
    return [*graph.same.items(), (id(graph), (graph, range(len(graph.nodes))))]
