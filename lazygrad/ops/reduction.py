"""Sums, products, extremes, and the statistics said with them."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define import reduction
from lazygrad.define.kinds import flat, tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function, functions
from lazygrad.graph.spec import Axes, Shape, normalize_axes
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import add, divide, maximum, minimum, multiply, square
from lazygrad.ops.comparison import equal, isnan, logical_and, logical_or, not_equal, where
from lazygrad.ops.elementary import _apart, exp, log
from lazygrad.ops.movement import (
    astype,
    broadcast_arrays,
    broadcast_to,
    concat,
    flatten,
    permute_dims,
    reshape,
    squeeze,
    stack,
)
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.source import ones_like
from lazygrad.ops.strong import like, strong_multiply

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "logsumexp",
    "max",
    "mean",
    "median",
    "min",
    "ptp",
    "spread",
    "sum_to",
    "var",
]


@function
def spread(g: TensorLike, over: Tensor, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """The opposite of a reduction of ``over``: ``g`` repeated along the reduced axes."""
    g = tensor(g, over.graph)
    return like(g, broadcast_to(_kept(g, over, axis), over.shape))


def _kept(y: Tensor, x: Tensor, axis: Axes) -> Tensor:
    """``y``, a reduction of ``x`` over ``axis``, with the reduced axes kept as size 1."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return y if y.shape == shape else reshape(y, shape)


@function
def sum_to(g: TensorLike, shape: Shape) -> Tensor:
    """The opposite of broadcasting: ``g`` summed, or repeated, until it has ``shape``."""
    g = tensor(g)
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = [
        *range(extra),
        *(i + extra for i, n in enumerate(shape) if extra >= 0 and n == 1 and g.shape[i + extra] != 1),
    ]
    if axes:
        g = sum(g, axis=tuple(axes))
    if math.prod(g.shape) == math.prod(shape):
        return g if g.shape == shape else reshape(g, shape)
    return broadcast_to(g, shape)


def _widened(dtype: np.dtype[Any]) -> Any:
    """NumPy adds and multiplies small whole numbers, and booleans, in its default integer."""
    return np.add.reduce(np.empty(0, dtype)).dtype


