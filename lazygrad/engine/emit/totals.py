"""Totals of a kernel that lie in memory or go over its rows: sums by column, by segment, of everything."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.emit.elements import Elements, counts
from lazygrad.engine.emit.folds import Folds, fold_of
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Cell, Register
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower.index import Index, contiguous, in_order
from lazygrad.engine.lower.kernels import Indices, Kernel, Statement

__all__ = ["Partial", "Totals", "out_index", "total_of_chunks"]


class Partial(NamedTuple):
    """Totals of chunks that are still to be combined: ``chunks`` times what the node has."""

    node: int
    chunks: int


class Totals:
    """Totals of a kernel that is being written.

    Args:
        kernel: what is written.
        elements, folds: how.
        count: the chunks that the rows are cut into.

    Attributes:
        chunk: the chunk that is being computed, if there are several.
    """

    def __init__(self, kernel: Kernel, elements: Elements, folds: Folds, count: int) -> None:
        self._rank, self._count = kernel.rank, count
        self._elements, self._folds = elements, folds
        self._loops, self._writer, self._by_rows = elements.loops, elements.writer, elements.by_rows
        self._lanes = elements.writer.width if elements.by_rows else 1
        self._kept: dict[Statement, Any] = {}  # where each is kept: a cell, cells by segment, or an address
        self.chunk: Register | None = None

    # Over the rows of a chunk.

    def begin(self, s: Statement) -> None:
        """Begin the total of a statement that folds rows."""
        w, first, dtype, size = self._writer, fold_of(s).neutral, s.spec.dtype, _kept_size(s)
        if s.segments is not None and self._by_rows:
            self._kept[s] = [w.cell(w.constant(first, dtype, wide=True)) for _ in range(size)]
        elif size == 1 and s.segments is None:
            wide = self._by_rows or any(n != 1 for n in s.shape[self._rank :])
            self._kept[s] = w.cell(w.constant(first, dtype, wide))
        else:
            address = w.room(size * self._lanes, dtype) if self._lanes > 1 else self._output(s, size)
            self._kept[s] = address
            self._fill(address, size * self._lanes, first, dtype)

    def add(self, s: Statement, index: Indices, x: Register) -> None:
        """Combine an element into such a total."""
        kept, x = self._kept[s], x.astype(s.spec.dtype)
        if s.segments is not None:
            self._add_to_segment(s, kept, index, x)
        elif isinstance(kept, Cell):
            self._folds.combine(s, kept, x)
        else:
            self._add_to_memory(s, kept, index, x)

    def end(self, s: Statement) -> None:
        """Write such a total to memory."""
        w, folds, kept, size = self._writer, self._folds, self._kept[s], _kept_size(s)
        if isinstance(kept, list):
            output = self._output(s, size)
            for place, cell in enumerate(kept):
                w.store(self._beside(s, folds.across(s, cell.get()), place), output, place)
        elif s.segments is not None and self._count == 1:
            self._add_start(s, size)
        elif isinstance(kept, Cell):
            result = kept.get()
            w.store(folds.across(s, result) if result.wide else result, self._output(s, 1), 0)
        elif self._by_rows:
            output = self._output(s, size)

            def body(index: Indices) -> None:
                place = self._loops.register(index[0])
                x = w.load(kept, place * w.width, s.spec.dtype, wide=True, fixed=False)
                w.store(folds.across(s, x), output, place)

            self._loops.nest((size,), False, body)

    def _output(self, s: Statement, size: int) -> Register:
        """Where the totals of this chunk go."""
        key = s.node if self._count == 1 else Partial(s.node, self._count)
        address = self._elements.argument(key)
        if self.chunk is not None:
            address = self._writer.at(address, self.chunk * size, s.spec.dtype)
        return address

    def _fill(self, address: Register, size: int, number: Any, dtype: np.dtype[Any]) -> None:
        w, loops = self._writer, self._loops
        x = w.constant(number, dtype, wide=True)

        def body(index: Indices) -> None:
            lanes = size > 1
            w.store(x if lanes else w.lane(x, 0), address, loops.register(index[0]), mask=loops.mask, wide=lanes)

        outer, loops.mask = (loops.wide, loops.mask), None
        loops.nest((size,), True, body)
        loops.wide, loops.mask = outer

    # In memory.

    def _add_to_memory(self, s: Statement, address: Register, index: Indices, x: Register) -> None:
        w, loops, folds, dtype = self._writer, self._loops, self._folds, s.spec.dtype
        kept = [a for a in range(self._rank, len(s.shape)) if a not in s.axes]
        place = Index()
        for step, a in zip(contiguous(tuple([s.shape[a] for a in kept])), kept, strict=True):
            place = place.plus(index[a], step)
        offset, is_wide = loops.register(place), counts(place, loops.wide)
        if self._by_rows:
            offset = offset * w.width
            old = w.load(address, offset, dtype, wide=True, fixed=False)
            w.store(folds.combined(s, old, folds.masked(s, w.widened(x))), address, offset, wide=True)
        elif loops.wide is not None and not is_wide:  # the wide loop is folded: its lanes become one
            x = folds.across(s, folds.masked(s, w.widened(x)))
            old = w.load(address, offset, dtype, fixed=False)
            w.store(folds.combined(s, old, x), address, offset)
        else:
            mask = loops.mask if is_wide else None
            old = w.load(address, offset, dtype, wide=is_wide, mask=mask, fixed=False)
            x = folds.combined(s, old, w.widened(x) if is_wide else x)
            w.store(x, address, offset, mask=mask, wide=is_wide)

    # By segments.

    def _add_to_segment(self, s: Statement, kept: Any, index: Indices, x: Register) -> None:
        """Add a row's element to the total of its segment."""
        w, loops, folds = self._writer, self._loops, self._folds
        assert s.segments is not None
        count, each = s.spec.shape[0], math.prod(s.spec.shape[1:])
        which, wrong = self._elements.wrapped(self._elements.value(s, s.segments, index), count)
        place = in_order(s.spec.shape[1:]).place(index[1:])
        if isinstance(kept, list):  # few segments: every row is added to all of them, to most as nothing
            x = folds.masked(s, x)
            for k in range(count):
                cell = kept[k * each + place.start]
                own = w.select(which.equals(k), x, w.constant(fold_of(s).neutral, x.dtype))
                cell.set(folds.combined(s, cell.get(), w.widened(own)))
            return
        offset = w.select(wrong, 0, which) * each + loops.register(place)
        wide = counts(place, loops.wide)
        mask = loops.mask if wide else None
        old = w.load(kept, offset, x.dtype, wide=wide, mask=mask, fixed=False)
        w.store(folds.combined(s, old, w.widened(x) if wide else x), kept, offset, mask=mask, wide=wide)

    def _beside(self, s: Statement, total: Register, place: int) -> Register:
        """A total of a segment added to what it begins with."""
        view = s.begins_with if self._count == 1 else None
        if view is None:
            return total
        address = self._elements.argument(view.buffer)
        return self._elements.scalars.add(
            self._loops.load(address, Index(view.start + place), total.dtype, True), total
        )

    def _add_start(self, s: Statement, size: int) -> None:
        """Add what they begin with to all totals by segment."""
        view, w, loops, wide = s.begins_with, self._writer, self._loops, size > 1
        if view is None:
            return
        output, start, dtype = self._output(s, size), self._elements.argument(view.buffer), s.spec.dtype

        def body(index: Indices) -> None:
            place = loops.register(index[0])
            old = w.load(output, place, dtype, wide=wide, mask=loops.mask, fixed=False)
            x = w.load(start, place + view.start, dtype, wide=wide, mask=loops.mask)
            w.store(self._elements.scalars.add(x, old), output, place, mask=loops.mask, wide=wide)

        loops.nest((size,), wide, body)

    # Of a row.

    def begin_row(self, s: Statement) -> None:
        """Begin a total of a row, which lies in memory of the kernel's own."""
        rooms, size = self._elements.rooms, math.prod(s.spec.shape[self._rank :]) * self._lanes
        if s.node not in rooms:
            rooms[s.node] = self._writer.room(size, s.spec.dtype)
        self._fill(rooms[s.node], size, fold_of(s).neutral, s.spec.dtype)

    def add_to_row(self, s: Statement, index: Indices, x: Register) -> None:
        """Combine an element into it."""
        self._add_to_memory(s, self._elements.rooms[s.node], index, x.astype(s.spec.dtype))

    def copy_row(self, s: Statement, row: Indices) -> None:
        """Write it to memory."""

        def body(index: Indices) -> None:
            x = self._elements.from_room(s.node, s.spec, index)
            self._elements.store(s.node, s.spec.shape, (*row, *index), x)

        self._loops.nest(s.spec.shape[self._rank :], not self._by_rows, body)


