"""Linear algebra of batches of matrices: an array library's own, and what kernels need beside it.

Where a matrix of a batch cannot be decomposed, the error names its place. All of an inverse depends on every element
of its matrix, but the search for pivots passes over NaN: what is solved with a matrix that holds NaN is NaN here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Linalg", "nan_beside_nan", "place_in_batch"]

BLOCK = 64  # rows of a block of the Cholesky factor; NumPy's calls cost less than its products then


def place_in_batch(place: tuple[int, ...], batch: tuple[int, ...]) -> str:
    """Where a matrix stands, in words that follow what is wrong with it; nothing if it is the only one."""
    return f": the matrix at {list(place)} of the batch {list(batch)}" if batch else ""


def nan_beside_nan(xp: Any, a: Any, y: Any) -> Any:
    """What was solved with the matrices ``a``, and NaN where there is NaN in one."""
    if xp.isfinite(xp.sum(a)):  # one pass, and seldom more
        return y
    return xp.where(xp.any(xp.isnan(a), axis=(-2, -1), keepdims=True), np.nan, y)


def _naming(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose error names the matrix of the batch that it is about."""

    @functools.wraps(function)
    def named(a: Any, *others: Any, **settings: Any) -> Any:
        try:
            return function(a, *others, **settings)
        except np.linalg.LinAlgError:
            batch = a.shape[:-2]
            for place in np.ndindex(*batch):
                try:
                    function(a[place], *(x[place] if np.ndim(x) > len(batch) else x for x in others), **settings)
                except np.linalg.LinAlgError as reason:
                    raise np.linalg.LinAlgError(f"{reason}{place_in_batch(place, batch)}") from None
            raise

    return named


class Linalg:
    """The functions of ``xp.linalg``.

    Args:
        xp: the library, or its namespace.
        linalg: its linear algebra.
    """

    def __init__(self, xp: Any, linalg: Any) -> None:
        self._xp, self._linalg = xp, linalg

    def __getattr__(self, name: str) -> Any:
        found = _naming(getattr(self._linalg, name))
        setattr(self, name, found)  # so that it is looked up once
        return found

    def inv(self, a: Any) -> Any:
        """Inverses."""
        return nan_beside_nan(self._xp, a, _naming(self._linalg.inv)(a))

    def solve(self, a: Any, b: Any) -> Any:
        """Solutions of a x = b, where both are matrices."""
        return nan_beside_nan(self._xp, a, _naming(self._linalg.solve)(a, b))

    def slogdet(self, a: Any) -> tuple[Any, Any]:
        """Signs of determinants, and logarithms of their absolute values; both NaN, or none."""
        sign, logarithm = self._linalg.slogdet(a)
        return self._xp.where(self._xp.isnan(logarithm), logarithm, sign), logarithm

    def qr(self, a: Any, mode: str = "reduced") -> tuple[Any, Any]:
        """Orthonormal and upper triangular factors."""
        return tuple(_naming(self._linalg.qr)(a, mode=mode))

    def eigh(self, a: Any) -> tuple[Any, Any]:
        """Eigenvalues in increasing order, and eigenvectors in columns."""
        return tuple(_naming(self._linalg.eigh)(a))

    def svd(self, a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
        """Left singular vectors in columns, singular values, right singular vectors in rows; or the values alone."""
        found = _naming(self._linalg.svd)(a, full_matrices=full_matrices, compute_uv=compute_uv)
        return tuple(found) if compute_uv else found

    def cholesky_inverse(self, factor: Any) -> Any:
        """(L Lᵀ)⁻¹ of lower triangular L."""
        xp = self._xp
        one = xp.broadcast_to(xp.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
        inverse = xp.solve_triangular(factor, one, True, False)
        return _turned(inverse) @ inverse

    def cholesky_cotangent(self, factor: Any, g: Any) -> Any:
        """The cotangent of a = L Lᵀ, symmetric, of that of L; lower triangles are read.

        Block by block from the last one: Murray 2016, "Differentiation of the Cholesky decomposition", §4.2.
        """
        xp, n = self._xp, factor.shape[-1]
        factor, g = xp.tril(factor), xp.tril(g)
        for end in range(n, 0, -BLOCK):
            start = max(0, end - BLOCK)
            diagonal, left = factor[..., start:end, start:end], factor[..., start:end, :start]
            below, below_left = factor[..., end:, start:end], factor[..., end:, :start]
            pulled = g[..., start:end, start:end]
            if end < n:
                solved = _turned(xp.solve_triangular(diagonal, _turned(g[..., end:, start:end]), True, True))
                g[..., end:, start:end] = solved
                g[..., end:, :start] -= solved @ left
                pulled = pulled - _turned(solved) @ below
                g[..., start:end, :start] -= _turned(solved) @ below_left
            pulled = self._pulled(diagonal, pulled)
            g[..., start:end, :start] -= (pulled + pulled) @ left
            # What lies above the diagonal is counted with what lies below, up to the last line.
            g[..., start:end, start:end] = xp.tril(pulled + pulled) - pulled * xp.eye(end - start, dtype=g.dtype)
        lower = xp.tril(g, -1)
        return (lower + _turned(lower)) * 0.5 + g * xp.eye(n, dtype=g.dtype)

    def _pulled(self, factor: Any, g: Any) -> Any:
        """The same of one block: ½ (X + Xᵀ) with X = L⁻ᵀ Φ(Lᵀ G) L⁻¹, eq. 10 there."""
        xp = self._xp
        inner = _turned(factor) @ g
        inner = (xp.tril(inner) + xp.tril(inner, -1)) * 0.5
        half = xp.solve_triangular(factor, inner, True, True)
        whole = xp.solve_triangular(factor, _turned(half), True, True)
        return (whole + _turned(whole)) * 0.5


def _turned(x: Any) -> Any:
    return x.swapaxes(-1, -2)
