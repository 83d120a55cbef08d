"""Hyperbolic functions and their inverses.

They come from the exponential and the logarithm, in forms that lose nothing near 0 (Cody & Waite, *Software Manual for
the Elementary Functions*, 1980, chapters 12 and 13; Kahan, *Branch cuts for complex elementary functions*, 1987).
"""

from __future__ import annotations

import numpy as np

from lazygrad.engine.lanes.functions.core import (
    FORMAT,
    LN2,
    Coefficients,
    clamped,
    exactly,
    in_double,
    listed,
    parts,
    polynomial,
)
from lazygrad.engine.lanes.functions.exponential import EXPM1, exponential, power_of_two, split
from lazygrad.engine.lanes.functions.logarithm import log1p
from lazygrad.engine.lanes.registers import F32, F64, Register
from lazygrad.rewrite.sharing import FAR

__all__ = ["arccosh", "arcsinh", "arctanh", "cosh", "sinh", "tanh", "tanh_seed"]

# sinh x = x + x³·P(x²) on |x| ≤ 1, a minimax fit (``benchmarks/minimax.py``): relative error 2^-31.6 and 2^-61.8.
SINH: Coefficients = {
    F32: (0.16666667, 0.0083333105, 0.00019842894, 2.7822302e-06),
    F64: (0.16666666666666669, 0.008333333333332912, 0.00019841269841593402, 2.755731910676237e-06,
          2.5052130997277934e-08, 1.6056659322135334e-10, 7.776594294183581e-13),
}  # fmt: skip

ONE = {F32: 9.2, F64: 19.2}  # from here on tanh x rounds to 1
LARGE = 2.0**60  # from here on 1 + x rounds to x


@listed
@exactly
def tanh(x: Register) -> Register:
    """Hyperbolic tangent: h/(1 + h) with h = (e²ˣ - 1)/2.

    It is computed as h - h²/(1 + h) for h < 1 and as 1 - 1/(1 + h) beyond, where the quotient is at most half of
    the result, and its rounding errors are of no more account.
    """
    writer, dtype = x.writer, x.dtype
    a = clamped(writer.abs(x), None, ONE[dtype])
    # e²ᵃ = 2ⁿ·e²ʳ as in :mod:`exponential`, but of the half. n is small: one part of ln 2 is precise enough here.
    whole = FORMAT[dtype].whole + FORMAT[dtype].bias
    z = writer.fma(a, 2 / float(LN2), whole)
    r = writer.fma(z - whole, -parts(LN2, dtype, 1)[0] / 2, a)
    power = power_of_two(z.bits(), x)
    tail = polynomial(r, [c * 2.0 ** (k + 1) for k, c in enumerate(EXPM1[dtype])]) * (r * r)
    h = writer.fma(power, tail, writer.fma(power, r, writer.fma(power, 0.5, -0.5)))
    small = h < 1.0
    y = writer.select(small, h, 1.0) - writer.select(small, h * h, 1.0) / (h + 1.0)
    return writer.copysign(y, x)


@exactly
def tanh_seed(x: Register) -> Register:
    """½·(e^2|x| - 1) with the sign of ``x``, as in :func:`tanh`; far out a power of two times e^|x|: :class:`Far`."""
    writer, dtype = x.writer, x.dtype
    far = FAR[dtype.itemsize]
    a = clamped(writer.abs(x), None, far.held)
    near = a <= far.start
    s = split(writer.select(near, a + a, a), FORMAT[dtype].bias)
    shift = writer.select(near, writer.constant(-1, s.whole.dtype), far.shift)
    power = power_of_two(s.whole + shift, x)
    tail = polynomial(s.r, EXPM1[dtype]) * (s.r * s.r)
    return writer.copysign(writer.fma(power, tail, writer.fma(power, s.r, power - 0.5)), x)


@listed
@exactly
def sinh(x: Register) -> Register:
    """Hyperbolic sine."""
    writer = x.writer
    a = writer.abs(x)
    half = exponential(a, shift=-1)
    square = a * a
    small = writer.fma(square * a, polynomial(square, SINH[x.dtype]), a)
    return writer.copysign(writer.select(a < 1.0, small, half - 0.25 / half), x)


@listed
@exactly
def cosh(x: Register) -> Register:
    """Hyperbolic cosine."""
    half = exponential(x.writer.abs(x), shift=-1)
    return half + 0.25 / half


@listed
@in_double
@exactly
def arcsinh(x: Register) -> Register:
    """Inverse hyperbolic sine: log(a + √(a² + 1)) of a = |x|, as log1p of what is above 1."""
    writer = x.writer
    a = writer.abs(x)
    square = a * a
    above = a + square / (writer.sqrt(square + 1.0) + 1.0)
    return writer.copysign(_log_of(a, above), x)


@listed
@in_double
@exactly
def arccosh(x: Register) -> Register:
    """Inverse hyperbolic cosine: log(x + √(x² - 1)), as log1p of what is above 1."""
    t = x - 1.0
    y = _log_of(x, t + x.writer.sqrt(t * (x + 1.0)))
    return x.writer.select(x < 1.0, np.nan, y)


def _log_of(a: Register, above: Register) -> Register:
    """log(1 + above), or log 2a where a is large."""
    writer = a.writer
    large = a > LARGE
    return log1p(writer.select(large, a, above)) + writer.select(large, writer.like(float(LN2), a), 0.0)


@listed
@in_double
@exactly
def arctanh(x: Register) -> Register:
    """Inverse hyperbolic tangent: ½·log1p(2a/(1 - a)) of a = |x|."""
    a = x.writer.abs(x)
    return x.writer.copysign(log1p((a + a) / (1.0 - a)) * 0.5, x)
