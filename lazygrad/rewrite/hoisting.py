"""Passes over loops: what need not be computed turn by turn is computed before the loop, or after it.

What is the same in every turn is computed once. A product of a slice of the xs with a matrix that stays, ``x_t @ w``,
is one product for all turns. And a sum of products over the turns, Σ aₜ @ bₜ, as the gradient of a weight is, becomes
one product of what is stacked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lazygrad.define.kinds import Declared, Elementwise, Movement, Reduction, Source
from lazygrad.define.region import extract, written
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add
from lazygrad.ops.control import SCAN, SCAN_ACTING, WHILE, WHILE_ACTING, Scan, While
from lazygrad.ops.movement import broadcast_to, permute_dims, reshape
from lazygrad.ops.products import _matmul
from lazygrad.ops.source import _full, _literal
from lazygrad.rewrite.regions import Found, Site, rewritten_regions

__all__ = ["hoisted", "summed_up"]

WORTH = 1 << 12  # multiplications of a product in a turn, from which its operands are rather stacked than it added up


class Turning(NamedTuple):
    """A loop whose body may be made smaller.

    Attributes:
        body: what a turn computes.
        carries, xs: how the inputs of the body are divided.
        length: of a scan the number of slices.
        before: operands that the body does not take, which stand first.
        operands: those that it takes.
        certain: whether there is a turn at all. If not, only what cannot fail is computed outside.
    """

    body: Body
    carries: int
    xs: int
    length: int
    before: list[Tensor]
    operands: list[Tensor]
    certain: bool

    @classmethod
    def of(cls, site: Site) -> Turning | None:
        """The scan that is being rewritten; None for other regions, and where there is no slice."""
        p, operands = site.node.params, site.operands
        if not isinstance(site.node.op, Scan) or not p["length"]:
            return None
        first = int(p["limited"])
        return cls(p["body"], p["carries"], p["xs"], p["length"], operands[:first], operands[first:], not first)


def hoisted(graph: Graph) -> Graph:
    """What loops compute without their carry is computed before them, if it is the same or a product."""
    return rewritten_regions(graph, lambda site: _hoisted_while(site) or _hoisted(site))


def _hoisted(site: Site) -> Found:
    loop = Turning.of(site)
    if loop is None:
        return None
    last = loop.carries + loop.xs
    outside = Outside(site.graph, loop)
    same, products = outside.invariant(), outside.products()
    if not same and not products:
        return None
    inputs = [*loop.body.inputs[:last], *products, *loop.body.inputs[last:], *same]
    new = extract(loop.body.graph, inputs, loop.body.outputs, loop.body.effects)
    operands = [*loop.before, *loop.operands[:last], *[outside.all_turns(i) for i in products]]
    operands += [*loop.operands[last:], *[outside.once(i) for i in same]]
    params = {**site.node.params, "body": new, "xs": loop.xs + len(products)}
    return written(site.graph, SCAN_ACTING if new.effects else SCAN, operands, params)


def _hoisted_while(site: Site) -> Found:
    """What is the same in every turn of a loop with a condition."""
    if not isinstance(site.node.op, While):
        return None
    p, body = site.node.params, site.node.params["body"]
    asked, carries = len(p["condition"].inputs), p["carries"]
    operands = [*site.operands[:carries], *site.operands[asked:]]
    outside = Outside(site.graph, Turning(body, carries, 0, 0, [], operands, False))
    same = outside.invariant()
    if not same:
        return None
    new = extract(body.graph, [*body.inputs, *same], body.outputs, body.effects)
    op = WHILE_ACTING if new.effects or p["condition"].effects else WHILE
    return written(site.graph, op, [*site.operands, *[outside.once(i) for i in same]], {**p, "body": new})


def _is_view(node: Node) -> bool:
    """Whether computing a node again costs nothing."""
    return isinstance(node.op, Movement) and node.op.view is not None


def _cannot_fail(node: Node) -> bool:
    """Whether an op, which is one of lazygrad's own, computes something of whatever it is given."""
    op = node.op
    return (isinstance(op, (Elementwise, Movement, Reduction)) and op.own) or node.of(_matmul)


