"""Logarithms.

The argument is split as x = 2ᵏ·(1 + f) with |f| small, and log x = k·ln 2 + log(1 + f). For float32,
log(1 + f) = f - f²/2 + f³·P(f). For float64, with s = f/(2 + f), it is 2·atanh(s), written as
f - (f²/2 - s·(f²/2 + s²·Q(s²))) so that rounding errors are of small terms only (Ng, *FDLIBM*, ``e_log.c``, 1993).
P and Q are minimax fits; see ``benchmarks/minimax.py``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from lazygrad.engine.lanes.functions.core import FORMAT, LN2, Coefficients, exactly, listed, parts, polynomial
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = ["Split", "log", "log10", "log1p", "log2", "normalized", "split"]

LN10 = "2.302585092994045684017991454684364207601101488628772976033327901"

# Relative error of the whole on its interval, |f| ≤ 1/3 or √½ ≤ 1 + f ≤ √2: 2^-27.4 and 2^-59.5.
LOG: Coefficients = {
    F32: (0.33333215, -0.24999797, 0.20010407, -0.16680482, 0.14005841, -0.12184317, 0.13984582, -0.1289149),
    F64: (0.6666666666666734, 0.39999999999416547, 0.28571428742063576, 0.2222219860025929, 0.18183563151145973,
          0.1531407604049592, 0.14795731533707096),
}  # fmt: skip
LEAST = {F32: 2 / 3, F64: 0.5**0.5}  # of 1 + f


class Split(NamedTuple):
    """x = 2ᵏ·m."""

    m: Register
    k: Register  # a whole number


def split(x: Register) -> Split:
    """A normal number as 2ᵏ·m with m between :data:`LEAST` and twice that."""
    form, dtype = FORMAT[x.dtype], x.dtype
    bits = x.bits()
    least = int(np.array(LEAST[dtype], dtype).view(f"i{dtype.itemsize}"))
    k = (bits - least) >> form.mantissa
    return Split((bits - (k << form.mantissa)).bits(dtype), k)


def normalized(x: Register) -> tuple[Register, Register]:
    """``x``, made normal if it is not, and the power of two that this took away."""
    form, writer = FORMAT[x.dtype], x.writer
    small = x < form.tiny
    up = form.mantissa + 1
    return writer.select(small, x * 2.0**up, x), writer.select(small, writer.like(-float(up), x), 0.0)


def _of_one_plus(f: Register) -> Register:
    """log(1 + f) - f."""
    writer = f.writer
    if f.dtype == F32:
        return writer.fma(f, polynomial(f, LOG[F32]), -0.5) * (f * f)
    s = f / (f + 2.0)
    square, half = s * s, f * f * 0.5
    return s * (half + square * polynomial(square, LOG[F64])) - half


def _logarithm(f: Register, k: Register, base: str | None = None) -> Register:
    """log(1 + f) + k·log 2, to a base if its natural logarithm is given."""
    writer, dtype = f.writer, f.dtype
    rest = _of_one_plus(f)
    if base is None:
        high, low = parts(LN2, dtype, 2)
        return writer.fma(k, high, f + writer.fma(k, low, rest))
    scale, scale_low = parts(1 / Fraction(base), dtype, 2)
    high, low = parts(Fraction(LN2) / Fraction(base), dtype, 2)
    small = writer.fma(rest, scale, f * scale_low)
    if base != LN2:
        return writer.fma(k, high, writer.fma(f, scale, writer.fma(k, low, small)))
    return k + writer.fma(f, scale, small)


def _ends(x: Register, y: Register) -> Register:
    """``y`` where 0 < x < ∞; the limits at 0 and ∞; NaN elsewhere."""
    writer = x.writer
    none = writer.select(x.equals(0.0), writer.like(-np.inf, x), np.nan)
    return writer.select(x > 0.0, writer.select(x < np.inf, y, x), none)


def _log(x: Register, base: str | None = None) -> Register:
    normal, shift = normalized(x)
    m, k = split(normal)
    return _ends(x, _logarithm(m - 1.0, k.astype(x.dtype) + shift, base))


@listed
@exactly
def log(x: Register) -> Register:
    """Natural logarithm."""
    return _log(x)


@listed
@exactly
def log2(x: Register) -> Register:
    """Logarithm to base 2, exact for powers of 2."""
    return _log(x, LN2)


@listed
@exactly
def log10(x: Register) -> Register:
    """Logarithm to base 10."""
    return _log(x, LN10)


@listed
@exactly
def log1p(x: Register) -> Register:
    """log(1 + x), precise near 0.

    1 + x rounded is u = 2ᵏ·m, and 1 + x = u + c exactly; so f = (m - 1) + c·2⁻ᵏ, rounded once.
    """
    writer, dtype = x.writer, x.dtype
    form = FORMAT[dtype]
    u = x + 1.0
    c = x - (u - 1.0)
    m, k = split(u)
    twice = ((form.bias + 1 - k) << form.mantissa).bits(dtype)  # 2·2⁻ᵏ, as 2⁻ᵏ itself may be no normal number
    f = writer.fma(c * 0.5, twice, m - 1.0)
    y = _ends(u, _logarithm(f, k.astype(dtype)))
    return writer.select(writer.abs(x) < 2.0 ** -(form.mantissa + 2), x, y)
