"""Powers and roots, and sums of powers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lazygrad.engine.lanes.functions.core import (
    FORMAT,
    LN2,
    clamped,
    exactly,
    in_double,
    listed,
    parts,
    polynomial,
)
from lazygrad.engine.lanes.functions.double import Double, product, quick_sum, total
from lazygrad.engine.lanes.functions.exponential import EXP, RANGE, exp, power_of_two, scaled
from lazygrad.engine.lanes.functions.exponential import split as split_exponent
from lazygrad.engine.lanes.functions.logarithm import log1p, normalized, split
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = ["cbrt", "hypot", "logaddexp", "power"]

# log((1 + s)/(1 - s)) = 2s + (2/3)·s³ + s⁵·R(s²) for |s| ≤ 3 - √8, a minimax fit: relative error 2^-66.3.
LOG = (0.40000000000002256, 0.2857142857009959, 0.22222222519922705, 0.1818178436699144, 0.153867573423553,
       0.13256817399273538, 0.13196332547797746)  # fmt: skip
# The same as 2s + s³·Q(s²): 2^-37.6; and eʳ = 1 + r + r²·T(r): 2^-34.1. Float32 needs no more.
LOG_SHORT = (0.6666666564514296, 0.4000033527822284, 0.2853730220896714, 0.23582282756184433)
EXP_SHORT = (0.5000000068431917, 0.16666665860247334, 0.04166629218376148, 0.008333498260409826,
             0.0013944867605070296, 0.00019790167211998787)  # fmt: skip

# m^(-1/3) on 1 ≤ m ≤ 2: relative error 2^-14.7.
INVERSE_CBRT = (1.6700032062130339, -1.172870516445509, 0.6954728692698701, -0.22123357652497863, 0.02859033701714649)

ROOTS = (0.7937005259840998, 0.6299605249474366)  # 2^(-1/3) and 2^(-2/3)

# ln 2 with 42 bits, so that its product with an exponent is exact; and the rest.
LN2_HIGH = math.ldexp(math.floor(math.ldexp(float(LN2), 42)), -42)
LN2_LOW = float(Fraction(LN2) - Fraction(LN2_HIGH))


@listed
@exactly
def power(x: Register, y: Register) -> Register:
    """x to the power y: e^(y·log |x|), negative for a negative ``x`` and an odd ``y``.

    As y·log |x| goes up to 745, its logarithm is needed to more digits than it has: for float64 the logarithm and
    the product are sums of two numbers (Dekker, *A floating-point technique for extending the available precision*,
    1971). Float32 is computed as float64. Limits are those of IEEE 754-2019, section 9.2.1.
    """
    writer, dtype = x.writer, x.dtype
    a, b = writer.abs(x).astype(F64), y.astype(F64)
    size = (_power_short(a, b) if dtype == F32 else _power(a, b)).astype(dtype)
    size = writer.select(y.equals(0.0) | a.equals(1.0), 1.0, size)
    whole = writer.rounded(y).equals(y)
    odd = whole & writer.rounded(y * 0.5).differs(y * 0.5)
    signed = writer.select(odd, writer.copysign(size, x), size)
    nan = (x < 0.0) & (x > -np.inf) & ~whole | y.differs(y) & x.differs(1.0)
    return writer.select(nan, np.nan, signed)


def _power(a: Register, b: Register) -> Register:
    """a^b of a non-negative ``a``."""
    writer = a.writer
    normal, shift = normalized(a)
    m, k = split(normal)
    logarithm = _log(m, k.astype(F64) + shift)
    high = _with_limits(a, logarithm.high)
    upper = b * high
    # The lower part has no say where the logarithm is infinite, nor where the product overflows.
    lower = writer.fma(b, high, -upper) + b * logarithm.low
    lower = writer.select(writer.abs(upper) < 800.0, lower, 0.0)
    s = split_exponent(clamped(upper, *RANGE[F64]), 2 * FORMAT[F64].bias)
    return scaled(polynomial(s.r + lower, (1.0, 1.0, *EXP[F64])), s.whole)


def _power_short(a: Register, b: Register) -> Register:
    """The same of what were float32, and to a relative 2⁻²⁹; in float64 none of them is denormal."""
    m, k = split(a)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    logarithm = a.writer.fma(k.astype(F64), float(LN2), s + s + square * s * polynomial(square, LOG_SHORT))
    e = split_exponent(clamped(b * _with_limits(a, logarithm), -120.0, 100.0), FORMAT[F64].bias)
    return polynomial(e.r, (1.0, 1.0, *EXP_SHORT)) * power_of_two(e.whole, a)


def _with_limits(a: Register, logarithm: Register) -> Register:
    """The logarithm of ``a`` ≥ 0 at 0, ∞ and NaN too."""
    writer = a.writer
    y = writer.select(a < np.inf, logarithm, a)
    return writer.select(a.equals(0.0), -np.inf, y)


def _log(m: Register, k: Register) -> Double:
    """log m + k·log 2 to a relative 2⁻⁶⁵, as a sum of two numbers."""
    writer = m.writer
    f, d = m - 1.0, m + 1.0
    inverse = 1.0 / d
    high = f * inverse
    low = (writer.fma(-high, d, f) - high * (m - (d - 1.0))) * inverse
    s = quick_sum(high, low)
    square = product(s, s)
    third = Double(*[writer.like(part, m) for part in parts(Fraction(2, 3), F64, 2)])
    cubic = product(product(square, s), third)
    rest = polynomial(square.high, LOG) * (square.high * square.high * s.high)
    rest = writer.fma(k, LN2_LOW, rest + cubic.low + (s.low + s.low))
    first = quick_sum(k * LN2_HIGH, s.high + s.high)
    second = total(first.high, cubic.high)
    return quick_sum(second.high, second.low + (first.low + rest))


@listed
@exactly
def cbrt(x: Register) -> Register:
    """Cube root: of m·2^(3q), from y = m·r² with r = m^(-1/3), which Newton's method finds without a division."""
    writer, dtype = x.writer, x.dtype
    form = FORMAT[dtype]
    a = writer.abs(x)
    small = a < form.tiny
    normal = writer.select(small, a * 2.0**54, a)
    bits = normal.bits()
    # The exponent, made positive by a multiple of 3, is divided by 3 as a product with a third.
    exponent = (bits >> form.mantissa) - form.bias + 1200
    third = (exponent * 21846) >> 16
    left = exponent - third * 3
    m = ((bits & (2**form.mantissa - 1)) | (form.bias << form.mantissa)).bits(dtype)
    r = polynomial(m, INVERSE_CBRT)
    r = r * writer.select(
        left.equals(0), writer.like(1.0, x), writer.select(left.equals(1), writer.like(ROOTS[0], x), ROOTS[1])
    )
    m = m * ((left + form.bias) << form.mantissa).bits(dtype)
    for _ in range(2 if dtype == F64 else 1):
        r = writer.fma(r * (1 / 3), writer.fma(-m * r * r, r, 1.0), r)
    square = r * r
    y = m * square
    y = writer.fma(writer.fma(-y * y, y, m), square * (1 / 3), y)
    y = y * ((third - 400 + form.bias) << form.mantissa).bits(dtype)
    y = writer.select(small, y * 2.0**-18, y)
    return writer.select((a > 0.0) & (a < np.inf), writer.copysign(y, x), x)


@listed
@in_double
@exactly
def hypot(x: Register, y: Register) -> Register:
    """√(x² + y²), without overflow on the way; infinite if one of them is, even beside NaN."""
    writer = x.writer
    a, b = writer.abs(x), writer.abs(y)
    high = writer.select(a > b, a, b)
    huge, small = high > 2.0**500, high < 2.0**-400
    scale = writer.select(huge, writer.like(2.0**-600, x), writer.select(small, writer.like(2.0**600, x), 1.0))
    back = writer.select(huge, writer.like(2.0**600, x), writer.select(small, writer.like(2.0**-600, x), 1.0))
    u, v = a * scale, b * scale
    square = v * v
    upper = writer.fma(u, u, square)
    return writer.select(a.equals(np.inf) | b.equals(np.inf), np.inf, writer.sqrt(upper) * back)


@listed
@in_double
@exactly
def logaddexp(x: Register, y: Register) -> Register:
    """log(eˣ + eʸ): the greater one, and log1p(e^-|x - y|).

    Where the two cancel, near a result of 0, the error is small beside the greater one, not beside the result.
    """
    writer = x.writer
    apart = writer.select(x.equals(y), 0.0, writer.abs(x - y))
    return writer.select(x > y, x, y) + log1p(exp(-apart))
