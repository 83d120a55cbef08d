"""Which nodes of a plan must lie in memory, and which views of memory and elements of others nodes are.

A node is *lazy* if its elements can be computed where they are wanted: what is elementwise, and views. All
others are *stored*: their result lies in memory before another kernel reads it. A lazy node is stored too
where that is cheaper than to compute it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lazygrad.define.counted import Counted
from lazygrad.define.kinds import Elementwise, Movement, item
from lazygrad.engine.lower import index as indexing
from lazygrad.engine.lower.classify import NATIVE, Classified, Fits, Way
from lazygrad.engine.lower.index import Affine, Index, View, in_order
from lazygrad.engine.lower.regions import looped
from lazygrad.engine.trace.reading import Gathered, Searched, Windowed
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.plan import Plan

__all__ = ["NATIVE", "Way", "Ways"]

DEAR = 10  # instructions; what costs as much is stored rather than computed twice
BROADCAST = 4  # the same for what would be computed again along an axis
DEEP = 60  # nodes; a chain of lazy ones is stored from time to time, as it is written by recursion
LONG = 1000  # instructions; as much is stored, so that a kernel can be cut there
_STORED = (Way.FOLD, Way.PRODUCT, Way.LAPACK, Way.ORDER, Way.PUT, Way.SMALL, Way.SCATTER, Way.COPIES, Way.RESULT)


class Ways(Classified):
    """For every node of a plan the way in which it is computed, and whether it lies in memory.

    Attributes:
        stored: nodes whose results lie in memory; leaves are not among them.
        cost: for lazy nodes, the instructions to compute one element from what is stored.
        own: for lazy nodes, the instructions to compute one element from those of its operands.
        users: for every node, the nodes that read it.
    """

    def __init__(
        self,
        plan: Plan,
        lapack: bool = False,
        fits: Fits | None = None,
        hosted: bool = False,
        windows: bool = False,
    ) -> None:
        super().__init__(plan, lapack, fits, hosted, windows)
        self._views: dict[int, View | None] | None = None  # once it is known what is stored
        self._reshapes: dict[int, Affine | None] = {}
        self.users: list[list[int]] = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            for j in dict.fromkeys(node.inputs):
                self.users[j].append(i)
        self.stored = {i for i, way in enumerate(self.way) if way in _STORED}
        self.stored |= {i for i in self.inside if isinstance(self.nodes[i].spec, Spec)}
        self.cost = [0] * len(self.nodes)
        self.own = [0] * len(self.nodes)
        self._depth = [0] * len(self.nodes)
        self._choose()
        self._views = {}

    # What must lie in memory.

    def _choose(self) -> None:
        plan = self.plan
        for i in {*plan.values, *plan.updates.values()}:
            if self.way[i] is Way.LAZY:
                self.stored.add(i)
        for i, node in enumerate(self.nodes):
            if self.way[i] in (Way.SCATTER, Way.PUT):
                self._in_order(node.inputs[0])
            elif isinstance(self.reading.get(i), Searched) and self.way[i] is Way.ORDER:
                self._in_order(node.inputs[1])
            if isinstance(self.reading.get(i), Windowed) and self.way[i] is Way.FOLD:
                self._need_view(node.inputs[0])
                view = self.view(node.inputs[0])
                if view is not None and min(view.steps) < 0:
                    self._need(node.inputs[0])
            if self.way[i] in (Way.PRODUCT, Way.LAPACK, Way.ORDER, Way.PUT, Way.CALLBACK) and node.op is not item:
                for j in node.inputs:
                    self._need_view(j)
            elif self.way[i] is Way.REPEAT:
                self._given(node)
            elif self.way[i] is Way.LAZY:
                self._lazy(i, node)
            if self.way[i] is Way.LAZY:
                self._weigh(i, node)

    def _in_order(self, j: int) -> None:
        """Node ``j`` must lie in memory in order."""
        self._need_view(j)
        view = self.view(j)
        if view is not None and not view.is_contiguous:
            self._need(j)

    def _given(self, node: Node) -> None:
        """Operands of a repeat lie in order; of one that it goes through, every slice does."""
        loop = looped(node)
        assert loop is not None
        sliced = loop.sliced
        for number, j in enumerate(node.inputs):
            self._need_view(j)
            view = self.view(j)
            if view is not None and not (view.first if number in sliced else view).is_contiguous:
                self._need(j)

    def _lazy(self, i: int, node: Node) -> None:
        if isinstance(self.reading.get(i), Gathered):
            self._need_view(node.inputs[0])
        elif isinstance(node.op, Movement) and node.op.view == "contiguous":
            if self.is_split(i):
                (j,) = node.inputs
                base = self.view(j)
                if base is None or not base.is_contiguous:
                    self._need(j)

    def _need(self, j: int) -> None:
        if self.way[j] is Way.LAZY:
            self.stored.add(j)

    def _need_view(self, j: int) -> None:
        """Node ``j`` must be a view of what lies in memory."""
        if self.way[j] is Way.NUMBER:
            return
        if self.view(j) is None:
            base = j
            while self._is_view(base) and base not in self.stored:
                base = self.nodes[base].inputs[0]
            self._need(base)
            if self.view(j) is None:
                self._need(j)

    def _is_view(self, i: int) -> bool:
        return self.way[i] is Way.LAZY and isinstance(self.nodes[i].op, Movement)

    def _weigh(self, i: int, node: Node) -> None:
        """Store a lazy node where computing it again would cost more."""
        if isinstance(node.op, (Elementwise, Counted)):
            own = self.instructions(node, [self.nodes[j].spec for j in node.inputs]) or 0
        else:
            own = 4 if i in self.reading else 0
        self.own[i] = own
        lazy = [j for j in node.inputs if self.way[j] is Way.LAZY and j not in self.stored]
        self.cost[i] = min(own + sum(self.cost[j] for j in lazy), 10_000)
        self._depth[i] = 1 + max((self._depth[j] for j in lazy), default=0)
        readers = self.users[i]
        wider = any(self._read_size(k) > self.spec(i).size for k in readers)
        if (
            (self.cost[i] >= DEAR and len(readers) > 1)
            or (self.cost[i] >= BROADCAST and wider and (self.spec(i).size > 1 or len(readers) > 1))
            or self._depth[i] >= DEEP
            or self.cost[i] >= LONG
            or (isinstance(node.op, Elementwise) and node.op.stored)
        ):
            self.stored.add(i)
        if i in self.stored:
            self.cost[i] = self._depth[i] = 0

    def _read_size(self, user: int) -> int:
        if self.way[user] is Way.LAZY:
            return self.spec(user).size
        return 0

    def view(self, i: int) -> View | None:
        """Node ``i`` as a view of a buffer, if it is one of what lies in memory."""
        if self._views is None:
            return self._view(i)
        if i not in self._views:
            self._views[i] = self._view(i)
        return self._views[i]

    def _view(self, i: int) -> View | None:
        if i in self.stored or self.way[i] in (Way.LEAF, Way.CALLBACK):
            spec = self.spec(i)
            return in_order(spec.shape, i)
        if not self._is_view(i):
            return None
        node = self.nodes[i]
        base = self.view(node.inputs[0])
        if base is None:
            return None
        shape = self.spec(i).shape
        assert isinstance(node.op, Movement)
        if node.op.view == "contiguous":
            if base.is_contiguous:
                return self._in(base, i)
            regrouped = self._regrouped(i)
            if regrouped is None:
                return None
            affine = regrouped
        else:
            affine = indexing.viewed(node.op, base.shape, node.params, node.key, self.spec(i).dtype)
        place = base.place([Index(start) for start in affine.starts])
        steps = [
            sum(step * row[axis] for step, row in zip(base.steps, affine.steps, strict=True))
            for axis in range(len(shape))
        ]
        return View(base.buffer, place.start, tuple(steps), shape)

    # What an element is computed from.

    def is_split(self, i: int) -> bool:
        """Whether a lazy node is a reshape that splits an axis: then its operand lies in memory, in order."""
        op = self.nodes[i].op
        if not isinstance(op, Movement) or op.view != "contiguous":
            return False
        return self._regrouped(i) is None

    def _flat(self, i: int) -> View:
        """Which elements of its operand, as they lie in order, those of a node are."""
        node = self.nodes[i]
        assert isinstance(node.op, Movement)
        source = self.spec(node.inputs[0])
        return indexing.flattened(node.op, source.shape, node.params, node.key, source.dtype)

    def _in(self, base: View, i: int) -> View:
        """The memory of the operand of a node, which lies in order, as the node sees it."""
        flat = self._flat(i)
        return View(base.buffer, base.start + flat.start, flat.steps, self.spec(i).shape)

    def _regrouped(self, i: int) -> Affine | None:
        """Which element of its operand each of a reshape is; None if not affine, or if it is another movement."""
        if i not in self._reshapes:
            flat, source, target = self._flat(i), self.spec(self.nodes[i].inputs[0]).shape, self.spec(i).shape
            whole = not flat.start and flat.is_contiguous and math.prod(source) == math.prod(target)
            self._reshapes[i] = indexing.regrouped(source, target) if whole else None
        return self._reshapes[i]

    def split(self, i: int) -> View:
        """The memory of the operand of such a reshape, seen in the new shape."""
        base = self.view(self.nodes[i].inputs[0])
        assert base is not None
        return self._in(base, i)

    def operands(self, i: int, index: tuple[Index, ...]) -> Iterator[tuple[int, tuple[Index, ...]]]:
        """The operands of a lazy node, with the index of the element that is read of each."""
        node = self.nodes[i]
        if isinstance(node.op, Movement):
            yield node.inputs[0], self.moved(i, index)
        else:
            for j in node.inputs:
                yield j, self.broadcast(j, index)

    def moved(self, i: int, index: tuple[Index, ...]) -> tuple[Index, ...]:
        """The index in the operand of the element at ``index`` of a view."""
        node = self.nodes[i]
        assert isinstance(node.op, Movement)
        shape = self.spec(node.inputs[0]).shape
        if node.op.view == "contiguous":
            regrouped = self._regrouped(i)
            assert regrouped is not None
            return regrouped.of(index)
        return indexing.viewed(node.op, shape, node.params, node.key, self.spec(i).dtype).of(index)

    def broadcast(self, j: int, index: tuple[Index, ...]) -> tuple[Index, ...]:
        """The index of the element of node ``j`` that goes into that at ``index`` of an elementwise result."""
        shape = self.spec(j).shape
        own = index[len(index) - len(shape) :]
        if 1 not in shape:
            return own
        return tuple([Index() if n == 1 else at for n, at in zip(shape, own, strict=True)])
