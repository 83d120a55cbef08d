"""Orthonormal factors, eigenvalues and singular values.

LAPACK is given each matrix column by column, as NumPy gives it, so that signs and orders are the same. Room to work is
what its manual asks for, and more where that lets it take blocks.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.engine.emit.lapack.work import Work
from lazygrad.engine.lanes.registers import I32, Register

__all__ = ["SPECTRA"]

BLOCK = 64  # columns for which LAPACK has room to work at once


def _qr(work: Work) -> None:
    """Q and R of a matrix that is not wider than tall; ``mode="complete"``: Q is square."""
    moves = work.moves
    m, n, (q, r) = work.call.rows, work.call.columns, work.results
    k = m if work.call.setting("mode") == "complete" else n
    columns, scales, room = work.take(k * m), work.take(n), work.take(k * BLOCK)
    work.copy(0, columns, turned=True, look=True)
    work.function("geqrf", m, n, columns, m, scales, room, k * BLOCK)
    moves.move(columns, (1, m), k, n, r, n, keep="upper")
    work.function("orgqr", m, k, n, columns, m, scales, room, k * BLOCK)
    moves.move(columns, (1, m), m, k, q, k)


def _eigenvalues(work: Work, letter: str, values: Register, room: int, whole: int) -> Register:
    """The eigenvalues of the lower triangle; where the eigenvectors lie, in columns."""
    w, moves, n = work.w, work.moves, work.call.rows
    columns = work.take(n * n)
    work.copy(0, columns, turned=True, keep="upper", look=True)
    memory, wholes = work.take(room), work.take(whole, I32)
    with w.when(~moves.is_odd()):  # what is not finite may keep LAPACK busy for ever
        work.function("syevd", letter, "L", n, columns, n, values, memory, room, wholes, whole)
    return columns


def _eigh(work: Work) -> None:
    n, (values, vectors) = work.call.rows, work.results
    columns = _eigenvalues(work, "V", values, 1 + 6 * n + 2 * n * n + n * BLOCK, 3 + 5 * n)
    work.moves.move(columns, (1, n), n, n, vectors, n)


def _eigvalsh(work: Work) -> None:
    n = work.call.rows
    _eigenvalues(work, "N", work.results[0], 2 * n + 1 + n * BLOCK, 1)


def _svd(work: Work) -> None:
    w, moves = work.w, work.moves
    m, n = work.call.rows, work.call.columns
    k, most = min(m, n), max(m, n)
    room = 4 * k * k + 7 * k + most + (m + n) * BLOCK
    columns, memory, wholes = work.columns(), work.take(room), work.take(8 * k, I32)
    vectors = bool(work.call.setting("compute_uv"))
    full = vectors and bool(work.call.setting("full_matrices"))
    left, right = (m, n) if full else (k, k)
    values = work.results[1 if vectors else 0]
    u, vt = (work.take(m * left), work.take(right * n)) if vectors else (memory, memory)
    letter = "N" if not vectors else "A" if full else "S"
    with w.when(~moves.is_odd()):
        work.function("gesdd", letter, m, n, columns, m, values, u, m, vt, max(1, right), memory, room, wholes)
    if vectors:
        moves.move(u, (1, m), m, left, work.results[0], left)
        moves.move(vt, (1, right), right, n, work.results[2], n)


SPECTRA: dict[str, Callable[[Work], None]] = {"qr": _qr, "eigh": _eigh, "eigvalsh": _eigvalsh, "svd": _svd}
