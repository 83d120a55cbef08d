"""What is counted: distinct elements, how often whole numbers occur, histograms.

How many distinct elements or numbers there are is known only when the graph is run; so ``size=`` and ``length=`` say
how many places the result has.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import tensor, tensors
from lazygrad.errors import SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.comparison import equal, greater_equal, isnan, less_equal, logical_and, logical_not, not_equal, where
from lazygrad.ops.cumulative import cumulative_sum, diff
from lazygrad.ops.indexing import At, segment_sum, take
from lazygrad.ops.movement import _axis, astype, concat, flatten, flip, moveaxis, reshape
from lazygrad.ops.reduction import any, max, min, sum
from lazygrad.ops.sorting import argsort, nonzero, searchsorted
from lazygrad.ops.source import arange, asarray, ones, zeros

__all__ = [
    "bincount",
    "digitize",
    "histogram",
    "histogram_bin_edges",
    "unique",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]


class UniqueAllResult(NamedTuple):
    """Distinct elements, where each is first, where in them each element is, and how often each occurs."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCountsResult(NamedTuple):
    """Distinct elements, and how often each occurs."""

    values: Tensor
    counts: Tensor


class UniqueInverseResult(NamedTuple):
    """Distinct elements, and where in them each element is."""

    values: Tensor
    inverse_indices: Tensor


def _size(what: str, x: TensorLike, size: int | None, axis: int | None) -> int:
    """How many distinct elements there may be; of an array that is known now they are counted."""
    if size is not None:
        return checked_size(what, size)
    if not isinstance(x, Tensor):
        return int(np.unique(np.asarray(x), axis=axis).shape[axis or 0])
    cure = "How many distinct elements there are is known only when the graph is run: give size=, the most there are."
    facts = [f"x:  {x.spec}   {x.graph.describe(x.index)}"]
    raise SpecError(report(f"cannot {what} {x.spec} without a size", at=here(), facts=facts, cure=cure))


def checked_size(what: str, size: Any) -> int:
    """A number of places, which is whole and not negative."""
    if not isinstance(size, (int, np.integer)) or size < 0:
        cure = "The size is a whole number that is not negative."
        raise SpecError(report(f"cannot {what} with a size of {size!r:.40}", at=here(), cure=cure))
    return int(size)


def _ordered(rows: Tensor) -> Tensor:
    """Where the rows stand that sort them: by the last column first, as equal elements keep their order."""
    if rows.ndim == 1:
        return argsort(rows)
    order = arange(rows.shape[0])
    for column in reversed(range(rows.shape[1])):
        order = take(order, argsort(take(rows[:, column], order)))
    return order


def _differ(before: Tensor, behind: Tensor, equal_nan: bool) -> Tensor:
    """Whether neighbours in the order differ, element by element, or row by row."""
    new = not_equal(before, behind)
    if equal_nan and before.dtype.kind == "f":
        new = logical_and(new, logical_not(logical_and(isnan(before), isnan(behind))))
    return new if new.ndim == 1 else any(new, axis=1)


def _unique(
    what: str, x: TensorLike, size: int | None, fill_value: Any, equal_nan: bool, axis: int | None = None
) -> UniqueAllResult:
    count = _size(what, x, size, axis)
    x = tensor(x)
    whole = flatten(x) if axis is None else moveaxis(x, _axis(what, x, axis), 0)
    total = whole.shape[0]
    rows = whole if whole.ndim == 1 else reshape(whole, (total, math.prod(whole.shape[1:])))
    if total:
        order = _ordered(rows)
        ordered = take(rows, order, axis=0)
        first = concat([ones((1,), np.bool_), _differ(ordered[:-1], ordered[1:], equal_nan)])
        (ends,) = nonzero(first, size=count + 1, fill_value=total)  # one more, where the last one ends
        there = ends[:-1] < total
        places = where(there, ends[:-1], 0)
        indices, counts = take(order, places), where(there, ends[1:] - ends[:-1], 0)
        values = take(whole, indices, axis=0)
        rank = cumulative_sum(astype(first, np.int64)) - 1
        inverse = At(zeros((total,), np.int64))[order].set(rank)
    else:
        indices = counts = zeros((count,), np.int64)
        there, inverse = zeros((count,), np.bool_), zeros((0,), np.int64)
        values = zeros((count, *whole.shape[1:]), x.dtype)
    if fill_value is not None:
        is_there = reshape(there, (count,) + (1,) * (whole.ndim - 1))
        values = where(is_there, values, tensor(fill_value, x.graph, x.dtype))
    if axis is None:
        return UniqueAllResult(values, indices, reshape(inverse, x.shape), counts)
    return UniqueAllResult(moveaxis(values, 0, axis), indices, inverse, counts)


