"""Sums, means and the like over axes, running ones, and the largest elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.movement import _axes
from lazygrad.onnx.ops.table import At, Known, op

OVER: dict[str, Callable[..., Any]] = {
    "ReduceL1": lambda x, **over: lg.sum(lg.abs(x), **over),
    "ReduceL2": lambda x, **over: lg.sqrt(lg.sum(lg.square(x), **over)),
    "ReduceLogSum": lambda x, **over: lg.log(lg.sum(x, **over)),
    "ReduceLogSumExp": lambda x, **over: lg.logsumexp(x, **over),
    "ReduceMax": lg.max,
    "ReduceMean": lambda x, **over: lg.mean(x, **over),
    "ReduceMin": lg.min,
    "ReduceProd": lg.prod,
    "ReduceSum": lg.sum,
    "ReduceSumSquare": lambda x, **over: lg.sum(lg.square(x), **over),
}
EMPTY = {"ReduceMax": -np.inf, "ReduceMin": np.inf}


def _over(name: str, function: Callable[..., Any]) -> None:
    @op(name)
    def reduced(at: At, x: Any, given: Known = None, *, axes: Any, keepdims: int, noop_with_empty_axes: Any) -> Any:
        found = _axes(at, given, axes)
        if not found and noop_with_empty_axes:
            # Each number is then a group of its own: what is not summed is still squared, or its logarithm taken.
            return (
                x
                if name in ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceMean")
                else _cast(function(lg.expand_dims(x, 0), axis=0, keepdims=False), x)
            )
        over: dict[str, Any] = {"axis": found or None, "keepdims": bool(keepdims)}
        if name in EMPTY and 0 in x.shape:
            return lg.full(lg.sum(x, **over).shape, _worst(name, x.dtype), dtype=x.dtype)
        if x.dtype == np.bool_:
            return lg.any(x, **over) if name == "ReduceMax" else lg.all(x, **over)
        return _cast(function(x, **over), x)


def _cast(y: Any, x: Any) -> Any:
    return lg.astype(y, x.dtype)


def _worst(name: str, dtype: Any) -> Any:
    if dtype.kind == "f":
        return EMPTY[name]
    if dtype.kind == "b":
        return name == "ReduceMin"
    return np.iinfo(dtype).min if name == "ReduceMax" else np.iinfo(dtype).max


for _name, _function in OVER.items():
    _over(_name, _function)


def _place(x: Any, axis: int, keepdims: int, last: int | None, largest: bool) -> Any:
    """Where the first, or the last, of the largest or smallest elements stands."""
    find = lg.argmax if largest else lg.argmin
    found = find(lg.flip(x, axis) if last else x, axis=axis, keepdims=bool(keepdims))
    return x.shape[axis] - 1 - found if last else found


@op("ArgMax")
def argmax(at: At, x: Any, *, axis: int, keepdims: int, select_last_index: int | None) -> Any:
    """The place of the largest element."""
    return _place(x, axis, keepdims, select_last_index, True)


@op("ArgMin")
def argmin(at: At, x: Any, *, axis: int, keepdims: int, select_last_index: int | None) -> Any:
    """The place of the smallest element."""
    return _place(x, axis, keepdims, select_last_index, False)


def _running(x: Any, axis: Any, exclusive: int, reverse: int, function: Callable[..., Any]) -> Any:
    axis = int(np.asarray(axis).reshape(-1)[0]) % x.ndim
    x = lg.flip(x, axis) if reverse else x
    y = lg.astype(function(x, axis=axis, include_initial=bool(exclusive)), x.dtype)
    if exclusive:
        y = y[(slice(None),) * axis + (slice(0, -1),)]
    return lg.flip(y, axis) if reverse else y


@op("CumSum")
def cumsum(at: At, x: Any, axis: Known, *, exclusive: int, reverse: int) -> Any:
    """Running sums."""
    return _running(x, axis, exclusive, reverse, lg.cumulative_sum)


@op("CumProd")
def cumprod(at: At, x: Any, axis: Known, *, exclusive: int, reverse: int) -> Any:
    """Running products."""
    return _running(x, axis, exclusive, reverse, lg.cumulative_prod)


@op("TopK")
def top_k(at: At, x: Any, given: Known = None, *, axis: int, k: Any, largest: int | None, sorted: Any) -> Any:
    """The largest, or the smallest, elements in order, and their places."""
    count = int(np.asarray(k if given is None else given).reshape(-1)[0])
    if largest is None or largest:
        return lg.top_k(x, count, axis=axis)
    order = lg.argsort(x, axis=axis)
    places = order[(slice(None),) * (axis % x.ndim) + (slice(0, count),)]
    return lg.take_along_axis(x, places, axis=axis), places
