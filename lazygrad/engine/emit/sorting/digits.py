"""Long rows: sorted by the last byte of their keys, then by the one before, and so on to the first.

This keeps equal elements in their order, and takes as many turns as a key has bytes, however long the row is (H. H.
Seward, 1954; D. E. Knuth, TAOCP 3, 5.2.5). A byte that is the same in all keys takes none, and a row that rises, or
falls, is seen to.
"""

from __future__ import annotations

from lazygrad.engine.emit.sorting.form import Sorting
from lazygrad.engine.emit.sorting.keys import key_dtype, ordered
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I8, I64, U32, Cell, Register

__all__ = ["Digits"]

ALIGNMENT = 64
DIGITS = 256


class Digits:
    """Writes the sorting of long rows.

    Args:
        w: what writes the kernel, at the beginning of a function.
        form: the rows.
        memory: the address of scratch memory, of which every chunk has its own part.

    Attributes:
        room: bytes of scratch memory of a chunk.
    """

    def __init__(self, w: Arithmetic, form: Sorting, memory: Register) -> None:
        self.w, self.form = w, form
        self.kind = key_dtype(form.dtype)
        self.turns = self.kind.itemsize
        parts = [(form.n, self.kind), (form.n, self.kind), (form.n, U32), (form.n, U32), (DIGITS * self.turns, U32)]
        sizes = [-(-count * dtype.itemsize // ALIGNMENT) * ALIGNMENT for count, dtype in parts]
        self.room = sum(sizes)
        own = w.at(memory, w.begin * self.room, I8)
        begins = [w.at(own, sum(sizes[:k]), I8) for k in range(len(parts))]
        self.keys, self.other_keys, self.places, self.other_places, self.counts = begins

    def sort(self, source: Register, target: Register) -> None:
        """Sort the row at an address; where its elements stood goes to another one."""
        w, n, to = self.w, self.form.n, self.form.to
        rising = self._rising(source)
        rises, falls = rising.equals(n), rising.equals(1)
        with w.when(rises | falls), w.loop(0, n) as i:
            w.store(w.select(falls, n - 1 - i, i), target, i * to)
        with w.when(~(rises | falls)):
            self._keep(source)
            cells = [w.cell(x) for x in (self.keys, self.other_keys, self.places, self.other_places)]
            with w.loop(0, self.turns) as turn:
                self._move(turn, cells)
            places = cells[2].get()
            with w.loop(0, n) as i:
                w.store(w.load(places, i, U32, fixed=False).astype(I64), target, i * to)

    def _key(self, source: Register, i: Register) -> Register:
        """The key of an element."""
        return ordered(self.w.load(source, i * self.form.step, self.form.dtype, fixed=False))

    def _rising(self, source: Register) -> Register:
        """How many elements are no less than the one before, the first among them."""
        w = self.w
        before, rising = w.cell(w.constant(0, self.kind)), w.cell(w.constant(0, I64))
        with w.loop(0, self.form.n) as i:
            key = self._key(source, i)
            rising.set(rising.get() + (before.get() <= key).astype(I64))
            before.set(key)
        return rising.get()

    def _keep(self, source: Register) -> None:
        """Put keys and places side by side, and count every digit of every turn."""
        w = self.w
        with w.loop(0, DIGITS * self.turns, w.width) as i:
            w.store(w.constant(0, U32, wide=True), self.counts, i, wide=True)
        with w.loop(0, self.form.n) as i:
            key = self._key(source, i)
            w.store(key, self.keys, i)
            w.store(i.astype(U32), self.places, i)
            for turn in range(self.turns):
                self._raise(self._digit(key, w.constant(turn, I64)))

    def _digit(self, key: Register, turn: Register) -> Register:
        """The number of a key's digit among all that are counted."""
        digit = (key >> (turn * 8).astype(self.kind)) & (DIGITS - 1)
        return digit.astype(I64) + turn * DIGITS

    def _raise(self, digit: Register) -> Register:
        """Add one to what belongs to a digit; what it was before."""
        count = self.w.load(self.counts, digit, U32, fixed=False)
        self.w.store(count + 1, self.counts, digit)
        return count

    def _move(self, turn: Register, cells: list[Cell]) -> None:
        """Sort by one digit, unless all keys have the same."""
        w, n = self.w, self.form.n
        first = self._digit(w.load(self.keys, 0, self.kind, fixed=False), turn)
        with w.when(w.load(self.counts, first, U32, fixed=False).differs(n)):
            self._begins(turn)
            keys, to_keys, places, to_places = [cell.get() for cell in cells]
            with w.loop(0, n) as i:
                key, place = w.load(keys, i, self.kind, fixed=False), w.load(places, i, U32, fixed=False)
                at = self._raise(self._digit(key, turn)).astype(I64)
                w.store(key, to_keys, at)
                w.store(place, to_places, at)
            for cell, x in zip(cells, (to_keys, keys, to_places, places), strict=True):
                cell.set(x)

    def _begins(self, turn: Register) -> None:
        """Make of the counts of a turn's digits where the elements with each begin."""
        w, total = self.w, self.w.cell(self.w.constant(0, U32))
        with w.loop(turn * DIGITS, (turn + 1) * DIGITS) as digit:
            count, before = w.load(self.counts, digit, U32, fixed=False), total.get()
            w.store(before, self.counts, digit)
            total.set(before + count)
