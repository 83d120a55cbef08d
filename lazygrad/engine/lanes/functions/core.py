"""What every function is written with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = [
    "FORMAT",
    "FUNCTIONS",
    "LN2",
    "PI",
    "Coefficients",
    "clamped",
    "exactly",
    "in_double",
    "listed",
    "parts",
    "polynomial",
]

F = TypeVar("F", bound=Callable[..., Register])

# By the name that kernels call: ``xp.<name>``.
FUNCTIONS: dict[str, Callable[..., Register]] = {}


def listed(function: F) -> F:
    """Let kernels call a function by its name."""
    FUNCTIONS[function.__name__] = function
    return function


LN2 = "0.693147180559945309417232121458176568075500134360255254120680009"
PI = "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803"

Coefficients = dict[np.dtype[Any], tuple[float, ...]]
Function = Callable[..., Register]


class Format(NamedTuple):
    """How a binary floating type lays out its bits (IEEE 754-2019, section 3.4)."""

    mantissa: int  # bits after the point
    bias: int  # of the exponent
    bits: int

    @property
    def tiny(self) -> float:
        """The least normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def whole(self) -> float:
        """1.5·2^mantissa: a sum with it is rounded to a whole number, which then stands in its lowest bits."""
        return 1.5 * 2.0**self.mantissa


FORMAT = {F32: Format(23, 127, 32), F64: Format(52, 1023, 64)}


def exactly(function: Function) -> Function:
    """``function`` with every operation rounded as it is written: no product and sum is fused but by ``fma``.

    So the results are the same bits on every machine, in narrow and in wide registers.
    """

    @functools.wraps(function)
    def wrapped(x: Register, *more: Any) -> Register:
        writer = x.writer
        before, writer.contract = writer.contract, False
        try:
            return function(x, *[writer.like(other, x) for other in more])
        finally:
            writer.contract = before

    return wrapped


def in_double(function: Function) -> Function:
    """``function`` with float32 computed as float64 and rounded once more, at the end."""

    @functools.wraps(function)
    def wrapped(x: Register, *more: Register) -> Register:
        if x.dtype == F64:
            return function(x, *more)
        return function(x.astype(F64), *[other.astype(F64) for other in more]).astype(F32)

    return wrapped


def parts(number: str | Fraction, dtype: np.dtype[Any], count: int) -> list[float]:
    """``number`` as an unevaluated sum of ``count`` numbers of ``dtype``, the largest first."""
    rest = Fraction(number)
    found = []
    for _ in range(count):
        found.append(float(dtype.type(float(rest))))
        rest -= Fraction(found[-1])
    return found


def polynomial(x: Register, coefficients: Sequence[float]) -> Register:
    """Σ cₖ·xᵏ by Horner's rule, each step rounded once."""
    writer = x.writer
    total = writer.like(coefficients[-1], x)
    for coefficient in coefficients[-2::-1]:
        total = writer.fma(x, total, coefficient)
    return total


def clamped(x: Register, low: float | None, high: float | None) -> Register:
    """``x`` moved into an interval; NaN stays."""
    if high is not None:
        x = x.writer.select(x > high, high, x)
    if low is not None:
        x = x.writer.select(x < low, low, x)
    return x
