"""What the text of a kernel of LAPACK is written with: where operands, results and scratch memory of a matrix lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.engine.emit.lapack.calls import Calls, Lying
from lazygrad.engine.emit.lapack.form import Decomposition
from lazygrad.engine.emit.lapack.moves import Moves
from lazygrad.engine.lanes.registers import I8, I32, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["Work"]

ALIGNMENT = 64


class Work:
    """One matrix of a batch, for which code is being written.

    Args:
        w: what writes the kernel, at the beginning of a function.
        call: what is written.
        chunks: parts that may run at once; each has scratch memory of its own.

    Attributes:
        calls, moves: what writes calls and copies.
        scratch: bytes of scratch memory so far, of all chunks together.
        operands: the addresses of the operands' matrices.
        results: the addresses of the results' matrices.
        info: the address of what a function of LAPACK returns.
    """

    def __init__(self, w: Writer, call: Decomposition, chunks: int) -> None:
        self.w, self.call, self._chunks = w, call, chunks
        self.calls, self.moves = Calls(w, call.computed), Moves(w, call.computed)
        self.scratch = 0
        self.info = w.room(1, I32)
        self.operands: list[Register] = []
        self.results: list[Register] = []
        self._given: list[tuple[Register, Register, int]] = []
        last = len(call.operands) + sum(call.needed)
        self._memory = w.argument(last)
        places = iter(range(len(call.operands), last))
        self._results = [w.argument(next(places)) if needed else None for needed in call.needed]

    def at(self, item: Register) -> None:
        """Go to a matrix of the batch."""
        w, call = self.w, self.call
        self.operands = [
            w.at(w.argument(k), call.start(w, operand, item), call.dtype) for k, operand in enumerate(call.operands)
        ]
        self.results, self._given = [], []
        for address, size in zip(self._results, call.results, strict=True):
            wanted = None if address is None else w.at(address, item * size, call.dtype)
            direct = wanted is not None and call.computed == call.dtype
            here = wanted if direct and wanted is not None else self.take(size)
            self.results.append(here)
            if wanted is not None and not direct:
                self._given.append((here, wanted, size))

    def give(self) -> None:
        """Write results that were computed in another dtype where they are wanted."""
        for source, target, size in self._given:
            self.moves.give(source, size, target, self.call.dtype)

    def take(self, count: int, dtype: np.dtype[Any] | None = None) -> Register:
        """The address of scratch memory for so many numbers, for every matrix the same."""
        size = -(-max(1, count) * (dtype or self.call.computed).itemsize // ALIGNMENT) * ALIGNMENT
        start = self.scratch
        self.scratch += self._chunks * size
        return self.w.at(self._memory, self.w.begin * size + start, I8)

    def function(self, name: str, *arguments: Any) -> None:
        """Decomposition a function of LAPACK that says at last whether it failed."""
        self.calls.call(name, *arguments, self.info)
        self.moves.fail(self.info)

    def strides(self, operand: int = 0, turned: bool = False) -> tuple[int, int]:
        """Elements from row to row and from column to column of an operand, or of its transpose."""
        matrix = self.call.operands[operand]
        return (matrix.column, matrix.row) if turned else (matrix.row, matrix.column)

    def columns(self, operand: int = 0) -> Register:
        """A copy of an operand whose columns lie side by side, as LAPACK wants it; it must be finite."""
        matrix = self.call.operands[operand]
        copy = self.take(matrix.rows * matrix.columns)
        self.copy(operand, copy, turned=True, look=True)
        return copy

    def copy(self, operand: int, target: Register, turned: bool = False, keep: str = "", look: bool = False) -> None:
        """Copy an operand, or its transpose, row by row; of it one triangle, if ``keep`` says so.

        With ``look`` it must be finite.
        """
        matrix = self.call.operands[operand]
        sizes = (matrix.columns, matrix.rows) if turned else (matrix.rows, matrix.columns)
        strides = self.strides(operand, turned)
        if sizes[1] == 1:  # numbers one below the other are better taken side by side
            sizes, strides = (1, sizes[0]), (0, strides[0])
        self.moves.move(self.operands[operand], strides, *sizes, target, sizes[1], keep, self.call.dtype, look)

    def lying(self, operand: int = 0) -> Lying:
        """An operand as a matrix that BLAS takes: where it lies, or else a copy."""
        matrix = self.call.operands[operand]
        for turned, (row, column), (m, n) in (
            (False, self.strides(operand), (matrix.rows, matrix.columns)),
            (True, self.strides(operand, turned=True), (matrix.columns, matrix.rows)),
        ):
            if (column == 1 or n == 1) and (m == 1 or n <= row < 2**31):
                return Lying(self.operands[operand], max(row, n), turned)
        copy = self.take(matrix.rows * matrix.columns)
        self.copy(operand, copy)
        return Lying(copy, matrix.columns)
