"""Elements by their places: read, and written."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Known, op


def _grid(shape: tuple[int, ...], axis: int, indices: Any) -> tuple[Any, ...]:
    """Indices along an axis beside those of all other axes."""
    columns = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij", sparse=True)
    return tuple(indices if i == axis else column for i, column in enumerate(columns))


@op("Gather")
def gather(at: At, x: Any, indices: Any, *, axis: int) -> Any:
    """Slices along an axis."""
    return lg.take(x, indices, axis=axis)


@op("GatherElements")
def gather_elements(at: At, x: Any, indices: Any, *, axis: int) -> Any:
    """Elements of rows along an axis."""
    axis = axis % x.ndim
    return x[_grid(indices.shape, axis, indices)]


@op("GatherND")
def gather_nd(at: At, x: Any, indices: Any, *, batch_dims: int | None) -> Any:
    """Slices at places of several axes."""
    return x[_places(indices, batch_dims or 0)]


def _places(indices: Any, batch: int) -> tuple[Any, ...]:
    """The index that reads, or writes, where the last axis of ``indices`` says, example by example."""
    front = indices.shape[:-1]
    own = [
        lg.asarray(np.arange(n).reshape((1,) * i + (n,) + (1,) * (len(front) - i - 1)))
        for i, n in enumerate(front[:batch])
    ]
    return (*own, *(indices[..., k] for k in range(indices.shape[-1])))


@op("ScatterElements")
def scatter_elements(at: At, x: Any, indices: Any, updates: Any, *, axis: int, reduction: str | None) -> Any:
    """x with elements of rows along an axis replaced, or added to."""
    axis = axis % x.ndim
    return _written(at, x, _grid(indices.shape, axis, indices), updates, reduction)


@op("Scatter")
def scatter(at: At, x: Any, indices: Any, updates: Any, *, axis: int) -> Any:
    """What is now called ScatterElements."""
    return scatter_elements(at, x, indices, updates, axis=axis, reduction=None)


@op("ScatterND")
def scatter_nd(at: At, x: Any, indices: Any, updates: Any, *, reduction: str | None) -> Any:
    """x with slices at places of several axes replaced, or added to."""
    return _written(at, x, _places(indices, 0), updates, reduction)


def _written(at: At, x: Any, index: Any, updates: Any, reduction: str | None) -> Any:
    place = x.at[index]
    if reduction in (None, "none"):
        return place.set(updates)
    if reduction == "add":
        return place.add(updates)
    return _combined(x, index, updates, {"mul": lg.multiply, "max": lg.maximum, "min": lg.minimum}[reduction])


def _combined(x: Any, index: Any, updates: Any, combine: Any) -> Any:
    """One update after another, as places may be named twice, in a loop."""
    front = np.broadcast_shapes(*(np.shape(i) if not isinstance(i, lg.Tensor) else i.shape for i in index))
    flat = [lg.reshape(lg.broadcast_to(i, front), (-1,)) for i in index]
    rows = lg.reshape(updates, (int(np.prod(front)), *updates.shape[len(front) :]))

    def turn(y: Any, row: Any) -> Any:
        place = tuple(row[0])
        return y.at[place].set(combine(y[place], row[1])), None

    return lg.scan(turn, x, (flat, rows))[0]


@op("OneHot")
def one_hot(at: At, indices: Any, depth: Known, values: Any, *, axis: int) -> Any:
    """The second value at a place along a new axis, the first one elsewhere."""
    count = int(np.asarray(depth).reshape(-1)[0])
    places = lg.astype(indices, np.int64)
    places = lg.where(places < 0, places + count, places)
    axis = axis % (indices.ndim + 1)
    shape = (1,) * axis + (count,) + (1,) * (indices.ndim - axis)
    hot = lg.expand_dims(places, axis) == lg.reshape(lg.arange(count), shape)
    return lg.where(hot, values[1], values[0])


@op("ReverseSequence")
def reverse_sequence(at: At, x: Any, lengths: Any, *, batch_axis: int, time_axis: int) -> Any:
    """The first so many elements of each sequence from last to first."""
    laid = [1, 1]
    laid[batch_axis] = x.shape[batch_axis]
    along = [1, 1]
    along[time_axis] = x.shape[time_axis]
    time = np.arange(x.shape[time_axis]).reshape(along)
    ends = lg.reshape(lg.astype(lengths, np.int64), tuple(laid))
    places = lg.where(time < ends, ends - 1 - time, time)
    places = lg.reshape(places, places.shape + (1,) * (x.ndim - 2))
    return lg.take_along_axis(x, places, axis=time_axis)