@function
def unique(
    x: TensorLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    *,
    size: int | None = None,
    fill_value: Any = None,
    equal_nan: bool = True,
    axis: int | None = None,
) -> Any:
    """The distinct elements of ``x`` in increasing order, ``(size,)``; NaN stands last.

    Args:
        x: of any shape.
        return_index: whether to give, too, where in the flattened ``x`` each is first.
        return_inverse: whether to give, too, where among them each element of ``x`` is, in the shape of ``x``.
        return_counts: whether to give, too, how often each occurs.
        size: how many to give; it may be left out only where ``x`` is an array and no tensor. Where there are fewer,
            the rest are ``fill_value``, with a count of 0; where there are more, the largest are left out.
        fill_value: the smallest element, if not given.
        equal_nan: whether all NaN are one.
        axis: along which slices are compared, in place of elements; they are sorted by their first elements, then by
            their second ones, and so on, and the inverse has one axis.

    Raises:
        SpecError: ``x`` is a tensor and there is no ``size``.
    """
    found = _unique("unique", x, size, fill_value, equal_nan, axis)
    wanted = [(True, found.values), (return_index, found.indices)]
    wanted += [(return_inverse, found.inverse_indices), (return_counts, found.counts)]
    chosen = tuple(part for given, part in wanted if given)
    return chosen if len(chosen) > 1 else found.values


@function
def unique_all(x: TensorLike, *, size: int | None = None) -> UniqueAllResult:
    """As :func:`unique`: values, indices, inverse_indices, counts; every NaN is one of its own."""
    return _unique("unique_all", x, size, None, False)


@function
def unique_counts(x: TensorLike, *, size: int | None = None) -> UniqueCountsResult:
    """As :func:`unique`: values and counts; every NaN is one of its own."""
    found = _unique("unique_counts", x, size, None, False)
    return UniqueCountsResult(found.values, found.counts)


@function
def unique_inverse(x: TensorLike, *, size: int | None = None) -> UniqueInverseResult:
    """As :func:`unique`: values and inverse_indices; every NaN is one of its own."""
    found = _unique("unique_inverse", x, size, None, False)
    return UniqueInverseResult(found.values, found.inverse_indices)


@function
def unique_values(x: TensorLike, *, size: int | None = None) -> Tensor:
    """As :func:`unique`: the values alone; every NaN is one of its own."""
    return _unique("unique_values", x, size, None, False).values


@function
def bincount(
    x: TensorLike, weights: TensorLike | None = None, minlength: int | None = None, *, length: int | None = None
) -> Tensor:
    """How often each whole number from 0 to ``length - 1`` occurs in ``x``, or the sum of the ``weights`` it has there.

    Args:
        x: whole numbers ``(n,)``.
        weights: ``(n,)``; the result has their dtype if they are floats, through which gradients pass.
        minlength: another name of ``length``, NumPy's.
        length: how many counts there are. It may be left out only where ``x`` is an array and no tensor: then the
            largest number in it says so, and ``minlength`` is the least it is.

    Raises:
        SpecError: ``x`` is a tensor and there is no ``length``; it is not of whole numbers, or has not one axis.
        IndexError: when it is evaluated: a number is negative, or not below ``length``.
    """
    if length is None and not isinstance(x, Tensor):
        length = builtins.max(minlength or 0, int(np.max(np.asarray(x), initial=-1)) + 1)
    count = minlength if length is None else length
    x = tensor(x)
    if count is None:
        cure = "How large its numbers are is known only when the graph is run: give length=."
        raise SpecError(report(f"cannot bincount {x.spec} without a length", at=here(), cure=cure))
    if x.dtype == np.bool_:
        x = astype(x, np.int64)
    if x.ndim != 1 or x.dtype.kind not in "iu":
        cure = "Whole numbers along one axis are counted: cast them with .astype('int64'), and flatten them."
        raise SpecError(report(f"cannot bincount {x.spec}", at=here(), cure=cure))
    given = ones(x.shape, np.int64) if weights is None else tensor(weights, x.graph)
    if given.shape != x.shape:
        cure = f"There is one weight for each of the {x.size} numbers."
        raise SpecError(report(f"cannot bincount {x.spec} with weights {given.spec}", at=here(), cure=cure))
    count = checked_size("bincount", count)
    return segment_sum(given if weights is None or given.dtype.kind == "f" else astype(given, np.float64), x, count)


