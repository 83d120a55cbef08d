"""Products of half precision: the operands of every product of matrices are rounded, and its sums stay float32.

It is the one pass that changes what is computed, so it is no rule: a step asks for it, and it comes before all others.
So no law that holds for float32 can carry a factor, such as the scale of a loss, past a rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lazygrad.define.kinds import Movement
from lazygrad.define.region import Region
from lazygrad.errors import Origin
from lazygrad.graph.body import Body, bodies
from lazygrad.graph.graph import Graph, Node, freeze
from lazygrad.graph.spec import Spec
from lazygrad.ops.halves import _halved, _unpacked
from lazygrad.ops.products import _matmul
from lazygrad.rewrite.regions import has_regions, rewritten_bodies

__all__ = ["described", "halved", "is_product", "only_moves", "products_of_halves"]


def halved(graph: Graph, to: str) -> Graph:
    """The graph with the operands of its float32 products rounded to ``to``, in the bodies of loops too."""
    if has_regions(graph):
        graph = rewritten_bodies(graph, lambda body: _halved_body(body, to))
    return _Halving(graph, to).written()


def _halved_body(body: Body, to: str) -> Body:
    """A body likewise, kept on it."""
    found: Body | None = body.memo.get(("halved", to))
    if found is None:
        within = Graph(body.graph.dtype)
        within.nodes, within.origins = body.graph.nodes, body.graph.origins
        within.roots = (*body.inputs, *body.outputs, *body.effects)
        new = halved(within, to)
        first, last = len(body.inputs), len(body.inputs) + len(body.outputs)
        found = Body(new, new.roots[:first], new.roots[first:last], new.roots[last:])
        body.memo["halved", to] = found
    return found


class _Halving:
    """A graph written anew, with what its products read rounded, once for all products that read it."""

    def __init__(self, graph: Graph, to: str) -> None:
        self._before, self._to = graph, to
        self._made = Graph(graph.dtype)
        self._moved: list[int] = []  # where each node of the graph before is
        self._rounded: dict[int, int] = {}  # and those that are rounded

    def written(self) -> Graph:
        """The graph."""
        before, made = self._before, self._made
        for node, origin in zip(before.nodes, before.origins, strict=True):
            place = self._half if is_product(node) else self._plain
            inputs = tuple([place(j, origin) for j in node.inputs])
            self._moved.append(self._put(node, inputs, origin))
        made.roots = tuple([self._moved[i] for i in before.roots])
        made.constants, made.rewrites = before.constants, before.rewrites
        return made

    def _plain(self, index: int, origin: Origin) -> int:
        return self._moved[index]

    def _put(self, node: Node, inputs: tuple[int, ...], origin: Origin) -> int:
        same = inputs == node.inputs
        self._made.nodes.append(node if same else Node(node.op, inputs, node.params, node.key, node.spec))
        self._made.origins.append(origin)
        return len(self._made.nodes) - 1

    def _half(self, index: int, origin: Origin) -> int:
        """A node of the graph before, rounded.

        What only moves elements moves rounded ones: so a weight and its transpose are rounded once, and of windows
        the image that they are looked at through.
        """
        nodes, moves = self._before.nodes, list[int]()
        while index not in self._rounded and only_moves(nodes, index):
            moves.append(index)
            (index,) = nodes[index].inputs
        place = self._rounded.get(index)
        if place is None:
            op: Any = _halved
            rounding = Node(op, (), {"to": self._to}, (freeze(self._to),), nodes[index].spec)
            place = self._rounded[index] = self._put(rounding, (self._moved[index],), origin)
        for index in reversed(moves):
            place = self._rounded[index] = self._put(nodes[index], (place,), self._before.origins[index])
        return place


def is_product(node: Node) -> bool:
    """Whether a node is a product whose operands are rounded."""
    return node.of(_matmul) and isinstance(node.spec, Spec) and node.spec.dtype == np.float32


def only_moves(nodes: list[Node], index: int) -> bool:
    """Whether a node moves the elements of one other, of which there are not more than of its own."""
    node = nodes[index]
    if not isinstance(node.op, Movement) or not node.op.own or len(node.inputs) != 1:
        return False
    source = nodes[node.inputs[0]].spec
    return isinstance(source, Spec) and isinstance(node.spec, Spec) and source.size <= node.spec.size


def products_of_halves(graph: Graph) -> frozenset[int]:
    """The products both of whose operands are seen to be rounded, whatever moves them."""
    return frozenset(i for i, node in enumerate(graph.nodes) if is_product(node) and _is_of_halves(graph, node))


def _is_of_halves(graph: Graph, product: Node) -> bool:
    for index in product.inputs:
        while isinstance(graph.nodes[index].op, Movement) and len(graph.nodes[index].inputs) == 1:
            (index,) = graph.nodes[index].inputs
        if not (graph.nodes[index].of(_halved) or graph.nodes[index].of(_unpacked)):
            return False
    return True


def described(graph: Graph, to: str) -> list[str]:
    """The products of a graph that was halved, a line each, those of bodies too; nothing if there are none."""
    lines = list(_lines(graph, to))
    return ["products of halves, summed in float32", *lines] if lines else []


def _lines(graph: Graph, to: str) -> Iterator[str]:
    # An operand that is the same in every turn of a loop is rounded before it; so it is not looked for here.
    for node, origin in zip(graph.nodes, graph.origins, strict=True):
        if is_product(node):
            shapes = [graph.nodes[j].spec for j in node.inputs]
            operands = [f"{to}{list(spec.shape)}" for spec in shapes if isinstance(spec, Spec)]
            yield f"        {' @ '.join(operands)}   {origin.place}"
        if isinstance(node.op, Region):
            for body in bodies(node):
                yield from _lines(body.graph, to)
