"""Systems of equations, inverses and determinants, by triangular factors with rows exchanged.

LAPACK is given each matrix column by column, as NumPy gives it: so it meets the same pivots, and finds the same
matrices singular.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.engine.emit.lapack.work import Work
from lazygrad.engine.lanes.functions import FUNCTIONS
from lazygrad.engine.lanes.registers import I32, I64, Register

__all__ = ["SOLVING"]

BLOCK = 64  # columns for which LAPACK has room to work at once


def _factored(work: Work) -> tuple[Register, Register]:
    """Where the factors and the exchanges of rows of the first operand lie."""
    n = work.call.rows
    factors, pivots = work.columns(), work.take(n, I32)
    work.calls.call("getrf", n, n, factors, n, pivots, work.info)
    return factors, pivots


def _solve(work: Work) -> None:
    n, columns, (out,) = work.call.rows, work.call.operands[1].columns, work.results
    factors, pivots = _factored(work)
    work.moves.fail(work.info)
    if columns == 1:
        work.copy(1, out, look=True)
        work.function("getrs", "N", n, 1, factors, n, pivots, out, n)
        return
    sides = work.columns(1)
    work.function("getrs", "N", n, columns, factors, n, pivots, sides, n)
    work.moves.move(sides, (1, n), n, columns, out, columns)


def _inv(work: Work) -> None:
    n, (out,) = work.call.rows, work.results
    factors, pivots = _factored(work)
    work.moves.fail(work.info)
    work.function("getri", n, factors, n, pivots, work.take(n * BLOCK), n * BLOCK)
    work.moves.move(factors, (1, n), n, n, out, n)


def _slogdet(work: Work) -> None:
    sign, logarithm = _determinant(work)
    for x, address in zip((sign, logarithm), work.results, strict=True):
        work.w.store(x, address, 0)


def _det(work: Work) -> None:
    sign, logarithm = _determinant(work)
    work.w.store(sign * FUNCTIONS["exp"](logarithm), work.results[0], 0)


def _determinant(work: Work) -> tuple[Register, Register]:
    """Its sign, and the logarithm of its absolute value; 0 and −∞ for what is singular, which is no failure."""
    w, moves, dtype, n = work.w, work.moves, work.call.computed, work.call.rows
    factors, pivots = _factored(work)
    total = w.cell(w.constant(0, dtype, wide=True))
    exchanged = w.cell(w.constant(0, I64))  # odd if the sign changes
    zero = w.cell(w.constant(0, I64))

    def body(j: Register, mask: Register | None) -> None:
        x = moves.read(factors, j, n + 1, mask)
        x = x if mask is None else w.select(mask, x, w.constant(1, dtype))
        total.set(total.get() + FUNCTIONS["log"](w.abs(x)))

    moves.along(n, body)
    with moves.rows(n) as i:
        x = w.load(factors, i * (n + 1), dtype, fixed=False)
        row = w.load(pivots, i, I32, fixed=False).astype(I64)
        exchanged.set(exchanged.get() ^ (row.differs(i + 1) ^ (x < 0)).astype(I64))
        zero.set(zero.get() | x.equals(0).astype(I64))
    sign = w.select(exchanged.get().equals(0), w.constant(1, dtype), w.constant(-1, dtype))
    return w.select(zero.get().equals(0), sign, w.constant(0, dtype)), w.across("add", total.get())


SOLVING: dict[str, Callable[[Work], None]] = {"solve": _solve, "inv": _inv, "det": _det, "slogdet": _slogdet}
