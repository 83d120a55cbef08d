"""The kernel of a product, written for its sizes and strides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from lazygrad.engine.emit.products.dot import dots as dots_of
from lazygrad.engine.emit.products.form import Form, Place, Product, formed, offset
from lazygrad.engine.emit.products.pack import SQUARE, pack
from lazygrad.engine.emit.products.shape import Cut, Needs, Piece, pieces, shape
from lazygrad.engine.emit.products.tile import OtherLanes, Tile
from lazygrad.engine.lanes.registers import I8, I64, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["write"]

Finish = Callable[[Register, Place], Register]


def write(
    product: Product, w: Writer, finish: Finish | None = None, accumulate: bool = False, cut: Cut | None = None
) -> Needs:
    """Write the kernel of a product: ``i64 kernel(ptr arguments, i64 begin, i64 end)``.

    The arguments are the addresses of A, B, C and scratch memory. C overlaps no other; scratch memory is aligned
    to 64 bytes. ``begin`` and ``end`` bound the chunks to compute, at least one. Chunks may be computed in any
    order and at once, as long as calls that run at once begin at different chunks. Every element of C is summed
    along k in one order that the sizes and strides fix, whatever calls there are.

    Args:
        product: sizes and strides.
        w: a writer at the beginning of a function.
        finish: what is called with each register of sums and its place, and gives what is stored, of the same
            dtype.
        accumulate: whether the sums begin at what C holds, not at 0.
        cut: how to cut the product, if not by the model of costs.
    """
    form = formed(product)
    if not (form.items and form.m and form.n):
        return Needs(1, 0)
    return _ProductText(form, w, finish, accumulate, cut or shape(form, w.width)).write()


_Range = tuple[Register, Register, Register | None]  # from, up to, and whether it is the last one


class _ProductText:
    def __init__(self, form: Form, w: Writer, finish: Finish | None, accumulate: bool, cut: Cut) -> None:
        self.form, self.w, self.finish, self.accumulate, self.cut = form, w, finish, accumulate, cut
        self.lanes = OtherLanes(w, form.dtype)
        self.memory = self.lanes.memory
        self.a, self.b, self.c, self.scratch = (w.argument(i) for i in range(4))
        if form.turned:
            self.a, self.b = self.b, self.a
        self.length = 0  # elements from row to row of a packed panel
        self.whole = False  # no block that is packed is smaller than a square of registers
        self.slot = 0  # bytes of scratch memory of one call

    def write(self) -> Needs:
        w, form, cut = self.w, self.form, self.cut
        blocked = form.k > cut.block
        panel = cut.vectors * w.width
        if cut.packed:
            self.length = min(panel, -(-form.n // w.width) * w.width)
            ends = [form.k % max(1, cut.block) or cut.block, form.n % panel or panel]
            self.whole = min(ends) >= SQUARE
            self.slot = -(-cut.block // w.width) * w.width * self.length
            self.slot = -(-self.slot * self.memory.itemsize // 64) * 64
            self.scratch = w.at(self.scratch, w.begin * self.slot, I8)
        with self._chunks() as (items, rows, columns), self._items(*items) as batch:
            at = [
                w.at(address, offset(w, *zip(batch, strides[0])), self.memory)
                for address, strides in ((self.a, form.a), (self.b, form.b), (self.c, form.c))
            ]
            with self._blocks(blocked) if cut.swept else nullcontext() as sweep:
                for panels, last, size, start in self._split(form.n, panel, *columns):
                    with last, self._over(panels) as p:
                        column = p * panel if start is None else w.constant(start, I64)
                        with nullcontext(sweep) if sweep is not None else self._blocks(blocked) as (k, ks):
                            self._panel(batch, at, rows, column, size, k, ks)
        return Needs(cut.chunks, cut.chunks * self.slot)

    # What is looped over.

    @contextmanager
    def _chunks(self) -> Iterator[list[_Range]]:
        """The ranges of items, row tiles and column panels of each chunk, and whether it is the last of each."""
        w, cut = self.w, self.cut
        totals = (self.form.items, self.form.m // cut.rows, self.form.n // (cut.vectors * w.width))
        parts = (cut.item_chunks, cut.row_chunks, cut.column_chunks)
        if cut.chunks == 1:
            yield [(w.constant(0, I64), w.constant(total, I64), None) for total in totals]
            return
        with w.loop(w.begin, w.end) as chunk:
            ranges: list[_Range] = []
            rest = cut.chunks
            for total, count in zip(totals, parts):
                rest //= count
                if count == 1:
                    ranges.append((w.constant(0, I64), w.constant(total, I64), None))
                    continue
                index = chunk if rest == 1 else w.binary("div", chunk, w.constant(rest, I64))
                index = w.binary("rem", index, w.constant(count, I64))
                begin, end = ((i * total if total % count else i * (total // count)) for i in (index, index + 1))
                if total % count:
                    begin, end = (w.binary("div", x, w.constant(count, I64)) for x in (begin, end))
                ranges.append((begin, end, index.equals(count - 1)))
            yield ranges

    @contextmanager
    def _items(self, begin: Register, end: Register, _last: Any) -> Iterator[tuple[Register, ...]]:
        if self.form.items == 1:
            yield tuple([self.w.constant(0, I64) for _ in self.form.batch])
        else:
            with self.w.loop(begin, end) as item:
                yield self.form.split(self.w, item)

    def _split(self, total: int, size: int, begin: Register, end: Register, last: Register | None) -> Iterator[Any]:
        """The full parts of a range, then what is left of it at its end."""
        full, rest = divmod(total, size)
        if full:
            yield (begin, end), nullcontext(), size, None
        if rest:
            yield None, (self.w.when(last) if last is not None and full else nullcontext()), rest, full * size

    @contextmanager
    def _over(self, bounds: tuple[Register, Register] | None) -> Iterator[Register]:
        if bounds is None:
            yield self.w.constant(0, I64)
        else:
            with self.w.loop(*bounds) as index:
                yield index

    @contextmanager
    def _blocks(self, blocked: bool) -> Iterator[tuple[Register, Register]]:
        """Where a block of k begins, and its length."""
        w, k, block = self.w, self.form.k, self.cut.block
        if not blocked:
            yield w.constant(0, I64), w.constant(k, I64)
            return
        with w.loop(0, k, block) as begin:
            size = w.constant(block, I64)
            if k % block:
                left = k - begin
                size = w.select(left < size, left, size)
            yield begin, size

    # What is done.

    def _panel(self, batch: Any, at: Any, rows: Any, column: Register, size: int, k: Register, ks: Register) -> None:
        w, form, cut = self.w, self.form, self.cut
        a, b, c = at
        block = w.at(b, offset(w, (k, form.b[1])), self.memory)
        if cut.packed and form.k:
            columns = w.constant(size, I64)
            pack(self.lanes, block, form.b[1:], form.n, self.length, self.whole, ks, column, columns, self.scratch)
            b, stride = self.scratch, self.length
        elif cut.dots:
            b, stride = w.at(b, column * form.b[2], self.memory), 0
        else:
            b, stride = w.at(block, column, self.memory), form.b[1]
        for tiles, last, height, start in self._split(form.m, cut.rows, *rows):
            with last, self._over(tiles) as t:
                row = t * cut.rows if start is None else w.constant(start, I64)
                to = w.at(c, offset(w, (row, form.c[1]), (column, form.c[2])), self.memory)
                first = w.at(a, offset(w, (row, form.a[1]), (k, form.a[2])), self.memory)
                dots = cut.dots and form.k > 0
                tile = Tile(self.lanes, height, [Piece(0, w.width, size)] if dots else pieces(size, w.width))
                self._tile(batch, (row, column), tile, first, (b, stride), to, (k, ks))

    def _tile(
        self,
        batch: Any,
        at: tuple[Register, Register],
        tile: Tile,
        a: Register,
        b: tuple[Register, int],
        c: Register,
        block: tuple[Register, Register],
    ) -> None:
        """A tile of C: what it holds, plus a block along k of A times B, which comes with the stride of its rows."""
        (row, column), (k, ks), form = at, block, self.form
        if self.accumulate:
            tile.load(c, form.c[1], form.c[2], None)
        elif form.k > self.cut.block:
            tile.load(c, form.c[1], form.c[2], k > 0)
        self._multiply(tile, a, *b, ks)

        def finish(value: Register, r: int, j: int, mask: Register | None) -> Register:
            assert self.finish is not None
            return self.finish(value, form.place(self.w, batch, row + r, column + j, mask))

        if self.finish is None or form.k <= self.cut.block:
            tile.store(c, form.c[1], form.c[2], None if self.finish is None else finish)
            return
        last = (k + ks).equals(form.k)
        with self.w.when(last):
            tile.store(c, form.c[1], form.c[2], finish)
        with self.w.when(~last):
            tile.store(c, form.c[1], form.c[2])

    def _multiply(self, tile: Tile, a: Register, b: Register, stride: int, ks: Register) -> None:
        """Add a block of A times B to the sums of a tile."""
        w, form = self.w, self.form
        if self.cut.dots and form.k > 0:
            size = tile.pieces[0].valid
            total = dots_of(self.lanes, a, b, form.b[2], form.k, size)
            tile.sums = [self.lanes.add(total, tile.sums[0], w.width)]
        elif form.k == 1:
            tile.step(tile.sums, a, form.a[1], b, self.cut.packed)
        elif form.k:
            with w.carrying(0, ks, 1, tile.typed) as (i, sums):
                here = w.at(a, offset(w, (i, form.a[2])), self.memory)
                tile.step(sums, here, form.a[1], w.at(b, offset(w, (i, stride)), self.memory), self.cut.packed)
            tile.sums = sums
