"""The kernel of a sort, of running sums or of a search: a loop over rows, or numbers, of which threads take shares."""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.engine.emit.sorting.digits import Digits
from lazygrad.engine.emit.sorting.form import Running, Searching, Sorting
from lazygrad.engine.emit.sorting.ranks import Ranks
from lazygrad.engine.emit.sorting.running import run
from lazygrad.engine.emit.sorting.search import search
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Register
from lazygrad.engine.lanes.target import Target

__all__ = ["SortingKernel", "write"]

SHORT = 128  # elements of a row that is sorted by counting, whose time grows with the square
TURN = 4  # cycles in which an element is moved, or an edge is looked at
ROOM = 1 << 24  # bytes of scratch memory that all chunks together may need, unless there are only SOME
SOME = 8


class SortingKernel(NamedTuple):
    """The text of a kernel, of what it calls, parts that may run at once, and bytes of scratch memory in all."""

    text: str
    definitions: dict[str, str]
    chunks: int
    scratch: int


def write(form: Sorting | Running | Searching, target: Target) -> SortingKernel:
    """The kernel ``i64 kernel(ptr arguments, i64 begin, i64 end)`` of a sort, of running sums or of a search.

    The arguments are the addresses of the operands, of the result, and of scratch memory that is aligned to 64 bytes.
    ``begin`` and ``end`` bound the chunks to compute, at least one.
    """
    w = target.writer()
    if isinstance(form, Running):
        return _running(form, target, w)
    return _sorting(form, target, w) if isinstance(form, Sorting) else _searching(form, target, w)


def _sorting(form: Sorting, target: Target, w: Arithmetic) -> SortingKernel:
    short = form.n <= SHORT
    way = Ranks(w, form) if short else Digits(w, form, w.argument(2))
    room = 0 if isinstance(way, Ranks) else way.room
    each = form.n * form.n // w.width + TURN * form.n if short else TURN * form.n * (2 + form.dtype.itemsize)
    chunks = max(1, min(form.rows, target.chunks, form.rows * each // target.cycles))
    if chunks > SOME and chunks * room > ROOM:
        chunks = max(SOME, ROOM // room)
    first, last = _share(w, form.rows, chunks)
    with w.loop(first, last) as row:
        here, there = form.starts(w, row)
        way.sort(w.at(w.argument(0), here, form.dtype), w.at(w.argument(1), there, I64))
    return SortingKernel(w.body(), dict(w.definitions), chunks, chunks * room)


def _running(form: Running, target: Target, w: Arithmetic) -> SortingKernel:
    rows = form.rows
    chunks = max(1, min(rows.rows, target.chunks, rows.rows * rows.n * form.beside * TURN // target.cycles))
    first, last = _share(w, rows.rows, chunks)
    with w.loop(first, last) as row:
        here, there = rows.starts(w, row)
        run(w, form, w.at(w.argument(0), here, rows.dtype), w.at(w.argument(1), there, rows.dtype))
    return SortingKernel(w.body(), dict(w.definitions), chunks, 0)


def _searching(form: Searching, target: Target, w: Arithmetic) -> SortingKernel:
    chunks = max(1, min(target.chunks, form.size * TURN * form.n.bit_length() // target.cycles))
    search(w, form, *_share(w, form.size, chunks))
    return SortingKernel(w.body(), dict(w.definitions), chunks, 0)


def _share(w: Arithmetic, count: int, chunks: int) -> tuple[Register, Register]:
    """The first and the end of what the chunks of a call are to do, of so many."""
    if chunks == 1:
        return w.constant(0, I64), w.constant(count, I64)
    first, last = (w.binary("div", chunk * count, w.constant(chunks, I64)) for chunk in (w.begin, w.end))
    return first, last
