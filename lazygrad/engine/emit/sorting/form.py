"""What is sorted, searched or added up as it goes, as data."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Register

__all__ = ["Along", "Running", "Searching", "Sorting"]


class Along(NamedTuple):
    """An axis along which rows follow one another: how many, and the elements from one to the next in both arrays."""

    size: int
    step: int  # in what is sorted
    to: int  # in the result


class Sorting(NamedTuple):
    """Rows of ``n`` elements, each of which is sorted by itself; the result is where its elements stood.

    Attributes:
        dtype: of the elements.
        n: elements of a row.
        step: elements from one of a row to the next, in memory.
        to: the same in the result.
        batch: the rows.
    """

    dtype: np.dtype[Any]
    n: int
    step: int
    to: int
    batch: tuple[Along, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return math.prod(along.size for along in self.batch)

    def starts(self, w: Arithmetic, row: Register) -> tuple[Register, Register]:
        """Where a row begins, in what is sorted and in the result, in elements."""
        here = there = w.constant(0, I64)
        rest = self.rows
        for along in self.batch:
            rest //= along.size
            index = row if rest == 1 else w.binary("div", row, w.constant(rest, I64))
            row = row if rest == 1 else w.binary("rem", row, w.constant(rest, I64))
            here, there = here + index * along.step, there + index * along.to
        return here, there


class Running(NamedTuple):
    """Running sums of rows, each as if it were sorted; at each place of the batch so many rows lie side by side."""

    rows: Sorting
    beside: int


class Searching(NamedTuple):
    """For each of ``size`` numbers that lie in order the place among ``n`` edges, behind equal ones if ``right``.

    Attributes:
        edges: their dtype.
        step: elements from one edge to the next, in memory.
        dtype: of the numbers.
    """

    right: bool
    n: int
    step: int
    edges: np.dtype[Any]
    dtype: np.dtype[Any]
    size: int

    @property
    def compared(self) -> np.dtype[Any]:
        """The dtype in which both are compared."""
        return np.result_type(self.edges, self.dtype)