@function
def digitize(x: TensorLike, bins: TensorLike, right: bool = False) -> Tensor:
    """For every element of ``x`` the number of the bin that it is in: *i* where ``bins[i-1] <= x < bins[i]``.

    With ``right`` it is *i* where ``bins[i-1] < x <= bins[i]``. The edges ``bins`` increase or decrease; of decreasing
    ones *i* is where ``bins[i-1] > x >= bins[i]``.
    """
    x, bins = tensors(x, bins)
    up = searchsorted(bins, x, side="left" if right else "right")
    if bins.ndim != 1 or bins.size < 2:
        return up
    down = bins.size - searchsorted(flip(bins), x, side="left" if right else "right")
    return where(bins[0] <= bins[-1], up, down)


def _equal_edges(x: Tensor, bins: int, range: Any) -> Tensor:
    """Edges of equal bins, from the smallest to the largest element, or of ``range``."""
    dtype = working(x.dtype)
    if bins < 1:
        raise SpecError(report(f"cannot make {bins} bins", at=here(), cure="There must be one or more."))
    if range is None:
        low, high = (min(x), max(x)) if x.size else (asarray(0.0, dtype), asarray(1.0, dtype))
    else:
        low, high = range
        if not isinstance(low, Tensor) and not isinstance(high, Tensor) and not low <= high < np.inf:
            cure = "A range is (low, high), two finite numbers in this order."
            raise SpecError(report(f"cannot make bins of {range!r}", at=here(), cure=cure))
    low, high = tensor(low, x.graph, dtype), tensor(high, x.graph, dtype)
    one = equal(low, high)
    low, high = where(one, low - 0.5, low), where(one, high + 0.5, high)
    steps = astype(arange(bins), dtype) * ((high - low) / bins) + low
    return concat([steps, reshape(high, (1,))])


@function
def histogram_bin_edges(x: TensorLike, bins: Any = 10, range: Any = None) -> Tensor:
    """The edges that :func:`histogram` counts between: ``(bins + 1,)``, or ``bins`` itself if it is an array."""
    if isinstance(bins, (int, np.integer)) and not isinstance(bins, bool):
        x = tensor(x)
        edges = _equal_edges(x, int(bins), range)
        return astype(edges, x.dtype) if x.dtype.kind == "f" else edges
    if isinstance(bins, str):
        cure = "How many bins such a rule finds is known only when the graph is run: give their number, or the edges."
        raise SpecError(report(f"cannot make bins by {bins!r}", at=here(), cure=cure))
    edges = tensor(bins)
    if edges.ndim != 1 or edges.size < 2:
        cure = "bins is a whole number, or two edges or more in increasing order."
        raise SpecError(report(f"cannot make bins of {edges.spec}", at=here(), cure=cure))
    return edges


@function
def histogram(
    x: TensorLike, bins: Any = 10, range: Any = None, density: bool = False, weights: TensorLike | None = None
) -> tuple[Tensor, Tensor]:
    """How many elements lie in each bin, and the edges of the bins; the last bin has its right edge too.

    Args:
        x: of any shape; what lies outside of all bins, and NaN, is not counted.
        bins: how many bins of equal width, or their edges in increasing order.
        range: ``(low, high)`` of bins of equal width; the smallest and the largest element, if not given.
        density: whether counts are divided so that the integral over all bins is 1.
        weights: in the shape of ``x``: the elements are counted by them, and gradients pass through.

    Returns:
        Counts ``(bins,)``, int64 or in the dtype of weights that are floats, and edges ``(bins + 1,)``.

    Raises:
        SpecError: the bins, the range or the shape of the weights do not fit.
    """
    x = tensor(x)
    flat = flatten(x if x.dtype.kind != "f" else astype(x, working(x.dtype)))
    edges = histogram_bin_edges(flat, bins, range)
    if weights is None:
        given = ones((x.size,), np.int64)
    else:
        given = flatten(tensor(weights, x.graph))
        if tensor(weights, x.graph).shape != x.shape:
            cure = f"There is one weight for every element: weights has the shape {list(x.shape)}."
            raise SpecError(report(f"cannot weigh {x.spec} by {given.spec}", at=here(), cure=cure))
    place = searchsorted(edges, flat, side="right") - 1
    place = where(equal(flat, edges[-1]), edges.size - 2, place)
    inside = logical_and(greater_equal(flat, edges[0]), less_equal(flat, edges[-1]))
    counts = segment_sum(where(inside, given, 0), where(inside, place, 0), edges.size - 1)
    dtype = x.dtype if x.dtype.kind == "f" else edges.dtype
    if density:
        edges = astype(edges, working(edges.dtype))
        counts = astype(astype(counts, edges.dtype) / (diff(edges) * sum(counts)), dtype)
    return counts, astype(edges, dtype if isinstance(bins, (int, np.integer)) else edges.dtype)
