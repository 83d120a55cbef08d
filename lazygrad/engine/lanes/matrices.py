"""Linear algebra of small matrices, written out: every function takes rows of elements and gives rows of elements.

An element is whatever ``xp`` computes with: a register of native code, one lane a matrix, or an array of NumPy, one
element a matrix. All loops over rows and columns are Python's, so what is written is a straight line; there is no
branch, only a choice between elements. ``xp`` has ``where abs sqrt copysign maximum log exp full_like checked`` and
``repeated``; see :class:`lazygrad.engine.lanes.scalar.Scalars`.

Where NumPy raises LinAlgError, ``xp.checked`` is told the condition. As rounding differs, a matrix that is singular
only to rounding may be seen as such by one and not by the other, as with two builds of LAPACK.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = [
    "cholesky",
    "cholesky_cotangent",
    "cholesky_inverse",
    "det",
    "eigh",
    "inverse",
    "product",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
]

SWEEPS = 30  # of Jacobi's method at most; 4 to 7 are needed, and LAPACK iterates 30 times at most for a value

Rows = list[list[Any]]


def product(xp: Any, a: Rows, b: Rows) -> Rows:
    """A·B, summed along the inner axis from its beginning."""
    return [[_dot(row, column) for column in zip(*b, strict=True)] for row in a]


def _dot(xs: Sequence[Any], ys: Sequence[Any]) -> Any:
    """Σ xᵢ·yᵢ, of at least one term."""
    total = xs[0] * ys[0]
    for x, y in zip(xs[1:], ys[1:], strict=True):
        total = total + x * y
    return total


def _minus(x: Any, xs: Sequence[Any], ys: Sequence[Any]) -> Any:
    """x − Σ xᵢ·yᵢ."""
    for p, q in zip(xs, ys, strict=True):
        x = x - p * q
    return x


def _of(xp: Any, a: Rows, number: float) -> Any:
    """A number in the dtype of the elements of a matrix."""
    return xp.full_like(a[0][0], number)


def _transposed(a: Rows) -> Rows:
    return [list(column) for column in zip(*a, strict=True)]


def _identity(xp: Any, a: Rows) -> Rows:
    n = len(a)
    return [[_of(xp, a, float(i == j)) for j in range(n)] for i in range(n)]


# Gaussian elimination.


def _eliminated(xp: Any, a: Rows, b: Rows) -> tuple[Rows, Rows, Any]:
    """Upper triangular U and C with U·X = C where A·X = B, and whether rows were exchanged an odd number of times.

    Partial pivoting: the largest element of a column comes to the diagonal, as in LAPACK's getrf. Golub and Van Loan
    2013, "Matrix Computations", algorithm 3.4.1; the rows below are exchanged with the pivot's as they are compared.
    """
    n = len(a)
    rows = [[*row, *more] for row, more in zip(a, b, strict=True)]
    odd: Any = None
    for k in range(n - 1):
        for r in range(k + 1, n):
            larger = xp.abs(rows[r][k]) > xp.abs(rows[k][k])
            odd = larger if odd is None else odd ^ larger
            rows[k][k:], rows[r][k:] = _exchanged(xp, larger, rows[k][k:], rows[r][k:])
        scale = 1 / rows[k][k]
        for r in range(k + 1, n):
            # A pivot of 0 stands above zeros alone; nothing is subtracted then.
            factor = xp.where(rows[k][k] == 0, 0, rows[r][k] * scale)
            rows[r][k + 1 :] = [x - factor * y for x, y in zip(rows[r][k + 1 :], rows[k][k + 1 :], strict=True)]
    return [row[:n] for row in rows], [row[n:] for row in rows], odd


def _exchanged(xp: Any, condition: Any, xs: Sequence[Any], ys: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Two rows, exchanged where a condition holds."""
    pairs = list(zip(xs, ys, strict=True))
    return [xp.where(condition, y, x) for x, y in pairs], [xp.where(condition, x, y) for x, y in pairs]


def solve(xp: Any, a: Rows, b: Rows) -> Rows:
    """The X with A·X = B. A pivot of 0 fails."""
    upper, right, _ = _eliminated(xp, a, b)
    return _substituted(xp, upper, right, lower=False)


