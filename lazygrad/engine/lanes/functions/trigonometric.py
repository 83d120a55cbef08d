"""Sine, cosine and tangent.

An angle a is brought to r = a - n·π with |r| ≤ π/2 by three parts of π, each product subtracted as if exact (Cody &
Waite, *Software Manual for the Elementary Functions*, 1980, chapter 8; with a fused multiply-add, Muller, *Elementary
Functions*, 2016, section 11.2). For the cosine n is a whole number and a half, so that both are ±sin r, which has a
high relative precision at every zero. Beyond :data:`NEAR` the reduction of :mod:`reduction` takes over.
sin r = r + r³·S(r²), where S is a minimax fit; see ``benchmarks/minimax.py``.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from lazygrad.engine.lanes.functions.angles import far
from lazygrad.engine.lanes.functions.core import FORMAT, PI, Coefficients, exactly, listed, parts, polynomial
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = ["cos", "sin", "sine", "tan"]

# Relative error on |r| ≤ 1.5755 and 1.5709: 2^-27.2 and 2^-61.6.
SIN: Coefficients = {
    F32: (-0.1666666, 0.008333068, -0.00019809655, 2.6057282e-06),
    F64: (-0.16666666666666666, 0.008333333333333207, -0.00019841269841212476, 2.7557319211568394e-06,
          -2.505210690425685e-08, 1.6058940990212168e-10, -7.643018949553567e-13, 2.7214138821225627e-15),
}  # fmt: skip

# tan r = r + r³·T(r²) on |r| ≤ π/4, in float64, for results in each: 2^-29.6 and 2^-56.2.
TAN: Coefficients = {
    F32: (0.3333334975591153, 0.1333266331287845, 0.054059918358145526, 0.021282182668064607, 0.010835812482766043,
          8.955231105667622e-05, 0.004376259785738573),
    F64: (0.3333333333333278, 0.13333333333414127, 0.05396825392688718, 0.02186948960402298, 0.008863219231558488,
          0.00359228849151018, 0.001454761434571932, 0.0005950505062118512, 0.00022242097650888236,
          0.00013644196569907757, -2.626961449617849e-05, 8.93460724483136e-05, -4.481954149305381e-05,
          2.0849610237392488e-05),
}  # fmt: skip

NEAR = {F32: 2.0**17, F64: 2.0**28}


def _half_turns(a: Register, quarter: bool) -> tuple[Register, Register]:
    """A non-negative angle as (n + ½·[quarter])·π + r: r, and the parity of n as a sign bit."""
    writer, dtype = a.writer, a.dtype
    form, near = FORMAT[dtype], NEAR[dtype]
    if quarter:
        z = writer.fma(a, 1 / math.pi, -0.5) + form.whole
        n = (z - form.whole) + 0.5
    else:
        z = writer.fma(a, 1 / math.pi, form.whole)
        n = z - form.whole
    r = _less(a, n, PI)
    top = form.bits - 1
    found, flip = writer.cell(r), writer.cell(z.bits() << top)
    large = (a > near) & (a < np.inf)
    with writer.when(writer.any(large)):
        wanted = writer.select(large, a, near).astype(F64)
        r_far, n_far = far(wanted, 1, quarter)
        found.set(writer.select(large, r_far.astype(dtype), found.get()))
        flip.set(writer.select(large, n_far.astype(z.bits().dtype) << top, flip.get()))
    return found.get(), flip.get()


def _less(a: Register, n: Register, unit: str | Fraction) -> Register:
    """a - n·unit."""
    for part in parts(unit, a.dtype, 3):
        a = a.writer.fma(n, -part, a)
    return a


def sine(r: Register) -> Register:
    """sin r for |r| ≤ π/2."""
    square = r * r
    return r.writer.fma(square * r, polynomial(square, SIN[r.dtype]), r)


def _flipped(x: Register, flip: Register) -> Register:
    """``x``, its sign changed where ``flip`` has the sign bit."""
    return (x.bits() ^ flip).bits(x.dtype)


@listed
@exactly
def sin(x: Register) -> Register:
    """Sine."""
    a = x.writer.abs(x)
    r, flip = _half_turns(a, quarter=False)
    return _flipped(sine(r), flip ^ (x.bits() ^ a.bits()))


@listed
@exactly
def cos(x: Register) -> Register:
    """Cosine: sin(x + π/2)."""
    r, flip = _half_turns(x.writer.abs(x), quarter=True)
    return -_flipped(sine(r), flip)


@listed
@exactly
def tan(x: Register) -> Register:
    """Tangent: of r = |x| - n·π/2 tan r, or -1/tan r for odd n. Float32 is computed as float64."""
    writer, dtype = x.writer, x.dtype
    form, near = FORMAT[F64], NEAR[F64]
    a = writer.abs(x).astype(F64)
    z = writer.fma(a, 2 / math.pi, form.whole)
    found, count = writer.cell(_less(a, z - form.whole, Fraction(PI) / 2)), writer.cell(z.bits())
    large = (a > near) & (a < np.inf)
    with writer.when(writer.any(large)):
        r_far, n_far = far(writer.select(large, a, near), 2)
        found.set(writer.select(large, r_far, found.get()))
        count.set(writer.select(large, n_far, count.get()))
    r, odd = found.get(), (count.get() & 1).equals(1)
    square = r * r
    t = writer.fma(square * r, polynomial(square, TAN[dtype]), r)
    y = writer.select(odd, -1.0, t) / writer.select(odd, t, 1.0)
    return _flipped(y.astype(dtype), x.bits() ^ writer.abs(x).bits())
