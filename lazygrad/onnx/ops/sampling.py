"""Images read at places between their pixels, and written back from windows."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import At, Known, op

CUBIC = -0.75  # Keys' constant


@op("GridSample")
def grid_sample(at: At, x: Any, grid: Any, *, align_corners: int, mode: str, padding_mode: str) -> Any:
    """x at the places that a grid says, from −1 to 1 along each axis, the last axis first."""
    mode = mode.removeprefix("bi")
    sizes, axes = x.shape[2:], x.ndim - 2
    taps = []
    for axis, n in enumerate(sizes):
        place = grid[..., axes - 1 - axis]
        place = (place + 1) / 2 * (n - 1) if align_corners else ((place + 1) * n - 1) / 2
        low, high = (0.0, n - 1.0) if align_corners else (-0.5, n - 0.5)
        place = _reflected(place, low, high) if padding_mode == "reflection" else place
        taps.append([_inside(i, w, n, low, high, padding_mode) for i, w in _weighted(place, mode)])
    rows = lg.moveaxis(x, 1, -1)  # (example, places…, channel)
    example = np.arange(x.shape[0]).reshape((-1,) + (1,) * axes)
    total: Any = None
    for chosen in itertools.product(*taps):
        weight = math.prod((w for _, w in chosen[1:]), start=chosen[0][1])
        part = rows[(example, *(i for i, _ in chosen))] * lg.expand_dims(lg.astype(weight, x.dtype), -1)
        total = part if total is None else total + part
    return lg.moveaxis(total, -1, 1)


def _weighted(place: Any, mode: str) -> list[tuple[Any, Any]]:
    """The pixels that count along an axis, and how much."""
    if mode == "nearest":
        return [(lg.round(place), lg.ones_like(place))]
    first = lg.floor(place)
    f = place - first
    if mode == "linear":
        return [(first, 1 - f), (first + 1, f)]
    a = CUBIC

    def near(d: Any) -> Any:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [(first - 1, far(1 + f)), (first, near(f)), (first + 1, near(1 - f)), (first + 2, far(2 - f))]


def _inside(i: Any, weight: Any, n: int, low: float, high: float, padding: str) -> tuple[Any, Any]:
    """A pixel that is there: beyond the ends it is 0, the outermost, or the one that a mirror shows."""
    if padding == "zeros":
        weight = lg.where(lg.logical_and(i >= 0, i <= n - 1), weight, 0)
    elif padding == "reflection":
        i = _reflected(i, low, high)
    return lg.astype(lg.clip(i, 0.0, n - 1.0), np.int64), weight


def _reflected(x: Any, low: float, high: float) -> Any:
    width = high - low
    if width <= 0:
        return lg.zeros_like(x)
    t = lg.remainder(x - low, 2 * width)
    return low + lg.where(t > width, 2 * width - t, t)


@op("Col2Im")
def col2im(at: At, x: Any, shape: Known, block: Known, *, dilations: Any, pads: Any, strides: Any) -> Any:
    """Windows laid back where they came from; where they overlap they add up."""
    axes = len(block)
    if axes != 2:
        raise ExportError(report(f"cannot import {at.node}: it goes over {axes} axes, of 2 that are known", at=here()))
    size, kernel = [int(n) for n in shape], [int(n) for n in block]
    gaps, steps, ends = dilations or (1, 1), strides or (1, 1), pads or (0, 0, 0, 0)
    whole = [n + ends[i] + ends[2 + i] for i, n in enumerate(size)]
    counts = [(n - (d * (k - 1) + 1)) // s + 1 for n, k, d, s in zip(whole, kernel, gaps, steps, strict=True)]
    columns = lg.reshape(x, (x.shape[0], -1, *kernel, *counts))
    columns = lg.permute_dims(columns, (0, 1, 4, 5, 2, 3))
    y = lg.nn.fold(columns, tuple(whole), stride=tuple(steps), dilation=tuple(gaps))
    return y[:, :, ends[0] : ends[0] + size[0], ends[1] : ends[1] + size[1]]


@op("MaxUnpool")
def max_unpool(at: At, x: Any, places: Any, shape: Known = None, *, kernel_shape: Any, pads: Any, strides: Any) -> Any:
    """Zeros, with the largest elements of windows where they had been."""
    axes = len(kernel_shape)
    steps, ends = strides or (1,) * axes, pads or (0,) * 2 * axes
    sizes = [
        (n - 1) * s + k - ends[i] - ends[axes + i]
        for i, (n, s, k) in enumerate(zip(x.shape[2:], steps, kernel_shape, strict=True))
    ]
    whole = (*x.shape[:2], *sizes)
    flat = lg.zeros((math.prod(whole),), x.dtype).at[lg.flatten(places)].set(lg.flatten(x))
    y = lg.reshape(flat, whole)
    if shape is None:
        return y
    return lg.pad(y, [(0, int(n) - m) for n, m in zip(shape, whole, strict=True)])


@op("TensorScatter")
def tensor_scatter(at: At, past: Any, update: Any, first: Any = None, *, axis: int, mode: str) -> Any:
    """Rows written into a cache, for each example from a place of its own on, round about if the mode is circular."""
    axis, count = axis % past.ndim, update.shape[axis]
    begin = np.zeros(past.shape[0], np.int64) if first is None else lg.astype(first, np.int64)
    shape = (past.shape[0],) + (1,) * (past.ndim - 1)
    along = np.arange(count).reshape((1,) * axis + (count,) + (1,) * (past.ndim - axis - 1))
    places = lg.reshape(begin, shape) + along
    places = lg.remainder(places, past.shape[axis]) if mode == "circular" else places
    columns = np.meshgrid(*[np.arange(n) for n in update.shape], indexing="ij", sparse=True)
    return past.at[tuple(places if i == axis else column for i, column in enumerate(columns))].set(update)
