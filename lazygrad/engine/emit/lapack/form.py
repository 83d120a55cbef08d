"""A call of LAPACK for each matrix of a batch, as data."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import F64, I64, Register

__all__ = ["Decomposition", "Matrix"]

# What is computed in the dtype of the operands, as SciPy does; what NumPy does, it does in float64.
AS_GIVEN = ("solve_triangular", "cholesky_cotangent", "cholesky_inverse")


class Matrix(NamedTuple):
    """Matrices in memory; strides count elements, and may be 0 along a batch that shares them."""

    rows: int
    columns: int
    batch: tuple[int, ...]  # strides
    row: int
    column: int


class Decomposition(NamedTuple):
    """What is computed of every matrix of a batch.

    Attributes:
        what: the function, by the name it has in ``xp`` or ``xp.linalg``.
        settings: its settings.
        results: elements of each result that belong to one matrix of the batch.
        needed: whether each result is wanted; what is not has no argument.
    """

    what: str
    settings: tuple[tuple[str, Any], ...]
    dtype: np.dtype[Any]
    batch: tuple[int, ...]
    operands: tuple[Matrix, ...]
    results: tuple[int, ...]
    needed: tuple[bool, ...]

    @property
    def computed(self) -> np.dtype[Any]:
        """The dtype that is computed in: float64, as NumPy's linear algebra takes it for float32 too."""
        return self.dtype if self.what in AS_GIVEN else F64

    @property
    def items(self) -> int:
        """Matrices in the batch."""
        return math.prod(self.batch)

    @property
    def rows(self) -> int:
        """Rows of the matrix that is decomposed."""
        return self.operands[0].rows

    @property
    def columns(self) -> int:
        """Its columns."""
        return self.operands[0].columns

    def setting(self, name: str) -> Any:
        """A setting."""
        return dict(self.settings)[name]

    def start(self, w: Arithmetic, operand: Matrix, item: Register) -> Register:
        """Where an operand's matrix of an item begins, in elements."""
        total, rest = w.constant(0, I64), self.items
        for size, stride in zip(self.batch, operand.batch, strict=True):
            rest //= size
            index = item if rest == 1 else w.binary("div", item, w.constant(rest, I64))
            if size > 1 and rest > 1:
                item = w.binary("rem", item, w.constant(rest, I64))
            if size > 1 and stride:
                total = total + index * stride
        return total
