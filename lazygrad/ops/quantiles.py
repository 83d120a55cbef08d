"""Quantiles, by the methods that NumPy has: those of Hyndman and Fan 1996, "Sample quantiles in statistical packages".

A quantile lies between two neighbours in the sorted sample: a method says where, as a place that need not be whole.
The gradient goes to these two elements, and to the probability where the place changes with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Axes, Mismatch, normalize_axes
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import ceil, floor, maximum, minimum, remainder, round
from lazygrad.ops.comparison import equal, isnan, logical_and, logical_not, where
from lazygrad.ops.elementary import _apart
from lazygrad.ops.indexing import take, take_along_axis
from lazygrad.ops.movement import astype, broadcast_to, moveaxis, reshape
from lazygrad.ops.reduction import _rows, sum
from lazygrad.ops.sorting import sort
from lazygrad.ops.source import full
from lazygrad.ops.strong import strong_multiply

__all__ = ["nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]

# From the number of elements and the probability: the place before the quantile, and how far behind it that lies.
Method = Callable[[Any, Tensor], tuple[Tensor, Any]]


def _between(alpha: float, beta: float) -> Method:
    """Hyndman and Fan's continuous methods, of which α and β are the parameters."""

    def method(n: Any, q: Tensor) -> tuple[Tensor, Any]:
        place = n * q + (alpha + q * (1 - alpha - beta)) - 1
        return floor(place), place - floor(place)

    return method


def _linear(n: Any, q: Tensor) -> tuple[Tensor, Any]:
    place = (n - 1) * q
    return floor(place), place - floor(place)


def _averaged(n: Any, q: Tensor) -> tuple[Tensor, Any]:
    place = n * q - 1
    return floor(place), where(equal(place, floor(place)), 0.5, 1.0)


def _midpoint(n: Any, q: Tensor) -> tuple[Tensor, Any]:
    place = (n - 1) * q
    return floor(place), where(equal(place, floor(place)), 0.0, 0.5)


def _closest(n: Any, q: Tensor) -> tuple[Tensor, Any]:
    place = n * q - 1.5
    even = logical_and(equal(place, floor(place)), equal(remainder(floor(place), 2), 1))
    return where(even, floor(place), floor(place) + 1), 0.0


METHODS: dict[str, Method] = {
    "linear": _linear,
    "lower": lambda n, q: (floor((n - 1) * q), 0.0),
    "higher": lambda n, q: (ceil((n - 1) * q), 0.0),
    "midpoint": _midpoint,
    "nearest": lambda n, q: (round((n - 1) * q), 0.0),
    "inverted_cdf": lambda n, q: (ceil(n * q) - 1, 0.0),
    "averaged_inverted_cdf": _averaged,
    "closest_observation": _closest,
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "median_unbiased": _between(1 / 3, 1 / 3),
    "normal_unbiased": _between(3 / 8, 3 / 8),
}


def _checked(x: Tensor, q: Any, axis: Axes, method: str, whole: int) -> tuple[Tensor, tuple[int, ...]]:
    """The probabilities in float64, in which places are exact, and the axes."""
    what = f"cannot take quantiles of {x.spec}"
    if method not in METHODS:
        cure = "method is one of " + ", ".join(map(repr, METHODS)) + "."
        raise SpecError(report(f"{what} with method={method!r}", at=here(), cure=cure))
    if not isinstance(q, Tensor):
        q, given = np.asarray(q), q
        if q.dtype.kind not in "biuf" or not np.all((q >= 0) & (q <= whole)):
            cure = "A probability is from 0 to 1." if whole == 1 else "A percentage is from 0 to 100."
            raise SpecError(report(f"{what} at {given!r:.60}", at=here(), cure=cure))
    try:
        axes = normalize_axes(axis, x.ndim)
    except Mismatch as reason:
        raise SpecError(report(what, at=here(), cure=str(reason))) from None
    shares = tensor(q, x.graph, np.dtype(np.float64))
    return shares if whole == 1 else shares / whole, axes


