"""Copying a panel of B so that its rows lie side by side, lanes along n."""

from __future__ import annotations

import zlib

from lazygrad.engine.emit.products.tile import OtherLanes
from lazygrad.engine.lanes.registers import ADDRESS, I64, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["SQUARE", "pack", "transpose"]

SQUARE = 8  # registers that are transposed at once; more need more instructions a number


def transpose(lanes: OtherLanes, rows: list[str]) -> list[str]:
    """A square of registers with rows and columns exchanged: of 2 × 2 blocks first, then 4 × 4, and so on."""
    size = len(rows)
    kind = lanes.type(size)
    distance = 1
    while distance < size:
        kept = [lane if not lane & distance else lane - distance + size for lane in range(size)]
        moved = [lane + distance if not lane & distance else lane + size for lane in range(size)]
        for i in range(size):
            if not i & distance:
                x, y = rows[i], rows[i + distance]
                for row, lanes_taken in ((i, kept), (i + distance, moved)):
                    order = ", ".join(f"i32 {lane}" for lane in lanes_taken)
                    rows[row] = lanes.here(f"shufflevector {kind} {x}, {kind} {y}, <{size} x i32> <{order}>")
        distance *= 2
    return rows


def pack(
    lanes: OtherLanes, b: Register, strides: tuple[int, int], n: int, length: int, whole: bool, ks: Register,
    first: Register, columns: Register, to: Register,
) -> None:  # fmt: skip
    """Call a function that copies a block of B, written once for all panels.

    Args:
        lanes: where to write.
        b: address of row 0 of the block, column 0 of B.
        strides: of B along k and along n.
        n: columns of B; beyond them the last one is repeated, as no lane there is stored.
        length: elements from row to row of the copy.
        whole: every block has at least ``SQUARE`` rows and columns.
        ks: rows to copy; the copy may be longer, up to the next whole square.
        first: the first column of the panel.
        columns: columns of the panel.
        to: address of the copy, aligned to 64 bytes.
    """
    w = lanes.w
    inner = Writer(w.width)
    parameters = [
        Register(inner, name, dtype, False, 0)
        for name, dtype in (("%b", ADDRESS), ("%ks", I64), ("%first", I64), ("%columns", I64), ("%to", ADDRESS))
    ]
    _write(OtherLanes(inner, lanes.dtype), strides, n, length, whole, *parameters)
    body = inner.body()
    name = f"@pack.{zlib.crc32(body.encode()):08x}"
    w.definitions.update(inner.definitions)
    w.definitions[name] = f"define internal i64 {name}(ptr %b, i64 %ks, i64 %first, i64 %columns, ptr %to) #0 {body}"
    given = ", ".join(f"{x.type} {x.name}" for x in (b, ks, first, columns, to))
    w.line(f"call i64 {name}({given})")


def _write(
    lanes: OtherLanes, strides: tuple[int, int], n: int, length: int, whole: bool, b: Register,
    ks: Register, first: Register, columns: Register, to: Register,
) -> None:  # fmt: skip
    w, dtype = lanes.w, lanes.memory
    row, column = strides
    if row == 1 and column != 1:
        size = min(SQUARE, w.width)
        with w.loop(0, columns, size) as j, w.loop(0, ks, size) as i:
            if whole:
                # The last square begins earlier, so that it is whole; what it shares is copied twice.
                i, j = (w.select(x < end - size, x, end - size) for x, end in ((i, ks), (j, columns)))
            corner = w.at(b, (first + j) * column + i, dtype)
            read = []
            for lane in range(size):
                if whole:
                    read.append(lanes.load_first(w.at(corner, lane * column, dtype), size, size))
                else:
                    at = _kept(w, first + j + lane, n, size)
                    read.append(lanes.load_some(w.at(b, at * column + i, dtype), size, ks - i))
            square = w.at(to, i * length + j, dtype)
            for lane, x in enumerate(transpose(lanes, read)):
                place = w.at(square, lane * length, dtype)
                w.line(f"store {lanes.type(size)} {x}, ptr {place.name}, align {dtype.itemsize}")
        return
    with w.loop(0, ks) as i, w.loop(0, columns, w.width) as j:
        if column == 1:
            mask = None if n % w.width == 0 else w.lanes() < w.widened(columns - j)
            read_row = w.load(b, i * row + first + j, dtype, True, mask, fixed=False)
        else:
            at = _kept(w, w.widened(first + j) + w.lanes(), n, w.width)
            read_row = w.load(b, at * column + i * row, dtype, True, fixed=False)
        w.store(read_row, to, i * length + j, wide=True)


def _kept(w: Writer, column: Register, n: int, size: int) -> Register:
    """The column, or the last one of B if there is none; none is amiss if the size divides n."""
    return column if n % size == 0 else w.select(column > n - 1, n - 1, column)
