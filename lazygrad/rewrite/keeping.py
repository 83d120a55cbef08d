"""What the products of a gradient read of the forward part is kept in 16 bits, as it has been rounded to them.

An operand of a product in the forward part lies in float32 while that is computed. If a product of the gradient reads
it too, it would lie there from then on; so its 16 bits are kept, and made float32 again beside that product. No product
changes. What is rounded of a variable or an input, which are there anyway, is rounded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Source
from lazygrad.errors import Origin
from lazygrad.graph.graph import Graph, Node, freeze
from lazygrad.graph.spec import Spec
from lazygrad.ops.comparison import greater, greater_equal, less, less_equal
from lazygrad.ops.halves import _halved, _later, _packed, _unpacked
from lazygrad.ops.source import _full, _literal
from lazygrad.rewrite.halving import is_product, only_moves

__all__ = ["kept_in_halves"]

COMPARISONS: frozenset[object] = frozenset((greater, greater_equal, less, less_equal))
WORTH = 1024  # elements; fewer are not worth a kernel more


def kept_in_halves(graph: Graph, to: str) -> Graph:
    """The graph, in which nothing is kept in float32 for a product of the gradient only."""
    products = [i for i, node in enumerate(graph.nodes) if is_product(node)]
    late = {i for i in products if graph.origins[i].part != "forward"}
    early = {_rounded(graph, j) for i in products if i not in late for j in graph.nodes[i].inputs}
    both = {_rounded(graph, j) for i in late for j in graph.nodes[i].inputs} & early
    kept = [i for i in both if i is not None and _size(graph, i) >= WORTH]
    return _Keeping(graph, to, late, kept).written() if kept else graph


def _rounded(graph: Graph, index: int) -> int | None:
    """The rounding that a node only moves the result of."""
    while only_moves(graph.nodes, index):
        (index,) = graph.nodes[index].inputs
    return index if graph.nodes[index].of(_halved) else None


def _size(graph: Graph, index: int) -> int:
    spec = graph.nodes[index].spec
    return spec.size if isinstance(spec, Spec) else 0


def _compares_with_zero(graph: Graph, node: Node) -> bool:
    if node.op not in COMPARISONS:
        return False
    numbers = [graph.nodes[j] for j in node.inputs if graph.nodes[j].of(_literal) or graph.nodes[j].of(_full)]
    return any(number.params["value"] == 0 for number in numbers)


class _Keeping:
    """A graph written anew, with what is ``kept`` packed where it is made and unpacked for products that are late."""

    def __init__(self, graph: Graph, to: str, late: Iterable[int], kept: Iterable[int]) -> None:
        self._before, self._to, self._late, self._kept = graph, to, frozenset(late), frozenset(kept)
        self._made = Graph(graph.dtype)
        self._moved: list[int] = []  # where each node of the graph before is
        self._packed: dict[int, int] = {}
        self._again: dict[int, int] = {}  # where it is for late products
        self._of = {graph.nodes[i].inputs[0]: i for i in self._kept}  # what is rounded, and its rounding

    def written(self) -> Graph:
        """The graph."""
        before, made = self._before, self._made
        for i, (node, origin) in enumerate(zip(before.nodes, before.origins, strict=True)):
            if i in self._late:
                inputs = self._late_inputs(node, origin)
            elif origin.part != "forward" and _compares_with_zero(before, node):
                inputs = tuple([self._for_mask(j, origin) for j in node.inputs])
            else:
                inputs = tuple([self._moved[j] for j in node.inputs])
            self._moved.append(self._put(node, inputs, origin))
            if i in self._kept and not self._is_given(i):
                spec = Spec(node.spec.shape, np.dtype(np.uint16))  # type: ignore[union-attr]
                self._packed[i] = self._written(_packed, {"to": self._to}, self._moved[i], spec, origin)
        made.roots = tuple([self._moved[i] for i in before.roots])
        made.constants, made.rewrites = before.constants, before.rewrites
        return made

    def _put(self, node: Node, inputs: tuple[int, ...], origin: Origin) -> int:
        same = inputs == node.inputs
        self._made.nodes.append(node if same else Node(node.op, inputs, node.params, node.key, node.spec))
        self._made.origins.append(origin)
        return len(self._made.nodes) - 1

    def _written(self, op: Any, params: dict[str, Any], operand: int, spec: Spec, origin: Origin) -> int:
        return self._put(Node(op, (), params, (freeze(self._to),), spec), (operand,), origin)

    def _is_given(self, rounding: int) -> bool:
        op = self._before.nodes[self._before.nodes[rounding].inputs[0]].op
        return isinstance(op, Source) and op.given

    def _late_inputs(self, node: Node, origin: Origin) -> tuple[int, ...]:
        """The operands of a late product; those that are kept are made when the others are there."""
        bases = [_rounded(self._before, j) for j in node.inputs]
        is_kept = [base in self._kept for base in bases]
        others = [self._moved[j] for j, kept in zip(node.inputs, is_kept, strict=True) if not kept]
        if not others or any(not _size(self._made, j) for j in others):
            return tuple([self._moved[j] for j in node.inputs])
        pairs = zip(node.inputs, bases, strict=True)
        return tuple([self._for_late(j, base, others[0], origin) for j, base in pairs])

    def _for_late(self, index: int, base: int | None, other: int, origin: Origin) -> int:
        """An operand of a late product: what is kept, moved as it was."""
        if base is None or base not in self._kept:
            return self._moved[index]
        nodes, moves = self._before.nodes, list[int]()
        while index not in self._again and index != base:
            moves.append(index)
            (index,) = nodes[index].inputs
        place = self._again.get(index)
        if place is None:
            node = nodes[base]
            assert isinstance(node.spec, Spec)
            if base in self._packed:
                place = self._written(
                    _unpacked, {"of": self._to}, self._later(self._packed[base], other, origin), node.spec, origin
                )
            else:
                place = self._put(node, (self._later(self._moved[node.inputs[0]], other, origin),), origin)
            self._again[base] = place
        for index in reversed(moves):
            place = self._again[index] = self._put(nodes[index], (place,), origin)
        return place

    def _for_mask(self, index: int, origin: Origin) -> int:
        """An operand of a comparison with 0 in the gradient: whether what the product took was above 0, the bits tell.

        Where that is all that a gradient asks, as behind a ``relu``, nothing is left that needs all the digits. What is
        rounded to 0 counts as 0, as it did in the product.
        """
        base = self._of.get(index)
        if base is None or base not in self._packed:
            return self._moved[index]
        spec = self._before.nodes[base].spec
        return self._written(_unpacked, {"of": self._to}, self._packed[base], cast(Spec, spec), origin)

    def _later(self, index: int, other: int, origin: Origin) -> int:
        """A node as it is when another is there, of which one element tells."""
        made = self._made
        made.origin = origin
        one = made.tensor(other)[(0,) * len(made.tensor(other).shape)]
        made.origin = None
        spec = made.nodes[index].spec
        return self._put(Node(cast(Any, _later), (), {}, (), spec), (index, one.index), origin)
