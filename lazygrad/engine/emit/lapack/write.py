"""The kernel of a call: a loop over the matrices of a batch, of which threads take shares."""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.engine.emit.lapack.form import Decomposition
from lazygrad.engine.emit.lapack.solving import SOLVING
from lazygrad.engine.emit.lapack.spectra import SPECTRA
from lazygrad.engine.emit.lapack.triangles import TRIANGLES
from lazygrad.engine.emit.lapack.work import Work
from lazygrad.engine.emit.whole import ROOM, SOME, WholeKernel, share
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lanes.writer import Writer

__all__ = ["write"]

# What is written for one matrix, by name.
WRITTEN: dict[str, Callable[[Work], None]] = {**TRIANGLES, **SOLVING, **SPECTRA}

# Operations of an n × n matrix, about, in units of n³.
COSTS = {"cholesky": 0.33, "solve_triangular": 0.0, "eigh": 9.0, "eigvalsh": 3.0, "svd": 20.0}
FEW = 8  # matrices; a batch of fewer large ones is left to the threads of BLAS
LARGE = 10_000_000  # operations of a large one
SPEED = 4  # operations in a cycle, about


def write(call: Decomposition, target: Target) -> WholeKernel:
    """The kernel ``i64 kernel(ptr arguments, i64 begin, i64 end)`` of a decomposition.

    The arguments are the addresses of the operands, of the results that are needed, and of scratch memory that is
    aligned to 64 bytes. ``begin`` and ``end`` bound the chunks to compute, at least one. The kernel returns 1 where a
    matrix cannot be decomposed, or where there is NaN or an infinity: NumPy then says what becomes of it.
    """
    chunks = _chunks(call, target)
    found = _written(call, Writer(target.lanes), chunks)
    if chunks > SOME and found.scratch > ROOM:
        found = _written(call, Writer(target.lanes), max(SOME, chunks * ROOM // found.scratch))
    return found


def _written(call: Decomposition, w: Writer, chunks: int) -> WholeKernel:
    work = Work(w, call, chunks)
    first, last = share(w, call.items, chunks)
    with w.loop(first, last) as item:
        work.at(item)
        WRITTEN[call.what](work)
        work.give()
    return WholeKernel(w.body(work.moves.status()), dict(w.definitions), chunks, work.scratch)


def _chunks(call: Decomposition, target: Target) -> int:
    """How many parts a batch is cut into. It depends on sizes alone."""
    m, n = call.rows, call.columns
    sides = sum(operand.columns for operand in call.operands[1:])
    operations = COSTS.get(call.what, 1.0) * m * n * min(m, n) + m * n * sides
    if call.items < FEW and operations > LARGE:
        return 1
    return max(1, min(call.items, target.chunks, int(call.items * operations / SPEED) // target.cycles))
