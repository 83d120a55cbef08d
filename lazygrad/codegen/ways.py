"""In which way each node of a plan is computed natively, and which nodes must lie in memory.

A node is *lazy* if its elements can be computed where they are wanted: what is elementwise, and views. All
others are *stored*: their result lies in memory before another kernel reads it. A lazy node is stored too
where that is cheaper than to compute it again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.codegen import index as indexing
from lazygrad.codegen.index import Affine, Index, View, in_order
from lazygrad.codegen.reading import Folded, Multiplied, Scattered, Taken, read
from lazygrad.codegen.registers import Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.writer import Writer
from lazygrad.graph import Node
from lazygrad.kinds import Declared, Elementwise, Movement, Opaque, Reduction, item
from lazygrad.ops.source import _full, _literal, assign, placeholder, variable
from lazygrad.plan import Plan
from lazygrad.spec import Mismatch, Shape, Spec, broadcast

__all__ = ["NATIVE", "Ways"]

DEAR = 10  # instructions; what costs as much is stored rather than computed twice
BROADCAST = 4  # the same for what would be computed again along an axis
DEEP = 60  # nodes; a chain of lazy ones is stored from time to time, as it is written by recursion
NUMBER = (bool, int, float, np.generic)  # what a kernel may return that is the same everywhere
LONG = 1000  # instructions; as much is stored, so that a kernel can be cut there
NATIVE = frozenset(np.dtype(name) for name in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"))


class Ways:
    """For every node of a plan ``way``: ``leaf number lazy fold product scatter copies callback``.

    Attributes:
        stored: nodes whose results lie in memory; leaves are not among them.
        cost: for lazy nodes, the instructions to compute one element from what is stored.
        own: for lazy nodes, the instructions to compute one element from those of its operands.
        users: for every node, the nodes that read it.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.nodes = plan.graph.nodes
        self._specs: list[Spec] = [cast(Spec, node.spec) for node in self.nodes]
        self._views: dict[int, View | None] | None = None  # once it is known what is stored
        self._costs: dict[Any, int | None] = {}
        self._reshapes: dict[int, Affine | None] = {}
        self.reading: dict[int, Any] = {}
        self.way: list[str] = []
        for i, node in enumerate(self.nodes):
            self.way.append(self._way(i, node))
        self.users: list[list[int]] = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            for j in dict.fromkeys(node.inputs):
                self.users[j].append(i)
        self.stored = {i for i, way in enumerate(self.way) if way in ("fold", "product", "scatter", "copies")}
        self.cost = [0] * len(self.nodes)
        self.own = [0] * len(self.nodes)
        self._depth = [0] * len(self.nodes)
        self._choose()
        self._views = {}

    def spec(self, i: int) -> Spec:
        """The spec of node ``i``."""
        return self._specs[i]

    def _way(self, i: int, node: Node) -> str:
        op = node.op
        if node.of(_literal) or node.of(_full):
            return "number"
        if node.of(variable) or node.of(placeholder) or i in self.plan.constants or self.plan.static[i]:
            return "leaf"
        if node.of(assign):
            return "lazy"
        if op is item or not isinstance(op, Declared) or op.random or not op.pure or not isinstance(node.spec, Spec):
            return "callback"
        specs = [self.nodes[j].spec for j in node.inputs]
        if any(not isinstance(s, Spec) or s.dtype not in NATIVE for s in (*specs, node.spec)):
            return "callback"
        if not node.spec.size or any(not s.size for s in specs):  # type: ignore[union-attr]
            return "callback"  # every loop runs at least once
        if isinstance(op, Elementwise):
            return "lazy" if self._instructions(node, specs) is not None else "callback"
        if isinstance(op, Movement):
            if op.looks(node.key, tuple(specs), node.spec):
                return "lazy"
            shapes = tuple(s.shape for s in specs)  # type: ignore[union-attr]
            found = indexing.placed(op, shapes, node.params, node.key)
            if found is not None and not op.own and not _within(found, shapes, node.spec.size):
                found = None
            self.reading[i] = found
            return "copies" if found is not None else "callback"
        if not (op.own or op.recorded):
            return "callback"  # never looked into
        what = self.reading[i] = read(op, len(node.inputs), node.params)
        if isinstance(op, Reduction) and isinstance(what, Folded):
            return self._fold(node, what, specs[0])  # type: ignore[arg-type]
        if isinstance(op, Opaque) and isinstance(what, Multiplied) and self._is_product(node):
            return "product"
        if not op.own:
            return "callback"
        if isinstance(what, Taken):
            return "lazy"
        if isinstance(what, Scattered) and self._is_segments(node, what):
            return "scatter"
        return "callback"

    def _fold(self, node: Node, what: Folded, spec: Spec) -> str:
        op = node.op
        assert isinstance(op, Reduction)
        if not what.how.startswith("arg") and not (isinstance(op.combine, Elementwise) and _holds(spec, op.identity)):
            return "callback"
        if what.how.startswith("arg"):
            axes = node.params["axis"]
            trailing = axes == (spec.ndim - 1,)
            return "fold" if trailing and spec.dtype != np.bool_ and spec.shape[-1] < 2**31 else "callback"
        return "fold" if what.how in ("all", "any") or spec.dtype != np.bool_ or what.how == "sum" else "callback"

    def _is_product(self, node: Node) -> bool:
        """Whether both operands are matrices, of floats of the result's dtype."""
        a, b = (self.spec(j) for j in node.inputs)
        spec = cast(Spec, node.spec)
        if spec.dtype.kind != "f" or a.dtype != spec.dtype or b.dtype != spec.dtype or min(a.ndim, b.ndim) < 2:
            return False
        return a.shape[-1] == b.shape[-2] and spec.shape == _multiplied(a, b)

    def _is_segments(self, node: Node, what: Scattered) -> bool:
        """Whether whole rows are added, named by one array of indices."""
        ranks = self.spec(node.inputs[0]).ndim
        return (
            len(node.inputs) == 3
            and len(what.pattern) == ranks
            and not isinstance(what.pattern[0], slice)
            and all(p == slice(None) for p in what.pattern[1:])
            and self.spec(node.inputs[2]).ndim == 1
            and self.spec(node.inputs[1]).shape[1:] == self.spec(node.inputs[0]).shape[1:]
            and self.spec(node.inputs[1]).shape[0] == self.spec(node.inputs[2]).shape[0]
            and node.spec.dtype != np.bool_  # type: ignore[union-attr]
        )

    def _instructions(self, node: Node, specs: Any) -> int | None:
        """How many instructions the kernel writes for one element; None if it has no native form."""
        key = (node.op, tuple(s.dtype for s in specs), node.key)
        if key not in self._costs:
            writer = Writer(4)
            scalars = Scalars(writer, lambda wrong: None)
            registers = []
            for number, spec in enumerate(specs):
                one = writer.argument(number)
                registers.append(writer.load(one, 0, spec.dtype))
            before = writer.count
            try:
                assert isinstance(node.op, Declared)
                result = node.op.kernel(scalars, *registers, **node.params)
                wanted = cast(Spec, node.spec).dtype
                native = result.dtype == wanted if isinstance(result, Register) else isinstance(result, NUMBER)
                self._costs[key] = writer.count - before if native else None
            except Exception:  # there is no native form, or the kernel wants an array, or is wrong: NumPy says so
                self._costs[key] = None
        return self._costs[key]

    # What must lie in memory.

    def _choose(self) -> None:
        plan = self.plan
        for i in {*plan.values, *plan.updates.values()}:
            if self.way[i] == "lazy":
                self.stored.add(i)
        for i, node in enumerate(self.nodes):
            if self.way[i] == "scatter":
                start = node.inputs[0]
                if self.way[start] == "number" and self.nodes[start].params["value"]:
                    self.way[start] = "leaf"
                self._need_view(start)
                view = self.view(start)
                if view is not None and not view.is_contiguous:
                    self._need(start)
            if self.way[i] in ("product", "callback") and node.op is not item:
                for j in node.inputs:
                    if self.way[i] == "product" and self.way[j] == "number":
                        self.way[j] = "leaf"
                    self._need_view(j)
            elif self.way[i] == "lazy":
                self._lazy(i, node)
            if self.way[i] == "lazy":
                self._weigh(i, node)

    def _lazy(self, i: int, node: Node) -> None:
        if isinstance(self.reading.get(i), Taken):
            self._need_view(node.inputs[0])
        elif isinstance(node.op, Movement) and node.op.view == "contiguous":
            if self.is_split(i):
                (j,) = node.inputs
                base = self.view(j)
                if base is None or not base.is_contiguous:
                    self._need(j)

    def _need(self, j: int) -> None:
        if self.way[j] == "lazy":
            self.stored.add(j)

    def _need_view(self, j: int) -> None:
        """Node ``j`` must be a view of what lies in memory."""
        if self.way[j] == "number":
            return
        if self.view(j) is None:
            base = j
            while self._is_view(base) and base not in self.stored:
                base = self.nodes[base].inputs[0]
            self._need(base)
            if self.view(j) is None:
                self._need(j)

    def _is_view(self, i: int) -> bool:
        return self.way[i] == "lazy" and isinstance(self.nodes[i].op, Movement)

    def _weigh(self, i: int, node: Node) -> None:
        """Store a lazy node where computing it again would cost more."""
        if isinstance(node.op, Elementwise):
            own = self._instructions(node, [self.nodes[j].spec for j in node.inputs]) or 0
        else:
            own = 4 if i in self.reading else 0
        self.own[i] = own
        lazy = [j for j in node.inputs if self.way[j] == "lazy" and j not in self.stored]
        self.cost[i] = min(own + sum(self.cost[j] for j in lazy), 10_000)
        self._depth[i] = 1 + max((self._depth[j] for j in lazy), default=0)
        readers = self.users[i]
        wider = any(self._read_size(k) > self.spec(i).size for k in readers)
        if (
            (self.cost[i] >= DEAR and len(readers) > 1)
            or (self.cost[i] >= BROADCAST and wider and (self.spec(i).size > 1 or len(readers) > 1))
            or self._depth[i] >= DEEP
            or self.cost[i] >= LONG
        ):
            self.stored.add(i)
        if i in self.stored:
            self.cost[i] = self._depth[i] = 0

    def _read_size(self, user: int) -> int:
        if self.way[user] == "lazy":
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
        if i in self.stored or self.way[i] in ("leaf", "callback"):
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


def _holds(spec: Spec, identity: Any) -> bool:
    """Whether the dtype of a spec has an identity among its numbers."""
    if identity is None:
        return True
    with np.errstate(all="ignore"):
        try:
            return bool(np.asarray(identity).astype(spec.dtype) == identity)
        except (TypeError, ValueError, OverflowError):
            return False


def _within(places: Sequence[Affine], shapes: Sequence[Shape], size: int) -> bool:
    """Whether all that operands fill lies in a result of so many elements."""
    for place, shape in zip(places, shapes, strict=True):
        ends = [step * (n - 1) for step, n in zip(place.steps[0], shape, strict=True)]
        if place.starts[0] + sum(min(end, 0) for end in ends) < 0:
            return False
        if place.starts[0] + sum(max(end, 0) for end in ends) >= size:
            return False
    return True


def _multiplied(a: Spec, b: Spec) -> Any:
    """The shape of a product of matrices; None if there is none."""
    try:
        return (*broadcast([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1])
    except Mismatch:
        return None
