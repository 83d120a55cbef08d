"""The pass that packs what workers exchange, and lets it travel while the rest is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from lazygrad.graph.graph import Graph, Node, writing
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.indexing import _slice
from lazygrad.ops.movement import reshape
from lazygrad.ops.source import _replicated, assign
from lazygrad.ops.workers import _begins, _total, _waits
from lazygrad.workers.among import Among

__all__ = ["PIECE", "exchanged"]

PIECE = 2**20  # bytes that travel together: between two processes 40 MB take 10.5 ms in such pieces


class Pack(NamedTuple):
    """Sums that travel together: the totals, which no other of them is computed from."""

    totals: list[int]
    level: int
    dtype: object


def exchanged(graph: Graph, among: Among) -> Graph:
    """The graph with its sums over workers begun as soon as they can be, and waited for where they are read.

    What sums are computed from comes first, in the order of the list, but that what needs a sum comes after all that
    does not. What no further sum is computed from, such as the updates of variables, comes last.
    """
    if not any(node.of(_total) or node.of(_replicated) for node in graph.nodes):
        return graph
    levels = _levels(graph)
    order = _order(graph, levels, levels)
    packs = _packs(graph, order, levels)
    return _written(graph, _order(graph, levels, _latest(graph, packs)), packs, among)


def _levels(graph: Graph) -> list[int]:
    """For every node how many sums come before it, one after the other."""
    levels: list[int] = []
    acted = 0  # what acts keeps its order
    for node in graph.nodes:
        level = max([levels[i] for i in node.inputs], default=0) + node.of(_total)
        if not node.op.pure and not node.of(assign):
            level = acted = max(level, acted)
        levels.append(level)
    return levels


def _latest(graph: Graph, packs: Sequence[Pack]) -> list[int]:
    """For every node the last of the packs that it needs, counted from 1; 0 for none."""
    of = {i: number + 1 for number, pack in enumerate(packs) for i in pack.totals}
    latest: list[int] = []
    for i, node in enumerate(graph.nodes):
        latest.append(max([of.get(i, 0), *(latest[j] for j in node.inputs)]))
    return latest


def _order(graph: Graph, levels: Sequence[int], late: Sequence[int]) -> list[int]:
    """The nodes in the order in which they are computed; those that come last by how late what they need is there."""
    feeds = bytearray(len(graph.nodes))
    for i in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[i]
        acts = not node.op.pure and not node.of(assign)
        if feeds[i] or node.of(_total) or acts:
            feeds[i] = 1
            for j in node.inputs:
                feeds[j] = 1
    last = max(levels) + 1
    return sorted(range(len(levels)), key=lambda i: (levels[i], 0, i) if feeds[i] else (last, late[i], i))


def _packs(graph: Graph, order: Sequence[int], levels: Sequence[int]) -> list[Pack]:
    """The sums in the order in which what they are of is there, as many together as make a piece."""
    place = {i: k for k, i in enumerate(order)}
    totals = [i for i, node in enumerate(graph.nodes) if node.of(_total)]
    totals.sort(key=lambda i: (place[graph.nodes[i].inputs[0]], i))
    packs: list[Pack] = []
    open_packs: dict[object, tuple[Pack, int]] = {}
    for i in totals:
        spec = cast(Spec, graph.nodes[i].spec)
        key = levels[i], spec.dtype
        pack, nbytes = open_packs.get(key, (None, 0))
        if pack is None:
            pack = Pack([], levels[i], spec.dtype)
            packs.append(pack)
        pack.totals.append(i)
        nbytes += spec.nbytes
        if nbytes >= PIECE:
            open_packs.pop(key, None)
        else:
            open_packs[key] = pack, nbytes
    return packs


def _written(graph: Graph, order: Sequence[int], packs: Sequence[Pack], among: Among) -> Graph:
    made = Graph(graph.dtype)
    made.constants, made.rewrites = graph.constants, {**graph.rewrites, "exchange": len(packs)}
    moved: dict[int, Tensor] = {}
    of = {i: number for number, pack in enumerate(packs) for i in pack.totals}
    ready = _ready(graph, order, packs)
    tokens: dict[int, Tensor] = {}

    def found(i: int) -> Tensor:
        """What stands for a node; a sum is waited for here, with all that travel with it."""
        if i not in moved:
            pack = packs[of[i]]
            sizes = [cast(Spec, graph.nodes[k].spec).size for k in pack.totals]
            settings = {"among": among, "number": of[i], "length": sum(sizes), "dtype": pack.dtype}
            arrived = _waits(tokens[of[i]], **settings)
            start = 0
            for k, size in zip(pack.totals, sizes, strict=True):
                shape = cast(Spec, graph.nodes[k].spec).shape
                part = _slice(arrived, index=(slice(start, start + size),)) if len(sizes) > 1 else arrived
                moved[k] = part if shape == (size,) else reshape(part, shape)
                start += size
        return moved[i]

    height = len(writing.graphs)
    try:
        writing.graphs.append(made)
        for i in order:
            node = graph.nodes[i]
            made.origin = graph.origins[i]
            if node.of(_replicated):
                moved[i] = found(node.inputs[0])
            elif not node.of(_total):
                moved[i] = _again(made, node, [found(j) for j in node.inputs])
            for number in ready.get(i, ()):
                operands = [found(graph.nodes[k].inputs[0]) for k in packs[number].totals]
                tokens[number] = _begins(*operands, among=among, number=number)
        made.roots = tuple([found(i).index for i in graph.roots])
    finally:
        del writing.graphs[height:]
        made.origin = None
    return made


def _ready(graph: Graph, order: Sequence[int], packs: Sequence[Pack]) -> dict[int, list[int]]:
    """For every node the packs that can begin when it has been computed."""
    place = {i: k for k, i in enumerate(order)}
    ready: dict[int, list[int]] = {}
    for number, pack in enumerate(packs):
        last = max((graph.nodes[i].inputs[0] for i in pack.totals), key=lambda i: place[i])
        ready.setdefault(last, []).append(number)
    return ready


def _again(made: Graph, node: Node, operands: Sequence[Tensor]) -> Tensor:
    inputs = tuple([t.index for t in operands])
    made.nodes.append(Node(node.op, inputs, node.params, node.key, node.spec))
    assert made.origin is not None
    made.origins.append(made.origin)
    return made.tensor(len(made.nodes) - 1)
