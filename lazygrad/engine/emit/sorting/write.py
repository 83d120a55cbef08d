"""The kernel of a sort, of running sums or of a search: a loop over rows, or numbers, of which threads take shares."""

from __future__ import annotations

from lazygrad.engine.emit.sorting.digits import Digits
from lazygrad.engine.emit.sorting.form import Running, Searching, Sorting
from lazygrad.engine.emit.sorting.ranks import Ranks
from lazygrad.engine.emit.sorting.running import run
from lazygrad.engine.emit.sorting.search import search
from lazygrad.engine.emit.whole import ROOM, SOME, WholeKernel, share
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64
from lazygrad.engine.lanes.target import Target

__all__ = ["write"]

SHORT = 128  # elements of a row that is sorted by counting, whose time grows with the square
TURN = 4  # cycles in which an element is moved, or an edge is looked at


def write(form: Sorting | Running | Searching, target: Target) -> WholeKernel:
    """The kernel ``i64 kernel(ptr arguments, i64 begin, i64 end)`` of a sort, of running sums or of a search.

    The arguments are the addresses of the operands, of the result, and of scratch memory that is aligned to 64 bytes.
    ``begin`` and ``end`` bound the chunks to compute, at least one.
    """
    w = target.writer()
    if isinstance(form, Running):
        return _running(form, target, w)
    return _sorting(form, target, w) if isinstance(form, Sorting) else _searching(form, target, w)


def _sorting(form: Sorting, target: Target, w: Arithmetic) -> WholeKernel:
    short = form.n <= SHORT
    way = Ranks(w, form) if short else Digits(w, form, w.argument(2))
    room = 0 if isinstance(way, Ranks) else way.room
    each = form.n * form.n // w.width + TURN * form.n if short else TURN * form.n * (2 + form.dtype.itemsize)
    chunks = max(1, min(form.rows, target.chunks, form.rows * each // target.cycles))
    if chunks > SOME and chunks * room > ROOM:
        chunks = max(SOME, ROOM // room)
    first, last = share(w, form.rows, chunks)
    with w.loop(first, last) as row:
        here, there = form.starts(w, row)
        way.sort(w.at(w.argument(0), here, form.dtype), w.at(w.argument(1), there, I64))
    return WholeKernel(w.body(), dict(w.definitions), chunks, chunks * room)


def _running(form: Running, target: Target, w: Arithmetic) -> WholeKernel:
    rows = form.rows
    chunks = max(1, min(rows.rows, target.chunks, rows.rows * rows.n * form.beside * TURN // target.cycles))
    first, last = share(w, rows.rows, chunks)
    with w.loop(first, last) as row:
        here, there = rows.starts(w, row)
        run(w, form, w.at(w.argument(0), here, rows.dtype), w.at(w.argument(1), there, rows.dtype))
    return WholeKernel(w.body(), dict(w.definitions), chunks)


def _searching(form: Searching, target: Target, w: Arithmetic) -> WholeKernel:
    chunks = max(1, min(target.chunks, form.size * TURN * form.n.bit_length() // target.cycles))
    search(w, form, *share(w, form.size, chunks))
    return WholeKernel(w.body(), dict(w.definitions), chunks)
