"""Rows of ``lazygrad.linalg``; its own tests go further."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from rows import CUBE, VECTOR, X, real, row

import lazygrad as lg
from lazygrad.ops.decompositions import _cholesky_cotangent, _cholesky_inverse

la = lg.linalg

# fmt: off


def regular(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Matrices far from singular ones."""
    return (rng.uniform(-1, 1, shape) + 3 * np.eye(*shape[-2:])).astype(dtype)


def positive(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Symmetric positive definite matrices, their eigenvalues apart."""
    a = rng.uniform(-1, 1, shape)
    return (a @ np.swapaxes(a, -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))).astype(dtype)


def symmetric(x: Any) -> Any:
    """The ops read one triangle, or the mean of both: so that the gradients are those of all entries."""
    return (x + (lg.matrix_transpose(x) if isinstance(x, lg.Tensor) else np.swapaxes(x, -1, -2))) * 0.5


def spread_out(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Matrices whose singular values are apart."""
    return (0.3 * rng.uniform(-1, 1, shape) + np.eye(*shape[-2:]) * np.arange(1.0, shape[-1] + 1)).astype(dtype)


def directed(w: Any, v: Any) -> Any:
    """Eigenvectors with the sign that the op's description says."""
    along = np.einsum("...ij,i->...j", v, 2 + np.cos(np.arange(v.shape[-2])))
    return w, v * np.where(along < 0, -1, 1).astype(v.dtype)[..., None, :]


def paired(u: Any, s: Any, vh: Any) -> Any:
    """Singular vectors with the signs that the op's description says: those of both in a pair hang together."""
    k = s.shape[-1]
    along = np.einsum("...ji,i->...j", vh[..., :k, :], 2 + np.cos(np.arange(vh.shape[-1])))
    signs = np.where(along < 0, -1, 1).astype(u.dtype)
    u, vh = u.copy(), vh.copy()
    u[..., :k] *= signs[..., None, :]
    vh[..., :k, :] *= signs[..., None]
    return u, s, vh


REGULAR = (regular, (2, 3, 3))
POSITIVE = (positive, (2, 3, 3))
TALL = (spread_out, (4, 3))
ROUNDED = 1000  # LAPACK on other code paths


def _triangular(a: Any, b: Any) -> Any:
    return np.stack([scipy.linalg.solve_triangular(m, v) for m, v in zip(a, b, strict=True)])


def _inverse(a: Any) -> Any:
    """(L Lᵀ)⁻¹ of the lower triangle of ``a``."""
    low = np.tril(a)
    return np.linalg.inv(low @ np.swapaxes(low, -1, -2)).astype(a.dtype)


def _cotangent(a: Any, g: Any) -> Any:
    """The symmetric part of L⁻ᵀ Φ(Lᵀ G) L⁻¹, of the lower triangles of ``a`` and ``g``; Φ halves the diagonal.

    Term by term, as products of whole matrices add zeros times what is not a number.
    """
    n = a.shape[-1]
    inner = np.zeros(a.shape)
    for i, j in zip(*np.tril_indices(n), strict=True):
        inner[..., i, j] = sum(a[..., k, i] * g[..., k, j] for k in range(i, n)) * (0.5 if i == j else 1)
    whole = _from_left(a, np.swapaxes(_from_left(a, inner), -1, -2))
    return (0.5 * (whole + np.swapaxes(whole, -1, -2))).astype(a.dtype)


def _from_left(a: Any, b: Any) -> Any:
    """L⁻ᵀ b, the last row first."""
    x = np.zeros(b.shape)
    for i in reversed(range(a.shape[-1])):
        known = sum((a[..., k, i, None] * x[..., k, :] for k in range(i + 1, a.shape[-1])), np.zeros(()))
        x[..., i, :] = (b[..., i, :] - known) / a[..., i, i, None]
    return x


LINALG = [
    row("linalg.cholesky", lambda a: _cholesky_inverse(lg.tril(a)), _inverse, REGULAR, label="inverse", ulps=ROUNDED),
    row("linalg.cholesky", lambda a, g: _cholesky_cotangent(lg.tril(a), lg.tril(g)), _cotangent, REGULAR,
        (real(), (2, 3, 3)), label="cotangent", ulps=ROUNDED),
    row("linalg.cholesky", lambda a: la.cholesky(symmetric(a)), lambda a: np.linalg.cholesky(symmetric(a)), POSITIVE,
        ulps=ROUNDED),
    row("linalg.qr", la.qr, np.linalg.qr, TALL, ulps=ROUNDED),
    row("linalg.qr", lambda a: la.qr(a, mode="complete")[1], lambda a: np.linalg.qr(a, mode="complete")[1], TALL,
        label="complete", order=0, ulps=ROUNDED),
    row("linalg.eigh", lambda a: la.eigh(symmetric(a)), lambda a: directed(*np.linalg.eigh(symmetric(a))), POSITIVE,
        ulps=ROUNDED),
    row("linalg.eigvalsh", lambda a: la.eigvalsh(symmetric(a)), lambda a: np.linalg.eigvalsh(symmetric(a)), POSITIVE,
        ulps=ROUNDED),
    row("linalg.svd", la.svd, lambda a: paired(*np.linalg.svd(a)), TALL, label="full", order=0, ulps=ROUNDED),
    row(
        "linalg.svd",
        lambda a: la.svd(a, full_matrices=False),
        lambda a: paired(*np.linalg.svd(a, full_matrices=False)),
        TALL,
        ulps=ROUNDED,
    ),
    row("linalg.svd", lambda a: la.svd(a)[1], lambda a: np.linalg.svd(a)[1], TALL, label="values", ulps=ROUNDED),
    row("linalg.svdvals", la.svdvals, lambda a: np.linalg.svd(a, compute_uv=False), TALL, ulps=ROUNDED),
    row("linalg.det", la.det, np.linalg.det, REGULAR, ulps=ROUNDED),
    row("linalg.slogdet", la.slogdet, np.linalg.slogdet, REGULAR, ulps=ROUNDED),
    row("linalg.inv", la.inv, np.linalg.inv, REGULAR, ulps=ROUNDED),
    row("linalg.pinv", la.pinv, np.linalg.pinv, TALL, ulps=ROUNDED),
    row("linalg.solve", la.solve, np.linalg.solve, REGULAR, (real(), (2, 3, 2)), ulps=ROUNDED),
    row("linalg.solve_triangular", la.solve_triangular, _triangular, REGULAR, (real(), (2, 3, 2)), ulps=ROUNDED),
    row("linalg.expm", la.expm, scipy.linalg.expm, (real(-0.5, 0.5), (2, 3, 3)), ulps=ROUNDED),
    row("linalg.matrix_power", lambda a: la.matrix_power(a, 3), lambda a: np.linalg.matrix_power(a, 3), REGULAR,
        ulps=8),
    row("linalg.matrix_power", lambda a: la.matrix_power(a, -2), lambda a: np.linalg.matrix_power(a, -2), REGULAR,
        label="inverse", ulps=ROUNDED),
    row("linalg.multi_dot", lambda *xs: la.multi_dot(xs), lambda *xs: np.linalg.multi_dot(xs), X, (real(), (4, 2)),
        (real(), (2, 5)), ulps=8),
    row("linalg.trace", la.trace, lambda x: np.trace(x, axis1=-2, axis2=-1), CUBE, ulps=2),
    row("linalg.cond", la.cond, np.linalg.cond, TALL, ulps=ROUNDED),
    row("linalg.matrix_norm", la.matrix_norm, lambda x: np.linalg.norm(x, axis=(-2, -1)), CUBE, ulps=8),
    row("linalg.vector_norm", la.vector_norm, lambda x: np.linalg.norm(x.ravel()), CUBE, ulps=8),
    row("linalg.norm", la.norm, np.linalg.norm, VECTOR, ulps=8),
    row("linalg.norm", lambda x: la.norm(x, 2), lambda x: np.linalg.norm(x, 2), TALL, label="spectral", ulps=ROUNDED),
    row("linalg.matrix_rank", la.matrix_rank, np.linalg.matrix_rank, TALL, order=0),
]
