"""Totals of a kernel that lie in memory or go over its rows: sums by column, by segment, of everything."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.codegen.elements import Elements
from lazygrad.codegen.index import Index, contiguous, in_order
from lazygrad.codegen.kernels import Fold, Indices, Statement
from lazygrad.codegen.registers import I64, Cell, Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.writer import Writer

__all__ = ["Partial", "Totals", "fold_of", "total_of_chunks"]


class Partial(NamedTuple):
    """Totals of chunks that are still to be combined: ``chunks`` times what the node has."""

    node: int
    chunks: int


class Totals(Elements):
    """A kernel being written, and its totals.

    Attributes:
        totals: where each is kept, by the number of its statement: a cell, cells by segment, or an address.
        count: the chunks that the rows are cut into.
        chunk: the chunk that is being computed, if there are several.
    """

    statements: tuple[Statement, ...]
    totals: dict[int, Any]
    axes: list[list[int]]
    count: int
    chunk: Register | None

    def _inner(self, s: Statement) -> tuple[int, ...]:
        return s.shape[self.rank :]

    def _combined(self, fold: Fold, a: Register, b: Register) -> Register:
        return fold.combined(self.scalars, a, b)  # type: ignore[no-any-return]

    def _masked(self, fold: Fold, x: Register) -> Register:
        """``x``, neutral in lanes that do not count."""
        if self.mask is None:
            return x
        x = self.writer.widened(x)
        return self.writer.select(self.mask, x, self.writer.constant(fold.neutral, x.dtype))

    def _combine_cell(self, fold: Fold, cell: Cell, x: Register) -> None:
        x = self._masked(fold, x) if cell.wide else x
        cell.set(self._combined(fold, cell.get(), self.writer.widened(x) if cell.wide else x))

    def _kept_size(self, s: Statement) -> int:
        if s.segments is not None:
            return s.spec.size
        return math.prod(n for a, n in enumerate(s.shape) if a not in s.axes)

    def _begin_total(self, number: int, s: Statement) -> None:
        w = self.writer
        fold = fold_of(s)
        dtype = s.spec.dtype
        first = fold.neutral
        size = self._kept_size(s)
        if s.segments is not None and self.by_rows:
            self.totals[number] = [w.cell(w.constant(first, dtype, wide=True)) for _ in range(size)]
            return
        if size == 1 and s.segments is None:
            wide = self.by_rows or any(n != 1 for n in self._inner(s))
            self.totals[number] = w.cell(w.constant(first, dtype, wide))
            return
        lanes = self.width if self.by_rows else 1
        if lanes > 1:
            address = w.room(size * lanes, dtype)
        else:
            address = self._total_output(s, size)
        self.totals[number] = address
        self._fill(address, size * lanes, first, dtype)

    def _total_output(self, s: Statement, size: int) -> Register:
        """Where the totals of this chunk go."""
        key = s.node if self.count == 1 else Partial(s.node, self.count)
        address = self._argument(key)
        if self.chunk is not None:
            address = self.writer.at(address, self.chunk * size, s.spec.dtype)
        return address

    def _fill(self, address: Register, size: int, number: Any, dtype: np.dtype[Any]) -> None:
        w = self.writer
        x = w.constant(number, dtype, wide=True)

        def body(index: Indices) -> None:
            lanes = size > 1
            w.store(x if lanes else w.lane(x, 0), address, self._register(index[0]), mask=self.mask, wide=lanes)

        outer, self.mask = (self.wide, self.mask), None
        self._nest((size,), True, body)
        self.wide, self.mask = outer

    def _combine_memory(self, fold: Fold, address: Register | None, s: Statement, index: Indices, x: Register) -> None:
        """Combine ``x`` into the total that lies in memory."""
        w = self.writer
        dtype = s.spec.dtype
        kept = [(index[a], s.shape[a]) for a in range(self.rank, len(s.shape)) if a not in s.axes]
        place = Index()
        for step, (at, _) in zip(contiguous(tuple(n for _, n in kept)), kept, strict=True):
            place = place.plus(at, step)
        if address is None:  # straight into the result
            address = self._argument(s.node)
            out = self._out_index(s, index)
            shape = s.spec.shape
            place = in_order(shape, s.node).place(out)
        wide_place = any(loop == self.wide for loop, _ in place.terms)
        if self.by_rows:
            offset = self._register(place) * self.width
            old = w.load(address, offset, dtype, wide=True, fixed=False)
            w.store(self._combined(fold, old, self._masked(fold, w.widened(x))), address, offset, wide=True)
            return
        offset = self._register(place)
        if self.wide is not None and not wide_place:  # the wide loop is folded: its lanes become one
            folded = w.fold(lambda a, b: self._combined(fold, a, b), self._masked(fold, w.widened(x)))
            old = w.load(address, offset, dtype, fixed=False)
            w.store(self._combined(fold, old, folded), address, offset)
            return
        old = w.load(address, offset, dtype, wide=wide_place, mask=self.mask if wide_place else None, fixed=False)
        mask = self.mask if wide_place else None
        w.store(
            self._combined(fold, old, w.widened(x) if wide_place else x), address, offset, mask=mask, wide=wide_place
        )

    def _end_total(self, number: int, s: Statement) -> None:
        w = self.writer
        fold = fold_of(s)
        dtype = s.spec.dtype
        total = self.totals[number]
        size = self._kept_size(s)
        if isinstance(total, list):
            output = self._total_output(s, size)
            for place, cell in enumerate(total):
                result = w.fold(lambda a, b: self._combined(fold, a, b), cell.get())
                w.store(self._beside(s, result, place), output, place)
        elif s.segments is not None and self.count == 1:
            self._add_start(fold, s, size)
        elif isinstance(total, Cell):
            result = total.get()
            if result.wide:
                result = w.fold(lambda a, b: self._combined(fold, a, b), result)
            w.store(result, self._total_output(s, 1), 0)
        elif self.by_rows:
            output = self._total_output(s, size)

            def body(index: Indices) -> None:
                place = self._register(index[0])
                x = w.load(total, place * self.width, dtype, wide=True, fixed=False)
                w.store(w.fold(lambda a, b: self._combined(fold, a, b), x), output, place)

            self._nest((size,), False, body)

    def _add_to_segment(self, fold: Fold, total: Any, s: Statement, index: Indices, x: Register) -> None:
        """Add a row's element to the total of its segment."""
        w = self.writer
        assert s.segments is not None
        count = s.spec.shape[0]
        which = self.value(s, s.segments, index).astype(I64)
        which = w.select(which < 0, which + count, which)
        wrong = (which < 0) | (which >= count)
        self._refuse(wrong)
        inner = s.spec.shape[1:]
        place = in_order(inner).place(index[1:])
        each = math.prod(inner)
        if isinstance(total, list):  # few segments: every row is added to all of them, to most as nothing
            x = self._masked(fold, x)
            for k in range(count):
                cell = total[k * each + place.start]
                own = w.select(which.equals(k), x, w.constant(fold.neutral, x.dtype))
                cell.set(self._combined(fold, cell.get(), w.widened(own)))
            return
        offset = w.select(wrong, 0, which) * each + self._register(place)
        wide = any(loop == self.wide for loop, _ in place.terms)
        mask = self.mask if wide else None
        old = w.load(total, offset, x.dtype, wide=wide, mask=mask, fixed=False)
        w.store(self._combined(fold, old, w.widened(x) if wide else x), total, offset, mask=mask, wide=wide)

    def _beside(self, s: Statement, total: Register, place: int) -> Register:
        view = s.begins_with if self.count == 1 else None
        if view is None:
            return total
        return self.scalars.add(
            self._load(self._argument(view.buffer), Index(view.start + place), total.dtype, True), total
        )

    def _add_start(self, fold: Fold, s: Statement, size: int) -> None:
        view = s.begins_with
        if view is None:
            return
        output, start, dtype = self._total_output(s, size), self._argument(view.buffer), s.spec.dtype

        def body(index: Indices) -> None:
            place = self._register(index[0])
            old = self.writer.load(output, place, dtype, wide=size > 1, mask=self.mask, fixed=False)
            x = self.writer.load(start, place + view.start, dtype, wide=size > 1, mask=self.mask)
            self.writer.store(self.scalars.add(x, old), output, place, mask=self.mask, wide=size > 1)

        self._nest((size,), size > 1, body)

    def _clear(self, s: Statement, row: Indices) -> None:
        """Begin a total of a row."""
        fold = fold_of(s)
        dtype = s.spec.dtype
        size = math.prod(s.spec.shape[self.rank :])
        lanes = self.width if self.by_rows else 1
        if s.node not in self.rooms:
            self.rooms[s.node] = self.writer.room(size * lanes, dtype)
        self._fill(self.rooms[s.node], size * lanes, fold.neutral, dtype)

    def _copy_total(self, s: Statement, row: Indices) -> None:
        """Write the total of a row to memory."""
        shape = s.spec.shape
        inner = shape[self.rank :]

        def body(index: Indices) -> None:
            x = self._from_room(s.node, s.spec, index)
            self._store(s.node, shape, (*row, *index), x)

        self._nest(inner, not self.by_rows, body)

    def _out_index(self, s: Statement, index: Indices) -> Indices:
        """The index in a fold's result."""
        if len(s.spec.shape) == len(s.shape):
            return tuple([Index() if a in s.axes else at for a, at in enumerate(index)])
        return tuple([at for a, at in enumerate(index) if a not in s.axes])


