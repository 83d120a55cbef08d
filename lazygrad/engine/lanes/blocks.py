"""What a kernel of whole matrices may call when these are small: the array namespace ``xp`` whose arrays are registers.

Run with this one, a kernel such as that of ``cholesky`` writes what :mod:`lazygrad.engine.lanes.matrices` says. Axes
before the matrices' own are not seen: a lane is a matrix.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes import matrices
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.trace.tracing import NotTraced, Stand
from lazygrad.graph.spec import Shape

__all__ = ["Block", "Blocks"]


class Block(Stand):
    """A small array of registers: a matrix, a vector or a number, its elements in order."""

    __slots__ = ("elements", "shape")

    def __init__(self, shape: Shape, elements: Sequence[Any]) -> None:
        self.shape, self.elements = shape, list(elements)

    @property
    def rows(self) -> list[list[Any]]:
        """The elements of a matrix, row by row."""
        if len(self.shape) != 2:
            raise NotTraced(f"takes an array of {len(self.shape)} axes for matrices")
        m, n = self.shape
        return [self.elements[i * n : i * n + n] for i in range(m)]


def _matrix(rows: list[list[Any]]) -> Block:
    return Block((len(rows), len(rows[0])), [x for row in rows for x in row])


class _Linalg:
    """The functions of ``xp.linalg``."""

    def __init__(self, scalars: Scalars) -> None:
        self._xp = scalars

    def __getattr__(self, name: str) -> Any:
        raise NotTraced(f"xp.linalg.{name} is not written out")

    def _beside_nan(self, a: Block, y: Block) -> Block:
        """What was solved with a matrix; NaN if there is NaN in that, which the search for pivots passes over."""
        wrong = functools.reduce(operator.or_, [self._xp.isnan(x) for x in a.elements])
        return Block(y.shape, [self._xp.where(wrong, np.nan, x) for x in y.elements])

    def inv(self, a: Block) -> Block:
        """A⁻¹."""
        return self._beside_nan(a, _matrix(matrices.inverse(self._xp, a.rows)))

    def solve(self, a: Block, b: Block) -> Block:
        """A⁻¹·B."""
        return self._beside_nan(a, _matrix(matrices.solve(self._xp, a.rows, b.rows)))

    def cholesky(self, a: Block) -> Block:
        """L with L·Lᵀ = A."""
        return _matrix(matrices.cholesky(self._xp, a.rows))

    def cholesky_inverse(self, factor: Block) -> Block:
        """(L·Lᵀ)⁻¹."""
        return _matrix(matrices.cholesky_inverse(self._xp, factor.rows))

    def cholesky_cotangent(self, factor: Block, g: Block) -> Block:
        """The symmetric cotangent of L·Lᵀ, of that of L."""
        return _matrix(matrices.cholesky_cotangent(self._xp, factor.rows, g.rows))

    def det(self, a: Block) -> Block:
        """The determinant."""
        return Block((), [matrices.det(self._xp, a.rows)])

    def slogdet(self, a: Block) -> tuple[Block, Block]:
        """Sign and logarithm of the determinant; both NaN, or none."""
        sign, logarithm = matrices.slogdet(self._xp, a.rows)
        sign = self._xp.where(self._xp.isnan(logarithm), logarithm, sign)
        return Block((), [sign]), Block((), [logarithm])

    def qr(self, a: Block, mode: str = "reduced") -> tuple[Block, Block]:
        """Q and R, of matrices that are not wider than tall."""
        if a.shape[0] < a.shape[1]:
            raise NotTraced("factors matrices that are wider than tall")
        q, r = matrices.qr(self._xp, a.rows, mode == "complete")
        return _matrix(q), _matrix(r)

    def eigh(self, a: Block) -> tuple[Block, Block]:
        """Eigenvalues, and eigenvectors in columns."""
        values, vectors = matrices.eigh(self._xp, a.rows)
        return Block((len(values),), values), _matrix(vectors)

    def eigvalsh(self, a: Block) -> Block:
        """Eigenvalues."""
        values, _ = matrices.eigh(self._xp, a.rows, vectors=False)
        return Block((len(values),), values)


class Blocks:
    """The namespace; elements are computed by ``scalars``."""

    def __init__(self, scalars: Scalars) -> None:
        self._xp = scalars
        self.linalg = _Linalg(scalars)

    def __getattr__(self, name: str) -> Any:
        raise NotTraced(f"xp.{name} of small matrices is not written out")

    def matmul(self, a: Block, b: Block) -> Block:
        """A·B."""
        return _matrix(matrices.product(self._xp, a.rows, b.rows))

    def solve_triangular(self, a: Block, b: Block, lower: bool, transposed: bool) -> Block:
        """A⁻¹·B or A⁻ᵀ·B, where one triangle of A is read."""
        return _matrix(matrices.solve_triangular(self._xp, a.rows, b.rows, lower, transposed))