def _kept_size(s: Statement) -> int:
    """Numbers of the result of a fold over rows."""
    if s.segments is not None:
        return s.spec.size
    return math.prod(n for a, n in enumerate(s.shape) if a not in s.axes)


def out_index(s: Statement, index: Indices) -> Indices:
    """The index in a fold's result."""
    if len(s.spec.shape) == len(s.shape):
        return tuple([Index() if a in s.axes else at for a, at in enumerate(index)])
    return tuple([at for a, at in enumerate(index) if a not in s.axes])


def total_of_chunks(s: Statement, partial: Partial, target: Target) -> tuple[Arithmetic, list[Any], int]:
    """The kernel, its arguments and the chunks of its own, that combines the totals of chunks, in their order.

    Where the host goes through the table and lanes are many, every wide register of columns is a chunk. Fewer columns
    are a chunk each, and lanes go through the totals: each takes every so many, and then they are combined by halves.
    """
    w, width, size = target.writer(), target.lanes, s.spec.size
    text = _Combining(w, s, partial)
    arguments = [partial, partial.node] + ([] if s.begins_with is None else [s.begins_with.buffer])
    if target.hosted:
        chunks = size if size < width else -(-size // width)
        with w.loop(w.begin, w.end) as chunk:
            if size < width:
                text.across_lanes(chunk)
            else:
                first = chunk * width
                text.column(first, True, w.widened(w.constant(size, I64) - first) > w.lanes() if size % width else None)
        return w, arguments, chunks
    full = size // width * width
    if full:
        with w.loop(0, full, width) as at:
            text.column(at, True, None)
    if size == 1:
        text.column(w.constant(0, I64), False, None)
    elif full < size:
        text.column(w.constant(full, I64), True, w.first_lanes(size - full))
    return w, arguments, 1


class _Combining:
    """Writes how the totals of chunks are combined.

    Args:
        writer: of the kernel.
        s: whose totals they are.
        partial: which they are.
    """

    def __init__(self, writer: Arithmetic, s: Statement, partial: Partial) -> None:
        self._writer, self._partial, self._size, self._dtype = writer, partial, s.spec.size, s.spec.dtype
        self._fold, self._start = fold_of(s), s.begins_with
        self._scalars = Scalars(writer, lambda wrong: None)
        self._totals, self._result = writer.argument(0), writer.argument(1)

    def _combined(self, a: Register, b: Register) -> Register:
        return self._fold.combined(self._scalars, a, b)  # type: ignore[no-any-return]

    def column(self, at: Register, wide: bool, mask: Register | None) -> None:
        """The total of a column, or of as many as there are lanes."""
        w = self._writer
        cell = w.cell(w.constant(self._fold.neutral, self._dtype, wide))
        with w.loop(0, self._partial.chunks) as chunk:
            x = w.load(self._totals, chunk * self._size + at, self._dtype, wide=wide, mask=mask)
            cell.set(self._combined(cell.get(), x))
        self._keep(cell.get(), at, wide, mask)

    def across_lanes(self, at: Register) -> None:
        """The total of a column, of which every lane takes a part."""
        w, count, width = self._writer, self._partial.chunks, self._writer.width
        cell = w.cell(w.constant(self._fold.neutral, self._dtype, wide=True))
        full = count // width * width

        def add(first: Any, mask: Register | None) -> None:
            x = w.load(self._totals, (w.lanes() + first) * self._size + at, self._dtype, mask=mask)
            total = self._combined(cell.get(), x)
            cell.set(total if mask is None else w.select(mask, total, cell.get()))

        if full:
            with w.loop(0, full, width) as first:
                add(w.widened(first), None)
        if full < count:
            add(full, w.first_lanes(count - full))
        self._keep(w.across(self._combined, cell.get()), at, False, None)

    def _keep(self, total: Register, at: Register, wide: bool, mask: Register | None) -> None:
        """Write a total to its place, after what it begins with has been added."""
        w = self._writer
        if self._start is not None:
            beside = w.load(w.argument(2), at + self._start.start, self._dtype, wide=wide, mask=mask)
            total = self._combined(beside, total)
        w.store(total, self._result, at, mask=mask, wide=wide)