def _quantile(x: Tensor, q: Any, axis: Axes, method: str, keepdims: bool, skip: bool, whole: int = 1) -> Tensor:
    asked = isinstance(q, Tensor)  # else it is known to be from 0 to 1
    q, axes = _checked(x, q, axis, method, whole)
    rows = sort(_rows(x, axes))
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    shape = (*q.shape, *(kept if keepdims else [n for i, n in enumerate(x.shape) if i not in axes]))
    if not rows.shape[-1]:
        return full(shape, math.nan, x.dtype)
    n: Any = rows.shape[-1]
    if skip:  # NaN is sorted as the largest, so the others are in front
        n = astype(sum(logical_not(isnan(rows)), axis=-1, keepdims=True), np.float64)
    shares = reshape(q, (-1,))
    missing = isnan(shares)
    before, gamma = METHODS[method](n, where(missing, 0, shares) if asked else shares)
    places = [minimum(maximum(place, 0), n - 1).astype(np.int64) for place in (before, before + 1)]
    low, high = (take_along_axis(rows, p) if skip else take(rows, p, axis=-1) for p in places)
    y = _mixed(low, high, gamma if isinstance(gamma, float) else astype(gamma, x.dtype))
    if not skip:
        y = where(isnan(rows[..., -1:]), rows[..., -1:], y)
    if asked:
        y = where(missing, math.nan, y)
    return reshape(moveaxis(y, -1, 0), shape)


def _mixed(low: Tensor, high: Tensor, gamma: Any) -> Tensor:
    """The two neighbours mixed, from the nearer one, as NumPy does; 0 of the other is nothing, be it infinite."""
    if isinstance(gamma, float):
        return low
    gamma = broadcast_to(gamma, low.shape)
    apart = _apart(high, low)
    return where(gamma >= 0.5, high - strong_multiply(1 - gamma, apart), low + strong_multiply(gamma, apart))


@function
@in_floats("x")
def quantile(x: TensorLike, q: Any, *, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The number below which a share ``q`` of the elements along ``axis`` lies; NaN beside NaN, and of no elements.

    Args:
        x: whole numbers become floats, also where the method takes one of them.
        q: a probability from 0 to 1, or an array of them, whose axes come first in the result. It may be a tensor, with
            a gradient where the place changes with it; one that is out of range counts as the nearest.
        axis: one axis, several, or all if not given.
        method: how it lies between two elements, as NumPy's: ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"``,
            ``"nearest"``, ``"inverted_cdf"``, ``"averaged_inverted_cdf"``, ``"closest_observation"``,
            ``"interpolated_inverted_cdf"``, ``"hazen"``, ``"weibull"``, ``"median_unbiased"``, ``"normal_unbiased"``.
        keepdims: whether the axes stay, with size 1.

    The gradient goes to the elements that the result is mixed of.

    Raises:
        SpecError: a probability is out of range, there is no such method, or an axis does not exist.
    """
    return _quantile(tensor(x), q, axis, method, keepdims, skip=False)


@function
@in_floats("x")
def nanquantile(x: TensorLike, q: Any, *, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """As :func:`quantile`, of the elements that are not NaN; NaN where there are none."""
    return _quantile(tensor(x), q, axis, method, keepdims, skip=True)


@function
@in_floats("x")
def percentile(x: TensorLike, q: Any, *, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """As :func:`quantile`, with ``q`` in percent, from 0 to 100."""
    return _quantile(tensor(x), q, axis, method, keepdims, skip=False, whole=100)


@function
@in_floats("x")
def nanpercentile(
    x: TensorLike, q: Any, *, axis: Axes = None, method: str = "linear", keepdims: bool = False
) -> Tensor:
    """As :func:`nanquantile`, with ``q`` in percent, from 0 to 100."""
    return _quantile(tensor(x), q, axis, method, keepdims, skip=True, whole=100)


@function
def nanmedian(x: TensorLike, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Middle element along ``axis`` of those that are not NaN, or the mean of the two in the middle."""
    return nanquantile(x, 0.5, axis=axis, keepdims=keepdims)
