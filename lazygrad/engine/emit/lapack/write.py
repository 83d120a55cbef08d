"""The kernel of a call: a loop over the matrices of a batch, of which threads take shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lazygrad.engine.emit.lapack.form import Decomposition
from lazygrad.engine.emit.lapack.solving import SOLVING
from lazygrad.engine.emit.lapack.spectra import SPECTRA
from lazygrad.engine.emit.lapack.triangles import TRIANGLES
from lazygrad.engine.emit.lapack.work import Work
from lazygrad.engine.lanes.registers import I64, Register
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lanes.writer import Writer

__all__ = ["CallingKernel", "write"]

# What is written for one matrix, by name.
WRITTEN: dict[str, Callable[[Work], None]] = {**TRIANGLES, **SOLVING, **SPECTRA}

# Operations of an n × n matrix, about, in units of n³.
COSTS = {"cholesky": 0.33, "solve_triangular": 0.0, "eigh": 9.0, "eigvalsh": 3.0, "svd": 20.0}
FEW = 8  # matrices; a batch of fewer large ones is left to the threads of BLAS
LARGE = 10_000_000  # operations of a large one
SPEED = 4  # operations in a cycle, about
ROOM = 1 << 24  # bytes of scratch memory that all chunks together may need, unless there are only SOME
SOME = 8


class CallingKernel(NamedTuple):
    """The text of a kernel, of what it calls, parts that may run at once, and bytes of scratch memory in all."""

    text: str
    definitions: dict[str, str]
    chunks: int
    scratch: int


def write(call: Decomposition, target: Target) -> CallingKernel:
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


def _written(call: Decomposition, w: Writer, chunks: int) -> CallingKernel:
    work = Work(w, call, chunks)
    count = call.items // chunks if call.items % chunks == 0 else 0

    def bound(chunk: Register) -> Register:
        return chunk * count if count else w.binary("div", chunk * call.items, w.constant(chunks, I64))

    first, last = (w.constant(0, I64), w.constant(call.items, I64)) if chunks == 1 else map(bound, (w.begin, w.end))
    with w.loop(first, last) as item:
        work.at(item)
        WRITTEN[call.what](work)
        work.give()
    return CallingKernel(w.body(work.moves.status()), dict(w.definitions), chunks, work.scratch)


def _chunks(call: Decomposition, target: Target) -> int:
    """How many parts a batch is cut into. It depends on sizes alone."""
    m, n = call.rows, call.columns
    sides = sum(operand.columns for operand in call.operands[1:])
    operations = COSTS.get(call.what, 1.0) * m * n * min(m, n) + m * n * sides
    if call.items < FEW and operations > LARGE:
        return 1
    return max(1, min(call.items, target.chunks, int(call.items * operations / SPEED) // target.cycles))
