"""Comparisons, logic, bits, and the choices that are made by them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat, tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import chosen, promoted
from lazygrad.graph.tensor import Array, Tensor, TensorLike

__all__ = [
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "clip",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "nan_to_num",
    "not_equal",
    "signbit",
    "where",
]


@elementwise(
    vjp=(
        flat,
        lambda g, y, condition, a, b: where(condition, g, 0),
        lambda g, y, condition, a, b: where(condition, 0, g),
    ),
    dtype=chosen,
)
def where(xp: Any, condition: Array, a: Array, b: Array) -> Any:
    """a where the condition holds, else b. The one not chosen gets a cotangent of 0, even beside NaN."""
    return xp.where(condition, a, b)


@elementwise(vjp=flat)
def equal(xp: Any, a: Array, b: Array) -> Any:
    """Whether a = b, element by element."""
    return xp.equal(a, b)


@elementwise(vjp=flat)
def not_equal(xp: Any, a: Array, b: Array) -> Any:
    """Whether a ≠ b, element by element."""
    return xp.not_equal(a, b)


@elementwise(vjp=flat)
def less(xp: Any, a: Array, b: Array) -> Any:
    """Whether a < b."""
    return xp.less(a, b)


@elementwise(vjp=flat)
def less_equal(xp: Any, a: Array, b: Array) -> Any:
    """Whether a ≤ b."""
    return xp.less_equal(a, b)


@elementwise(vjp=flat)
def greater(xp: Any, a: Array, b: Array) -> Any:
    """Whether a > b."""
    return xp.greater(a, b)


@elementwise(vjp=flat)
def greater_equal(xp: Any, a: Array, b: Array) -> Any:
    """Whether a ≥ b."""
    return xp.greater_equal(a, b)


@elementwise(vjp=flat)
def isnan(xp: Any, x: Array) -> Any:
    """Whether x is not a number."""
    return xp.isnan(x)


@elementwise(vjp=flat)
def isinf(xp: Any, x: Array) -> Any:
    """Whether x is infinite."""
    return xp.isinf(x)


@elementwise(vjp=flat)
def isfinite(xp: Any, x: Array) -> Any:
    """Whether x is neither infinite nor NaN."""
    return xp.isfinite(x)


@elementwise(vjp=flat)
def signbit(xp: Any, x: Array) -> Any:
    """Whether the sign of x is set; it is for −0.0."""
    return xp.signbit(x)


@elementwise(vjp=flat)
def logical_and(xp: Any, a: Array, b: Array) -> Any:
    """Whether both are true."""
    return xp.logical_and(a, b)


@elementwise(vjp=flat)
def logical_or(xp: Any, a: Array, b: Array) -> Any:
    """Whether at least one is true."""
    return xp.logical_or(a, b)


@elementwise(vjp=flat)
def logical_xor(xp: Any, a: Array, b: Array) -> Any:
    """Whether just one is true."""
    return xp.logical_xor(a, b)


@elementwise(vjp=flat)
def logical_not(xp: Any, x: Array) -> Any:
    """Whether x is false."""
    return xp.logical_not(x)


@elementwise(vjp=flat)
def bitwise_and(xp: Any, a: Array, b: Array) -> Any:
    """Bits that are set in both."""
    return xp.bitwise_and(a, b)


@elementwise(vjp=flat)
def bitwise_or(xp: Any, a: Array, b: Array) -> Any:
    """Bits that are set in at least one."""
    return xp.bitwise_or(a, b)


@elementwise(vjp=flat)
def bitwise_xor(xp: Any, a: Array, b: Array) -> Any:
    """Bits that are set in just one."""
    return xp.bitwise_xor(a, b)


@elementwise(vjp=flat)
def bitwise_invert(xp: Any, x: Array) -> Any:
    """Every bit turned over."""
    return xp.invert(x)


@elementwise(vjp=flat)
def bitwise_left_shift(xp: Any, a: Array, b: Array) -> Any:
    """Bits of a moved up by b places."""
    return xp.left_shift(a, b)


@elementwise(vjp=flat)
def bitwise_right_shift(xp: Any, a: Array, b: Array) -> Any:
    """Bits of a moved down by b places."""
    return xp.right_shift(a, b)


# On a bound the gradient passes, so that a parameter that was clipped to it can still move.
@elementwise(
    vjp=(
        lambda g, y, x, low, high: where(logical_and(x >= low, x <= high), g, 0),
        lambda g, y, x, low, high: where(logical_and(x < low, low <= high), g, 0),
        lambda g, y, x, low, high: where(logical_and(x > high, low <= high) | (low > high), g, 0),
    ),
    dtype=promoted,
)
def _clip(xp: Any, x: Array, low: Array, high: Array) -> Any:
    """x, but not below ``low`` and not above ``high``."""
    return xp.minimum(xp.maximum(x, low), high)


@elementwise(
    vjp=(lambda g, y, x, low: where(x >= low, g, 0), lambda g, y, x, low: where(x < low, g, 0)), dtype=promoted
)
def _clip_below(xp: Any, x: Array, low: Array) -> Any:
    """x, but not below ``low``."""
    return xp.maximum(x, low)


@elementwise(
    vjp=(lambda g, y, x, high: where(x <= high, g, 0), lambda g, y, x, high: where(x > high, g, 0)), dtype=promoted
)
def _clip_above(xp: Any, x: Array, high: Array) -> Any:
    """x, but not above ``high``."""
    return xp.minimum(x, high)


@function
def clip(x: TensorLike, min: Any = None, max: Any = None) -> Tensor:
    """``x`` held between ``min`` and ``max``; either may be left out. On a bound the gradient passes."""
    if min is None:
        return tensor(x) if max is None else _clip_above(x, max)
    return _clip_below(x, min) if max is None else _clip(x, min, max)


@function
@in_floats("a", "b")
def isclose(a: TensorLike, b: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |a − b| ≤ atol + rtol·|b|; infinities are close to themselves."""
    a, b = tensor(a), tensor(b)
    close = logical_and(less_equal(abs(a - b), atol + rtol * abs(b)), isfinite(b)) | equal(a, b)
    return close | (isnan(a) & isnan(b)) if equal_nan else close


@function
def nan_to_num(x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """``x`` with ``nan`` in place of NaN, and ``posinf`` and ``neginf``, or the largest numbers, of infinities."""
    x = tensor(x)
    if x.dtype.kind != "f":
        return x
    limit = float(np.finfo(x.dtype).max)
    if posinf is not None:
        x = where(equal(x, np.inf), posinf, x)
    if neginf is not None:
        x = where(equal(x, -np.inf), neginf, x)
    low, high = (None if v is not None else w for v, w in ((neginf, -limit), (posinf, limit)))
    return where(isnan(x), nan, clip(x, low, high))