class Outside:
    """What of a body can be computed outside of the loop.

    Attributes:
        same: nodes that are the same in every turn.
        sliced: nodes that depend on slices of the xs and on what is the same, and that can be computed for all turns
            at once.
    """

    def __init__(self, graph: Graph, loop: Turning) -> None:
        self.graph, self.loop = graph, loop
        body, first = loop.body, loop.carries
        last = first + loop.xs
        self.nodes = body.graph.nodes
        self.same = dict.fromkeys(body.inputs[last:])
        self.sliced = dict.fromkeys(body.inputs[first:last])
        self._once = dict(zip(body.inputs[last:], loop.operands[last:], strict=True))
        self._all = dict(zip(body.inputs[first:last], loop.operands[first:last], strict=True))
        for i, node in enumerate(self.nodes):
            self.look(i, node)

    def invariant(self) -> list[int]:
        """What is the same in every turn and read by what is not, less what costs nothing."""
        read = {j for i, node in enumerate(self.nodes) if i not in self.same for j in node.inputs}
        found = set()
        for i in (read | {*self.loop.body.outputs}) & self.same.keys():
            while _is_view(self.nodes[i]):
                (i,) = self.nodes[i].inputs
            if self.nodes[i].inputs:
                found.add(i)
        return sorted(found)

    def products(self) -> list[int]:
        """The products of slices with what stays."""
        return [i for i in self.sliced if self.nodes[i].of(_matmul) and i not in self.same]

    def look(self, i: int, node: Node) -> None:
        """Say of a node, whose operands have been looked at, whether it can."""
        op = node.op
        if i in self.same or i in self.sliced or not isinstance(op, Declared) or op.random or not op.pure:
            return
        if isinstance(op, Source):
            if not op.given:
                self.same[i] = None
        elif not isinstance(node.spec, Spec) or (not self.loop.certain and not _cannot_fail(node)):
            return
        elif all(j in self.same for j in node.inputs):
            self.same[i] = None
        elif all(j in self.same or j in self.sliced for j in node.inputs) and self._goes(node):
            self.sliced[i] = None

    def _goes(self, node: Node) -> bool:
        """Whether a node can be computed for all turns at once."""
        if node.of(_matmul):
            a, b = node.inputs
            return b in self.same and len(self._spec(b).shape) == 2 and a in self.sliced
        return (isinstance(node.op, Elementwise) and node.op.own) or any(
            node.of(op) for op in (reshape, permute_dims, broadcast_to)
        )

    def _spec(self, i: int) -> Spec:
        spec = self.nodes[i].spec
        assert isinstance(spec, Spec)
        return spec

    def once(self, i: int) -> Tensor:
        """A node that is the same in every turn, computed outside."""
        if i not in self._once:
            node, graph = self.nodes[i], self.graph
            operands = tuple([self.once(j).index for j in node.inputs])
            self._once[i] = graph.apply(node.op, operands, node.params, node.key)
        return self._once[i]

    def all_turns(self, i: int) -> Tensor:
        """A node computed for all turns; its first axis is the turn."""
        if i in self.same:
            return self.once(i)
        if i not in self._all:
            self._all[i] = self._for_all(self.nodes[i], self._spec(i))
        return self._all[i]

    def _for_all(self, node: Node, spec: Spec) -> Tensor:
        count = self.loop.length
        xs = [self.all_turns(j) for j in node.inputs]
        if node.of(_matmul):
            rows = reshape(xs[0], (-1, xs[0].shape[-1])) if xs[0].size else reshape(xs[0], (0, xs[0].shape[-1]))
            product: Any = _matmul
            return reshape(product(rows, xs[1]), (count, *spec.shape))
        if node.of(permute_dims):
            return permute_dims(xs[0], (0, *[axis + 1 for axis in node.params["axes"]]))
        if node.of(reshape):
            return reshape(xs[0], (count, *spec.shape))
        if node.of(broadcast_to):
            return broadcast_to(self._aligned(node.inputs[0], xs[0], spec), (count, *spec.shape))
        graph = self.graph
        operands = [self._aligned(j, x, spec) for j, x in zip(node.inputs, xs, strict=True)]
        return graph.apply(node.op, tuple([t.index for t in operands]), node.params, node.key)

    def _aligned(self, j: int, x: Tensor, spec: Spec) -> Tensor:
        """An operand for all turns with axes of size 1 between the turn and its own, so that it broadcasts."""
        own = self._spec(j).shape
        missing = len(spec.shape) - len(own)
        if j in self.same or not missing:
            return x
        return reshape(x, (self.loop.length, *[1] * missing, *own))


class Sum(NamedTuple):
    """A carry to which a product is added in every turn."""

    carry: int
    product: Node
    moves: list[Node]  # what is done to the product before it is added, from the last to the first