@reduction(identity=0, combine=add, vjp=lambda g, y, x, **axes: spread(g, over=x, **axes), dtype=_widened, linear=True)
def sum(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Sum over ``axis``, or over every axis."""
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _rows(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """``x`` with ``axes`` moved to the end and made one."""
    kept = tuple(i for i in range(x.ndim) if i not in axes)
    lead = tuple(x.shape[i] for i in kept)
    return reshape(permute_dims(x, kept + axes), (*lead, math.prod(x.shape[i] for i in axes)))


def _unrows(rows: Tensor, like: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The opposite of :func:`_rows`."""
    order = (*(i for i in range(like.ndim) if i not in axes), *axes)
    moved = reshape(rows, tuple(like.shape[i] for i in order))
    return permute_dims(moved, tuple(order.index(i) for i in range(like.ndim)))


def _others(rows: Tensor) -> Tensor:
    """For every element the product of the others in its row.

    Pairs are multiplied, the pairs' others found, and handed down. Nothing is divided, so zeros are
    no exception, in derivatives of any order.
    """
    n = rows.shape[-1]
    if n <= 1:
        return ones_like(rows)
    even, odd = rows[..., : n - n % 2 : 2], rows[..., 1::2]
    pairs = even * odd
    rest = rows[..., n - n % 2 :]
    outer = _others(concat([pairs, rest], axis=-1) if n % 2 else pairs)
    inner = outer[..., : n // 2]
    both = reshape(stack([inner * odd, inner * even], axis=-1), (*rows.shape[:-1], n - n % 2))
    return concat([both, outer[..., n // 2 :]], axis=-1) if n % 2 else both


@reduction(
    identity=1,
    combine=multiply,
    vjp=lambda g, y, x, *, axis, keepdims: (
        spread(g, over=x, axis=axis, keepdims=keepdims) * _unrows(_others(_rows(x, axis)), x, axis)
    ),
    dtype=_widened,
)
def prod(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Product over ``axis``, or over every axis."""
    return xp.prod(x, axis=axis, keepdims=keepdims)


# Elements that tie share the cotangent equally, so that max(stack([x, x])) has the gradient of x.
def _winners(g: Tensor, y: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    won = equal(x, _kept(y, x, axis))
    count = astype(sum(won, axis=axis, keepdims=True), x.dtype)
    return where(won, broadcast_to(_kept(g, x, axis) / count, x.shape), 0)


@reduction(combine=maximum, vjp=lambda g, y, x, *, axis, keepdims: _winners(g, y, x, axis, keepdims))
def max(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Largest element over ``axis``; elements that tie share the cotangent equally."""
    return xp.max(x, axis=axis, keepdims=keepdims)


@reduction(combine=minimum, vjp=lambda g, y, x, *, axis, keepdims: _winners(g, y, x, axis, keepdims))
def min(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Smallest element over ``axis``; elements that tie share the cotangent equally."""
    return xp.min(x, axis=axis, keepdims=keepdims)


@reduction(identity=True, combine=logical_and, vjp=flat, dtype=lambda dtype: np.bool_)
def all(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether all elements along ``axis`` are true."""
    return xp.all(x, axis=axis, keepdims=keepdims)


@reduction(identity=False, combine=logical_or, vjp=flat, dtype=lambda dtype: np.bool_)
def any(xp: Any, x: Array, *, axis: Axes = None, keepdims: bool = False) -> Any:
    """Whether any element along ``axis`` is true."""
    return xp.any(x, axis=axis, keepdims=keepdims)


@reduction(vjp=flat, dtype=lambda dtype: np.int64)
def _argmax(xp: Any, x: Array, *, axis: Any, keepdims: bool = False) -> Any:
    """Index of the first largest element."""
    return xp.argmax(x, axis=axis[0], keepdims=keepdims)


@reduction(vjp=flat, dtype=lambda dtype: np.int64)
def _argmin(xp: Any, x: Array, *, axis: Any, keepdims: bool = False) -> Any:
    """Index of the first smallest element."""
    return xp.argmin(x, axis=axis[0], keepdims=keepdims)


def _arg(find: Callable[..., Tensor], x: TensorLike, axis: int | None, keepdims: bool) -> Tensor:
    x = tensor(x)
    if axis is not None:
        return find(x, axis=axis, keepdims=keepdims)
    found = find(flatten(x), axis=0)
    return reshape(found, (1,) * x.ndim) if keepdims else found


@function
def argmax(x: TensorLike, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the largest element along ``axis``, or of the flattened tensor; the first where several tie."""
    return _arg(_argmax, x, axis, keepdims)


@function
def argmin(x: TensorLike, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index of the smallest element along ``axis``, or of the flattened tensor; the first where several tie."""
    return _arg(_argmin, x, axis, keepdims)


@function
def count_nonzero(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """How many elements along ``axis`` are not zero."""
    return sum(not_equal(x, 0), axis=axis, keepdims=keepdims)


def _count(x: Tensor, y: Tensor) -> int:
    """How many elements of ``x`` went into each element of its reduction ``y``."""
    return x.size // builtins.max(y.size, 1) if x.size else 0


@function
@in_floats("x")
def mean(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over ``axis``, or over every axis; of no elements it is NaN."""
    x = tensor(x)
    total = sum(x, axis=axis, keepdims=keepdims)
    return divide(total, _count(x, total))


@function
@in_floats("x", "weights")
def average(x: TensorLike, *, axis: Axes = None, weights: TensorLike | None = None, keepdims: bool = False) -> Tensor:
    """Mean over ``axis``, each element counted by its weight.

    ``weights`` broadcasts with ``x``; one axis of them, beside one ``axis`` of more, lies along that axis.
    """
    if weights is None:
        return mean(x, axis=axis, keepdims=keepdims)
    x, weights = tensor(x), tensor(weights)
    if weights.ndim == 1 and x.ndim > 1 and isinstance(axis, (int, np.integer)):
        place = normalize_axes(int(axis), x.ndim)[0]
        if weights.size == x.shape[place]:
            weights = reshape(weights, tuple(x.shape[place] if i == place else 1 for i in range(x.ndim)))
    weights = broadcast_to(weights, x.shape)
    return sum(x * weights, axis=axis, keepdims=keepdims) / sum(weights, axis=axis, keepdims=keepdims)


@function
def ptp(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """From the smallest to the largest element over ``axis``: their difference, "peak to peak"."""
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


@function
@in_floats("x")
def var(x: TensorLike, *, axis: Axes = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """Variance over ``axis``: mean squared distance from the mean, divided by ``n - correction``."""
    x = tensor(x)
    center = mean(x, axis=axis, keepdims=True)
    total = sum(square(x - center), axis=axis, keepdims=keepdims)
    return divide(total, builtins.max(_count(x, center) - correction, 0))


@function
@in_floats("x", "b")
def logsumexp(x: TensorLike, *, axis: Axes = None, b: TensorLike | None = None, keepdims: bool = False) -> Tensor:
    """log Σ b·exp(x) over ``axis``, without overflow; b is 1 if not given, and NaN results where the sum is negative.

    Its derivatives are those of :func:`softmax`'s kind: without b they sum to 1. Where the largest elements are
    infinite they share it, and the others get 0. ``b`` broadcasts with ``x``; where it is 0, x does not count, be it
    infinite.
    """
    x = tensor(x)
    if b is not None:
        x, b = broadcast_arrays(x, b)
    counted = x if b is None else where(equal(b, 0), -math.inf, x)
    if not x.size:  # there is no highest of no elements
        return log(sum(exp(x), axis=axis, keepdims=keepdims))
    highest = stop_gradient(max(counted, axis=axis, keepdims=True))
    # Where the largest is infinite, what equals it becomes 0 like any largest: ∞ - ∞ would be NaN.
    terms = exp(_apart(x, highest))
    total = log(sum(terms if b is None else strong_multiply(b, terms), axis=axis, keepdims=True)) + highest
    return total if keepdims else squeeze(total, normalize_axes(axis, x.ndim))


@function
@in_floats("x")
def median(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Middle element over ``axis``, or the mean of the two in the middle; NaN beside NaN, and of no elements."""
    x = tensor(x)
    axes = normalize_axes(axis, x.ndim)
    rows = functions["sort"](_rows(x, axes))
    n = rows.shape[-1]
    if not n:
        return mean(x, axis=axis, keepdims=keepdims)
    result = mean(rows[..., (n - 1) // 2 : n // 2 + 1], axis=-1)
    if rows.dtype.kind == "f":
        # NaN is sorted as the largest, so the last element tells whether there is any.
        result = where(isnan(rows[..., -1]), rows[..., -1], result)
    return _kept(result, x, axes) if keepdims else result