def inverse(xp: Any, a: Rows) -> Rows:
    """A⁻¹, as the solution of A·X = 1. A pivot of 0 fails."""
    return solve(xp, a, _identity(xp, a))


def solve_triangular(xp: Any, a: Rows, b: Rows, lower: bool, transposed: bool) -> Rows:
    """The X with A·X = B, or Aᵀ·X = B, where one triangle of A is read. A diagonal element of 0 fails."""
    if transposed:
        a, lower = _transposed(a), not lower
    return _substituted(xp, a, b, lower)


def _substituted(xp: Any, a: Rows, b: Rows, lower: bool) -> Rows:
    """The X with A·X = B for triangular A, row by row; Golub and Van Loan 2013, algorithms 3.1.1 and 3.1.2."""
    n = len(a)
    x: Rows = [[]] * n
    for i in range(n) if lower else reversed(range(n)):
        before = range(i) if lower else range(i + 1, n)
        scale = 1 / xp.checked(a[i][i], a[i][i] == 0)
        known = [a[i][j] for j in before]
        x[i] = [_minus(right, known, [x[j][k] for j in before]) * scale for k, right in enumerate(b[i])]
    return x


def det(xp: Any, a: Rows) -> Any:
    """The determinant: the product of the pivots; by logarithms where that leaves the range of the dtype."""
    pivots, sign, logarithm = _pivots(xp, a)
    total = pivots[0]
    for pivot in pivots[1:]:
        total = total * pivot
    if len(a) == 1:
        return total
    signed = xp.copysign(total, sign)
    inside = (xp.abs(total) < np.inf) & (xp.abs(total) >= np.finfo(total.dtype).tiny)
    return xp.where(inside, signed, sign * xp.exp(logarithm))


def slogdet(xp: Any, a: Rows) -> tuple[Any, Any]:
    """The sign of the determinant, and the logarithm of its absolute value; 0 and −∞ of a singular matrix."""
    _, sign, logarithm = _pivots(xp, a)
    return sign, logarithm


def _pivots(xp: Any, a: Rows) -> tuple[list[Any], Any, Any]:
    """The pivots, the sign of the determinant, and the logarithm of its absolute value."""
    upper, _, odd = _eliminated(xp, a, [[] for _ in a])
    pivots = [upper[i][i] for i in range(len(a))]
    one = _of(xp, a, 1.0)
    sign = one if odd is None else xp.where(odd, -one, one)
    logarithm = _of(xp, a, 0.0)
    for pivot in pivots:
        sign = xp.where(pivot == 0, 0, xp.where(pivot < 0, -sign, sign))
        logarithm = logarithm + xp.log(xp.abs(pivot))
    return pivots, sign, logarithm


# Factors.


def cholesky(xp: Any, a: Rows) -> Rows:
    """The lower triangular L with L·Lᵀ = A, of which the lower triangle is read. A pivot that is not above 0 fails.

    Golub and Van Loan 2013, algorithm 4.2.1, row by row.
    """
    n = len(a)
    zero = _of(xp, a, 0.0)
    lower: Rows = [[zero] * n for _ in range(n)]
    scales: list[Any] = []
    for i in range(n):
        for j in range(i):
            lower[i][j] = _minus(a[i][j], lower[i][:j], lower[j][:j]) * scales[j]
        pivot = _minus(a[i][i], lower[i][:i], lower[i][:i])
        lower[i][i] = xp.sqrt(xp.checked(pivot, ~(pivot > 0)))
        scales.append(1 / lower[i][i])
    return lower


def cholesky_inverse(xp: Any, factor: Rows) -> Rows:
    """(L·Lᵀ)⁻¹ = L⁻ᵀ·L⁻¹ of lower triangular L."""
    inverse = _substituted(xp, factor, _identity(xp, factor), lower=True)
    return product(xp, _transposed(inverse), inverse)


