"""What kernels call in ``xp.linalg``, for matrices of more than a few rows; small ones are written out."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.engine.trace.tracing import NotTraced
from lazygrad.export.onnx.factors import (
    cholesky,
    first_rows,
    identity,
    packed,
    picked,
    qr,
    substituted,
    triangle,
)
from lazygrad.export.onnx.loops import counted
from lazygrad.export.onnx.spectra import eigh, svd
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.spec import broadcast

__all__ = ["Linalg", "Small", "lu", "solve_triangular", "solved"]

LARGEST = 4  # rows and columns of a matrix that is written out; the inverse of one has 700 operators


class Small(NotTraced):
    """Matrices are so small that they are written out."""


def _large(*operands: Value) -> None:
    """Raise for what is written out element by element.

    Raises:
        Small: the matrices are small.
        NotTraced: they have no elements.
    """
    if not all(x.size for x in operands):
        raise NotTraced("matrices without elements have no form in ONNX")
    if all(max(x.shape[-2:]) <= LARGEST for x in operands):
        raise Small("small matrices are written out")


def _turned(x: Value) -> Value:
    """The transpose of every matrix."""
    found: Value = x.writer.xp.transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])
    return found


def _beside_nan(a: Value, y: Value) -> Value:
    """What was solved with a matrix; NaN if there is NaN in that."""
    xp = a.writer.xp
    found: Value = xp.where(xp.any(xp.isnan(a), (a.ndim - 2, a.ndim - 1), True), np.nan, y)
    return found


def solved(writer: Writer, a: Value, b: Value) -> Value:
    """A⁻¹·B."""
    xp, factors = writer.xp, packed(writer, a)
    batch = broadcast([a.shape[:-2], b.shape[:-2]])
    b = xp.broadcast_to(b, (*batch, *b.shape[-2:]))
    b = picked(b, xp.reshape(factors.order, (*factors.order.shape, 1)), -2)
    return _beside_nan(a, substituted(writer, factors.both, substituted(writer, factors.both, b, True, True), False))


def _diagonal(writer: Writer, x: Value) -> Value:
    found: Value = writer.xp.sum(writer.xp.where(identity(writer, x.shape[-2:], np.bool_), x, 0), axis=x.ndim - 1)
    return found


def solve_triangular(writer: Writer, a: Value, b: Value, lower: bool, transposed: bool) -> Value:
    """A⁻¹·B or A⁻ᵀ·B, where one triangle of A is read."""
    _large(a, b)
    return substituted(writer, _turned(a) if transposed else a, b, lower != transposed)


def lu(writer: Writer, a: Value) -> tuple[Value, Value, Value]:
    """P, L and U, for matrices that are not wider than tall."""
    m, n = a.shape[-2:]
    xp, factors = writer.xp, packed(writer, a)
    order = xp.reshape(factors.order, (*a.shape[:-2], 1, m))
    place = xp.reshape(counted(writer, m), (m, 1))
    lower = triangle(writer, factors.both, lower=True, strict=True) + identity(writer, (m, n), a.dtype)
    upper = triangle(writer, first_rows(writer, factors.both, n), lower=False)
    return xp.astype(xp.equal(place, order), a.dtype), lower, upper


class Linalg:
    """The functions of ``xp.linalg``."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    @property
    def _writer(self) -> Writer:
        found: Writer = self._xp.writer  # of the body of a loop, while that is written
        return found

    def __getattr__(self, name: str) -> Any:
        raise NotTraced(f"linalg.{name} has no form in ONNX")

    def det(self, a: Value) -> Value:
        """The determinant: the product of the pivots; by logarithms where that leaves the range of the dtype.

        In float32 runtimes have it themselves.
        """
        if a.dtype == np.float32 and a.size:
            return self._writer.made("Det", a, shape=a.shape[:-2])
        _large(a)
        xp = self._writer.xp
        pivots, sign, logarithm = self._pivots(a)
        total = xp.prod(pivots, axis=pivots.ndim - 1)
        inside = xp.logical_and(xp.abs(total) < np.inf, xp.abs(total) >= float(np.finfo(a.dtype).tiny))
        found: Value = xp.where(inside, xp.copysign(total, sign), sign * xp.exp(logarithm))
        return found

    def slogdet(self, a: Value) -> tuple[Value, Value]:
        """Sign and logarithm of the determinant; 0 and −∞ of a singular matrix, NaN beside NaN."""
        _large(a)
        _, sign, logarithm = self._pivots(a)
        return self._writer.xp.where(self._writer.xp.isnan(logarithm), logarithm, sign), logarithm

    def _pivots(self, a: Value) -> tuple[Value, Value, Value]:
        writer, xp = self._writer, self._writer.xp
        factors = packed(writer, a)
        pivots = _diagonal(writer, factors.both)
        last = pivots.ndim - 1
        sign = xp.prod(xp.sign(pivots), axis=last)
        logarithm = xp.sum(xp.log(xp.abs(pivots)), axis=last)
        wrong = xp.any(xp.isnan(a), (a.ndim - 2, a.ndim - 1))
        sign, logarithm = xp.where(factors.odd, -sign, sign), xp.where(wrong, np.nan, logarithm)
        return pivots, sign, logarithm

    def inv(self, a: Value) -> Value:
        """A⁻¹."""
        _large(a)
        return solved(self._writer, a, identity(self._writer, a.shape[-2:], a.dtype))

    def solve(self, a: Value, b: Value) -> Value:
        """A⁻¹·B."""
        _large(a, b)
        return solved(self._writer, a, b)

    def cholesky(self, a: Value) -> Value:
        """L with L·Lᵀ = A."""
        _large(a)
        return cholesky(self._writer, a)

    def cholesky_inverse(self, factor: Value) -> Value:
        """(L·Lᵀ)⁻¹."""
        _large(factor)
        writer = self._writer
        inverse = substituted(writer, factor, identity(writer, factor.shape[-2:], factor.dtype), lower=True)
        return writer.xp.matmul(_turned(inverse), inverse)

    def cholesky_cotangent(self, factor: Value, g: Value) -> Value:
        """½·(X + Xᵀ) with X = L⁻ᵀ·Φ(Lᵀ·G)·L⁻¹, where Φ keeps the lower triangle and halves the diagonal."""
        _large(factor)
        writer, xp = self._writer, self._writer.xp
        factor, g = (triangle(writer, x, lower=True) for x in (factor, g))
        inner = triangle(writer, xp.matmul(_turned(factor), g), lower=True)
        inner = xp.where(identity(writer, factor.shape[-2:], np.bool_), 0.5 * inner, inner)
        upper = _turned(factor)
        x = substituted(writer, upper, _turned(substituted(writer, upper, inner, lower=False)), lower=False)
        return 0.5 * (x + _turned(x))

    def qr(self, a: Value, mode: str = "reduced") -> tuple[Value, Value]:
        """Q and R, of matrices that are not wider than tall."""
        _large(a)
        return qr(self._writer, a, mode == "complete")

    def eigh(self, a: Value) -> tuple[Value, Value]:
        """Eigenvalues, and eigenvectors in columns."""
        _large(a)
        return eigh(self._writer, a)

    def eigvalsh(self, a: Value) -> Value:
        """Eigenvalues."""
        return self.eigh(a)[0]

    def svd(self, a: Value, full_matrices: bool = True, compute_uv: bool = True) -> Any:
        """Singular vectors and values."""
        if not a.size:
            raise NotTraced("matrices without elements have no form in ONNX")
        if compute_uv and full_matrices and a.shape[-2] != a.shape[-1]:
            raise NotTraced(
                "which vectors complete a basis is another choice there; full_matrices=False leaves them out"
            )
        found = svd(self._writer, a)
        return found if compute_uv else found[1]

    def pinv(self, a: Value, rtol: Value) -> Value:
        """The pseudo-inverse, in which singular values up to ``rtol`` times the largest count as zero."""
        xp = self._writer.xp
        u, s, vt = self.svd(a, full_matrices=False)
        least = xp.reshape(rtol, (*rtol.shape, 1)) * xp.max(s, axis=s.ndim - 1, keepdims=True)
        inverse = xp.where(s > least, 1 / xp.where(s > least, s, 1), 0)
        return xp.matmul(_turned(vt) * xp.reshape(inverse, (*s.shape[:-1], 1, s.shape[-1])), _turned(u))
