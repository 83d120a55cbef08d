"""The normal distribution function, its logarithm, and what the activations that are made of it need.

With a = |x| and z = a/√2 the smaller of Φ(x) and Φ(−x) is ½·e^(−a²/2)·erfcx(z). The scaled complement erfcx is smooth,
so that it does not matter that z is rounded; and what rounding takes from a² is given back to the exponent. Float32 is
computed as float64.
"""

from __future__ import annotations

import math

import numpy as np

from lazygrad.engine.lanes.functions.core import FORMAT, clamped, exactly, listed, polynomial
from lazygrad.engine.lanes.functions.double import Double, product, total
from lazygrad.engine.lanes.functions.error_function import near_complement, scaled_complement, square_exponential
from lazygrad.engine.lanes.functions.exponential import EXP, scaled, split
from lazygrad.engine.lanes.functions.logarithm import log, log1p
from lazygrad.engine.lanes.registers import F64, Register

__all__ = ["gelu_exponential", "log_ndtr", "mills", "ndtr"]

ROOT_HALF = math.sqrt(0.5)


def _tail(x: Register) -> tuple[Register, Register, Register]:
    """e^(−x²/2), erfcx(|x|/√2), and the smaller of Φ(x) and Φ(−x), in float64."""
    a = x.writer.abs(x.astype(F64))
    e, complement = square_exponential(a, 0.5), scaled_complement(a * ROOT_HALF, x.dtype)
    return e, complement, e * 0.5 * complement


@listed
@exactly
def ndtr(x: Register) -> Register:
    """The normal distribution function Φ."""
    a = x.writer.abs(x.astype(F64))
    small = square_exponential(a, 0.5) * 0.5 * near_complement(a * ROOT_HALF, x.dtype)
    return x.writer.select(x < 0.0, small, 1.0 - small).astype(x.dtype)


@listed
@exactly
def log_ndtr(x: Register) -> Register:
    """log Φ(x): log(erfcx(z)/2) − x²/2 on the left, on the right log1p(−Φ(−x))."""
    writer, z = x.writer, x.astype(F64)
    _, complement, small = _tail(x)
    left = log(complement * 0.5) - (z * 0.5) * z
    left = writer.select(z.equals(-np.inf), z, left)
    return writer.select(z < 0.0, left, log1p(-small)).astype(x.dtype)


@listed
@exactly
def mills(x: Register) -> Register:
    """φ(x)/Φ(x), the derivative of log Φ: on the left √(2/π)/erfcx(z)."""
    writer, z = x.writer, x.astype(F64)
    e, complement, small = _tail(x)
    left = writer.like(math.sqrt(2 / math.pi), z) / complement
    left = writer.select(z < -1e15, -z, left)
    return writer.select(z < 0.0, left, e * math.sqrt(0.5 / math.pi) / (1.0 - small)).astype(x.dtype)


# √(8/π) and 0.044715·√(8/π), each as a sum of two numbers.
GELU = (1.5957691216057308, -9.96930880911092e-17), (0.07135481627260025, -6.175149918155315e-19)


@listed
@exactly
def gelu_exponential(x: Register) -> Register:
    """exp(−|z|) for z = √(8/π)·(x + 0.044715·x³), the argument of the gate of gelu by tanh.

    As an exponential makes a large relative error of what rounding takes from z, z is a sum of two numbers.
    """
    writer = x.writer
    a = clamped(writer.abs(x.astype(F64)), None, 24.0)
    zero = writer.like(0.0, a)
    first, third = (Double(*[writer.like(part, a) for part in number]) for number in GELU)
    argument = Double(a, zero)
    cubic = product(third, product(argument, argument))
    factor = total(first.high, cubic.high)
    z = product(argument, Double(factor.high, factor.low + (first.low + cubic.low)))
    s = split(-z.high, 2 * FORMAT[F64].bias)
    return scaled(polynomial(s.r - z.low, (1.0, 1.0, *EXP[F64])), s.whole).astype(x.dtype)
