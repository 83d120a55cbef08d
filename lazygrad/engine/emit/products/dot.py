"""Products of few rows with columns that lie along k: dot products, several at once."""

from __future__ import annotations

from lazygrad.engine.emit.products.tile import OtherLanes
from lazygrad.engine.lanes.registers import I64, Register

__all__ = ["dots", "folded"]


def folded(lanes: OtherLanes, sums: list[str | None]) -> str:
    """The totals of ``width`` registers, the total of register i in lane i.

    Each step halves the partial sums and makes one register of two, so 2·log₂ shuffles serve all of them.
    """
    width = size = len(sums)
    kind = lanes.type(width)
    while size > 1:
        half = size // 2
        low, high = [], []
        for lane in range(width):
            group, within = divmod(lane, size)
            source = group * size + within % half + (width if within >= half else 0)
            low.append(f"i32 {source}")
            high.append(f"i32 {source + half}")
        mixed: list[str | None] = []
        for x, y in zip(sums[: len(sums) // 2], sums[len(sums) // 2 :]):
            if x is None:
                mixed.append(None)
                continue
            parts = [
                lanes.here(f"shufflevector {kind} {x}, {kind} {y or x}, <{width} x i32> <{', '.join(order)}>")
                for order in (low, high)
            ]
            mixed.append(lanes.add(parts[0], parts[1], width))
        sums, size = mixed, half
    assert sums[0] is not None
    return sums[0]


def dots(lanes: OtherLanes, a: Register, b: Register, column: int, k: int, columns: int) -> str:
    """Dot products of a row of A with some columns of B, one a lane.

    Args:
        lanes: where to write.
        a: address of the row, which lies along k.
        b: address of the first column, which lies along k too.
        column: stride between columns.
        k: length of a row.
        columns: how many columns, at most a register's lanes.
    """
    w, dtype, width = lanes.w, lanes.memory, lanes.w.width
    unrolled = max(1, min(4, 8 // columns, k // width))
    kind = lanes.type(width)
    starts = [w.at(b, j * column, dtype) for j in range(columns)]
    sums = ["zeroinitializer"] * (unrolled * columns)

    def step(sums: list[str], i: Register, u: int, count: int) -> None:
        x = lanes.load_first(w.at(a, i, dtype), width, count)
        for j, start in enumerate(starts):
            y = lanes.load_first(w.at(start, i, dtype), width, count)
            sums[u * columns + j] = lanes.multiply_add(x, y, sums[u * columns + j], width)

    stride = unrolled * width
    if k >= stride:
        with w.carrying(0, k - k % stride, stride, [(kind, x) for x in sums]) as (i, sums):
            for u in range(unrolled):
                step(sums, i + u * width, u, width)
    for u in range(-(-(k % stride) // width)):
        at = k - k % stride + u * width
        step(sums, w.constant(at, I64), u, min(width, k - at))
    totals: list[str | None] = []
    for j in range(columns):
        total = sums[j]
        for u in range(1, unrolled):
            total = lanes.add(total, sums[u * columns + j], width)
        totals.append(total)
    return folded(lanes, [*totals, *[None] * (width - columns)])
