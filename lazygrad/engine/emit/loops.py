"""The loops of a kernel that are open, where they stand, and memory read and written there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, U64, Places, Register
from lazygrad.engine.lower.index import Index
from lazygrad.engine.lower.kernels import Indices

__all__ = ["Loops"]

FIRST = 1000  # the number of the first loop; those below are axes


class Loops:
    """Loops being written.

    Args:
        writer: what writes them.
        unrolled: turns; a loop of as many is written out.
        masked: whether one loop asks in every turn which lanes count, so that its body stands there once.
        slid: whether the last turn of the wide loop begins earlier, so that all lanes are there; what some compute was
            computed before.

    Attributes:
        wide: the number of the loop that counts lanes, if one is open.
        mask: the lanes that count, if not all do.
        fresh: the lanes that no earlier turn has computed, if not all are; only a fold over the turns minds.
    """

    def __init__(self, writer: Arithmetic, unrolled: int, masked: bool, slid: bool) -> None:
        self.writer, self._unrolled, self._masked, self._slid = writer, unrolled, masked, slid
        self.wide: int | None = None
        self.mask: Register | None = None
        self.fresh: Register | None = None
        self._counters: dict[int, Register] = {}  # of each loop, by its number

    def nest(self, sizes: Sequence[int], wide: bool, body: Callable[[Indices], None]) -> None:
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

            self.loop(0, sizes[place], inside, wide and depth == len(places) - 1)

        at(0)

    def loop(self, begin: Any, end: Any, body: Callable[[Index], None], wide: bool, whole: bool = False) -> None:
        """One loop; ``whole`` says of a wide one that all lanes count in every turn."""
        if wide:
            outer = self.wide
            self._wide(begin, end, body, whole)
            self.wide = outer
        elif isinstance(begin, int) and end - begin <= self._unrolled:
            for k in range(begin, end):
                body(Index(k))
        else:
            with self.writer.loop(begin, end) as counter:
                body(self._counted(counter))

    def _wide(self, begin: Any, end: Any, body: Callable[[Index], None], whole: bool) -> None:
        """A wide loop has a last turn in which not all lanes count, written out unless ``masked``."""
        w, width, is_fixed = self.writer, self.writer.width, isinstance(begin, int)
        if whole or (is_fixed and (end - begin) % width == 0):
            self._whole(begin, end, body)
        elif self._slid:
            self._sliding(begin, end, body)
        elif self._masked:
            with w.loop(begin, end, width) as counter:
                last = end if isinstance(end, Register) else w.constant(end, I64)
                self._partly(w.widened(last - counter) > w.lanes(), counter, body)
        elif is_fixed:
            full = begin + (end - begin) // width * width
            if full > begin:
                self._whole(begin, full, body)
            self._partly(w.first_lanes(end - full), w.constant(full, I64), body)
        else:
            full = begin + ((end - begin) & -width)
            with w.when(full > begin):
                self._whole(begin, full, body)
            with w.when(end > full):
                self._partly(w.widened(end - full) > w.lanes(), full, body)

    def _whole(self, begin: Any, end: Any, body: Callable[[Index], None]) -> None:
        """Turns in which all lanes count."""
        with self.writer.loop(begin, end, self.writer.width) as counter:
            body(self._counted(counter, wide=True))

    def _sliding(self, begin: Any, end: Any, body: Callable[[Index], None]) -> None:
        """Turns of which the last begins so early that all its lanes are there."""
        w = self.writer
        last = end - w.width if isinstance(end, Register) else w.constant(end - w.width, I64)
        with w.loop(begin, end, w.width) as counter:
            first = w.select(counter < last, counter, last)
            self.fresh = w.lanes() >= w.widened(counter - first)
            body(self._counted(first, wide=True))
            self.fresh = None

    def _partly(self, mask: Register, counter: Register, body: Callable[[Index], None]) -> None:
        """A turn in which lanes count that ``mask`` says."""
        self.mask = mask
        body(self._counted(counter, wide=True))
        self.mask = None

    def standing(self, counter: Register) -> Index:
        """A loop that is not written, as it stands at one turn: that of the number in a register."""
        return self._counted(counter)

    def _counted(self, counter: Register, wide: bool = False) -> Index:
        number = FIRST + len(self._counters)
        self._counters[number] = counter
        if wide:
            self.wide = number
        return Index(0, ((number, 1),))

    # Where they stand.

    def step(self, place: Index) -> int:
        """By how much a place moves from lane to lane."""
        return dict(place.terms).get(self.wide, 0) if self.wide is not None else 0

    def register(self, place: Index) -> Register:
        """A place as a number; lanes count from it."""
        w = self.writer
        total: Register | None = None
        for loop, step in place.terms:
            counter = self._counters[loop]
            term = counter if step == 1 else counter * step
            total = term if total is None else total + term
        if total is None:
            return w.constant(place.start, I64)
        return total + place.start if place.start else total

    def place(self, place: Index) -> Register:
        """A place as a number without sign, or one a lane."""
        w, step, first = self.writer, self.step(place), self.register(place).astype(U64)
        if not step:
            return first
        lanes = w.widened(first) + w.lanes(U64) * step
        multiple = math.gcd(place.start, *(n for loop, n in place.terms if loop != self.wide), w.width)
        return Places(lanes, first, multiple) if step == 1 else lanes

    def load(
        self, address: Register, place: Index, dtype: np.dtype[Any], fixed: bool, more: Register | None = None
    ) -> Register:
        """The number at a place of memory, moved by ``more``, or one a lane; ``fixed`` says that it does not change."""
        w, step, offset = self.writer, self.step(place), self.register(place)
        if more is None and step in (0, 1):
            return w.load(address, offset, dtype, wide=step == 1, mask=self.mask if step else None, fixed=fixed)
        if step:
            offset = w.widened(offset) + w.lanes() * step
        if more is not None:
            offset = offset + more
        return w.load(address, offset, dtype, mask=self.mask if offset.wide else None, fixed=fixed)

    def store(self, address: Register, place: Index, x: Register) -> None:
        """Write a number, or one a lane, to its place in memory."""
        w, step, offset = self.writer, self.step(place), self.register(place)
        if step == 0:
            w.store(x if not x.wide else w.lane(x, 0), address, offset)
        elif step == 1:
            w.store(w.widened(x), address, offset, mask=self.mask, wide=True)
        else:
            w.store(w.widened(x), address, w.widened(offset) + w.lanes() * step, mask=self.mask)
