"""Spectra of matrices: singular values, and eigenvalues of symmetric matrices.

Where a decomposition leaves a choice (signs of singular vectors and eigenvectors, a basis of the vectors of
equal values), the derivative of a function is right if the function does not depend on the choice. Pairs of
values that are equal to rounding contribute nothing to the derivative through their vectors, in place of a
division by zero; so functions of the values alone have the right gradient there too. Second derivatives at
equal values are not defined by the decomposition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import abs
from lazygrad.ops.comparison import less_equal, where
from lazygrad.ops.elementary import cos
from lazygrad.ops.movement import concat, expand_dims
from lazygrad.ops.reduction import sum
from lazygrad.ops.solving import lapack, of_matrices, of_squares, of_triangle, symmetric
from lazygrad.ops.source import arange

__all__ = ["EighResult", "SVDResult", "eigh", "eigvalsh", "svd", "svdvals"]


class EighResult(NamedTuple):
    """Eigenvalues in increasing order, and eigenvectors in columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class SVDResult(NamedTuple):
    """Left singular vectors in columns, singular values in decreasing order, right singular vectors in rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def _row(x: Tensor) -> Tensor:
    return expand_dims(x, -2)


def _column(x: Tensor) -> Tensor:
    return expand_dims(x, -1)


def _close(w: Tensor, distance: Tensor) -> Tensor:
    """Whether a distance is no more than the rounding errors of the values w."""
    scale = _column(sum(abs(w), axis=-1, keepdims=True))
    return less_equal(abs(distance), scale * (10 * float(np.finfo(w.dtype).eps)))


def _reciprocal(w: Tensor, distance: Tensor) -> Tensor:
    """1 / distance, and 0 where that is zero to rounding."""
    close = _close(w, distance)
    return where(close, 0, 1 / where(close, 1, distance))


def _gaps(w: Tensor) -> Tensor:
    """F with F_ij = 1 / (w_j − w_i), and 0 where the two are equal to rounding."""
    return _reciprocal(w, _row(w) - _column(w))


def _pull_eigh(g: Any, y: Any, a: Tensor) -> Tensor:
    # Giles 2008, §3.1, for symmetric matrices.
    (gw, gv), (w, v) = g, y
    return symmetric((v * _row(gw) + v @ (_gaps(w) * (v.mT @ gv))) @ v.mT)


@opaque(shape=lambda a: [(*of_squares(a), a[-1]), a], vjp=_pull_eigh, dtype=lapack)
def _eigh(xp: Any, a: Array) -> Any:
    """Eigenvalues in increasing order, eigenvectors in columns."""
    return xp.linalg.eigh(a)


def _pull_eigvalsh(g: Tensor, y: Tensor, a: Tensor) -> Tensor:
    _, v = _eigh(a)
    return (v * _row(g)) @ v.mT


def _push_eigvalsh(t: Tensor, y: Tensor, a: Tensor) -> Tensor:
    _, v = _eigh(a)
    return sum(v * (symmetric(t) @ v), axis=-2)


@opaque(shape=lambda a: (*of_squares(a), a[-1]), vjp=_pull_eigvalsh, jvp=_push_eigvalsh, dtype=lapack)
def _eigvalsh(xp: Any, a: Array) -> Any:
    """Eigenvalues in increasing order."""
    return xp.linalg.eigvalsh(a)


def _along(v: Tensor) -> Tensor:
    """One row, for each vector in a column Σ (2 + cos i)·vᵢ: vectors have a direction if it is positive.

    As e to the power of the imaginary unit is transcendental (Lindemann 1882), no vector of algebraic numbers but zero
    has a sum of 0; so what is chosen does not hang on rounding where vectors are simple, such as (1, −1) / √2.
    """
    weights = 2 + cos(arange(v.shape[-2], dtype=v.dtype))
    return sum(v * _column(weights), axis=-2, keepdims=True)


def _directed(along: Tensor, v: Tensor) -> Tensor:
    """Vectors in columns, turned round where a number is negative; there may be more vectors than numbers."""
    more = v.shape[-1] - along.shape[-1]
    if more:
        k = along.shape[-1]
        return concat([_directed(along, v[..., :k]), v[..., k:]], axis=-1)
    return where(along < 0, -v, v)


@function
def eigh(a: TensorLike) -> EighResult:
    """Eigenvalues ``(..., n)``, in increasing order, and orthonormal eigenvectors, in columns ``(..., n, n)``.

    Of the symmetric ``a`` only the lower triangle is read. The gradient is symmetric: it is the one along
    symmetric changes. Of the two signs of a vector v that is taken for which Σ (2 + cos i)·vᵢ is positive, i from 0 on.
    For equal eigenvalues see the top of this module.

    Raises:
        SpecError: ``a`` is not square.
    """
    w, v = _eigh(a)
    return EighResult(w, _directed(_along(v), v))


@function
def eigvalsh(a: TensorLike) -> Tensor:
    """Eigenvalues of symmetric matrices, in increasing order; as the first result of :func:`eigh`.

    An eigenvalue that is not simple has no derivative of its own; a symmetric function of those that are equal,
    such as their sum, has, and its gradient is right.
    """
    return _eigvalsh(a)


def _svd_shapes(a: Shape) -> list[Shape]:
    batch, (m, n) = of_matrices(a), a[-2:]
    k = min(m, n)
    return [(*batch, m, k), (*batch, k), (*batch, k, n)]


def _pull_svd(g: Any, y: Any, a: Tensor) -> Tensor:
    # Townsend 2016, "Differentiating the singular value decomposition", with s_j² − s_i² as a product, which
    # is precise where the two are near.
    (gu, gs, gvt), (u, s, vt) = g, y
    gaps = _gaps(s) * _reciprocal(s, _row(s) + _column(s))
    left, right = u.mT @ gu, vt @ gvt.mT
    core = (gaps * (left - left.mT)) * _row(s) + _column(s) * (gaps * (right - right.mT))
    pulled: Tensor = (u * _row(gs) + u @ core) @ vt
    inverse = _reciprocal(s, _row(s))
    if u.shape[-2] > u.shape[-1]:
        pulled = pulled + ((gu - u @ left) * inverse) @ vt
    if vt.shape[-1] > vt.shape[-2]:
        pulled = pulled + (u * inverse) @ (gvt - right.mT @ vt)
    return pulled


@opaque(shape=_svd_shapes, vjp=_pull_svd, dtype=lapack)
def _svd(xp: Any, a: Array) -> Any:
    """Left singular vectors in columns, singular values, right singular vectors in rows."""
    return xp.linalg.svd(a, full_matrices=False)


@opaque(
    shape=lambda a: [(*of_matrices(a), a[-2], a[-2]), (*a[:-2], min(a[-2:])), (*a[:-2], a[-1], a[-1])], dtype=lapack
)
def _svd_full(xp: Any, a: Array) -> Any:
    """As svd, with square matrices of singular vectors."""
    return xp.linalg.svd(a, full_matrices=True)


def _pull_svdvals(g: Tensor, y: Tensor, a: Tensor) -> Tensor:
    u, _, vt = _svd(a)
    return (u * _row(g)) @ vt


def _push_svdvals(t: Tensor, y: Tensor, a: Tensor) -> Tensor:
    u, _, vt = _svd(a)
    return sum(u * (t @ vt.mT), axis=-2)


@opaque(shape=lambda a: (*of_matrices(a), min(a[-2:])), vjp=_pull_svdvals, jvp=_push_svdvals, dtype=lapack)
def _svdvals(xp: Any, a: Array) -> Any:
    """Singular values in decreasing order."""
    return xp.linalg.svd(a, compute_uv=False)


@function
def svd(a: TensorLike, *, full_matrices: bool = True, hermitian: bool = False) -> SVDResult:
    """U, S, Vh with (U * S) @ Vh = a: singular values in decreasing order, and singular vectors.

    Args:
        a: ``(..., m, n)``; k = min(m, n).
        full_matrices: whether U is ``(..., m, m)`` and Vh ``(..., n, n)``, as is NumPy's default, in place of
            ``(..., m, k)`` and ``(..., k, n)``. What is added is an arbitrary choice, so unless m = n the full U
            and Vh have no derivative, and asking for one raises GradientError; S has one.
        hermitian: whether only the lower triangle is read, and ``a`` is the symmetric matrix that it stands for.

    Of the two signs of a pair u, v that is taken for which Σ (2 + cos i)·vᵢ is positive, i from 0 on. For equal
    singular values, and those that are zero, see the top of this module.

    Raises:
        SpecError: ``a`` has fewer than two axes.
    """
    a = of_triangle(tensor(a), hermitian)
    if full_matrices and a.ndim >= 2 and a.shape[-2] != a.shape[-1]:
        u, _, vt = _svd_full(a)
        s = svdvals(a)
    else:
        u, s, vt = _svd(a)
    along = _along(vt.mT[..., : s.shape[-1]])
    return SVDResult(_directed(along, u), s, _directed(along, vt.mT).mT)


@function
def svdvals(a: TensorLike) -> Tensor:
    """Singular values ``(..., min(m, n))`` in decreasing order; as the second result of :func:`svd`."""
    return _svdvals(a)
