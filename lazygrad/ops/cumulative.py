"""Running sums, products and extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.casting import working
from lazygrad.define import opaque
from lazygrad.kinds import tensor
from lazygrad.ops.arithmetic import maximum, minimum, multiply, subtract
from lazygrad.ops.elementary import logaddexp
from lazygrad.ops.movement import astype, concat, flip, moveaxis
from lazygrad.ops.reduction import _widened
from lazygrad.precision import in_floats
from lazygrad.registry import function
from lazygrad.spec import Shape, normalize_axis
from lazygrad.tensor import Array, Tensor, TensorLike

__all__ = [
    "cumulative_logsumexp",
    "cumulative_max",
    "cumulative_min",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
]


def _along(x: Shape, axis: int) -> Shape:
    normalize_axis(axis, len(x))
    return x


@opaque(
    shape=_along,
    vjp=lambda g, y, x, *, axis: flip(_cumulative_sum(flip(g, axis), axis=axis), axis),
    linear=True,
    adds=True,
)
def _cumulative_sum(xp: Any, x: Array, *, axis: int) -> Any:
    """Running sum."""
    return xp.cumsum(x, axis=axis)


@function
def cumulative_sum(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Sum of the elements up to and including each one, along ``axis``."""
    x = tensor(x)
    return _cumulative_sum(astype(x, _widened(x.dtype)), axis=axis)


def _running(x: Any, axis: int, combine: Callable[[Any, Any], Tensor]) -> Tensor:
    """``combine`` of the elements up to and including each one.

    Elements are joined with those 1, 2, 4, … places before (Hillis and Steele 1986): log₂ n steps, each an
    ordinary op, so that derivatives of any order hold, also where an element is zero.
    """
    rows = moveaxis(tensor(x), axis, -1)
    reach = 1
    while reach < rows.shape[-1]:
        rows = concat([rows[..., :reach], combine(rows[..., reach:], rows[..., :-reach])], axis=-1)
        reach *= 2
    return moveaxis(rows, -1, axis)


@function
def cumulative_prod(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Product of the elements up to and including each one, along ``axis``."""
    x = tensor(x)
    wide = working(x.dtype) if x.dtype.kind == "f" else _widened(x.dtype)
    result = _running(astype(x, wide), axis, multiply)
    return astype(result, x.dtype) if x.dtype.kind == "f" else result


@function
def cumulative_max(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Largest of the elements up to and including each one, along ``axis``."""
    return _running(x, axis, maximum)


@function
def cumulative_min(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Smallest of the elements up to and including each one, along ``axis``."""
    return _running(x, axis, minimum)


@function
@in_floats("x")
def cumulative_logsumexp(x: TensorLike, *, axis: int = -1) -> Tensor:
    """log of the running sum of exp(x), without overflow, along ``axis``."""
    return _running(x, axis, logaddexp)


@function
def diff(x: TensorLike, *, axis: int = -1, n: int = 1) -> Tensor:
    """Difference of neighbours along ``axis``, ``n`` times over."""
    rows = moveaxis(tensor(x), axis, -1)
    for _ in range(n):
        rows = subtract(rows[..., 1:], rows[..., :-1]) if rows.dtype != np.bool_ else rows[..., 1:] ^ rows[..., :-1]
    return moveaxis(rows, -1, axis)