def cholesky_cotangent(xp: Any, factor: Rows, g: Rows) -> Rows:
    """The symmetric cotangent of L·Lᵀ, of that of the lower triangular L; lower triangles are read.

    ½·(X + Xᵀ) with X = L⁻ᵀ·Φ(Lᵀ·G)·L⁻¹, where Φ keeps the lower triangle and halves the diagonal: Murray 2016,
    "Differentiation of the Cholesky decomposition", eq. 10.
    """
    n = len(factor)
    inner = [[_of(xp, factor, 0.0)] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            inner[i][j] = _dot([factor[k][i] for k in range(i, n)], [g[k][j] for k in range(i, n)])
        inner[i][i] = inner[i][i] * 0.5
    half = solve_triangular(xp, factor, inner, lower=True, transposed=True)
    x = solve_triangular(xp, factor, _transposed(half), lower=True, transposed=True)
    return [[0.5 * (x[i][j] + x[j][i]) for j in range(n)] for i in range(n)]


def qr(xp: Any, a: Rows, complete: bool = False) -> tuple[Rows, Rows]:
    """Q with orthonormal columns and upper triangular R with Q·R = A, for at least as many rows as columns.

    By Householder's reflections with LAPACK's signs (geqr2, larfg): a diagonal element of R has the other sign of
    the element that was there, unless there is nothing below it to reflect. Golub and Van Loan 2013, §5.1 and
    algorithm 5.2.1.

    Args:
        xp: what computes elements.
        a: m rows of n elements, m ≥ n.
        complete: whether Q is m × m and R m × n, in place of m × n and n × n.
    """
    m, n = len(a), len(a[0])
    r = [list(row) for row in a]
    zero, one = _of(xp, a, 0.0), _of(xp, a, 1.0)
    reflections: list[tuple[list[Any], Any]] = []
    for k in range(n):
        column = [r[i][k] for i in range(k, m)]
        beta, v, tau = _reflection(xp, column)
        reflections.append((v, tau))
        for j in range(k + 1, n):
            below = _reflected(v, tau, [r[i][j] for i in range(k, m)])
            for i in range(k, m):
                r[i][j] = below[i - k]
        r[k][k] = beta
        for i in range(k + 1, m):
            r[i][k] = zero
    width = m if complete else n
    q = [[one if i == j else zero for j in range(width)] for i in range(m)]
    for k in reversed(range(n)):
        v, tau = reflections[k]
        for j in range(k, width):
            column = _reflected(v, tau, [q[i][j] for i in range(k, m)])
            for i in range(k, m):
                q[i][j] = column[i - k]
    return q, r if complete else r[:n]


def _reflection(xp: Any, x: list[Any]) -> tuple[Any, list[Any], Any]:
    """β, v with v₀ = 1, and τ, so that (1 − τ·v·vᵀ)·x = β·e₀; τ = 0 where x is that already.

    All is computed of x over its largest element, so that no square overflows.
    """
    alpha, rest = x[0], x[1:]
    one, zero = xp.full_like(alpha, 1.0), xp.full_like(alpha, 0.0)
    if not rest:
        return alpha, [one], zero
    largest = xp.abs(alpha)
    for element in rest:
        largest = xp.maximum(largest, xp.abs(element))
    scale = 1 / xp.maximum(largest, np.finfo(alpha.dtype).tiny)
    first, below = alpha * scale, [element * scale for element in rest]
    squares = _dot(below, below)
    idle = squares == 0
    beta = -xp.copysign(xp.sqrt(first * first + squares), first)
    tau = xp.where(idle, 0, (beta - first) / beta)
    shrink = xp.where(idle, 0, 1 / (first - beta))
    v = [one, *(element * shrink for element in below)]
    return xp.where(idle, alpha, beta * xp.maximum(largest, np.finfo(alpha.dtype).tiny)), v, tau


def _reflected(v: list[Any], tau: Any, x: list[Any]) -> list[Any]:
    """(1 − τ·v·vᵀ)·x, where v₀ = 1."""
    total = x[0]
    for p, q in zip(v[1:], x[1:], strict=True):
        total = total + p * q
    total = total * tau
    return [x[0] - total, *(q - p * total for p, q in zip(v[1:], x[1:], strict=True))]


# Eigenvalues.


def eigh(xp: Any, a: Rows, vectors: bool = True) -> tuple[list[Any], Rows]:
    """Eigenvalues in increasing order, and eigenvectors in columns, of the symmetric A whose lower triangle is read.

    By Jacobi's method, whose sweeps go on until in all lanes what is left beside the diagonal is less than a rounding
    error of its size: the small values of a graded matrix come out as precise as those of LAPACK, or more so. Golub
    and Van Loan 2013, §8.5.4; Demmel and Veselić 1992, "Jacobi's method is more accurate than QR". The signs of
    vectors are arbitrary. An element that is not finite fails.

    Args:
        xp: what computes elements.
        a: n rows.
        vectors: whether they are wanted; if not, there are none in the result.
    """
    n = len(a)
    places = [(i, j) for i in range(n) for j in range(i + 1)]
    size = _of(xp, a, 0.0)
    for i, j in places:
        size = size + xp.abs(a[i][j])
    size = xp.checked(size, ~(size < np.inf))
    least = size * (0.125 * float(np.finfo(size.dtype).eps))
    v = _identity(xp, a) if vectors else []

    def sweep(state: list[Any]) -> tuple[list[Any], Any]:
        s = dict(zip(places, state[: len(places)], strict=True))
        rows = [state[k : k + n] for k in range(len(places), len(state), n)]
        for q, p in itertools.combinations(reversed(range(n)), 2):
            _rotate(xp, s, rows, min(p, q), max(p, q))
        left = _of(xp, a, 0.0)
        for i, j in places:
            left = left if i == j else left + xp.abs(s[i, j])
        return [*s.values(), *itertools.chain(*rows)], left > least

    state = [a[i][j] for i, j in places] + list(itertools.chain(*v))
    if n > 1:
        state, left = xp.repeated(1 if n == 2 else SWEEPS, state, sweep)
        if n > 2:
            state[0] = xp.checked(state[0], left)
    values = [state[places.index((i, i))] for i in range(n)]
    return _sorted(xp, values, [state[k : k + n] for k in range(len(places), len(state), n)])


def _rotate(xp: Any, s: dict[tuple[int, int], Any], v: Rows, p: int, q: int) -> None:
    """Rotate axes p < q so that the element between them is 0; Golub and Van Loan 2013, algorithm 8.5.1.

    The angle is the smaller one, and elements are changed by what is added to them (Rutishauser 1966, "The Jacobi
    method for real symmetric matrices", §3).
    """
    between = s[q, p]
    slope = (s[q, q] - s[p, p]) / (between + between)
    tangent = 1 / (xp.abs(slope) + xp.sqrt(1 + slope * slope))
    tangent = xp.where(between == 0, 0, xp.copysign(tangent, slope))
    cosine = 1 / xp.sqrt(1 + tangent * tangent)
    sine = tangent * cosine
    half = sine / (1 + cosine)
    s[p, p] = s[p, p] - tangent * between
    s[q, q] = s[q, q] + tangent * between
    s[q, p] = xp.full_like(between, 0.0)
    for r in range(max(s)[0] + 1):
        if r not in (p, q):
            at, to = (max(r, p), min(r, p)), (max(r, q), min(r, q))
            s[at], s[to] = s[at] - sine * (s[to] + half * s[at]), s[to] + sine * (s[at] - half * s[to])
    for row in v:
        x, y = row[p], row[q]
        row[p], row[q] = x - sine * (y + half * x), y + sine * (x - half * y)


def _sorted(xp: Any, values: list[Any], v: Rows) -> tuple[list[Any], Rows]:
    """Values in increasing order, and the columns of ``v`` with them."""
    columns = [list(column) for column in zip(*v, strict=True)] or [[] for _ in values]
    both = [[value, *column] for value, column in zip(values, columns, strict=True)]
    for end in range(len(both) - 1, 0, -1):
        for k in range(end):
            both[k], both[k + 1] = _exchanged(xp, both[k][0] > both[k + 1][0], both[k], both[k + 1])
    return [one[0] for one in both], [list(row) for row in zip(*(one[1:] for one in both), strict=True)]
