"""Reading and writing elements in a kernel: where they lie, and how they are computed from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.codegen.fuse import Statement, joint_axes, taken
from lazygrad.codegen.index import Index, View, in_order
from lazygrad.codegen.registers import I64, Cell, Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.ways import Ways
from lazygrad.codegen.writer import Writer
from lazygrad.kinds import Declared, Movement
from lazygrad.spec import Shape

__all__ = ["UNROLLED", "Elements", "Indices"]

UNROLLED = 4  # turns; a loop of as many is written out, where that does not become too long

Indices = tuple[Index, ...]


class Elements:
    """A kernel being written: its loops, and the elements that are read and written in them.

    Attributes:
        counters: the register that counts each loop that is open, by the loop's number.
        wide: the loop that counts lanes, if one is open.
        mask: the lanes that count, if not all do.
        made: the statements of this kernel by their nodes.
        rooms: memory of the kernel's own for what a row needs later, by node.
        by_rows: whether lanes are rows.
        unrolled: turns; a loop of as many is written out.
        masked: whether one loop asks in every turn which lanes count, so that its body stands there once.
    """

    def __init__(self, ways: Ways, made: dict[int, Statement], rank: int, width: int) -> None:
        self.ways, self.made, self.rank, self.width = ways, made, rank, width
        self.writer = Writer(width)
        self.scalars = Scalars(self.writer, self._refuse)
        self.arguments: list[Any] = []
        self._argument_places: dict[Any, int] = {}
        self.counters: dict[int, Register] = {}
        self.wide: int | None = None
        self.mask: Register | None = None
        self.bad: Cell | None = None
        self.rooms: dict[int, Register] = {}
        self.by_rows = False
        self.unrolled = UNROLLED
        self.masked = False
        self._loops = 1000  # numbers of loops; those below are axes

    # Loops.

    def _loop(self, begin: Any, end: Any, body: Callable[[Index], None], wide: bool, whole: bool = False) -> None:
        """One loop; a wide one has a last turn in which not all lanes count, written out unless ``masked``."""
        w = self.writer
        if not wide:
            if isinstance(begin, int) and end - begin <= self.unrolled:
                for k in range(begin, end):
                    body(Index(k))
                return
            with w.loop(begin, end) as counter:
                body(self._counted(counter))
            return
        outer = self.wide
        whole = whole or (isinstance(begin, int) and (end - begin) % self.width == 0)
        if self.masked and not whole:
            with w.loop(begin, end, self.width) as counter:
                last = end if isinstance(end, Register) else w.constant(end, I64)
                self.mask = w.widened(last - counter) > w.lanes()
                body(self._counted(counter, wide=True))
                self.mask = None
        elif isinstance(begin, int):
            full = (end - begin) // self.width * self.width
            if full:
                with w.loop(begin, begin + full, self.width) as counter:
                    body(self._counted(counter, wide=True))
            if begin + full < end:
                self.mask = w.first_lanes(end - begin - full)
                body(self._counted(w.constant(begin + full, I64), wide=True))
                self.mask = None
        elif whole:
            with w.loop(begin, end, self.width) as counter:
                body(self._counted(counter, wide=True))
        else:
            full = begin + ((end - begin) & -self.width)
            with w.when(full > begin), w.loop(begin, full, self.width) as counter:
                body(self._counted(counter, wide=True))
            with w.when(end > full):
                self.mask = w.widened(end - full) > w.lanes()
                body(self._counted(full, wide=True))
                self.mask = None
        self.wide = outer

    def _counted(self, counter: Register, wide: bool = False) -> Index:
        self._loops += 1
        self.counters[self._loops] = counter
        if wide:
            self.wide = self._loops
        return Index(0, ((self._loops, 1),))

    def _nest(self, sizes: Sequence[int], wide: bool, body: Callable[[Indices], None]) -> None:
        """Loops over ``sizes``; the last that is not of one turn is the wide one, if there shall be one."""
        places = [k for k, n in enumerate(sizes) if n != 1]
        index = [Index()] * len(sizes)

        def at(depth: int) -> None:
            if depth == len(places):
                body(tuple(index))
                return
            place = places[depth]

            def inside(here: Index) -> None:
                index[place] = here
                at(depth + 1)

            self._loop(0, sizes[place], inside, wide and depth == len(places) - 1)

        at(0)

    # Elements.

    def value(self, i: int, index: Indices) -> Register:
        """The element at ``index`` of node ``i``."""
        known = self._recall((i, index))
        if known is not None:
            return known
        ways = self.ways
        if i in self.made:
            if i in self.rooms:
                return self._from_room(i, index[self.rank :])
            spec = ways.spec(i)
            place = in_order(spec.shape, i).place(index)
            return self._load(self._argument(i), place, spec.dtype, fixed=False)
        if i in ways.stored or ways.way[i] in ("leaf", "callback"):
            spec = ways.spec(i)
            place = in_order(spec.shape, i).place(index)
            x = self._load(self._argument(i), place, spec.dtype, fixed=True)
        else:
            x = self._defined(i, index)
        self._remember((i, index), x)
        return x

    def _defined(self, i: int, index: Indices) -> Register:
        """The element at ``index`` of node ``i``, by its definition."""
        ways, node = self.ways, self.ways.nodes[i]
        if ways.way[i] == "number":
            return self.writer.constant(node.params["value"], ways.spec(i).dtype)
        if i in ways.reading:
            return self._taken(i, index)
        if ways.is_split(i):
            (j,) = node.inputs
            if ways.way[j] == "number":
                return self._defined(j, ())
            view = ways.split(i)
            fixed = view.buffer not in self.made
            return self._load(self._argument(view.buffer), view.place(index), ways.spec(i).dtype, fixed=fixed)
        operands = [self.value(j, at) for j, at in ways.operands(i, index)]
        if isinstance(node.op, Movement):
            return operands[0].astype(ways.spec(i).dtype)
        assert isinstance(node.op, Declared)
        result = node.op.kernel(self.scalars, *operands, **node.params)
        if not isinstance(result, Register):
            return self.writer.constant(result, ways.spec(i).dtype)
        return result.astype(ways.spec(i).dtype)

    def _taken(self, i: int, index: Indices) -> Register:
        """An element that is named by index arrays; one that does not exist ends the step."""
        ways, w = self.ways, self.writer
        source = ways.nodes[i].inputs[0]
        spec = ways.spec(source)
        named = iter([self.value(j, at) for j, at in taken(ways, i, index)])
        view = ways.view(source) if ways.way[source] != "number" else View(None, 0, (0,) * spec.ndim, spec.shape)
        assert view is not None
        _, parts = joint_axes(ways, i)
        place, more, axis = Index(view.start), None, 0
        for part, of in parts:
            if part is None:
                continue
            n, step = spec.shape[axis], view.steps[axis]
            if of is None:
                at = next(named).astype(I64)
                at = w.select(at < 0, at + n, at)
                wrong = (at < 0) | (at >= n)
                self._refuse(wrong)
                at = w.select(wrong, 0, at) * step
                more = at if more is None else more + at
            else:
                start, _, stride = part.indices(n)
                place = place.plus(Index(start), step).plus(index[of], stride * step)
            axis += 1
        if view.buffer is None:
            return self._defined(source, index)
        x = self._load(self._argument(view.buffer), place, spec.dtype, fixed=view.buffer not in self.made, more=more)
        return x.astype(ways.spec(i).dtype)

    def _refuse(self, wrong: Register) -> None:
        """Note that the step fails where ``wrong`` holds in a lane that counts."""
        w = self.writer
        if wrong.name in ("false", "splat (i1 false)"):
            return
        if self.bad is None:
            self.bad = w.flag()
        if self.mask is not None:
            wrong = w.widened(wrong) & self.mask
        self.bad.set(self.bad.get() | w.any(wrong))

    def _recall(self, key: Any) -> Register | None:
        return self.writer.recall(key)

    def _remember(self, key: Any, x: Register) -> None:
        self.writer.remember(key, x)

    # Memory.

    def _argument(self, key: Any) -> Register:
        place = self._argument_places.setdefault(key, len(self.arguments))
        if place == len(self.arguments):
            self.arguments.append(key)
        return self.writer.argument(place)

    def _register(self, place: Index) -> Register:
        """An affine index as a number; lanes count from it."""
        w = self.writer
        total: Register | None = None
        for loop, step in place.terms:
            counter = self.counters[loop]
            term = counter if step == 1 else counter * step
            total = term if total is None else total + term
        if total is None:
            return w.constant(place.start, I64)
        return total + place.start if place.start else total

    def _load(
        self, address: Register, place: Index, dtype: np.dtype[Any], fixed: bool, more: Register | None = None
    ) -> Register:
        w = self.writer
        step = dict(place.terms).get(self.wide, 0) if self.wide is not None else 0
        offset = self._register(place)
        if more is None and step in (0, 1):
            return w.load(address, offset, dtype, wide=step == 1, mask=self.mask if step else None, fixed=fixed)
        if step:
            offset = w.widened(offset) + w.lanes() * step
        if more is not None:
            offset = offset + more
        return w.load(address, offset, dtype, mask=self.mask if offset.wide else None, fixed=fixed)

    def _write(self, key: Any, place: Index, x: Register) -> None:
        """Write one element, or a register of them, to its place in a buffer."""
        w = self.writer
        step = dict(place.terms).get(self.wide, 0) if self.wide is not None else 0
        address, offset = self._argument(key), self._register(place)
        if step == 0:
            w.store(x if not x.wide else w.lane(x, 0), address, offset)
        elif step == 1:
            w.store(w.widened(x), address, offset, mask=self.mask, wide=True)
        else:
            w.store(w.widened(x), address, w.widened(offset) + w.lanes() * step, mask=self.mask)

    def _store(self, key: Any, shape: Shape, index: Indices, x: Register) -> None:
        """Write one element, or a register of them, to memory."""
        self._write(key, in_order(shape, key).place(index), x)

    def _inner_place(self, shape: Shape, index: Indices) -> Index:
        inner = shape[self.rank :]
        return in_order(inner).place(index[self.rank :])

    def _from_room(self, node: int, inner: Indices) -> Register:
        spec = self.ways.spec(node)
        sizes = spec.shape[self.rank :]
        place = in_order(sizes).place(inner)
        if self.by_rows:
            offset = self._register(place) * self.width
            return self.writer.load(self.rooms[node], offset, spec.dtype, wide=True, fixed=False)
        return self._load(self.rooms[node], place, spec.dtype, fixed=False)
