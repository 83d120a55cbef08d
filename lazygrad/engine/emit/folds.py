"""Folds in registers: elements are combined in cells, and lanes at the end."""

from __future__ import annotations

import numpy as np

from lazygrad.engine.emit.elements import Elements, counts
from lazygrad.engine.lanes.registers import I32, I64, Cell, Register
from lazygrad.engine.lower.describe import limits
from lazygrad.engine.lower.kernels import Fold, Indices, Statement
from lazygrad.engine.trace.calls import calls_of
from lazygrad.graph.spec import Shape, Spec

__all__ = ["Folds", "fold_of"]


def fold_of(s: Statement) -> Fold:
    """How a statement folds."""
    assert s.fold is not None
    return s.fold


class Folds:
    """Folds of the elements of a kernel that is being written."""

    def __init__(self, elements: Elements) -> None:
        self._elements, self._loops, self._writer = elements, elements.loops, elements.writer

    def combined(self, s: Statement, a: Register, b: Register) -> Register:
        """Two numbers, combined."""
        fold, scalars = fold_of(s), self._elements.scalars
        if fold.combine is None:
            return scalars.add(a, b)
        calls = calls_of(fold.combine, [Spec((), a.dtype), Spec((), b.dtype)], {}, ())
        return calls.on(scalars, (a, b)).astype(fold.dtype)  # type: ignore[no-any-return]

    def across(self, s: Statement, x: Register) -> Register:
        """The lanes of a register, combined."""
        return self._writer.across(lambda a, b: self.combined(s, a, b), x)

    def masked(self, s: Statement, x: Register) -> Register:
        """``x``, neutral in lanes that do not count."""
        over_rows = self._elements.rank > 0 and s.leading > 0
        w, mask = self._writer, self._loops.fresh if over_rows else self._loops.mask
        if mask is None:
            mask = self._loops.mask
        if mask is None:
            return x
        x = w.widened(x)
        return w.select(mask, x, w.constant(fold_of(s).neutral, x.dtype))

    def combine(self, s: Statement, cell: Cell, x: Register) -> None:
        """Combine a number, or one a lane, into a cell."""
        x = self.masked(s, x) if cell.wide else x
        cell.set(self.combined(s, cell.get(), self._writer.widened(x) if cell.wide else x))

    # In the inner loops of a row.

    def begin(self, s: Statement, folded: Shape) -> list[Cell]:
        """The cells in which a fold is made, before its loops over ``folded``; of an extreme, it and its place."""
        w, by_rows = self._writer, self._elements.by_rows
        lanes = not by_rows and any(n != 1 for n in folded)
        wide = self._loops.wide is not None or lanes
        if not s.whole:
            return [w.cell(w.constant(fold_of(s).neutral, s.spec.dtype, wide))]
        how, dtype = fold_of(s).how, s.elements[s.result].dtype
        ends = (-np.inf, np.inf) if dtype.kind == "f" else limits(dtype)
        worst = w.constant(ends[0] if how == "argmax" else ends[1], dtype, wide)
        first = w.lanes(I32) if lanes else w.constant(0, I32, wide)
        return [w.cell(worst), w.cell(first)]

    def add(self, s: Statement, cells: list[Cell], x: Register, index: Indices) -> None:
        """Combine the element that the loops over what is folded stand at, at ``index``."""
        if s.whole:
            self._keep_better(fold_of(s).how, cells, x, index)
        else:
            self.combine(s, cells[0], x.astype(s.spec.dtype))

    def result(self, s: Statement, cells: list[Cell]) -> Register:
        """What a fold has come to, after its loops."""
        total = cells[0].get()
        is_across = total.wide and self._loops.wide is None  # lanes were elements of the fold, not of rows
        if s.whole:
            places = cells[1].get()
            if is_across:
                places = self._best_lane(fold_of(s).how, total, places)
            return places.astype(I64)
        return self.across(s, total) if is_across else total

    # Places of extremes.

    def _keep_better(self, how: str | None, cells: list[Cell], x: Register, index: Indices) -> None:
        """Keep the better of what was found and ``x``, with its place; the first of equals, and NaN before all."""
        w, loops = self._writer, self._loops
        best, place = cells[0].get(), cells[1].get()
        x = w.widened(x) if cells[0].wide else x
        here = loops.register(index[-1]) if index else w.constant(0, I64)
        here = here.astype(I32)
        if loops.wide is not None and index and counts(index[-1], loops.wide):
            here = w.widened(here) + w.lanes(I32)
        better = self._is_better(how, x, best)
        if loops.mask is not None:
            better = better & loops.mask
        cells[0].set(w.select(better, x, best))
        cells[1].set(w.select(better, w.widened(here) if place.wide else here, place))

    def _is_better(self, how: str | None, x: Register, best: Register) -> Register:
        better = x > best if how == "argmax" else x < best
        return better | (x.differs(x) & best.equals(best)) if x.dtype.kind == "f" else better

    def _best_lane(self, how: str | None, best: Register, place: Register) -> Register:
        w = self._writer
        step = w.width // 2
        while step:
            other, there = w.turned(best, step), w.turned(place, step)
            first = there < place
            same = other.equals(best)
            if best.dtype.kind == "f":
                same = same | (other.differs(other) & best.differs(best))
            better = self._is_better(how, other, best) | (same & first)
            best, place = w.select(better, other, best), w.select(better, there, place)
            step //= 2
        return w.lane(place, 0)
