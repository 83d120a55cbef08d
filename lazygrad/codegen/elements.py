"""Reading and writing elements in a kernel: where they lie, and how they are computed from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.codegen.index import Index, in_order
from lazygrad.codegen.kernels import (
    Anywhere,
    Apply,
    Element,
    Indices,
    Kernel,
    Load,
    Moved,
    Number,
    Statement,
    Taken,
    Viewed,
)
from lazygrad.codegen.registers import I64, Cell, Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.writer import Writer
from lazygrad.spec import Shape, Spec

__all__ = ["UNROLLED", "Elements"]

UNROLLED = 4  # turns; a loop of as many is written out, where that does not become too long


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

    def __init__(self, kernel: Kernel, width: int) -> None:
        self.made, self.rank, self.width = kernel.made, kernel.rank, width
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

    def value(self, s: Statement, number: int, loops: Indices) -> Register:
        """What an element of a statement is where its loops stand."""
        e = s.elements[number]
        if isinstance(e, Number):
            return self.writer.constant(e.value, e.dtype)
        assert not isinstance(e, Anywhere)
        index = moved(e.index, loops)
        known = self.writer.recall((e.node, index))
        if known is not None:
            return known
        if isinstance(e, Load) and e.node in self.made:  # it may change, so it is not remembered
            if e.node in self.rooms:
                return self._from_room(e.node, e.spec, index[self.rank :])
            return self._load(self._argument(e.node), at(e.place, loops), e.spec.dtype, fixed=False)
        x = self.computed(s, e, loops)
        self.writer.remember((e.node, index), x)
        return x

    def computed(self, s: Statement, e: Element, loops: Indices) -> Register:
        """What an element is, computed of those before it."""
        if isinstance(e, Load):
            return self._load(self._argument(e.node), at(e.place, loops), e.spec.dtype, fixed=True)
        if isinstance(e, Viewed):
            fixed = e.array not in self.made
            return self._load(self._argument(e.array), at(e.place, loops), e.dtype, fixed=fixed)
        if isinstance(e, Moved):
            return self.value(s, e.operand, loops).astype(e.dtype)
        if isinstance(e, Taken):
            return self._taken(s, e, loops)
        assert isinstance(e, Apply)
        operands = [self.value(s, operand, loops) for operand in e.operands]
        result = e.op.kernel(self.scalars, *operands, **e.params)
        if not isinstance(result, Register):
            return self.writer.constant(result, e.dtype)
        return result.astype(e.dtype)

    def _taken(self, s: Statement, e: Taken, loops: Indices) -> Register:
        """An element that is named by indices; one that does not exist ends the step."""
        w = self.writer
        named = [(self.value(s, number, loops), n, step) for number, n, step in e.named]
        more: Register | None = None
        for which, n, step in named:
            which = which.astype(I64)
            which = w.select(which < 0, which + n, which)
            wrong = (which < 0) | (which >= n)
            self._refuse(wrong)
            which = w.select(wrong, 0, which) * step
            more = which if more is None else more + which
        source = s.elements[e.source]
        if isinstance(source, Number):
            return self.writer.constant(source.value, source.dtype)
        assert isinstance(source, Anywhere)
        array = source.view.buffer
        x = self._load(self._argument(array), at(e.place, loops), source.dtype, array not in self.made, more)
        return x.astype(e.dtype)

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

    def _from_room(self, node: int, spec: Spec, inner: Indices) -> Register:
        place = in_order(spec.shape[self.rank :]).place(inner)
        if self.by_rows:
            offset = self._register(place) * self.width
            return self.writer.load(self.rooms[node], offset, spec.dtype, wide=True, fixed=False)
        return self._load(self.rooms[node], place, spec.dtype, fixed=False)


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
