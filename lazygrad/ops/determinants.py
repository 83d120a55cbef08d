"""Determinants, of regular and of singular matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lazygrad.define import opaque
from lazygrad.graph.registry import function
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.comparison import where
from lazygrad.ops.elementary import exp
from lazygrad.ops.movement import _pad, concat, expand_dims, reshape, stack
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.reduction import sum
from lazygrad.ops.solving import inv, lapack, of_squares
from lazygrad.ops.source import eye, ones_like
from lazygrad.ops.spectral import _svd
from lazygrad.ops.strong import strong_multiply

__all__ = ["SlogdetResult", "det", "slogdet"]

CORNER = 3  # the largest matrix whose cofactors are written out


class SlogdetResult(NamedTuple):
    """Sign of a determinant, and the logarithm of its absolute value."""

    sign: Tensor
    logabsdet: Tensor


def _each(x: Tensor) -> Tensor:
    """One number a matrix, to be multiplied with matrices."""
    return expand_dims(x, (-2, -1))


@opaque(
    shape=lambda a: [of_squares(a), a[:-2]],
    vjp=lambda g, y, a: strong_multiply(_each(g[1]), inv(a).mT),
    dtype=lapack,
)
def _slogdet(xp: Any, a: Array) -> Any:
    """Sign of the determinant, and the logarithm of its absolute value."""
    return xp.linalg.slogdet(a)


@function
def slogdet(a: TensorLike) -> SlogdetResult:
    """Sign of the determinant of each square matrix, and the logarithm of its absolute value.

    They do not overflow where the determinant would. Of a singular matrix they are 0 and −∞; the logarithm has
    no derivative there, and evaluating it raises numpy.linalg.LinAlgError.

    Raises:
        SpecError: ``a`` is not square.
    """
    sign, logarithm = _slogdet(a)
    return SlogdetResult(sign, logarithm)


@opaque(
    shape=of_squares,
    vjp=lambda g, y, a: strong_multiply(_each(g), _cofactors(a)),
    jvp=lambda t, y, a: sum(strong_multiply(t, _cofactors(a)), axis=(-2, -1)),
    dtype=lapack,
)
def det(xp: Any, a: Array) -> Any:
    """Determinant of each square matrix.

    Its gradient, the matrix of cofactors, is right for singular matrices too, and so are derivatives of
    any order where the rank is at least n − 3; below that, those up to the third, which are zero or of
    rounding's size.
    """
    return xp.linalg.det(a)


def _corner_cofactors(a: Tensor) -> Tensor:
    """Cofactors of matrices with at most three rows, as polynomials of the elements."""
    n = a.shape[-1]
    if n == 0:
        return a
    if n == 1:
        return ones_like(a)

    def minor(i: int, j: int) -> Tensor:
        # Taken cyclically, so that signs come out right for n = 3; for n = 2 they are given.
        if n == 2:
            other = a[..., 1 - i, 1 - j]
            return other if i == j else -other
        i, k, j, m = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
        return a[..., i, j] * a[..., k, m] - a[..., i, m] * a[..., k, j]

    return reshape(stack([minor(i, j) for i in range(n) for j in range(n)], axis=-1), a.shape)


def _cofactors(a: Tensor) -> Tensor:
    """∂ det A / ∂A, which for regular A is det(A) A⁻ᵀ, as a function that can be differentiated at any A.

    Let A = U Σ Vᵀ, and hold U and V constant. Then B = Uᵀ A V is linear in A, and det A = det(U) det(B) det(V).
    The last three rows and columns of B hold the least singular values. With P the rest and S the Schur
    complement of P, det B = det(P) det(S), where P is regular and det S is written out; nothing is divided
    by a small number. (Schur's formula: Horn and Johnson 2013, §0.8.5.)
    """
    n = a.shape[-1]
    if n <= CORNER:
        return _corner_cofactors(a)
    p = n - CORNER
    u, s, vt = _svd(stop_gradient(a))
    b = u.mT @ a @ vt.mT
    # Below rank n − 3 the first three derivatives are zero; there P is replaced, so that none is NaN.
    low = s[..., p - 1] <= s[..., 0] * float(np.finfo(a.dtype).eps)
    regular = where(_each(low), eye(p, dtype=a.dtype), b[..., :p, :p])
    inverse = inv(regular)
    right = inverse @ b[..., :p, p:]
    left = b[..., p:, :p] @ inverse
    schur = b[..., p:, p:] - left @ b[..., :p, p:]
    corner = _corner_cofactors(schur)
    det_schur = sum(schur[..., 0, :] * corner[..., 0, :], axis=-1)
    sign, logarithm = _slogdet(regular)
    whole = concat(
        [
            concat([left.mT @ corner @ right.mT, -(left.mT @ corner)], axis=-1),
            concat([-(corner @ right.mT), corner], axis=-1),
        ],
        axis=-2,
    )
    zeros = (0,) * (a.ndim - 2)
    whole = whole + _pad(_each(det_schur) * inverse.mT, before=(*zeros, 0, 0), after=(*zeros, CORNER, CORNER))
    turned = det(u) * det(vt)
    return _each(where(low, 0, turned * sign * exp(logarithm))) * (u @ whole @ vt)
