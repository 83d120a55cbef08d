"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import hypot, multiply, power, reciprocal, rsqrt, square

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


@elementwise(vjp=lambda g, y, x: (g * (1 / math.log(2))) / x)
def log2(xp: Any, x: Array) -> Any:
    """Logarithm to base 2."""
    return xp.log2(x)


@elementwise(vjp=lambda g, y, x: (g * (1 / math.log(10))) / x)
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
    d = a - b
    back = d - a
    rest = xp.where(xp.isfinite(d), (a - (d - back)) - (b + back), 0)
    d = xp.where(xp.equal(a, b), 0, d)
    e = xp.exp(-xp.abs(d)) * (1 - xp.copysign(1, d) * rest)
    small = e / (1 + e)
    return xp.where(d < 0, small, 1 - small)


@elementwise(vjp=(lambda g, y, a, b: g * _softmax_of_two(a, b), lambda g, y, a, b: g * _softmax_of_two(b, a)))
def logaddexp(xp: Any, a: Array, b: Array) -> Any:
    """log(eᵃ + eᵇ), without overflow. Its derivatives sum to 1; operands that are equal share it, infinities too."""
    return xp.logaddexp(a, b)


# A function of x alone; y is its cube root, which is known already.
@elementwise(vjp=(flat, lambda g, s, y, x: (-2 / 3) * g * (s / x)))
def _cbrt_slope(xp: Any, y: Array, x: Array) -> Any:
    """1 / 3y², the derivative of :func:`cbrt`, by a quotient that does not double the error of y."""
    a, root = xp.abs(x), xp.abs(y)
    return xp.where(xp.logical_or(xp.equal(a, 0), xp.isinf(a)), 1 / root, root / a) * (1 / 3)


@elementwise(vjp=lambda g, y, x: g * _cbrt_slope(y, x))
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


def _over_other(g: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
    other = _over_squares(b, a)
    return g * ((other - y) * (other + y))


@elementwise(vjp=(_over_other, lambda g, y, a, b: -2 * g * (y * _over_squares(b, a))))
def _over_squares(xp: Any, a: Array, b: Array) -> Any:
    """a / (a² + b²), divided by the larger one before anything is squared; 0 where that is infinite."""
    p, q = xp.abs(a), xp.abs(b)
    larger = xp.maximum(p, q)
    ratio = xp.minimum(p, q) / larger
    return xp.where(xp.isinf(larger), 0 * xp.copysign(1, a), (a / larger) / (1 + ratio * ratio) / larger)


@elementwise(vjp=lambda g, y, x: g * _over_squares(1.0, x))
def atan(xp: Any, x: Array) -> Any:
    """Inverse tangent, in radians, from −π/2 to π/2."""
    return xp.arctan(x)


@elementwise(
    vjp=(
        lambda g, y, a, b: g * _over_squares(b, a),
        lambda g, y, a, b: -g * _over_squares(a, b),
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


@elementwise(vjp=lambda g, y, x: g * reciprocal(hypot(x, 1.0)))
def asinh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic sine."""
    return xp.arcsinh(x)


@elementwise(vjp=lambda g, y, x: g * (rsqrt(x - 1) * rsqrt(x + 1)))
def acosh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic cosine, for x ≥ 1."""
    return xp.arccosh(x)


@elementwise(vjp=lambda g, y, x: g * reciprocal((1 - x) * (1 + x)))
def atanh(xp: Any, x: Array) -> Any:
    """Inverse hyperbolic tangent, for |x| < 1."""
    return xp.arctanh(x)


@function
@in_floats("x")
def exp10(x: TensorLike) -> Tensor:
    """Power of ten, 10ˣ."""
    return power(10.0, x)


@function
@in_floats("x")
def deg2rad(x: TensorLike) -> Tensor:
    """Degrees to radians."""
    return multiply(x, math.pi / 180)


@function
@in_floats("x")
def rad2deg(x: TensorLike) -> Tensor:
    """Radians to degrees."""
    return multiply(x, 180 / math.pi)


# As many terms of a series as float64 needs where |x| < 1.
_SERIES = 20


@elementwise(vjp=lambda g, y, x, *, order: g * _sinc(x, order=order + 1), dtype=floating)
def _sinc(xp: Any, x: Array, *, order: int) -> Any:
    """The n-th derivative of sin(πx) / (πx), for n = ``order``.

    It is πⁿ·∫ tⁿ·cos(πxt + nπ/2) dt for t from 0 to 1. By parts, x·fₙ + n·fₙ₋₁ = πⁿ⁻¹·sin(πx + nπ/2); but these
    terms cancel for small x, where the integral is a series in (πx)².
    """
    near = xp.abs(x) < (min(1.0, (order + 1) / 3.6) if order else 1e-30)
    inside = xp.where(near, x, 0)
    square = inside * inside
    first = (order + 1) // 2  # the lowest power that is left when it has been differentiated
    series: Any = 0.0
    for k in range(first + _SERIES, first - 1, -1):
        power = 2 * k - order
        term = (-1) ** k * math.pi ** (2 * k) / (math.factorial(power) * (2 * k + 1))
        series = series * square + term
    series = series * inside if order % 2 else series
    # sin(πx) and cos(πx) from what x is beyond the nearest whole number, which is exact.
    whole = xp.rint(x)
    part = xp.where(xp.isfinite(x), x - whole, 0)
    sign = xp.where(xp.equal(0.5 * whole, xp.rint(0.5 * whole)), 1 + 0 * part, -1 + 0 * part)
    sine = sign * xp.sin(math.pi * part)
    cosine = sign * xp.sin(math.pi * (0.5 - xp.abs(part)))
    outside = xp.where(near, 1, x)
    far = sine / (math.pi * outside)
    for n in range(1, order + 1):
        turned = (sine, cosine, -sine, -cosine)[n % 4]
        far = (math.pi ** (n - 1) * turned - n * far) / outside
    return xp.where(near, series, far)


@function
def sinc(x: TensorLike) -> Tensor:
    """sin(πx) / (πx), and 1 at 0; it is 0 at all other whole numbers."""
    return _sinc(x, order=0)
