"""Matrices copied, turned, cut to a triangle and mirrored, and looked at for what is not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Cell, Register

__all__ = ["Moves"]

Strides = tuple[int, int]
Kind = np.dtype[Any] | None


class Moves:
    """Writes loops over matrices of one dtype.

    Attributes:
        failed: a cell that is set if a matrix cannot be decomposed.
    """

    def __init__(self, w: Arithmetic, dtype: np.dtype[Any]) -> None:
        self.w, self.dtype = w, dtype
        self._odd = w.cell(w.constant(0, dtype, wide=True))  # 0, or NaN where something was not finite
        self.failed: Cell = w.flag()

    def place(
        self, address: Register, row: Register | int, length: int, column: Register | int = 0, kind: Kind = None
    ) -> Register:
        """The address of an element of a matrix that lies row by row, of another dtype if ``kind`` is given."""
        row, column = (x if isinstance(x, Register) else self.w.constant(x, I64) for x in (row, column))
        return self.w.at(address, row * length + column, kind or self.dtype)

    @contextmanager
    def rows(self, count: int) -> Iterator[Register]:
        """A loop over rows."""
        with self.w.loop(0, count) as row:
            yield row

    def along(self, count: int, body: Callable[[Register, Register | None], None]) -> None:
        """A wide loop over ``count`` columns; ``body`` is given the first, and which lanes count if not all do."""
        w = self.w
        full, rest = divmod(count, w.width)
        if full:
            with w.loop(0, full * w.width, w.width) as column:
                body(column, None)
        if rest:
            body(w.constant(full * w.width, I64), w.first_lanes(rest))

    def read(
        self, address: Register, column: Register, stride: int, mask: Register | None, kind: Kind = None
    ) -> Register:
        """Numbers of a row from a column on, as they lie now; 0 where ``mask`` is not set."""
        w, dtype = self.w, kind or self.dtype
        if stride == 1:
            x = w.load(address, column, dtype, wide=True, mask=mask, fixed=False)
        else:
            x = w.load(address, (column + w.lanes()) * stride, dtype, mask=mask, fixed=False)
        return x.astype(self.dtype)

    def move(
        self,
        source: Register,
        strides: Strides,
        rows: int,
        columns: int,
        target: Register,
        length: int,
        keep: str = "",
        kind: Kind = None,
        look: bool = False,
    ) -> None:
        """Copy a matrix to where its rows lie ``length`` elements apart.

        Args:
            source, strides: where its elements are.
            rows, columns: its size.
            target, length: where it goes.
            keep: ``"lower"`` or ``"upper"``: only that triangle is read, and zeros stand in the other.
            kind: the dtype of the source, if it is another one.
            look: whether to remember if it holds what is not finite.
        """
        w = self.w
        with self.rows(rows) as i:
            here, there = self.place(source, i, strides[0], kind=kind), self.place(target, i, length)

            def body(j: Register, mask: Register | None) -> None:
                x = self.read(here, j, strides[1], self._kept(i, j, mask, keep), kind)
                w.store(x, there, j, mask, wide=True)
                if look:
                    self._odd.set(self._odd.get() + (x - x))

            self.along(columns, body)

    def give(self, source: Register, count: int, target: Register, dtype: np.dtype[Any]) -> None:
        """Copy numbers that lie side by side to where they are wanted in another dtype."""

        def body(j: Register, mask: Register | None) -> None:
            self.w.store(self.read(source, j, 1, mask).astype(dtype), target, j, mask, wide=True)

        self.along(count, body)

    def _kept(self, i: Register, j: Register, mask: Register | None, keep: str) -> Register | None:
        """The lanes that count and belong to a triangle."""
        if not keep:
            return mask
        column = j + self.w.lanes()
        inside = column <= i if keep == "lower" else column >= i
        return inside if mask is None else inside & mask

    def look(self, source: Register, rows: int, columns: int) -> None:
        """Remember whether a matrix whose rows lie one after the other holds what is not finite."""
        with self.rows(rows) as i:
            here = self.place(source, i, columns)

            def body(j: Register, mask: Register | None) -> None:
                x = self.read(here, j, 1, mask)
                self._odd.set(self._odd.get() + (x - x))

            self.along(columns, body)

    def is_odd(self) -> Register:
        """Whether anything was not finite."""
        odd = self._odd.get()
        return self.w.any(odd.differs(odd))

    def mirror(self, address: Register, n: int) -> None:
        """Put what lies below the diagonal of a square matrix above it."""
        w = self.w
        with self.rows(n) as i:
            row, column = self.place(address, i, n), self.place(address, 0, n, i)

            def body(j: Register, mask: Register | None) -> None:
                above = self.w.lanes() + j > i
                kept = above if mask is None else above & mask
                w.store(self.read(column, j, n, kept), row, j, kept, wide=True)

            self.along(n, body)

    def change(self, address: Register, n: int, length: int, what: Callable[..., Register]) -> None:
        """Make another number of each of a square matrix: ``what(number, row, columns)``, all wide."""
        w = self.w
        with self.rows(n) as i:
            row = self.place(address, i, length)

            def body(j: Register, mask: Register | None) -> None:
                x = self.read(row, j, 1, mask)
                w.store(what(x, i, j + w.lanes()), row, j, mask, wide=True)

            self.along(n, body)

    def fail(self, info: Register) -> None:
        """Remember that a function of LAPACK has said that it failed."""
        code = self.w.load(info, 0, np.dtype(np.int32), fixed=False)
        self.failed.set(self.failed.get() | code.differs(0))

    def status(self) -> Register:
        """1 if a matrix could not be decomposed or something was not finite, else 0."""
        return self.w.select(self.failed.get() | self.is_odd(), self.w.constant(1, I64), self.w.constant(0, I64))

    def add_turned(self, source: Register, n: int, target: Register) -> None:
        """Add the transpose of a square matrix to another one."""
        w = self.w
        with self.rows(n) as i:
            row, column = self.place(target, i, n), self.place(source, 0, n, i)

            def body(j: Register, mask: Register | None) -> None:
                w.store(self.read(row, j, 1, mask) + self.read(column, j, n, mask), row, j, mask, wide=True)

            self.along(n, body)
