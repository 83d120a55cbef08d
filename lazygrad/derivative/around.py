"""Derivatives that are taken in the body of a loop, of what was computed around it.

What a body captures is an input of it. So a cotangent goes through the body to what is captured, and from there through
the graph around it; all that this writes is written into the body, which computes it in every turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from lazygrad.define.region import BodyGraph
from lazygrad.derivative.joint import Passes, floats
from lazygrad.graph.graph import Graph
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import full_like, zeros_like

__all__ = ["forward_around", "reverse_around"]


def reverse_around(
    graph: Graph, ys: list[Tensor], xs: list[Tensor], seeds: list[Tensor] | None, passes: Passes
) -> list[Tensor]:
    """The gradient for each x, of ``graph`` or of one around it."""
    moving = _moving(graph, xs, passes)
    own = [x for x in xs if x.graph is graph]
    if not isinstance(graph, BodyGraph) or graph.outer is None or not moving:
        return passes.reverse(graph, ys, [graph.lifted(x) for x in xs], seeds)
    begun = [full_like(y, 1) for y in ys] if seeds is None else seeds
    starts = [*own, *[graph.tensor(graph.captures[j]) for j in moving]]
    found = passes.reverse(graph, ys, starts, begun)
    path, _ = passes.path(graph, [t.index for t in starts], [y.index for y in ys])
    if not any(y.index in path for y in ys):
        return [zeros_like(graph.lifted(x)) for x in xs]
    beyond = [graph.outer.tensor(j) for j in moving]
    others = [x for x in xs if x.graph is not graph]
    outside = reverse_around(graph.outer, beyond, others, found[len(own) :], passes)
    inner, outer = iter(found[: len(own)]), iter(outside)
    return [graph.lifted(next(inner) if x.graph is graph else next(outer)) for x in xs]


def forward_around(
    graph: Graph, ys: list[Tensor], xs: list[Tensor], seeds: list[Tensor], passes: Passes
) -> list[Tensor]:
    """The tangent of each y, where each x, of ``graph`` or of one around it, moves along a seed."""
    moving = _moving(graph, xs, passes)
    if not isinstance(graph, BodyGraph) or graph.outer is None or not moving:
        return passes.forward(graph, ys, [graph.lifted(x) for x in xs], seeds)
    own = [(x, t) for x, t in zip(xs, seeds, strict=True) if x.graph is graph]
    others = [(x, t) for x, t in zip(xs, seeds, strict=True) if x.graph is not graph]
    beyond = [graph.outer.tensor(j) for j in moving]
    pushed = forward_around(graph.outer, beyond, [x for x, _ in others], [t for _, t in others], passes)
    starts = [*[x for x, _ in own], *[graph.tensor(graph.captures[j]) for j in moving]]
    return passes.forward(graph, ys, starts, [*[t for _, t in own], *[graph.lifted(t) for t in pushed]])


def _moving(graph: Graph, xs: Sequence[Tensor], passes: Passes) -> list[int]:
    """The nodes around a body that it captures and that change with those of the xs that are not of the body."""
    if not isinstance(graph, BodyGraph) or graph.outer is None:
        return []
    outer = graph.outer
    start = [outer.lifted(x).index for x in xs if x.graph is not graph]
    if not start:
        return []
    captured = [j for j in graph.captures if floats(outer.nodes[j].spec)]
    path, _ = passes.path(outer, start, captured)
    deeper = _moving(outer, [x for x in xs if x.graph not in (graph, outer)], passes)
    if deeper and isinstance(outer, BodyGraph):  # what the graph around captured changes too
        more = [outer.captures[j] for j in deeper]
        path |= passes.path(outer, more, captured)[0]
    return [j for j in captured if j in path]
