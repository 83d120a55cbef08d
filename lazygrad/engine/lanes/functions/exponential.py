"""Exponentials.

The argument is split as x = n·ln 2 + r with a whole n and |r| ≤ ½·ln 2, where ln 2 stands in two parts so that
n·ln 2 is subtracted as if exact (Cody & Waite, *Software Manual for the Elementary Functions*, 1980, chapter 6).
Then eˣ = 2ⁿ·eʳ. For eʳ = 1 + r + r²·T(r) the polynomial T is a minimax fit; see ``benchmarks/minimax.py``.
"""

from __future__ import annotations

from typing import NamedTuple

from lazygrad.engine.lanes.functions.core import FORMAT, LN2, Coefficients, clamped, exactly, listed, parts, polynomial
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = ["Split", "exp", "exp2", "expm1", "exponential", "power_of_two", "split"]

# Relative error of 1 + r + r²·T(r) on |r| ≤ 0.3473: 2^-27.8 and 2^-60.0.
EXP: Coefficients = {
    F32: (0.49999994, 0.1666652, 0.0416684, 0.00836885, 0.001381431),
    F64: (0.5, 0.16666666666666682, 0.04166666666666608, 0.008333333333316786, 0.001388888888911904,
          0.00019841269897012502, 2.480158692244926e-05, 2.7557234221323737e-06, 2.755758376066421e-07,
          2.5112264070358757e-08, 2.082646212833453e-09),
}  # fmt: skip

# The same with the error relative to eʳ - 1: 2^-25.8 and 2^-60.0.
EXPM1: Coefficients = {
    F32: (0.49999997, 0.16666542, 0.041667204, 0.008366645, 0.0013882514),
    F64: (0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321515, 0.00138888888889635,
          0.0001984126988647619, 2.4801587171081456e-05, 2.7557243805242885e-06, 2.755740324848727e-07,
          2.510919475034039e-08, 2.0875335504955362e-09),
}  # fmt: skip

# 2ʳ = 1 + r·T(r) on |r| ≤ ½: 2^-25.9 and 2^-55.6.
EXP2: Coefficients = {
    F32: (0.6931472, 0.24022648, 0.05550332, 0.00961844, 0.0013399133, 0.00015353167),
    F64: (0.6931471805599453, 0.24022650695910072, 0.05550410866482169, 0.009618129107628326, 0.001333355814639212,
          0.0001540353039364485, 1.5252733854919338e-05, 1.3215486592577695e-06, 1.0178051670630038e-07,
          7.054974979183337e-09, 4.456614397909507e-10, 2.5625209472440103e-11),
}  # fmt: skip

# Where the results leave the range, also of half of eˣ: beyond the upper end it is infinite, below the lower 0.
RANGE = {F32: (-104.0, 90.0), F64: (-746.0, 711.0)}
RANGE2 = {F32: (-151.0, 128.0), F64: (-1076.0, 1024.0)}


class Split(NamedTuple):
    """x = n·ln 2 + r."""

    r: Register
    n: Register  # a float
    whole: Register  # n plus a bias as a whole number, in the low bits


def split(x: Register, bias: int = 0) -> Split:
    """``x``, which must be well within range, as n·ln 2 + r."""
    writer, dtype = x.writer, x.dtype
    whole = FORMAT[dtype].whole + bias
    high, low = parts(LN2, dtype, 2)
    z = writer.fma(x, 1 / float(LN2), whole)
    n = z - whole
    return Split(writer.fma(n, -low, writer.fma(n, -high, x)), n, z.bits())


def power_of_two(count: Register, like: Register) -> Register:
    """2ⁿ for a normal result, of n plus the exponent's bias."""
    return (count << FORMAT[like.dtype].mantissa).bits(like.dtype)


def scaled(x: Register, count: Register) -> Register:
    """x·2ⁿ for x near 1, rounded once, of n plus twice the exponent's bias; n may leave the range by far.

    Two factors, as 2ⁿ may itself be no normal number. The product with the first is exact.
    """
    half = count >> 1
    return x * power_of_two(half, x) * power_of_two(count - half, x)


def exponential(x: Register, shift: int = 0) -> Register:
    """2^shift·eˣ, for a small ``shift``; so that eˣ/2 may be had where eˣ overflows."""
    dtype = x.dtype
    s = split(clamped(x, *RANGE[dtype]), 2 * FORMAT[dtype].bias + shift)
    return scaled(polynomial(s.r, (1.0, 1.0, *EXP[dtype])), s.whole)


@listed
@exactly
def exp(x: Register) -> Register:
    """eˣ."""
    return exponential(x)


@listed
@exactly
def exp2(x: Register) -> Register:
    """2ˣ."""
    dtype = x.dtype
    whole = FORMAT[dtype].whole + 2 * FORMAT[dtype].bias
    x = clamped(x, *RANGE2[dtype])
    z = x + whole
    r = x - (z - whole)
    return scaled(polynomial(r, (1.0, *EXP2[dtype])), z.bits())


@listed
@exactly
def expm1(x: Register) -> Register:
    """eˣ - 1, precise near 0.

    With s = 2ⁿ it is s·r²·T + (s·r + (s - 1)): what is large is added first, so that little is lost where
    they cancel. Half of it is computed, as 2ⁿ may be one power beyond the range.
    """
    writer, dtype = x.writer, x.dtype
    s = split(clamped(x, -40.0, 89.0 if dtype == F32 else 710.0), FORMAT[dtype].bias - 1)
    half = power_of_two(s.whole, x)
    tail = polynomial(s.r, EXPM1[dtype]) * (s.r * s.r)
    y = writer.fma(half, tail, writer.fma(half, s.r, half - 0.5))
    small = writer.abs(x) < 2.0 ** -(FORMAT[dtype].mantissa + 3)  # there eˣ - 1 rounds to x, -0 too
    return writer.select(small, x, y + y)
