"""Sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import flat, opaque, tensor
from lazygrad.graph import Array, Tensor, TensorLike, function
from lazygrad.ops.comparison import equal
from lazygrad.ops.indexing import take_along_axis
from lazygrad.ops.movement import expand_dims, flatten, flip, moveaxis
from lazygrad.ops.reduction import any as any_of
from lazygrad.spec import Kind

__all__ = ["argsort", "isin", "searchsorted", "sort", "top_k"]


def _whole(kinds: tuple[Kind, ...]) -> Any:
    operands = tuple(np.asarray(k(0)).dtype if isinstance(k, type) else k for k in kinds)
    return operands, np.dtype(np.int64)


@opaque(shape=lambda x, axis: x, vjp=flat, dtype=_whole)
def _argsort(xp: Any, x: Array, *, axis: int) -> Any:
    """Indices that sort x; equal elements keep their order."""
    return xp.argsort(x, axis=axis, kind="stable")


@opaque(shape=lambda edges, x, right: x, vjp=flat, dtype=_whole)
def _searchsorted(xp: Any, edges: Array, x: Array, *, right: bool) -> Any:
    """Where in ``edges`` each element of x would stand."""
    return xp.searchsorted(edges, x, side="right" if right else "left")


@function
def argsort(x: TensorLike, *, axis: int = -1, descending: bool = False) -> Tensor:
    """Indices that sort ``x`` along ``axis``; equal elements keep their order."""
    x = tensor(x)
    if not descending:
        return _argsort(x, axis=axis)
    # Sorting the reversed axis and reversing the result keeps equal elements in their order.
    last = x.shape[axis] - 1
    return last - flip(_argsort(flip(x, axis), axis=axis), axis)


@function
def sort(x: TensorLike, *, axis: int = -1, descending: bool = False) -> Tensor:
    """``x`` with the elements along ``axis`` in increasing, or decreasing, order; NaN counts as largest."""
    x = tensor(x)
    return take_along_axis(x, argsort(x, axis=axis, descending=descending), axis=axis)


@function
def top_k(x: TensorLike, k: int, *, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The ``k`` largest elements along ``axis`` in decreasing order, and their indices."""
    x = moveaxis(tensor(x), axis, -1)
    indices = argsort(x, descending=True)[..., :k]
    return moveaxis(take_along_axis(x, indices), -1, axis), moveaxis(indices, -1, axis)


@function
def searchsorted(edges: TensorLike, x: TensorLike, *, side: str = "left") -> Tensor:
    """For every element of ``x`` the place in ``edges`` (1-d, increasing) where it would keep the order."""
    return _searchsorted(edges, x, right=side == "right")


@function
def isin(x: TensorLike, values: TensorLike) -> Tensor:
    """Whether each element of ``x`` is one of ``values``."""
    x = tensor(x)
    values = flatten(tensor(values, x.graph))
    return any_of(equal(expand_dims(x, -1), values), axis=-1)


