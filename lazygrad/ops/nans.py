"""Reductions that pass over NaN, as NumPy's of the same names do. Of NaN alone the result is NaN, or 0 or 1 of a sum.

A missing number takes no part: its gradient is 0, in derivatives of every order.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Axes
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import divide, sqrt, square
from lazygrad.ops.comparison import isnan, logical_not, where
from lazygrad.ops.corners import length
from lazygrad.ops.cumulative import cumulative_prod, cumulative_sum
from lazygrad.ops.movement import astype
from lazygrad.ops.reduction import all, argmax, argmin, max, min, prod, sum

__all__ = [
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
]


def _filled(x: TensorLike, value: float) -> Tensor:
    """``x`` with ``value`` in place of NaN."""
    x = tensor(x)
    return where(isnan(x), tensor(value, x.graph, x.dtype), x) if x.dtype.kind == "f" else x


def _present(x: Tensor, axis: Axes, keepdims: bool = False) -> Tensor:
    """How many elements are no NaN, in the dtype of ``x``."""
    return astype(sum(logical_not(isnan(x)), axis=axis, keepdims=keepdims), x.dtype)


@function
def nansum(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum over ``axis`` of what is not NaN; 0 of nothing."""
    return sum(_filled(x, 0), axis=axis, keepdims=keepdims)


@function
def nanprod(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Product over ``axis`` of what is not NaN; 1 of nothing."""
    return prod(_filled(x, 1), axis=axis, keepdims=keepdims)


@function
def nancumsum(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Running sum along ``axis``, to which NaN adds nothing."""
    return cumulative_sum(_filled(x, 0), axis=axis)


@function
def nancumprod(x: TensorLike, *, axis: int = -1) -> Tensor:
    """Running product along ``axis``, to which NaN is 1."""
    return cumulative_prod(_filled(x, 1), axis=axis)


@function
@in_floats("x")
def nanmean(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over ``axis`` of what is not NaN."""
    x = tensor(x)
    return divide(sum(_filled(x, 0), axis=axis, keepdims=keepdims), _present(x, axis, keepdims))


@function
@in_floats("x")
def nanvar(x: TensorLike, *, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Variance over ``axis`` of what is not NaN: the mean squared distance, divided by ``n - correction``.

    ``n`` is how many there are; where it is not above ``correction`` the result is NaN.
    """
    x = tensor(x)
    center = nanmean(x, axis=axis, keepdims=True)
    squares = square(where(isnan(x), 0, x - center))
    n = _present(x, axis, keepdims) - correction
    return divide(sum(squares, axis=axis, keepdims=keepdims), where(n > 0, n, np.nan))


@function
@in_floats("x")
def nanstd(x: TensorLike, *, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation over ``axis`` of what is not NaN, the root of :func:`nanvar`, with std's derivatives."""
    x = tensor(x)
    apart = where(isnan(x), 0, x - nanmean(x, axis=axis, keepdims=True))
    n = _present(x, axis, keepdims) - correction
    return divide(length(apart, axis, keepdims), sqrt(where(n > 0, n, np.nan)))


def _extreme(pick: Callable[..., Tensor], x: TensorLike, worst: float, axis: Axes, keepdims: bool) -> Tensor:
    x = tensor(x)
    y = pick(_filled(x, worst), axis=axis, keepdims=keepdims)
    if x.dtype.kind != "f":
        return y
    return where(all(isnan(x), axis=axis, keepdims=keepdims), tensor(np.nan, x.graph, x.dtype), y)


@function
def nanmax(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Largest element over ``axis`` that is not NaN; elements that tie share the cotangent equally."""
    return _extreme(max, x, -np.inf, axis, keepdims)


@function
def nanmin(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Smallest element over ``axis`` that is not NaN; elements that tie share the cotangent equally."""
    return _extreme(min, x, np.inf, axis, keepdims)


@function
def nanargmax(x: TensorLike, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element that is not NaN along ``axis``, or of the flattened tensor; 0 of NaN alone."""
    return argmax(_filled(x, -np.inf), axis=axis, keepdims=keepdims)


@function
def nanargmin(x: TensorLike, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element that is not NaN along ``axis``, or of the flattened tensor; 0 of NaN alone."""
    return argmin(_filled(x, np.inf), axis=axis, keepdims=keepdims)
