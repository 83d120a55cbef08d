"""Totals of a kernel that lie in memory or go over its rows: sums by column, by segment, of everything."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.codegen.elements import Elements, Indices
from lazygrad.codegen.folding import Folding, folding
from lazygrad.codegen.fuse import Statement
from lazygrad.codegen.index import Index, View, contiguous, in_order
from lazygrad.codegen.registers import I64, Cell, Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.ways import Ways
from lazygrad.codegen.writer import Writer

__all__ = ["Partial", "Totals", "total_of_chunks"]


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

    statements: list[Statement]
    totals: dict[int, Any]
    axes: list[list[int]]
    count: int
    chunk: Register | None

    def _inner(self, s: Statement) -> tuple[int, ...]:
        return s.shape[self.rank :]

    def _combined(self, op: Folding, a: Register, b: Register) -> Register:
        return op.combine(self.scalars, a, b)

    def _masked(self, op: Folding, x: Register) -> Register:
        """``x``, neutral in lanes that do not count."""
        if self.mask is None:
            return x
        x = self.writer.widened(x)
        return self.writer.select(self.mask, x, self.writer.constant(op.neutral, x.dtype))

    def _combine_cell(self, op: Folding, cell: Cell, x: Register) -> None:
        x = self._masked(op, x) if cell.wide else x
        cell.set(self._combined(op, cell.get(), self.writer.widened(x) if cell.wide else x))

    def _kept_size(self, s: Statement) -> int:
        if s.segments is not None:
            return self.ways.spec(s.node).size
        return math.prod(n for a, n in enumerate(s.shape) if a not in s.axes)

    def _begin_total(self, number: int, s: Statement) -> None:
        w = self.writer
        op = folding(self.ways, s.node)
        dtype = self.ways.spec(s.node).dtype
        first = op.neutral
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
            address = self.writer.at(address, self.chunk * size, self.ways.spec(s.node).dtype)
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

    def _combine_memory(self, op: Folding, address: Register | None, s: Statement, index: Indices, x: Register) -> None:
        """Combine ``x`` into the total that lies in memory."""
        w = self.writer
        dtype = self.ways.spec(s.node).dtype
        kept = [(index[a], s.shape[a]) for a in range(self.rank, len(s.shape)) if a not in s.axes]
        place = Index()
        for step, (at, _) in zip(contiguous(tuple(n for _, n in kept)), kept, strict=True):
            place = place.plus(at, step)
        if address is None:  # straight into the result
            address = self._argument(s.node)
            out = self._out_index(s, index)
            shape = self.ways.spec(s.node).shape
            place = in_order(shape, s.node).place(out)
        wide_place = any(loop == self.wide for loop, _ in place.terms)
        if self.by_rows:
            offset = self._register(place) * self.width
            old = w.load(address, offset, dtype, wide=True, fixed=False)
            w.store(self._combined(op, old, self._masked(op, w.widened(x))), address, offset, wide=True)
            return
        offset = self._register(place)
        if self.wide is not None and not wide_place:  # the wide loop is folded: its lanes become one
            folded = w.fold(lambda a, b: self._combined(op, a, b), self._masked(op, w.widened(x)))
            old = w.load(address, offset, dtype, fixed=False)
            w.store(self._combined(op, old, folded), address, offset)
            return
        old = w.load(address, offset, dtype, wide=wide_place, mask=self.mask if wide_place else None, fixed=False)
        mask = self.mask if wide_place else None
        w.store(self._combined(op, old, w.widened(x) if wide_place else x), address, offset, mask=mask, wide=wide_place)

    def _end_total(self, number: int, s: Statement) -> None:
        w = self.writer
        op = folding(self.ways, s.node)
        dtype = self.ways.spec(s.node).dtype
        total = self.totals[number]
        size = self._kept_size(s)
        if isinstance(total, list):
            output = self._total_output(s, size)
            for place, cell in enumerate(total):
                result = w.fold(lambda a, b: self._combined(op, a, b), cell.get())
                w.store(self._beside(s, result, place), output, place)
        elif s.segments is not None and self.count == 1:
            self._add_start(op, s, size)
        elif isinstance(total, Cell):
            result = total.get()
            if result.wide:
                result = w.fold(lambda a, b: self._combined(op, a, b), result)
            w.store(result, self._total_output(s, 1), 0)
        elif self.by_rows:
            output = self._total_output(s, size)

            def body(index: Indices) -> None:
                place = self._register(index[0])
                x = w.load(total, place * self.width, dtype, wide=True, fixed=False)
                w.store(w.fold(lambda a, b: self._combined(op, a, b), x), output, place)

            self._nest((size,), False, body)

    def _add_to_segment(self, op: Folding, total: Any, s: Statement, index: Indices, x: Register) -> None:
        """Add a row's element to the total of its segment."""
        w, ways = self.writer, self.ways
        assert s.segments is not None
        count = ways.spec(s.node).shape[0]
        which = self.value(s.segments, index[:1]).astype(I64)
        which = w.select(which < 0, which + count, which)
        wrong = (which < 0) | (which >= count)
        self._refuse(wrong)
        inner = ways.spec(s.node).shape[1:]
        place = in_order(inner).place(index[1:])
        each = math.prod(inner)
        if isinstance(total, list):  # few segments: every row is added to all of them, to most as nothing
            x = self._masked(op, x)
            for k in range(count):
                cell = total[k * each + place.start]
                own = w.select(which.equals(k), x, w.constant(op.neutral, x.dtype))
                cell.set(self._combined(op, cell.get(), w.widened(own)))
            return
        offset = w.select(wrong, 0, which) * each + self._register(place)
        wide = any(loop == self.wide for loop, _ in place.terms)
        mask = self.mask if wide else None
        old = w.load(total, offset, x.dtype, wide=wide, mask=mask, fixed=False)
        w.store(self._combined(op, old, w.widened(x) if wide else x), total, offset, mask=mask, wide=wide)

    def _start(self, s: Statement) -> View | None:
        """What a sum by segments is added to; None: zeros."""
        start = self.ways.nodes[s.node].inputs[0]
        if self.ways.way[start] == "number":
            assert not self.ways.nodes[start].params["value"]
            return None
        return self.ways.view(start)

    def _beside(self, s: Statement, total: Register, place: int) -> Register:
        view = self._start(s) if s.segments is not None and self.count == 1 else None
        if view is None:
            return total
        return self.scalars.add(
            self._load(self._argument(view.buffer), Index(view.start + place), total.dtype, True), total
        )

    def _add_start(self, op: Folding, s: Statement, size: int) -> None:
        view = self._start(s)
        if view is None:
            return
        output, start, dtype = self._total_output(s, size), self._argument(view.buffer), self.ways.spec(s.node).dtype

        def body(index: Indices) -> None:
            place = self._register(index[0])
            old = self.writer.load(output, place, dtype, wide=size > 1, mask=self.mask, fixed=False)
            x = self.writer.load(start, place + view.start, dtype, wide=size > 1, mask=self.mask)
            self.writer.store(self.scalars.add(x, old), output, place, mask=self.mask, wide=size > 1)

        self._nest((size,), size > 1, body)

    def _clear(self, s: Statement, row: Indices) -> None:
        """Begin a total of a row."""
        op = folding(self.ways, s.node)
        dtype = self.ways.spec(s.node).dtype
        size = math.prod(self.ways.spec(s.node).shape[self.rank :])
        lanes = self.width if self.by_rows else 1
        if s.node not in self.rooms:
            self.rooms[s.node] = self.writer.room(size * lanes, dtype)
        self._fill(self.rooms[s.node], size * lanes, op.neutral, dtype)

    def _copy_total(self, s: Statement, row: Indices) -> None:
        """Write the total of a row to memory."""
        shape = self.ways.spec(s.node).shape
        inner = shape[self.rank :]

        def body(index: Indices) -> None:
            x = self._from_room(s.node, index)
            self._store(s.node, shape, (*row, *index), x)

        self._nest(inner, not self.by_rows, body)

    def _out_index(self, s: Statement, index: Indices) -> Indices:
        """The index in a fold's result."""
        if len(self.ways.spec(s.node).shape) == len(s.shape):
            return tuple([Index() if a in s.axes else at for a, at in enumerate(index)])
        return tuple([at for a, at in enumerate(index) if a not in s.axes])


def total_of_chunks(ways: Ways, partial: Partial, width: int) -> tuple[Writer, list[Any]]:
    """The kernel, and its arguments, that combines the totals of chunks, in their order."""
    w = Writer(width)
    scalars = Scalars(w, lambda wrong: None)
    op = folding(ways, partial.node)
    spec = ways.spec(partial.node)
    totals, result = w.argument(0), w.argument(1)
    start = None
    if ways.way[partial.node] == "scatter" and ways.way[ways.nodes[partial.node].inputs[0]] != "number":
        start = ways.view(ways.nodes[partial.node].inputs[0])

    def column(at: Register, wide: bool, mask: Register | None) -> None:
        cell = w.cell(w.constant(op.neutral, spec.dtype, wide))
        with w.loop(0, partial.chunks) as chunk:
            x = w.load(totals, chunk * spec.size + at, spec.dtype, wide=wide, mask=mask)
            cell.set(op.combine(scalars, cell.get(), x))
        if start is not None:
            beside = w.load(w.argument(2), at + start.start, spec.dtype, wide=wide, mask=mask)
            cell.set(op.combine(scalars, beside, cell.get()))
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
