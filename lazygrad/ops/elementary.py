"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.kinds import tensor
from lazygrad.ops.arithmetic import multiply, power, reciprocal, rsqrt, square
from lazygrad.ops.comparison import equal, where
from lazygrad.registry import function
from lazygrad.spec import floating
from lazygrad.tensor import Array, Tensor, TensorLike

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "deg2rad",
    "exp",
    "exp10",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "rad2deg",
    "sigmoid",
    "sin",
    "sinc",
    "sinh",
    "tan",
    "tanh",
]


@elementwise(vjp=lambda g, y, x: g * y)
def exp(xp: Any, x: Array) -> Any:
    """Natural exponential, eˣ."""
    return xp.exp(x)


@elementwise(vjp=lambda g, y, x: g * y * math.log(2))
def exp2(xp: Any, x: Array) -> Any:
    """Power of two, 2ˣ."""
    return xp.exp2(x)


# Not y + 1, of which nothing is left where y is near −1.
@elementwise(vjp=lambda g, y, x: g * exp(x))
def expm1(xp: Any, x: Array) -> Any:
    """eˣ − 1, precise near 0."""
    return xp.expm1(x)


@elementwise(vjp=lambda g, y, x: g / x)
def log(xp: Any, x: Array) -> Any:
    """Natural logarithm."""
    return xp.log(x)


@elementwise(vjp=lambda g, y, x: g / (1 + x))
def log1p(xp: Any, x: Array) -> Any:
    """log(1 + x), precise near 0."""
    return xp.log1p(x)


@elementwise(vjp=lambda g, y, x: g / (x * math.log(2)))
def log2(xp: Any, x: Array) -> Any:
    """Logarithm to base 2."""
    return xp.log2(x)


@elementwise(vjp=lambda g, y, x: g / (x * math.log(10)))
def log10(xp: Any, x: Array) -> Any:
    """Logarithm to base 10."""
    return xp.log10(x)


@elementwise(vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g))
def _apart(xp: Any, a: Array, b: Array) -> Any:
    """a − b, and 0 where they are equal: infinities too."""
    return xp.where(xp.equal(a, b), 0, a - b)


def _small_part(xp: Any, x: Array) -> Any:
    """σ(−|x|) = e / (1 + e) with e = exp(−|x|): the smaller of σ(x) and σ(−x), which are it and 1 less it."""
    e = xp.exp(-xp.abs(x))
    return e / (1 + e)


@elementwise(vjp=lambda g, y, x: g * _logistic_slope(x), dtype=floating)
def sigmoid(xp: Any, x: Array) -> Any:
    """Logistic function, 1 / (1 + e⁻ˣ)."""
    small = _small_part(xp, x)
    return xp.where(x < 0, small, 1 - small)


# Not y·(1 − y), of which nothing is left where y is near 1; and for the same reason tanh(x/2), not 1 − 2y.
@elementwise(vjp=lambda g, y, x: -g * (y * tanh(0.5 * x)))
def _logistic_slope(xp: Any, x: Array) -> Any:
    """σ(x)·σ(−x), the derivative of :func:`sigmoid`."""
    small = _small_part(xp, x)
    return small * (1 - small)


@elementwise(
    vjp=(
        lambda g, y, a, b: g * (y * _softmax_of_two(b, a)),
        lambda g, y, a, b: -g * (y * _softmax_of_two(b, a)),
    )
)
def _softmax_of_two(xp: Any, a: Array, b: Array) -> Any:
    """σ(a − b) = eᵃ / (eᵃ + eᵇ), and ½ where they are equal: infinities too.

    What rounding takes from a − b is given back (Knuth, *The Art of Computer Programming*, volume 2, §4.2.2,
    theorem B): an exponential makes a large relative error of it.
    """
    d = xp.where(xp.equal(a, b), 0, a - b)
    back = d - a
    rest = xp.where(xp.isfinite(d), (a - (d - back)) - (b + back), 0)
    e = xp.exp(-xp.abs(d)) * (1 - xp.copysign(1, d) * rest)
    small = e / (1 + e)
    return xp.where(d < 0, small, 1 - small)


@elementwise(vjp=(lambda g, y, a, b: g * _softmax_of_two(a, b), lambda g, y, a, b: g * _softmax_of_two(b, a)))
def logaddexp(xp: Any, a: Array, b: Array) -> Any:
    """log(eᵃ + eᵇ), without overflow. Its derivatives sum to 1; operands that are equal share it, infinities too."""
    return xp.logaddexp(a, b)


