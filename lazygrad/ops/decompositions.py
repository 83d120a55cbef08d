"""Decompositions of matrices into triangular factors: Cholesky, LU, QR."""

from __future__ import annotations

from typing import Any, NamedTuple

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.diagonals import tril, triu
from lazygrad.ops.movement import concat, matrix_transpose
from lazygrad.ops.products import matmul
from lazygrad.ops.solving import (
    _solve_triangular,
    as_floats,
    lapack,
    of_matrices,
    of_squares,
    symmetric,
)

__all__ = ["LUResult", "QRResult", "cholesky", "lu", "qr"]

WRITTEN_OUT = 8  # rows up to which the derivative of a Cholesky factor is written with other ops


class LUResult(NamedTuple):
    """A permutation, a lower triangular factor with ones on its diagonal, and an upper triangular one."""

    P: Tensor
    L: Tensor
    U: Tensor


class QRResult(NamedTuple):
    """An orthonormal and an upper triangular factor."""

    Q: Tensor
    R: Tensor


def _lower(x: Tensor) -> Tensor:
    """The lower triangle with the diagonal halved, Φ in the literature."""
    return 0.5 * (tril(x) + tril(x, -1))


def _congruent(lower: Tensor, x: Tensor, transposed: bool) -> Tensor:
    """L⁻¹ X L⁻ᵀ, or L⁻ᵀ X L⁻¹ if ``transposed``."""
    half = _solve_triangular(lower, x, lower=True, transposed=transposed)
    return _solve_triangular(lower, half.mT, lower=True, transposed=transposed).mT


def _push_cholesky(t: Tensor, y: Tensor) -> Tensor:
    """The change of the factor ``y`` along symmetric changes ``t``: Murray 2016, eq. 8."""
    return y @ _lower(_congruent(y, symmetric(t), transposed=False))


def _pull_cholesky(g: Tensor, y: Tensor) -> Tensor:
    """The cotangent of a matrix of that of its factor ``y``: Murray 2016, eq. 10, written out for small ones."""
    if y.shape[-1] > WRITTEN_OUT:
        return _cholesky_cotangent(y, g)
    return symmetric(_congruent(y, _lower(y.mT @ g), transposed=True))


def _pull_cotangent(g: Tensor, y: Tensor, factor: Tensor, h: Tensor) -> Tensor:
    # With X = sym(g) and P = L⁻¹ X L⁻ᵀ the differential of L⁻ᵀ Φ(Lᵀ H) L⁻¹, transposed, is H Φ(P)ᵀ − 2 Y X L⁻ᵀ.
    x = symmetric(g)
    half = _solve_triangular(factor, x, lower=True, transposed=False)
    inner = _solve_triangular(factor, half.mT, lower=True, transposed=False)
    return tril(tril(h) @ _lower(inner).mT - 2 * (y @ half.mT))


# Murray 2016, "Differentiation of the Cholesky decomposition", §4.2.
@opaque(
    shape=lambda factor, g: g,
    vjp=(
        lambda g, y, factor, h: _pull_cotangent(g, y, factor, h),
        lambda g, y, factor, h: tril(_push_cholesky(g, factor)),
    ),
    dtype=lapack,
)
def _cholesky_cotangent(xp: Any, factor: Array, g: Array) -> Any:
    """The symmetric cotangent of L Lᵀ, of that of the lower triangular L."""
    return xp.linalg.cholesky_cotangent(factor, g)


def _pull_inverse(g: Tensor, y: Tensor, factor: Tensor) -> Tensor:
    return -tril((y @ (g + g.mT) @ y) @ factor)


@opaque(shape=lambda factor: factor, vjp=_pull_inverse, dtype=lapack)
def _cholesky_inverse(xp: Any, factor: Array) -> Any:
    """(L Lᵀ)⁻¹ of lower triangular L."""
    return xp.linalg.cholesky_inverse(factor)


@opaque(
    shape=lambda a: (*of_squares(a), *a[-2:]),
    vjp=lambda g, y, a: _pull_cholesky(g, y),
    jvp=lambda t, y, a: _push_cholesky(t, y),
    dtype=lapack,
)
def _cholesky(xp: Any, a: Array) -> Any:
    """The lower triangular L with L Lᵀ = a."""
    return xp.linalg.cholesky(a)


