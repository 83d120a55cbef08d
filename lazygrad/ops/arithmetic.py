"""Arithmetic: sums, products, quotients, powers, and what rounds."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from lazygrad.define import elementwise, squared, squares
from lazygrad.define.kinds import flat, kind_of, tensor, tensors
from lazygrad.errors import SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import function, functions, here
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.comparison import equal, isfinite, where

__all__ = [
    "abs",
    "add",
    "add_n",
    "ceil",
    "copysign",
    "divide",
    "floor",
    "floor_divide",
    "hypot",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "nextafter",
    "positive",
    "pow",
    "power",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "sign",
    "sqrt",
    "square",
    "subtract",
    "trunc",
]


@elementwise(vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g))
def add(xp: Any, a: Array, b: Array) -> Any:
    """Sum, a + b."""
    return xp.add(a, b)


@elementwise(vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g))
def subtract(xp: Any, a: Array, b: Array) -> Any:
    """Difference, a − b."""
    return xp.subtract(a, b)


@squares
@elementwise(vjp=(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a))
def multiply(xp: Any, a: Array, b: Array) -> Any:
    """Product, a · b."""
    return xp.multiply(a, b)


@elementwise(vjp=(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b))
def divide(xp: Any, a: Array, b: Array) -> Any:
    """Quotient, a / b; of whole numbers it is float64."""
    return xp.divide(a, b)


@elementwise(vjp=lambda g, y, x: -g)
def negative(xp: Any, x: Array) -> Any:
    """Negation, −x."""
    return xp.negative(x)


@squares
@elementwise(vjp=lambda g, y, x: (2 * g) * x)
def square(xp: Any, x: Array) -> Any:
    """Square, x²."""
    return xp.square(x)


# (√x)² is x where there is a root, and below it NaN like the root.
@squared(lambda x: where(x >= 0, x, sqrt(x)))
@elementwise(vjp=lambda g, y, x: 0.5 * g / y)
def sqrt(xp: Any, x: Array) -> Any:
    """Square root, √x."""
    return xp.sqrt(x)


@elementwise(vjp=lambda g, y, x: -g * square(y), dtype=floating)
def reciprocal(xp: Any, x: Array) -> Any:
    """1 / x."""
    return xp.reciprocal(x)


@elementwise(vjp=lambda g, y, x: -0.5 * g * y / x, dtype=floating)
def rsqrt(xp: Any, x: Array) -> Any:
    """1 / √x."""
    return xp.reciprocal(xp.sqrt(x))


def _less_one(b: Tensor) -> Tensor:
    """b − 1, but 1 for b = 0: then aᵇ⁻¹ is multiplied by 0."""
    return where(equal(b, 0), 1, b - 1)


def _safe_log(a: Tensor) -> Tensor:
    return functions["log"](where(equal(a, 0), 1, a))


# A function of a and b alone; y is aᵇ and z is aᵇ⁻¹, which are known or found by others too.
@elementwise(
    vjp=(
        flat,
        flat,
        lambda g, s, y, z, a, b: g * (b * _power_slope(z, power(a, _less_one(b - 1)), a, b - 1)),
        lambda g, s, y, z, a, b: g * (z * (1 + b * _safe_log(a))),
    )
)
def _power_slope(xp: Any, y: Array, z: Array, a: Array, b: Array) -> Any:
    """b·aᵇ⁻¹: as b·aᵇ / a wherever that neither over- nor underflows, since the exponent b − 1 is rounded."""
    least, product = float(np.finfo(a.dtype).tiny), b * y
    size = xp.abs(product)
    slope = xp.where(size < least, (b / a) * y, xp.where(size < np.inf, product / a, b * (y / a)))
    base = xp.abs(a)
    whole = xp.logical_or(xp.abs(y) >= least, base >= 1)  # a number with all its digits, or the nearest there is to it
    fits = xp.logical_and(xp.logical_and(whole, base > 0), xp.logical_and(xp.abs(y) < np.inf, base < np.inf))
    return xp.where(fits, slope, b * z)


# At a = 0 the formulas b·aᵇ⁻¹ and aᵇ·log a meet 0·∞; the derivatives there are 0, wherever they exist.
@squares
@elementwise(
    vjp=(
        lambda g, y, a, b: g * _power_slope(y, power(a, _less_one(b)), a, b),
        lambda g, y, a, b: g * (y * _safe_log(a)),
    )
)
def power(xp: Any, a: Array, b: Array) -> Any:
    """Power, aᵇ."""
    return xp.power(a, b)


@function
def pow(a: TensorLike, b: TensorLike) -> Tensor:
    """Power, aᵇ; exponents 1, 2, ½ and −1 written as numbers become cheaper ops."""
    if type(b) in (int, float):
        whole = not np.issubdtype(kind_of(a), np.inexact) if not isinstance(kind_of(a), type) else kind_of(a) is int
        if b == 2 and not (whole and type(b) is float):
            return square(a)
        if b == 1 and type(b) is int:
            return tensor(a)
        if b == 0.5 and not whole:
            return sqrt(a)
        if b == -1 and not whole:
            return reciprocal(a)
    return power(a, b)


@elementwise(vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g * floor_divide(a, b)))
def remainder(xp: Any, a: Array, b: Array) -> Any:
    """Remainder of division, with the sign of the divisor."""
    return xp.remainder(a, b)


@elementwise(vjp=flat)
def floor_divide(xp: Any, a: Array, b: Array) -> Any:
    """Quotient rounded down."""
    return xp.floor_divide(a, b)


@squared(lambda x: square(x))
@elementwise(vjp=lambda g, y, x: g * sign(x))
def abs(xp: Any, x: Array) -> Any:
    """Absolute value, |x|; its derivative at 0 is 0."""
    return xp.abs(x)


# Ties share the cotangent equally, so that maximum(x, x) has the gradient of x.
def _to_winner(g: Any, won: Any, a: Tensor, b: Tensor) -> Tensor:
    return where(won, g, where(equal(a, b), 0.5 * g, 0))


@elementwise(vjp=(lambda g, y, a, b: _to_winner(g, a > b, a, b), lambda g, y, a, b: _to_winner(g, b > a, a, b)))
def maximum(xp: Any, a: Array, b: Array) -> Any:
    """The larger of a and b; where they are equal each gets half the cotangent."""
    return xp.maximum(a, b)


@elementwise(vjp=(lambda g, y, a, b: _to_winner(g, a < b, a, b), lambda g, y, a, b: _to_winner(g, b < a, a, b)))
def minimum(xp: Any, a: Array, b: Array) -> Any:
    """The smaller of a and b; where they are equal each gets half the cotangent."""
    return xp.minimum(a, b)


# With h = √(a² + b²): (b/h)² / h and −(a/h)·(b/h) / h. At (0, 0), where there is none, they are 0.
def _curved(g: Tensor, other: Tensor, a: Tensor, b: Tensor) -> Tensor:
    h = hypot(a, b)
    return g * (_cosine(b, a) * other / where(equal(h, 0), 1, h))


@elementwise(
    vjp=(
        lambda g, y, a, b: _curved(g, _cosine(b, a), a, b),
        lambda g, y, a, b: -_curved(g, y, a, b),
    )
)
def _cosine(xp: Any, a: Array, b: Array) -> Any:
    """a / √(a² + b²), divided by the larger one before anything is squared; 0 at (0, 0)."""
    p, q = xp.abs(a), xp.abs(b)
    larger = xp.maximum(p, q)
    wide = xp.isinf(larger)
    unit = xp.where(xp.logical_or(wide, xp.equal(larger, 0)), 1, larger)
    u = xp.where(wide, xp.where(xp.isinf(a), 1 + 0 * unit, 0 * unit), p / unit)
    v = xp.where(wide, xp.where(xp.isinf(b), 1 + 0 * unit, 0 * unit), q / unit)
    size = xp.sqrt(u * u + v * v)
    return xp.copysign(u / xp.where(xp.equal(size, 0), 1, size), a)


@squared(lambda a, b: square(a) + square(b))
@elementwise(vjp=(lambda g, y, a, b: g * _cosine(a, b), lambda g, y, a, b: g * _cosine(b, a)))
def hypot(xp: Any, a: Array, b: Array) -> Any:
    """√(a² + b²), without overflow on the way; its derivatives at (0, 0) are 0."""
    return xp.hypot(a, b)


@elementwise(vjp=(lambda g, y, a, b: g * copysign(1.0, a) * copysign(1.0, b), flat))
def copysign(xp: Any, a: Array, b: Array) -> Any:
    """The magnitude of a with the sign of b."""
    return xp.copysign(a, b)


@elementwise(vjp=(lambda g, y, a, b: g, flat))
def nextafter(xp: Any, a: Array, b: Array) -> Any:
    """The next number that can be written, from a towards b."""
    return xp.nextafter(a, b)


@elementwise(vjp=flat)
def sign(xp: Any, x: Array) -> Any:
    """−1, 0 or 1."""
    return xp.sign(x)


@elementwise(vjp=flat)
def floor(xp: Any, x: Array) -> Any:
    """Rounded down."""
    return xp.floor(x)


@elementwise(vjp=flat)
def ceil(xp: Any, x: Array) -> Any:
    """Rounded up."""
    return xp.ceil(x)


@elementwise(vjp=flat)
def trunc(xp: Any, x: Array) -> Any:
    """Rounded towards zero."""
    return xp.trunc(x)


@elementwise(vjp=flat)
def _rint(xp: Any, x: Array) -> Any:
    """Rounded to the nearest whole number; halves go to the even one."""
    return xp.rint(x)


@function
def round(x: TensorLike, decimals: int = 0) -> Tensor:
    """Rounded to ``decimals`` places behind the point, before it if negative; halves go to the even one.

    As in NumPy the number is multiplied, rounded and divided, so that what decimals cannot write may round either way.
    """
    x = tensor(x)
    if not isinstance(decimals, (int, np.integer)):
        cure = "decimals is a whole number."
        raise SpecError(report(f"cannot round {x.spec} to {decimals!r:.40} decimals", at=here(), cure=cure))
    whole = not np.issubdtype(x.dtype, np.inexact)
    if not decimals or (whole and decimals > 0):
        return x if whole else _rint(x)
    wide = x.astype(working(x.dtype))
    scale = 10.0 ** builtins.abs(decimals)
    y = _rint(wide * scale) / scale if decimals > 0 else _rint(wide / scale) * scale
    return where(isfinite(y), y, wide).astype(x.dtype)


@function
def positive(x: TensorLike) -> Tensor:
    """``x`` itself."""
    return tensor(x)


@function
def add_n(xs: Any) -> Tensor:
    """Sum of several tensors; of halves it is taken in float32."""
    given = tensors(*xs)
    halves = all(x.dtype == np.float16 for x in given)
    first, *rest = [x.astype(np.float32) for x in given] if halves and len(given) > 2 else given
    for x in rest:
        first = add(first, x)
    return first.astype(given[0].dtype) if halves else first