def fold_of(s: Statement) -> Fold:
    """How a statement folds."""
    assert s.fold is not None
    return s.fold


def total_of_chunks(s: Statement, partial: Partial, width: int) -> tuple[Writer, list[Any]]:
    """The kernel, and its arguments, that combines the totals of chunks, in their order."""
    w = Writer(width)
    scalars = Scalars(w, lambda wrong: None)
    fold, spec, start = fold_of(s), s.spec, s.begins_with
    totals, result = w.argument(0), w.argument(1)

    def column(at: Register, wide: bool, mask: Register | None) -> None:
        cell = w.cell(w.constant(fold.neutral, spec.dtype, wide))
        with w.loop(0, partial.chunks) as chunk:
            x = w.load(totals, chunk * spec.size + at, spec.dtype, wide=wide, mask=mask)
            cell.set(fold.combined(scalars, cell.get(), x))
        if start is not None:
            beside = w.load(w.argument(2), at + start.start, spec.dtype, wide=wide, mask=mask)
            cell.set(fold.combined(scalars, beside, cell.get()))
        w.store(cell.get(), result, at, mask=mask, wide=wide)

    full = spec.size // width * width
    if full:
        with w.loop(0, full, width) as at:
            column(at, True, None)
    if spec.size == 1:
        column(w.constant(0, I64), False, None)
    elif full < spec.size:
        column(w.constant(full, I64), True, w.first_lanes(spec.size - full))
    arguments = [partial, partial.node] + ([] if start is None else [start.buffer])
    return w, arguments
