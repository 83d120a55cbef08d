"""Running sums, in NumPy's order: each element is added to the sum of those before it."""

from __future__ import annotations

from lazygrad.engine.emit.sorting.form import Running, Sorting
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Register

__all__ = ["run"]


def run(w: Arithmetic, form: Running, source: Register, target: Register) -> None:
    """Write the running sums of the rows that lie side by side at an address."""
    if form.beside == 1:
        _alone(w, form.rows, source, target)
        return
    whole = form.beside // w.width * w.width
    _beside(w, form.rows, source, target, 0, whole, True)
    _beside(w, form.rows, source, target, whole, form.beside, False)


def _alone(w: Arithmetic, row: Sorting, source: Register, target: Register) -> None:
    """A row by itself, whose sum stays in a register."""
    total = w.cell(w.load(source, 0, row.dtype, fixed=False))
    w.store(total.get(), target, 0)
    if row.n == 1:  # a loop has one turn or more
        return
    with w.loop(1, row.n) as i:
        total.set(total.get() + w.load(source, i * row.step, row.dtype, fixed=False))
        w.store(total.get(), target, i * row.to)


def _beside(w: Arithmetic, row: Sorting, source: Register, target: Register, begin: int, end: int, wide: bool) -> None:
    """All rows take a step together, as many of them at once as there are lanes."""
    if begin == end:
        return
    step = w.width if wide else 1
    with w.loop(begin, end, step) as j:
        w.store(w.load(source, j, row.dtype, wide, fixed=False), target, j, wide=wide)
    if row.n == 1:
        return
    with w.loop(1, row.n) as i:
        here, there = i * row.step, i * row.to
        with w.loop(w.constant(begin, I64), w.constant(end, I64), step) as j:
            before = w.load(target, there - row.to + j, row.dtype, wide, fixed=False)
            w.store(before + w.load(source, here + j, row.dtype, wide, fixed=False), target, there + j, wide=wide)