@elementwise(vjp=lambda g, y, x: g / (3 * square(y)))
def cbrt(xp: Any, x: Array) -> Any:
    """Cube root."""
    return xp.cbrt(x)


@elementwise(vjp=lambda g, y, x: g * cos(x))
def sin(xp: Any, x: Array) -> Any:
    """Sine; x in radians."""
    return xp.sin(x)


@elementwise(vjp=lambda g, y, x: -g * sin(x))
def cos(xp: Any, x: Array) -> Any:
    """Cosine; x in radians."""
    return xp.cos(x)


@elementwise(vjp=lambda g, y, x: g * (1 + square(y)))
def tan(xp: Any, x: Array) -> Any:
    """Tangent; x in radians."""
    return xp.tan(x)


@elementwise(vjp=lambda g, y, x: g * rsqrt((1 - x) * (1 + x)))
def asin(xp: Any, x: Array) -> Any:
    """Inverse sine, in radians, from −π/2 to π/2."""
    return xp.arcsin(x)


@elementwise(vjp=lambda g, y, x: -g * rsqrt((1 - x) * (1 + x)))
def acos(xp: Any, x: Array) -> Any:
    """Inverse cosine, in radians, from 0 to π."""
    return xp.arccos(x)


@elementwise(vjp=lambda g, y, x: g / (1 + square(x)))
def atan(xp: Any, x: Array) -> Any:
    """Inverse tangent, in radians, from −π/2 to π/2."""
    return xp.arctan(x)


@elementwise(
    vjp=(
        lambda g, y, a, b: g * b / (square(a) + square(b)),
        lambda g, y, a, b: -g * a / (square(a) + square(b)),
    )
)
def atan2(xp: Any, a: Array, b: Array) -> Any:
    """Angle of the point (b, a), in radians, from −π to π."""
    return xp.arctan2(a, b)


@elementwise(vjp=lambda g, y, x: g * cosh(x))
def sinh(xp: Any, x: Array) -> Any:
    """Hyperbolic sine."""
    return xp.sinh(x)


@elementwise(vjp=lambda g, y, x: g * sinh(x))
def cosh(xp: Any, x: Array) -> Any:
    """Hyperbolic cosine."""
    return xp.cosh(x)


@elementwise(vjp=lambda g, y, x: g * _tanh_slope(x))
def tanh(xp: Any, x: Array) -> Any:
    """Hyperbolic tangent."""
    return xp.tanh(x)


# Not 1 − y², of which nothing is left where y is near 1.
@elementwise(vjp=lambda g, y, x: -2 * g * (y * tanh(x)))
def _tanh_slope(xp: Any, x: Array) -> Any:
    """1 / cosh² x = 4·σ(2x)·σ(−2x), the derivative of :func:`tanh`."""
    small = _small_part(xp, 2 * x)
    return 4 * (small * (1 - small))


@elementwise(vjp=lambda g, y, x: g * rsqrt(square(x) + 1))
def asinh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic sine."""
    return xp.arcsinh(x)


@elementwise(vjp=lambda g, y, x: g * rsqrt((x - 1) * (x + 1)))
def acosh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic cosine, for x ≥ 1."""
    return xp.arccosh(x)


@elementwise(vjp=lambda g, y, x: g * reciprocal((1 - x) * (1 + x)))
def atanh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic tangent, for |x| < 1."""
    return xp.arctanh(x)


@function
def exp10(x: TensorLike) -> Tensor:
    """Power of ten, 10ˣ."""
    return power(10.0, x)


@function
def deg2rad(x: TensorLike) -> Tensor:
    """Degrees to radians."""
    return multiply(x, math.pi / 180)


@function
def rad2deg(x: TensorLike) -> Tensor:
    """Radians to degrees."""
    return multiply(x, 180 / math.pi)


@function
def sinc(x: TensorLike) -> Tensor:
    """sin(πx) / (πx), and 1 at 0."""
    x = tensor(x)
    zero = equal(x, 0)
    angle = math.pi * where(zero, 1, x)
    # Near 0 the series 1 − (πx)²/6 keeps value and derivatives; at 0 itself the quotient has none.
    return where(zero, 1 - square(math.pi * x) / 6, sin(angle) / angle)