@function
def cholesky(a: TensorLike, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L @ Lᵀ = a, or the upper triangular U with Uᵀ @ U = a if ``upper``.

    Only that triangle of ``a`` is read. The derivative takes ``a`` for the symmetric matrix it stands for: the
    gradient is symmetric, and is the one along symmetric changes of ``a``.

    Raises:
        SpecError: ``a`` is not square.
        numpy.linalg.LinAlgError: a matrix is not positive definite; when it is evaluated.
    """
    return matrix_transpose(_cholesky(matrix_transpose(a))) if upper else _cholesky(a)


def _qr_shapes(a: Shape) -> list[Shape]:
    batch, (m, n) = of_matrices(a), a[-2:]
    k = min(m, n)
    return [(*batch, m, k), (*batch, k, n)]


def _pull_qr(g: Any, y: Any, a: Tensor) -> Tensor:
    # Walter and Lehmann 2010, "Algorithmic differentiation of linear algebra functions with application in
    # optimum experimental design", eq. 47; Seeger et al. 2017, "Auto-differentiating linear algebra", §4.2.
    (gq, gr), (q, r) = g, y
    m = r @ gr.mT - gq.mT @ q
    inside = gq + q @ (tril(m) + tril(m, -1).mT)
    return _solve_triangular(r, inside.mT, lower=False, transposed=False).mT


@opaque(shape=_qr_shapes, vjp=_pull_qr, dtype=lapack)
def _qr(xp: Any, a: Array) -> Any:
    """Q with orthonormal columns and upper triangular R, for matrices that are not wider than tall."""
    return xp.linalg.qr(a)


@opaque(shape=lambda a: [(*of_matrices(a), a[-2], a[-2]), a], dtype=lapack)
def _qr_complete(xp: Any, a: Array) -> Any:
    """Q square and R in the shape of a."""
    return xp.linalg.qr(a, mode="complete")


@function
def qr(a: TensorLike, *, mode: str = "reduced") -> QRResult:
    """Orthonormal Q and upper triangular R with Q @ R = a.

    Args:
        a: ``(..., m, n)``.
        mode: ``"reduced"`` gives Q ``(..., m, k)`` and R ``(..., k, n)`` with k = min(m, n). ``"complete"`` gives Q
            ``(..., m, m)`` and R ``(..., m, n)``; the columns of Q beyond n are an arbitrary choice, so for m > n it
            has no derivative, and asking for one raises GradientError.

    The first k columns of ``a`` must be independent where it is differentiated; if they are not, evaluating the
    derivative raises numpy.linalg.LinAlgError.

    Raises:
        SpecError: ``a`` has fewer than two axes, or the mode is neither.
    """
    a = tensor(a)
    if mode not in ("reduced", "complete"):
        cure = "mode is 'reduced' or 'complete'."
        raise SpecError(report(f"cannot qr {a.spec} with mode={mode!r}", at=here(), cure=cure))
    if a.ndim >= 2 and a.shape[-2] < a.shape[-1]:
        # The square part in front decides Q; the rest of R is the rest of a in that basis.
        m = a.shape[-2]
        q, r = _qr(a[..., :m])
        return QRResult(q, concat([r, q.mT @ a[..., m:]], axis=-1))
    q, r = _qr_complete(a) if mode == "complete" and a.ndim >= 2 and a.shape[-2] > a.shape[-1] else _qr(a)
    return QRResult(q, r)


def _lu_shapes(a: Shape) -> list[Shape]:
    batch, (m, n) = of_matrices(a), a[-2:]
    k = min(m, n)
    return [(*batch, m, m), (*batch, m, k), (*batch, k, n)]


def _pull_lu(g: Any, y: Any, a: Tensor) -> Tensor:
    # With Pᵀa = [L₁ U; L₂ U] and X = L₁⁻¹ d(Pᵀa)₁ U⁻¹: dL₁ = L₁ tril(X, -1), dU = triu(X) U and
    # dL₂ = d(Pᵀa)₂ U⁻¹ − L₂ triu(X). De Hoog, Anderssen and Lukas 2011, "Differentiation of matrix functionals using
    # triangular factorization", for square matrices; transposed. P is constant wherever there is a derivative.
    (_, gl, gu), (p, lower, u) = g, y
    n = u.shape[-1]
    top, rest = lower[..., :n, :], lower[..., n:, :]
    inner = tril(top.mT @ gl[..., :n, :], -1) + triu(gu @ u.mT - rest.mT @ gl[..., n:, :])
    first = _solve_triangular(top, inner, lower=True, transposed=True)
    pulled = concat([first, gl[..., n:, :]], axis=-2)
    pulled = _solve_triangular(u, pulled.mT, lower=False, transposed=False).mT
    return matmul(p, pulled)


@opaque(shape=_lu_shapes, vjp=_pull_lu, dtype=lapack)
def _lu(xp: Any, a: Array) -> Any:
    """P, L and U, for matrices that are not wider than tall."""
    if not a.size:
        one = xp.broadcast_to(xp.eye(a.shape[-2], dtype=a.dtype), (*a.shape[:-1], a.shape[-2]))
        return one.copy(), a.copy(), xp.zeros((*a.shape[:-2], a.shape[-1], a.shape[-1]), a.dtype)
    return xp.lu(a)


@function
def lu(a: TensorLike) -> LUResult:
    """Permutation P, lower triangular L and upper triangular U with P @ L @ U = a, rows exchanged for stability.

    Args:
        a: ``(..., m, n)``. P is ``(..., m, m)``, L ``(..., m, k)`` with ones on its diagonal, U ``(..., k, n)``, with
            k = min(m, n).

    The derivatives are those with P held; at ties for a pivot there are none. U must be regular in its first k columns
    where it is differentiated, else evaluating the derivative raises numpy.linalg.LinAlgError.

    Raises:
        SpecError: ``a`` has fewer than two axes.
    """
    a = tensor(a)
    if a.ndim >= 2 and a.shape[-2] < a.shape[-1]:
        # The square part in front decides P and L; the rest of U is the rest of a, solved for.
        m = a.shape[-2]
        p, lower, u = _lu(a[..., :m])
        more = _solve_triangular(lower, p.mT @ as_floats(a)[..., m:], lower=True, transposed=False)
        return LUResult(p, lower, concat([u, more], axis=-1))
    return LUResult(*_lu(a))
