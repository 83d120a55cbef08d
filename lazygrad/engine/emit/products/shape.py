"""How a product is cut: into register tiles, blocks along k, and chunks that threads share."""

from __future__ import annotations

import functools
from typing import NamedTuple

from lazygrad.engine.emit.products.form import Form
from lazygrad.engine.lanes.target import cpu

__all__ = ["Piece", "Needs", "Cut", "pieces", "registers", "shape"]

CPU = cpu(8)  # but for lanes all are alike
SWEPT = 8  # rows of B that are read side by side


class Needs(NamedTuple):
    """What a kernel asks of its caller.

    Attributes:
        chunks: parts that may be computed in any order and at once.
        scratch: bytes of scratch memory, all calls together.
    """

    chunks: int
    scratch: int


class Piece(NamedTuple):
    """Lanes side by side in one row of a tile."""

    offset: int  # columns from the left of the tile
    lanes: int
    valid: int  # lanes that are part of the result; the first ones


class Cut(NamedTuple):
    """A way to cut a product.

    Attributes:
        rows: rows of a register tile.
        vectors: wide registers in a row of it.
        block: how much of k is computed at a time.
        packed: whether B is first copied to scratch memory, a panel of columns and a block at a time.
        dots: whether columns of B are taken along k, as they lie.
        row_chunks: parts along m that may run at once.
        column_chunks: parts along n.
        item_chunks: parts of the batch.
        swept: whether a few rows of B at a time are read from end to end, and C is read and written again for each
            few of them, not B column by column.
    """

    rows: int
    vectors: int
    block: int
    packed: bool
    dots: bool
    row_chunks: int
    column_chunks: int
    item_chunks: int
    swept: bool = False

    @property
    def chunks(self) -> int:
        """Parts in all."""
        return self.row_chunks * self.column_chunks * self.item_chunks


