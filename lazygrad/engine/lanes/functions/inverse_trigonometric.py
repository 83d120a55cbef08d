"""Inverse trigonometric functions.

Each brings its argument near 0, where an odd polynomial, a minimax fit (``benchmarks/minimax.py``), takes over (Cody &
Waite, *Software Manual for the Elementary Functions*, 1980, chapters 10 and 11).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lazygrad.engine.lanes.functions.core import PI, Coefficients, exactly, listed, parts, polynomial
from lazygrad.engine.lanes.functions.double import quick_sum
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = ["arccos", "arcsin", "arctan", "arctan2"]

# arcsin x = x + x³·P(x²) on |x| ≤ ½: relative error 2^-27.6 and 2^-59.6.
ARCSIN: Coefficients = {
    F32: (0.16666752, 0.074953064, 0.045469776, 0.024180735, 0.042166512),
    F64: (0.1666666666666676, 0.07499999999970809, 0.044642857174647395, 0.030381942704636532, 0.022372215106733855,
          0.017351609437752918, 0.01398085580936042, 0.011398592650071612, 0.010782198738496155,
          0.0036985293620130635, 0.021727795599167876, -0.021029387438323294, 0.03264846211644861),
}  # fmt: skip

# arctan x = x + x³·P(x²) on |x| ≤ ½: 2^-31.7 and 2^-62.0.
ARCTAN: Coefficients = {
    F32: (-0.33333328, 0.19999555, -0.14273107, 0.10948411, -0.08009076, 0.039042152),
    F64: (-0.33333333333333315, 0.19999999999993773, -0.14285714284999312, 0.11111111070112815, -0.0909090770776545,
          0.0769227768880963, -0.0666622562305885, 0.05877821121447664, -0.05230078706873436, 0.04589663334116005,
          -0.037123395047258236, 0.023661023009082485, -0.008369175713551186),
}  # fmt: skip


class _Arc(NamedTuple):
    """Where ``middle``, arcsin a = root + tail; elsewhere arccos a is twice that."""

    middle: Register
    root: Register
    tail: Register


def _arc(a: Register) -> _Arc:
    """The angle of a = |x|: arcsin a for a < ½, else arcsin √((1 - a)/2), which is half of arccos a."""
    writer = a.writer
    middle = a < 0.5
    square = writer.select(middle, a * a, writer.fma(a, -0.5, 0.5))
    root = writer.select(middle, a, writer.sqrt(square))
    return _Arc(middle, root, square * root * polynomial(square, ARCSIN[a.dtype]))


@listed
@exactly
def arcsin(x: Register) -> Register:
    """Inverse sine. Beyond ½ it is π/2 less twice an angle, of which the greater part is taken away first."""
    writer = x.writer
    middle, root, tail = _arc(writer.abs(x))
    high, low = parts(PI, x.dtype, 2)
    outer = quick_sum(writer.like(high / 2, x), -(root + root))
    outer_angle = outer.high + (outer.low - (tail + tail - low / 2))
    return writer.copysign(writer.select(middle, root + tail, outer_angle), x)


@listed
@exactly
def arccos(x: Register) -> Register:
    """Inverse cosine."""
    writer = x.writer
    middle, root, tail = _arc(writer.abs(x))
    high, low = parts(PI, x.dtype, 2)
    angle = root + tail
    twice = angle + angle
    outer = writer.select(x < 0.0, high - (twice - low), twice)
    return writer.select(middle, high / 2 - (writer.copysign(angle, x) - low / 2), outer)


def _arctan_of_quotient(low: Register, high: Register) -> Register:
    """arctan(low/high) for 0 ≤ low ≤ high.

    Beyond ½ it is π/4 + arctan((low - high)/(low + high)), where the difference is exact. So one division does.
    """
    writer, dtype = low.writer, low.dtype
    upper = low + low > high
    t = writer.select(upper, low - high, low) / writer.select(upper, low + high, high)
    square = t * t
    tail = square * t * polynomial(square, ARCTAN[dtype])
    base, rest = (writer.select(upper, writer.like(part / 4, t), 0.0) for part in parts(PI, dtype, 2))
    return base + (t + (tail + rest))


@listed
@exactly
def arctan(x: Register) -> Register:
    """Inverse tangent."""
    writer = x.writer
    a = writer.abs(x)
    steep = a > 1.0
    y = _arctan_of_quotient(writer.select(steep, 1.0, a), writer.select(steep, a, 1.0))
    high, low = parts(PI, x.dtype, 2)
    return writer.copysign(writer.select(steep, high / 2 - (y - low / 2), y), x)


@listed
@exactly
def arctan2(y: Register, x: Register) -> Register:
    """The angle of the point (x, y), from -π to π; of a zero or infinite point that of its quadrant's corner."""
    writer, dtype = y.writer, y.dtype
    b, a = writer.abs(y), writer.abs(x)
    steep = b > a
    low, high = writer.select(steep, a, b), writer.select(steep, b, a)
    huge = high > 2.0**100  # their sum must not overflow
    low, high = writer.select(huge, low * 0.25, low), writer.select(huge, high * 0.25, high)
    same = low.equals(high)  # 0/0 and ∞/∞ are such corners
    low, high = writer.select(same, writer.select(high > 0.0, 1.0, low), low), writer.select(same, 1.0, high)
    pi, rest = parts(PI, dtype, 2)
    angle = _arctan_of_quotient(low, high)
    angle = writer.select(steep, pi / 2 - (angle - rest / 2), angle)
    left = x.bits() < 0
    angle = writer.select(left, pi - (angle - rest), angle)
    nan = x.differs(x) | y.differs(y)
    return writer.copysign(writer.select(nan, np.nan, angle), y)
