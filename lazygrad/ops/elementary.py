"""Exponentials, logarithms, trigonometric and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.kinds import tensor
from lazygrad.ops.arithmetic import multiply, power, reciprocal, rsqrt, square
from lazygrad.ops.comparison import equal, where
from lazygrad.registry import function
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


@elementwise(vjp=lambda g, y, x: g * (y + 1))
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


@elementwise(vjp=(lambda g, y, a, b: g * exp(a - y), lambda g, y, a, b: g * exp(b - y)))
def logaddexp(xp: Any, a: Array, b: Array) -> Any:
    """log(eᵃ + eᵇ), without overflow."""
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


@elementwise(vjp=lambda g, y, x: g * (1 - square(y)))
def tanh(xp: Any, x: Array) -> Any:
    """Hyperbolic tangent."""
    return xp.tanh(x)


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
