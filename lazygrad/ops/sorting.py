"""Sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import flat, tensor, tensors
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Kind, Mismatch, Shape
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import floor_divide, maximum, minimum, remainder
from lazygrad.ops.comparison import equal, greater, less, logical_not, where
from lazygrad.ops.cumulative import _along
from lazygrad.ops.indexing import take, take_along_axis
from lazygrad.ops.movement import astype, expand_dims, flatten, flip, moveaxis, stack
from lazygrad.ops.padding import pad
from lazygrad.ops.reduction import any as any_of
from lazygrad.ops.reduction import sum as sum_of
from lazygrad.ops.source import arange, full

__all__ = ["argsort", "argwhere", "flatnonzero", "isin", "nonzero", "searchsorted", "sort", "top_k"]


def _whole(kinds: tuple[Kind, ...]) -> Any:
    operands = tuple(np.asarray(k(0)).dtype if isinstance(k, type) else k for k in kinds)
    return operands, np.dtype(np.int64)


@opaque(shape=_along, vjp=flat, dtype=_whole)
def _argsort(xp: Any, x: Array, *, axis: int) -> Any:
    """Indices that sort x; equal elements keep their order."""
    return xp.argsort(x, axis=axis, kind="stable")


def _searched(edges: Shape, x: Shape, right: bool) -> Shape:
    if len(edges) != 1:
        raise Mismatch(f"The edges have one axis, not {len(edges)}.")
    return x


@opaque(shape=_searched, vjp=flat, dtype=_whole)
def _searchsorted(xp: Any, edges: Array, x: Array, *, right: bool) -> Any:
    """Where in ``edges`` each element of x would stand."""
    return xp.searchsorted(edges, x, side="right" if right else "left")


@function
def argsort(x: TensorLike, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """Indices that sort ``x`` along ``axis``; equal elements keep their order, ``stable`` or not."""
    x = tensor(x)
    if not descending:
        return _argsort(x, axis=axis)
    # Sorting the reversed axis and reversing the result keeps equal elements in their order.
    places = _argsort(flip(x, axis), axis=axis)
    return x.shape[axis] - 1 - flip(places, axis)


@function
def sort(x: TensorLike, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """``x`` with the elements along ``axis`` in increasing, or decreasing, order; NaN counts as largest.

    Equal elements keep their order, whether ``stable`` asks for it or not.
    """
    x = tensor(x)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


@function
def top_k(x: TensorLike, k: int, *, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The ``k`` largest elements along ``axis`` in decreasing order, and their indices."""
    x = moveaxis(tensor(x), axis, -1)
    if not 0 <= k <= x.shape[-1]:
        cure = f"k is a whole number from 0 to {x.shape[-1]}, the size of the axis."
        raise SpecError(report(f"cannot take the top {k} of {x.spec}", at=here(), cure=cure))
    indices = argsort(x, descending=True)[..., :k]
    return moveaxis(take_along_axis(x, indices), -1, axis), moveaxis(indices, -1, axis)


@function
def searchsorted(edges: TensorLike, x: TensorLike, *, side: str = "left", sorter: TensorLike | None = None) -> Tensor:
    """For every element of ``x`` the place in ``edges`` (1-d, increasing) where it would keep the order.

    Before equal ones if ``side`` is ``"left"``, behind them if ``"right"``. Edges in another order are sorted by
    ``sorter``, what :func:`argsort` gives for them.
    """
    if side not in ("left", "right"):
        raise SpecError(report(f"cannot search {side!r}", at=here(), cure="side is 'left' or 'right'."))
    edges, x = tensors(edges, x)
    if sorter is not None:
        edges = take(edges, sorter)
    if edges.shape == (0,):
        return full(x.shape, 0, np.int64)
    if edges.dtype.kind + x.dtype.kind in ("iu", "ui") and np.result_type(edges.dtype, x.dtype).kind == "f":
        return _across_signs(edges, x, side == "right")
    return _searchsorted(edges, x, right=side == "right")


def _across_signs(edges: Tensor, x: Tensor, right: bool) -> Tensor:
    """Whole numbers with a sign among others without, or so; NumPy would make float64 of both.

    What no edge can be is set apart.
    """
    if x.dtype.kind == "u":
        largest = int(np.iinfo(edges.dtype).max)
        places = _searchsorted(edges, astype(minimum(x, largest), edges.dtype), right=right)
        return where(greater(x, largest), edges.size, places)
    places = _searchsorted(edges, astype(maximum(x, 0), edges.dtype), right=right)
    return where(less(x, 0), 0, places)


@function
def nonzero(x: TensorLike, *, size: int, fill_value: int = 0) -> tuple[Tensor, ...]:
    """Where ``x`` is not zero: for each axis the indices of the first ``size`` such elements, in row-major order.

    How many there are is known only when the graph is run, so ``size`` says how many to give; if there are
    fewer, the rest of the indices is ``fill_value``.
    """
    x = tensor(x)
    found = logical_not(equal(flatten(x), 0))
    places = pad(_argsort(logical_not(found), axis=0), (0, size))[:size]
    there = arange(size) < sum_of(found)
    indices = []
    for n in reversed(x.shape):
        indices.append(where(there, remainder(places, max(n, 1)), fill_value))
        places = floor_divide(places, max(n, 1))
    return tuple(reversed(indices))


@function
def flatnonzero(x: TensorLike, *, size: int, fill_value: int = 0) -> Tensor:
    """Places in the flattened ``x`` of the first ``size`` elements that are not zero; see :func:`nonzero`."""
    return nonzero(flatten(x), size=size, fill_value=fill_value)[0]


@function
def argwhere(x: TensorLike, *, size: int, fill_value: int = 0) -> Tensor:
    """The indices of the first ``size`` elements that are not zero, one in a row: :func:`nonzero`, side by side."""
    x = tensor(x)
    return stack(nonzero(x, size=size, fill_value=fill_value), axis=-1)


@function
def isin(x: TensorLike, values: TensorLike, *, invert: bool = False) -> Tensor:
    """Whether each element of ``x`` is one of ``values``, or is none of them if ``invert``."""
    x = tensor(x)
    values = flatten(tensor(values, x.graph))
    found = any_of(equal(expand_dims(x, -1), values), axis=-1)
    return logical_not(found) if invert else found
