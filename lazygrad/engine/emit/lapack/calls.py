"""Calls of BLAS and LAPACK from native code, in terms of matrices that lie row by row.

These functions take columns to lie side by side. So what they see is the transpose of every matrix: a lower triangle
is an upper one, and a product A·B is computed as Bᵀ·Aᵀ. The sources of what they do are the manuals of both,
``netlib.org/blas`` and ``netlib.org/lapack``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.emit.lapack.names import FUNCTIONS, LETTERS, PREFIX
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import ADDRESS, I32, Register, literal, scalar_type

__all__ = ["Calls", "Lying"]

Size = int | Register  # a Register: the address of an int


class Lying(NamedTuple):
    """A matrix in memory: its address, and the elements from row to row; ``turned`` if its transpose is meant."""

    address: Register
    length: int
    turned: bool = False

    @property
    def transpose(self) -> Lying:
        """Its transpose."""
        return Lying(self.address, self.length, not self.turned)


class Calls:
    """Writes calls for matrices of one dtype.

    Args:
        w: what writes the kernel.
        dtype: float32 or float64.
    """

    def __init__(self, w: Arithmetic, dtype: np.dtype[Any]) -> None:
        self.w, self.dtype, self.letter = w, dtype, LETTERS[dtype]

    def call(self, name: str, *arguments: Register | int | str | float) -> None:
        """Decomposition a function; letters and numbers are put where it can read them."""
        parameters = FUNCTIONS[name]
        assert len(arguments) == len(parameters), name
        given = [self._given(kind, x) for kind, x in zip(parameters, arguments, strict=True)]
        symbol = f"@{PREFIX}{self.letter}{name}"
        self.w.definitions[symbol] = f"declare void {symbol}({', '.join(['ptr'] * len(parameters))})"
        self.w.line(f"call void {symbol}({', '.join(f'ptr {x.name}' for x in given)})")

    def _given(self, kind: str, x: Register | int | str | float) -> Register:
        if isinstance(x, Register):
            assert x.dtype == ADDRESS
            return x
        if kind == "c":
            assert isinstance(x, str)
            return self._constant(f"@letter_{x}", "i8", str(ord(x)))
        if kind == "i":
            return self._constant(f"@int_{x}".replace("-", "m"), "i32", str(x))
        value = literal(x, self.dtype)
        return self._constant(f"@{self.letter}_{value}", scalar_type(self.dtype), value)

    def _constant(self, name: str, kind: str, value: str) -> Register:
        self.w.definitions[name] = f"{name} = private constant {kind} {value}"
        return Register(self.w, name, ADDRESS, False, 0)

    def integer(self, value: Register) -> Register:
        """The address of a number that is known when the kernel runs."""
        room = self.w.room(1, I32)
        self.w.store(value.astype(I32), room, 0)
        return room

    # Products and triangular systems, X, A, B and C row by row.

    def product(self, m: Size, n: Size, k: Size, scale: float, a: Lying, b: Lying, keep: float, c: Lying) -> None:
        """C = keep·C + scale·A·B, where A is m × k and B is k × n."""
        letters = ("T" if b.turned else "N", "T" if a.turned else "N")
        self.call("gemm", *letters, n, m, k, scale, b.address, b.length, a.address, a.length, keep, *c[:2])

    def multiplied(self, m: Size, n: Size, triangle: Lying, x: Lying) -> None:
        """X = T·X, where X is m × n; T is lower triangular, or the transpose of such."""
        self._triangular("trmm", "R", m, n, triangle, True, x)

    def multiplied_from_right(self, m: Size, n: Size, triangle: Lying, x: Lying, scale: float = 1.0) -> None:
        """X = scale·X·T, likewise."""
        self._triangular("trmm", "L", m, n, triangle, True, x, scale)

    def solved(self, m: Size, n: Size, triangle: Lying, lower: bool, x: Lying) -> None:
        """X = T⁻¹·X, where X is m × n, and T the triangle that lies there, or its transpose."""
        self._triangular("trsm", "R", m, n, triangle, lower, x)

    def solved_from_right(self, m: Size, n: Size, triangle: Lying, lower: bool, x: Lying) -> None:
        """X = X·T⁻¹, likewise."""
        self._triangular("trsm", "L", m, n, triangle, lower, x)

    def _triangular(
        self, name: str, side: str, m: Size, n: Size, triangle: Lying, lower: bool, x: Lying, scale: float = 1.0
    ) -> None:
        letters = (side, "U" if lower else "L", "T" if triangle.turned else "N", "N")
        self.call(name, *letters, n, m, scale, *triangle[:2], *x[:2])

    def solved_vector(self, n: int, triangle: Lying, lower: bool, x: Register) -> None:
        """x = T⁻¹·x for a vector whose numbers lie side by side."""
        letters = ("U" if lower else "L", "N" if triangle.turned else "T", "N")
        self.call("trsv", *letters, n, *triangle[:2], x, 1)