def summed_up(graph: Graph) -> Graph:
    """A sum of products over the turns of a scan is one product behind it."""
    return rewritten_regions(graph, _summed_up)


def _summed_up(site: Site) -> Found:
    loop = Turning.of(site)
    if loop is None or loop.body.effects:
        return None
    body, carries = loop.body, loop.carries
    sums = [found for k in range(carries) if (found := _sum(body, k)) is not None]
    if not sums:
        return None
    gone = {s.carry for s in sums}
    kept = [k for k in range(carries) if k not in gone]
    factors = [_factor(body, j) for s in sums for j in s.product.inputs]
    # The slices that a limited scan does not go through are zeros, as its ys are: they add nothing.
    going = body.inputs[carries : carries + loop.xs] if loop.certain else ()
    stacked = list(dict.fromkeys(j for j, _ in factors if j not in going))
    ys = [body.outputs[k] for k in range(carries, len(body.outputs))]
    outputs = [*[body.outputs[k] for k in kept], *ys, *stacked]
    new = extract(body.graph, [body.inputs[k] for k in kept] + list(body.inputs[carries:]), outputs)
    operands = [*loop.before, *[loop.operands[k] for k in kept], *loop.operands[carries:]]
    got = written(site.graph, SCAN, operands, {**site.node.params, "body": new, "carries": len(kept)})
    all_of = dict(zip(going, loop.operands[carries : carries + loop.xs], strict=False))
    all_of.update(zip(stacked, got[len(kept) + len(ys) :], strict=True))
    results: list[Tensor | None] = [None] * len(body.outputs)
    for place, k in enumerate([*kept, *range(carries, len(body.outputs))]):
        results[k] = got[place]
    for n, s in enumerate(sums):
        left, right = [_laid(all_of[j], moved) for j, moved in factors[2 * n : 2 * n + 2]]
        total = _product(left, right, loop.length, s)
        results[s.carry] = total if _is_zero(loop.operands[s.carry]) else add(loop.operands[s.carry], total)
    return results


def _is_zero(x: Tensor) -> bool:
    node = x.graph.nodes[x.index]
    return (node.of(_full) or node.of(_literal)) and not node.params["value"]


def _sum(body: Body, k: int) -> Sum | None:
    """The products that a carry is the sum of; None if it is something else, or is read for something else."""
    nodes = body.graph.nodes
    start, end = body.inputs[k], body.outputs[k]
    if (
        not nodes[end].of(add)
        or start not in nodes[end].inputs
        or end in [o for i, o in enumerate(body.outputs) if i != k]
    ):
        return None
    readers = [i for i, node in enumerate(nodes) for j in node.inputs if j in (start, end)]
    if readers != [end] or start in body.outputs:
        return None
    (at,) = [j for j in nodes[end].inputs if j != start] or [start]
    moves: list[Node] = []
    while nodes[at].of(reshape) or nodes[at].of(permute_dims):
        moves.append(nodes[at])
        (at,) = nodes[at].inputs
    product = nodes[at]
    if not product.of(_matmul):
        return None
    shapes = [nodes[j].spec for j in product.inputs]
    if any(not isinstance(s, Spec) or len(s.shape) != 2 for s in shapes):
        return None
    (m, n), (_, p) = [s.shape for s in shapes]  # type: ignore[union-attr]
    return Sum(k, product, moves) if m * n * p >= WORTH else None


def _factor(body: Body, j: int) -> tuple[int, bool]:
    """A factor of a product as it lies in memory, and whether the product reads it transposed."""
    node = body.graph.nodes[j]
    if node.of(permute_dims) and node.params["axes"] == (1, 0):
        return node.inputs[0], True
    return j, False


def _laid(x: Tensor, moved: bool) -> Tensor:
    """A stacked factor, as the product reads it."""
    return permute_dims(x, (0, 2, 1)) if moved else x


def _product(left: Tensor, right: Tensor, count: int, s: Sum) -> Tensor:
    """Σ leftₜ @ rightₜ as one product, moved as the products were."""
    m, n, p = left.shape[1], left.shape[2], right.shape[2]
    rows = permute_dims(reshape(permute_dims(left, (0, 2, 1)), (count * n, m)), (1, 0))
    product: Any = _matmul
    found: Tensor = product(rows, reshape(right, (count * n, p)))
    for node in reversed(s.moves):
        op: Any = node.op
        found = op(found, **node.params)
    return found
