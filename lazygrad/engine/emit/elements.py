"""What the elements of statements are where loops stand: computed of others, read, and written."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.emit.loops import Loops
from lazygrad.engine.emit.tiles import Tiles
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.blocks import Block, Blocks
from lazygrad.engine.lanes.registers import I64, Cell, Register
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower.index import Index, in_order
from lazygrad.engine.lower.kernels import (
    Anywhere,
    Apply,
    Counter,
    Element,
    Indices,
    Kernel,
    Load,
    Moved,
    Number,
    Part,
    Small,
    Statement,
    Taken,
    Viewed,
)
from lazygrad.engine.lower.schedule import Schedule
from lazygrad.engine.lower.small import blocks_of
from lazygrad.engine.trace.calls import calls_of
from lazygrad.graph.spec import Shape, Spec

__all__ = ["Elements"]


class Elements:
    """The elements of a kernel that is being written.

    Attributes:
        arguments: nodes, targets and partial totals whose memory the kernel works on.
        rooms: memory of the kernel's own for what a row needs later, by node.
        by_rows: whether lanes are rows.
        rank: axes of the rows.
        bad: what says that the step fails, if it can.
    """

    def __init__(self, kernel: Kernel, schedule: Schedule, writer: Arithmetic) -> None:
        self.writer = writer
        self.writer.calls = schedule.calls
        self.loops = Loops(self.writer, schedule.unrolled, schedule.masked, schedule.slid)
        self.scalars = Scalars(self.writer, self.refuse)
        self.blocks = Blocks(self.scalars)
        self.tiles = Tiles(writer, self.loops) if schedule.slid and isinstance(writer, Writer) else None
        self.by_rows = schedule.by_rows and bool(schedule.runs)
        self._made, self.rank, self._stored = kernel.made, kernel.rank, schedule.stored
        self.arguments: list[Any] = []
        self._places: dict[Any, int] = {}
        self.bad: Cell | None = None
        self.rooms = {node: self.writer.room(n, self._made[node].spec.dtype) for node, n in schedule.rooms.items()}

    # Computing.

    def value(self, s: Statement, number: int, loops: Indices) -> Register:
        """What an element of a statement is where its loops stand."""
        e = s.elements[number]
        if isinstance(e, Number):
            return self.writer.constant(e.value, e.dtype)
        if isinstance(e, Counter):
            return self.loops.place(at(e.place, loops))
        assert not isinstance(e, Anywhere)
        index = moved(e.at, loops)
        known = self.writer.recall((e.node, index))
        if known is not None:
            return known
        if isinstance(e, Load) and e.node in self._made:  # it may change, so it is not remembered
            if e.node in self.rooms:
                return self.from_room(e.node, e.spec, index[self.rank :])
            assert self.tiles is None, "it is written at the end of the row, and remembered until then"
            return self.loops.load(self.argument(e.node), at(e.place, loops), e.spec.dtype, fixed=False)
        x = self.computed(s, e, loops)
        self.writer.remember((e.node, index), x)
        return x

    def computed(self, s: Statement, e: Element, loops: Indices) -> Register:
        """What an element is, computed of those before it."""
        if isinstance(e, Load):
            place = at(e.place, loops)
            tiled = self._tiled(s, e, place)
            return self.loops.load(self.argument(e.node), place, e.spec.dtype, fixed=True) if tiled is None else tiled
        if isinstance(e, Viewed):
            fixed = e.array not in self._made
            return self.loops.load(self.argument(e.array), at(e.place, loops), e.dtype, fixed=fixed)
        if isinstance(e, Moved):
            return self.value(s, e.operand, loops).astype(e.dtype)
        if isinstance(e, Taken):
            return self._taken(s, e, loops)
        if isinstance(e, Small):
            return self._small(s, e, loops)
        assert isinstance(e, Apply)
        operands = [self.value(s, operand, loops) for operand in e.operands]
        result = self.applied(e.op, operands, e.params, e.key)
        if not isinstance(result, Register):
            return self.writer.constant(result, e.dtype)
        return result.astype(e.dtype)

    def _tiled(self, s: Statement, e: Load, place: Index) -> Register | None:
        """An element that is read with the others of its row, if these are known to be there."""
        if self.tiles is None:
            return None
        rows = [(step, s.shape[axis]) for axis, step in e.place.terms if axis < self.rank]
        last = sum(step * (n - 1) for step, n in rows) + self.loops.step(place)
        if last > e.spec.size or any(step < 0 for step, _ in rows):
            return None
        return self.tiles.read(self.argument(e.node), place, e.spec.dtype)

    def _small(self, s: Statement, e: Small, loops: Indices) -> Register:
        """An element of what is made of small matrices; all others are remembered."""
        index, w = moved(e.at, loops), self.writer
        row, inner = index[: e.rows], index[e.rows :]
        if w.recall((Small, e.base, e.result, row, inner)) is None:
            given = [
                Block(shape, [self.value(s, number, loops) for number in numbers])
                for numbers, shape in zip(e.operands, e.shapes, strict=True)
            ]
            results = blocks_of(e.op.kernel(self.blocks, *given, **e.params))
            assert results is not None
            for number, block in enumerate(results):
                for place, x in zip(np.ndindex(*block.shape), block.elements, strict=True):
                    w.remember((Small, e.base, number, row, tuple([Index(k) for k in place])), x)
        found = w.recall((Small, e.base, e.result, row, inner))
        assert found is not None
        return found

    def applied(self, op: Declared, operands: list[Register], params: dict[str, Any], key: Any = ()) -> Any:
        """What the calls of an op's kernel make of registers; ``key`` is the frozen form of the settings."""
        w = self.writer
        before, w.contract = w.contract, w.contract and op.contracts
        result = calls_of(op, [Spec((), x.dtype) for x in operands], params, key).on(self.scalars, operands)
        w.contract = before
        return result

    def _taken(self, s: Statement, e: Taken, loops: Indices) -> Register:
        """An element that is named by indices; one that does not exist ends the step."""
        w = self.writer
        named = [(self.value(s, number, loops), n, step) for number, n, step in e.named]
        more: Register | None = None
        for which, n, step in named:
            which, wrong = self.wrapped(which, n)
            which = w.select(wrong, 0, which) * step
            more = which if more is None else more + which
        source = s.elements[e.source]
        if isinstance(source, Number):
            return w.constant(source.value, source.dtype)
        assert isinstance(source, Anywhere)
        array = source.view.buffer
        x = self.loops.load(self.argument(array), at(e.place, loops), source.dtype, array not in self._made, more)
        return x.astype(e.dtype)

    def wrapped(self, which: Register, n: int) -> tuple[Register, Register]:
        """An index that counts from the end if it is below 0, and whether there is no such element: the step fails."""
        which = which.astype(I64)
        which = self.writer.select(which < 0, which + n, which)
        wrong = (which < 0) | (which >= n)
        self.refuse(wrong)
        return which, wrong

    def refuse(self, wrong: Register) -> None:
        """Note that the step fails where ``wrong`` holds in a lane that counts."""
        w = self.writer
        if wrong.name in ("false", "splat (i1 false)"):
            return
        if self.bad is None:
            self.bad = w.flag()
        if self.loops.mask is not None:
            wrong = w.widened(wrong) & self.loops.mask
        self.bad.set(self.bad.get() | w.any(wrong))

    # Memory.

    def argument(self, key: Any) -> Register:
        """The address of what a kernel works on."""
        place = self._places.setdefault(key, len(self.arguments))
        if place == len(self.arguments):
            self.arguments.append(key)
        return self.writer.argument(place)

    def store(self, key: Any, shape: Shape, index: Indices, x: Register) -> None:
        """Write an element, or a register of them, to memory."""
        place = in_order(shape, key).place(index)
        if self.tiles is None or not self.tiles.keep(self.argument(key), place, x):
            self.loops.store(self.argument(key), place, x)

    def keep(self, s: Statement, index: Indices, x: Register) -> None:
        """Remember an element that was computed, and write it where it will be read."""
        shape = s.spec.shape
        if isinstance(s.target, Part):
            (place,) = s.target.place.of(index)
            self.loops.store(self.argument(s.target.node), place, x)
            return
        if s.target is not None:
            self.store(s.target, shape, index, x)
            return
        self.writer.remember((s.node, index), x)
        if s.node in self.rooms:
            self._into_room(s, index, x)
        if s.node in self._stored:
            self.store(s.node, shape, index, x)

    def _into_room(self, s: Statement, index: Indices, x: Register) -> None:
        w, loops, room = self.writer, self.loops, self.rooms[s.node]
        place = in_order(s.spec.shape[self.rank :]).place(index[self.rank :])
        if self.by_rows:
            w.store(x, room, loops.register(place) * w.width, wide=True)
            return
        wide = counts(place, loops.wide)
        w.store(x, room, loops.register(place), mask=loops.mask if wide else None, wide=wide)

    def from_room(self, node: int, spec: Spec, inner: Indices) -> Register:
        """An element that a row keeps."""
        place = in_order(spec.shape[self.rank :]).place(inner)
        if self.by_rows:
            offset = self.loops.register(place) * self.writer.width
            return self.writer.load(self.rooms[node], offset, spec.dtype, wide=True, fixed=False)
        return self.loops.load(self.rooms[node], place, spec.dtype, fixed=False)


def counts(place: Index, wide: int | None) -> bool:
    """Whether a place moves with the wide loop."""
    return any(loop == wide for loop, _ in place.terms)


def at(place: Index, loops: Indices) -> Index:
    """A place, which counts loops by their axes, where these loops stand."""
    if not place.terms:
        return place
    if len(place.terms) == 1 and not place.start:
        ((axis, step),) = place.terms
        if step == 1:
            return loops[axis]
    found = Index(place.start)
    for axis, step in place.terms:
        found = found.plus(loops[axis], step)
    return found


def moved(index: Indices, loops: Indices) -> Indices:
    """An index where these loops stand."""
    return tuple([at(along, loops) for along in index])
