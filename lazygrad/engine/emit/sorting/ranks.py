"""Short rows: the place of an element is how many stand before it, counted for as many as there are lanes at once.

There is no branch in it, so that nothing is guessed wrongly.
"""

from __future__ import annotations

import numpy as np

from lazygrad.engine.emit.sorting.form import Sorting
from lazygrad.engine.emit.sorting.keys import key_dtype, ordered
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Cell, Register

__all__ = ["Ranks"]

UNROLLED = 4  # elements that a turn compares with, if lanes are as many


class Ranks:
    """Writes the sorting of short rows.

    Args:
        w: what writes the kernel, at the beginning of a function.
        form: the rows.
    """

    def __init__(self, w: Arithmetic, form: Sorting) -> None:
        self.w, self.form = w, form
        self.kind = key_dtype(form.dtype)
        self.count = np.dtype(f"i{self.kind.itemsize}")
        self.whole = -(-form.n // w.width) * w.width  # elements with those that fill the last register
        self.keys, self.places = w.room(self.whole, self.kind), w.room(self.whole, self.count)

    def sort(self, source: Register, target: Register) -> None:
        """Sort the row at an address; where its elements stood goes to another one."""
        w, width = self.w, self.w.width
        with w.loop(0, self.whole, width) as first:
            self._keep(source, first)
        with w.loop(0, self.whole, width) as first:
            self._rank(first)
        with w.loop(0, self.form.n) as i:
            place = w.load(self.places, i, self.count, fixed=False).astype(I64)
            w.store(i, target, place * self.form.to)

    def _keep(self, source: Register, first: Register) -> None:
        """Put keys side by side; behind the last there are the largest ones."""
        w, n, dtype = self.w, self.form.n, self.form.dtype
        mask = None if n == self.whole else w.lanes() < w.widened(n - first)
        if self.form.step == 1:
            x = w.load(source, first, dtype, True, mask, fixed=False)
        else:
            x = w.load(source, (first + w.lanes()) * self.form.step, dtype, True, mask, fixed=False)
        key = ordered(x)
        if mask is not None:
            key = w.select(mask, key, np.iinfo(self.kind).max)
        w.store(key, self.keys, first, wide=True)

    def _rank(self, first: Register) -> None:
        """Count for the elements of one register those that stand before them.

        Of equal ones those do that come first: all in the registers before, and in their own those in lower lanes.
        """
        w, width = self.w, self.w.width
        own = w.load(self.keys, first, self.kind, True, fixed=False)
        count = w.cell(w.constant(0, self.count, wide=True))
        if self.whole > width:
            with w.when(first > 0):
                self._compare(0, first, own, count, "le")
            with w.when(first < self.whole - width):
                self._compare(first + width, self.whole, own, count, "lt")
        total = count.get()
        for lane in range(min(width, self.form.n)):
            other = w.load(self.keys, first + lane, self.kind, fixed=False)
            behind = w.lanes(self.count) > lane
            before = w.select(behind, w.binary("le", other, own), w.binary("lt", other, own))
            total = total + before.astype(self.count)
        w.store(total, self.places, first, wide=True)

    def _compare(self, begin: Register | int, end: Register | int, own: Register, count: Cell, how: str) -> None:
        w = self.w
        step = min(UNROLLED, w.width)
        with w.loop(begin, end, step) as j:
            total = count.get()
            for k in range(step):
                other = w.load(self.keys, j + k, self.kind, fixed=False)
                total = total + w.binary(how, other, own).astype(self.count)
            count.set(total)
