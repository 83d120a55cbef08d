"""Rewriting regions: a graph is written anew, and in place of each loop or choice stands what a pass makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lazygrad.define.kinds import item
from lazygrad.define.region import Region
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node, freeze
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor

__all__ = ["Found", "Site", "has_regions", "read_results", "reordered", "rewritten_bodies"]
__all__ += ["rewritten_regions"]


class Site(NamedTuple):
    """A region that is being rewritten.

    Attributes:
        graph: the graph being written.
        number, node: the region as it was.
        operands: as they are now.
        read: which of its results something reads.
        where: the tensor that stands for a node as it was.
    """

    graph: Graph
    number: int
    node: Node
    operands: list[Tensor]
    read: set[int]
    where: Callable[[int], Tensor]


# What stands for the results, None for those that nothing reads; None alone: the region stays as it was.
Found = Sequence[Tensor | None] | None


def has_regions(graph: Graph) -> bool:
    """Whether there is a loop, or a choice, among the nodes."""
    return any(isinstance(node.op, Region) for node in graph.nodes)


def read_results(graph: Graph) -> dict[int, set[int]]:
    """For every region the results that something reads."""
    read: dict[int, set[int]] = {i: set() for i, node in enumerate(graph.nodes) if isinstance(node.op, Region)}
    roots = set(graph.roots)
    for i, node in enumerate(graph.nodes):
        if i in read and i in roots and isinstance(node.spec, Spec):
            read[i].add(0)
        for j in node.inputs:
            if j in read:
                read[j].add(node.params["index"] if node.of(item) else 0)
    return read


def rewritten_regions(graph: Graph, rewrite: Callable[[Site], Found], order: Iterable[int] | None = None) -> Graph:
    """The graph with what ``rewrite`` makes of its regions; ``order`` is another one in which to write the nodes."""
    read = read_results(graph)
    made = Graph(graph.dtype)
    made.constants, made.rewrites = graph.constants, graph.rewrites
    moved: dict[int, Any] = {}  # where a node is now; of a rewritten region the results
    for i in range(len(graph.nodes)) if order is None else order:
        node = graph.nodes[i]
        made.origin = graph.origins[i]
        if node.of(item) and isinstance(moved[node.inputs[0]], tuple):
            moved[i] = moved[node.inputs[0]][node.params["index"]]
            continue
        if isinstance(node.op, Region):
            operands = [made.tensor(moved[j]) for j in node.inputs]
            found = rewrite(Site(made, i, node, operands, read[i], lambda j: made.tensor(moved[j])))
            if found is not None:
                places = tuple([None if t is None else t.index for t in found])
                moved[i] = places[0] if isinstance(node.spec, Spec) else places
                continue
        inputs = tuple([moved[j] for j in node.inputs])
        made.nodes.append(node if inputs == node.inputs else Node(node.op, inputs, node.params, node.key, node.spec))
        made.origins.append(graph.origins[i])
        moved[i] = len(made.nodes) - 1
    made.roots = tuple([_place(moved[i]) for i in graph.roots])
    made.origin = None
    return made


def _place(moved: Any) -> int:
    """Where a root is; of a region that is one, because it acts, any of its results."""
    return moved if isinstance(moved, int) else next(k for k in moved if k is not None)


def reordered(graph: Graph, more: dict[int, Sequence[int]]) -> list[int]:
    """The nodes in an order in which each stands behind its operands and behind those that ``more`` says."""
    done: set[int] = set()
    order: list[int] = []
    for first in range(len(graph.nodes)):
        stack = [first]
        while stack:
            i = stack[-1]
            waiting = [j for j in (*graph.nodes[i].inputs, *more.get(i, ())) if j not in done]
            if waiting:
                stack += reversed(waiting)
                continue
            stack.pop()
            if i not in done:
                done.add(i)
                order.append(i)
    return order


def rewritten_bodies(graph: Graph, rewrite: Callable[[Body], Body]) -> Graph:
    """The graph with what ``rewrite`` makes of the bodies of its regions; each of the same inputs and outputs."""
    made = Graph(graph.dtype)
    made.constants, made.rewrites, made.roots = graph.constants, graph.rewrites, graph.roots
    made.origins = graph.origins
    for node in graph.nodes:
        if isinstance(node.op, Region):
            params = {name: _rewritten(value, rewrite) for name, value in node.params.items()}
            key = tuple([freeze(value) for value in params.values()])
            node = Node(node.op, node.inputs, params, key, node.spec)
        made.nodes.append(node)
    return made


def _rewritten(value: Any, rewrite: Callable[[Body], Body]) -> Any:
    if isinstance(value, Body):
        return rewrite(value)
    return tuple([_rewritten(item, rewrite) for item in value]) if isinstance(value, tuple) else value