def registers(width: int, itemsize: int) -> tuple[int, int]:
    """Vector registers of the machine, and how many of them one wide register takes."""
    # Lanes of a wide register are so many that float32 fills one vector register.
    return (32 if width == 16 else 16), max(1, itemsize // 4)


def pieces(columns: int, width: int) -> list[Piece]:
    """Columns of a tile as registers; the last is as narrow as it can be."""
    full, rest = divmod(columns, width)
    cut = [Piece(i * width, width, width) for i in range(full)]
    if rest:
        lanes = min(width, max(2, 1 << (rest - 1).bit_length()))
        cut.append(Piece(full * width, lanes, rest))
    return cut


def _tile_cost(columns: int, rows: int, k: int, width: int, itemsize: int, loads: float, reads: float) -> float:
    """Cycles of one tile, about, if a register of B is loaded in ``loads`` and a number of A in ``reads``."""
    cut = pieces(columns, width)
    unit = registers(width, itemsize)[1]
    work = sum(max(0.5, piece.lanes / width) * unit for piece in cut)
    loading = work * loads + rows * reads
    # A sum waits four cycles for the one before it. What loads delay is hidden but for a little.
    return k * (max(rows * work, loading, 4.0) + 0.1 * loading) + rows * len(cut) * unit * 1.5 + 12


def _whole_cost(form: Form, width: int, rows: int, vectors: int, packed: bool) -> float:
    """Cycles of a product by tiles of so many rows and registers."""
    itemsize = form.dtype.itemsize
    panel = vectors * width
    full, rest = divmod(form.n, panel)
    loads = _load_cost(form, min(panel, form.n), packed)
    # Rows of A that lie a multiple of 4 KiB apart share one set of the first cache.
    reads = 1.2 if form.a[1] * itemsize % 4096 == 0 and form.k > 64 and form.m > 1 else 0.6
    cost = 0.0
    for panels, columns in ((full, panel), (1 if rest else 0, rest)):
        if panels:
            one = (form.m // rows) * _tile_cost(columns, rows, form.k, width, itemsize, loads, reads)
            if form.m % rows:
                one += _tile_cost(columns, form.m % rows, form.k, width, itemsize, loads, reads)
            if packed:
                one += _packing_cost(form, columns)
            cost += panels * one
    return cost


def _load_cost(form: Form, columns: int, packed: bool) -> float:
    """Cycles of loading a register of B, by where a panel of it stays from one row of tiles to the next."""
    if form.k * columns * form.dtype.itemsize <= CPU.near:
        return 1.0
    if packed:
        return 1.6
    # Rows of B that lie far apart are many pages and few sets of a cache.
    whole = form.k * abs(form.b[1]) * form.dtype.itemsize
    return 2.0 if whole <= 1 << 19 else 4.0 if whole <= 1 << 22 else 12.0


def _packing_cost(form: Form, columns: int) -> float:
    each = 0.1 if form.b[2] == 1 else 0.35 if form.b[1] == 1 else 3.0
    return form.k * columns * form.dtype.itemsize / 4 * each


def _dots_cost(form: Form, width: int) -> float:
    """Cycles of a product by dot products."""
    unit = registers(width, form.dtype.itemsize)[1]
    loads = 1.0 if form.k * min(width, form.n) * form.dtype.itemsize <= CPU.near else 1.6
    steps = -(-form.k // width)
    each = max(steps * loads * unit, steps * unit + 3.75 * unit)
    return form.m * (form.n * each + -(-form.n // width) * 20.0)


def _largest(total: int, size: int, parts: int) -> int:
    """The most that one of ``parts`` takes of a total that is cut between sizes; the rest goes to the last."""
    full = total // size
    if parts == 1:
        return total
    most = -(-full // parts)
    return max(most * size, (full - (parts - 1) * full // parts) * size + total % size)


def _grid(
    form: Form, cost: float, packing: float, height: int, width: int, most: int
) -> tuple[float, tuple[int, int, int]]:
    """How many chunks along the rows, columns and items, so that they are alike; and how unlike they are."""
    wanted = int(form.items * cost // CPU.cycles)
    if wanted < 2:
        return 1.0, (1, 1, 1)
    items = min(form.items, wanted)
    while form.items % items and items > wanted // 2:
        items -= 1
    spread = -(-form.items // items) * items / form.items
    most = min(most, wanted // items)
    read = form.k * form.dtype.itemsize / 32  # cycles to read a row or column from the second cache
    if items >= 8 or most < 2:
        return spread, (1, 1, items)
    best, found = float("inf"), (1, 1, items)
    for rows in range(1, min(most, max(1, form.m // height)) + 1):
        for columns in range(1, min(most // rows, max(1, form.n // width)) + 1):
            if rows * columns * 2 < most:
                continue
            uneven = rows * columns * _largest(form.m, height, rows) * _largest(form.n, width, columns)
            # A chunk that shares columns with others packs them once more; what it shares is read once more.
            again = (rows - 1) * (packing + read * form.n) + (columns - 1) * read * form.m
            factor = spread * uneven / (form.m * form.n) + again / cost
            if factor < best:
                best, found = factor, (rows, columns, items)
    return best, found


def _is_swept(form: Form, panel: int) -> bool:
    """Whether one row is multiplied by rows that lie far away, and far apart.

    Each number of B is used once, so what counts is to read it as it lies: a panel's next row is on another page.
    """
    size = form.dtype.itemsize
    together = form.b[2] == 1 and form.b[1] >= form.n > panel and form.n * size > CPU.page
    return together and form.m == 1 and form.k > SWEPT and form.k * form.n * size > CPU.far


@functools.lru_cache(maxsize=4096)
def shape(form: Form, width: int) -> Cut:
    """The way a product is cut, by a model of what tiles cost. It depends on the sizes and strides alone."""
    count, unit = registers(width, form.dtype.itemsize)
    tiles = []
    for v in range(1, min(-(-form.n // width), 8 // unit) + 1):
        for r in range(1, min(form.m, 16) + 1):
            if (r * v + v + 1) * unit > count and (r, v) != (1, 1):
                break
            for packed in (False, True):
                if packed or form.b[2] == 1:
                    tiles.append((_whole_cost(form, width, r, v, packed), r, v, packed))
    least = min(tiles)[0]
    if form.a[2] == 1 and form.b[1] == 1 and form.b[2] != 1 and form.dtype.kind == "f" and form.k > 1:
        cost = _dots_cost(form, width)
        if cost < least:
            _, grid = _grid(form, cost, 0.0, 1, width, CPU.chunks)
            return Cut(1, 1, form.k, False, True, *grid)
    v = max(1, 8 // unit)
    if _is_swept(form, v * width):
        _, grid = _grid(
            form, form.k * form.n * form.dtype.itemsize / 8, 0.0, 1, CPU.page // form.dtype.itemsize, CPU.chunks
        )
        return Cut(1, v, SWEPT, False, False, *grid, swept=True)
    best = float("inf")
    chosen = None
    for cost, r, v, packed in tiles:
        if cost > least * 1.05:
            continue
        panel = v * width
        packing = _packing_cost(form, form.n) if packed else 0.0
        # Packed panels take scratch memory, once a chunk.
        uneven, grid = _grid(form, cost, packing, r, panel, CPU.chunks // 4 if packed else CPU.chunks)
        cost *= uneven * (1 + 0.01 * (form.m % r > 0))
        if cost < best:
            parts = -(-form.k * min(panel, form.n) * form.dtype.itemsize // CPU.panel) if packed else 1
            best, chosen = cost, Cut(r, v, -(-form.k // max(1, parts)), packed, False, *grid)
    assert chosen is not None
    return chosen
