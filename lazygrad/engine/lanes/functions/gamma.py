"""The logarithm of the gamma function and its derivative.

Recurrences bring an argument below 8 to where a minimax fit holds; beyond, Stirling's series with minimax coefficients
takes over; negative arguments are reflected (Abramowitz & Stegun, *Handbook of Mathematical Functions*, 1964, sections
6.1.15 to 6.1.41 and 6.3.5 to 6.3.18). Both are zero between all neighbouring negative whole numbers; near these
zeros the error is small beside 1, not beside the result. Float32 is computed as float64.
"""

from __future__ import annotations

import math

import numpy as np

from lazygrad.engine.lanes.functions.core import exactly, in_double, listed, parts, polynomial
from lazygrad.engine.lanes.functions.logarithm import log
from lazygrad.engine.lanes.functions.trigonometric import sine
from lazygrad.engine.lanes.registers import F64, Register

__all__ = ["digamma", "gammaln"]

# log Γ(2 + t) = t·P(t) for -¾ ≤ t ≤ ½: relative error 2^-53.0.
NEAR_TWO = (0.42278433509846713, 0.32246703342411315, -0.06735230105320113, 0.020580808427795368,
            -0.007385551028382722, 0.0028905103303487833, -0.0011927539226017872, 0.0005096695273659486,
            -0.00022315455347496157, 9.94576109844715e-05, -4.4928386093838284e-05, 2.050499911667124e-05,
            -9.426622225718204e-06, 4.394671501195955e-06, -2.080477993591366e-06, 8.641366431486034e-07,
            -3.9891340552413465e-07, 4.235665004468674e-07, -4.7841537098357466e-08, -1.4569867885192068e-07,
            -1.7110541640395618e-07)  # fmt: skip
# log Γ(x) = (x - ½)·log x - x + ½·log 2π + S(1/x²)/x for x ≥ 8: S to 2^-54.0.
STIRLING = (0.08333333333333333, -0.0027777777777547876, 0.0007936507750353142, -0.0005952324842503304,
            0.0008409559144685504, -0.001860755388322617, 0.004427140658119497)  # fmt: skip

HALF_LOG = 0.4189385332046727  # ½·log 2π - ½

# ψ(x) = (x - ROOT)·P(x - 3/2) for 1 ≤ x ≤ 2: relative error 2^-53.5.
ROOT = parts("1.46163214496836234126265954232572132846819620400644635129599", F64, 2)
NEAR_ROOT = (0.951055876031833, -0.4236274212814606, 0.24054248424077398, -0.14840492305389003, 0.09498872445497228,
             -0.06192213327469823, 0.04076083381082206, -0.026975796691150168, 0.017907252481182852,
             -0.011908219421761013, 0.007926944021151152, -0.005279946226128735, 0.003519012101594915,
             -0.0023454210333178176, 0.001556599598579978, -0.0010368408236738427, 0.0007234361670039442,
             -0.00048473454129333005, 0.00022702658652516678, -0.0001469701234839258, 0.0002598503620838655,
             -0.00017656882172638094)  # fmt: skip
# ψ(x) = log x - 1/2x - S(1/x²)/x² for x ≥ 8: S to 2^-54.0.
DIGAMMA_STIRLING = (0.08333333333333333, -0.008333333333303624, 0.003968253937050015, -0.004166654313552733,
                    0.007573403645170687, -0.020857237813236135, 0.0709703835581068, -0.13339785155328895)  # fmt: skip

LARGE = 8.0


@listed
@in_double
@exactly
def gammaln(x: Register) -> Register:
    """log |Γ(x)|; for negative ``x`` it is log |π/sin πx| - log Γ(1 - x)."""
    writer = x.writer
    negative = x < 0.0
    a = writer.abs(x)
    y = _gammaln(writer.select(negative, a + 1.0, a), writer.select(negative, a, a - 1.0))
    part = a - writer.rounded(a)
    # Near 0 it is as good as ``part``, whose product with π may be denormal.
    ratio = writer.select(writer.abs(part) < 2.0**-30, part, sine(part * math.pi) * (1 / math.pi))
    y = writer.select(negative, -log(writer.abs(ratio)) - y, y)
    y = writer.select(negative & part.equals(0.0), np.inf, y)
    return writer.select(a.equals(np.inf), x, y)  # as SciPy has it, -∞ at -∞


def _gammaln(x: Register, less: Register) -> Register:
    """log Γ(x) for x ≥ 0, given also x - 1, which may be more precise."""
    writer = x.writer
    # One or two steps up to 5/4, or steps down to 5/2: x = t + 2 + steps, and q collects the factors.
    below, far_below = x < 1.25, x < 0.25
    t = writer.select(far_below, x, writer.select(below, less, x - 2.0))
    q = writer.select(far_below, x * (x + 1.0), writer.select(below, x, 1.0))
    for _ in range(6):
        above = t > 0.5
        q = writer.select(above, q * (t + 1.0), q)
        t = writer.select(above, t - 1.0, t)
    large = x >= LARGE
    logarithm = log(writer.select(large, x, q))
    near = t * polynomial(t, NEAR_TWO) + writer.select(below, -logarithm, logarithm)
    inverse = 1.0 / x
    series = inverse * polynomial(inverse * inverse, STIRLING) + HALF_LOG
    return writer.select(large, writer.fma(x - 0.5, logarithm - 1.0, series), near)


@listed
@in_double
@exactly
def digamma(x: Register) -> Register:
    """ψ(x), the derivative of log Γ(x); for negative ``x`` it is ψ(-x) - 1/x - π·cot πx."""
    writer = x.writer
    a = writer.abs(x)
    # One step up to 1, or steps down to 2; the reciprocals that this adds are kept as one quotient.
    below, negative = a < 1.0, x.bits() < 0
    t = writer.select(below, a + 1.0, a)
    above = writer.select(below & ~negative, writer.like(-1.0, x), 0.0)
    under = writer.select(below & ~negative, a, 1.0)
    for _ in range(6):
        more = t > 2.0
        t = writer.select(more, t - 1.0, t)
        above = writer.select(more, writer.fma(above, t, under), above)
        under = writer.select(more, under * t, under)
    near = ((t - ROOT[0]) - ROOT[1]) * polynomial(t - 1.5, NEAR_ROOT) + above / under
    inverse = 1.0 / a
    square = inverse * inverse
    large = a >= LARGE
    far = log(a) - writer.fma(square, polynomial(square, DIGAMMA_STIRLING), 0.5 * inverse)
    y = writer.select(large, far, near)
    # Below 1, ψ(a) + 1/a is ψ(a + 1), and nothing is left to add.
    y = y + writer.select(negative & ~below, inverse, 0.0)
    part = a - writer.rounded(a)
    # cot πa = sin(π·(½ - |part|))/sin(π·part)
    cotangent = sine((0.5 - writer.abs(part)) * math.pi) / sine(part * math.pi)
    y = writer.select(negative, writer.fma(cotangent, math.pi, y), y)
    pole = part.equals(0.0) & (x < 0.0) | x.equals(-np.inf)
    y = writer.select(pole, np.nan, y)
    y = writer.select(a.equals(0.0), writer.copysign(writer.like(np.inf, x), -x), y)
    return writer.select(x.equals(np.inf), x, y)
