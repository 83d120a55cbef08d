"""Convolutions and pooling over one, two or three axes."""

# What slides over one axis slides over two of which one has size 1. Over three axes a maximum, or a sum, is taken over
# two of them and then over the third; a convolution is a sum of those of slices.

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.table import At, Weight, op

Ends = list[tuple[int, int]]


def _ends(sizes: Sequence[int], covers: Sequence[int], steps: Sequence[int], auto_pad: str, pads: Any) -> Ends:
    """What is added before and after each axis: given, or as much as makes ⌈size / step⌉ windows."""
    count = len(covers)
    if auto_pad in ("NOTSET", ""):
        found = tuple(pads or (0,) * 2 * count)
        return list(zip(found[:count], found[count:], strict=True))
    if auto_pad == "VALID":
        return [(0, 0)] * count
    ends = []
    for n, cover, step in zip(sizes, covers, steps, strict=True):
        total = max((-(-n // step) - 1) * step + cover - n, 0)
        less, more = total // 2, total - total // 2
        ends.append((less, more) if auto_pad == "SAME_UPPER" else (more, less))
    return ends


def _covers(kernel: Sequence[int], dilations: Sequence[int]) -> list[int]:
    return [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]


def _flat(x: Any, axes: int) -> Any:
    """Images of rows: an axis of size 1 in front of the last one where there is only that."""
    return lg.expand_dims(x, -2) if axes == 1 else x


def _pair(values: Sequence[Any], least: Any) -> tuple[Any, Any]:
    return (least, values[0]) if len(values) == 1 else (values[0], values[1])


@op("Conv")
def conv(
    at: At,
    x: Any,
    w: Weight,
    bias: Any = None,
    *,
    auto_pad: str,
    dilations: Any,
    group: int,
    kernel_shape: Any,
    pads: Any,
    strides: Any,
) -> Any:
    """A convolution, whose filters are not turned over."""
    y = convolved(at, x, w, auto_pad, dilations, group, pads, strides)
    return y if bias is None else y + lg.reshape(bias, (-1,) + (1,) * (w.ndim - 2))


def convolved(at: At, x: Any, w: Any, auto_pad: str, dilations: Any, group: int, pads: Any, strides: Any) -> Any:
    """A convolution with the settings of a node."""
    axes = w.ndim - 2
    steps, gaps = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    ends = _ends(x.shape[2:], _covers(w.shape[2:], gaps), steps, auto_pad, pads)
    return _convolved(at, x, w, steps, gaps, ends, group)


def _convolved(at: At, x: Any, w: Any, steps: Any, gaps: Any, ends: Ends, group: int) -> Any:
    axes = w.ndim - 2
    if axes <= 2:
        y = lg.nn.conv2d(
            _flat(x, axes),
            _flat(w, axes),
            stride=_pair(steps, 1),
            padding=_pair(ends, (0, 0)),
            dilation=_pair(gaps, 1),
            groups=group,
        )
        return lg.squeeze(y, -2) if axes == 1 else y
    if axes > 3:
        raise ExportError(report(f"cannot import {at.node}: it goes over {axes} axes, of at most 3", at=here()))
    x = lg.pad(x, [(0, 0), (0, 0), ends[0], (0, 0), (0, 0)])
    count = (x.shape[2] - _covers(w.shape[2:], gaps)[0]) // steps[0] + 1
    total: Any = None
    for k in range(w.shape[2]):
        start = k * gaps[0]
        slices = lg.moveaxis(x[:, :, start : start + steps[0] * (count - 1) + 1 : steps[0]], 2, 1)
        images = lg.reshape(slices, (-1, *slices.shape[2:]))
        y = _convolved(at, images, w[:, :, k], steps[1:], gaps[1:], ends[1:], group)
        total = y if total is None else total + y
    return lg.moveaxis(lg.reshape(total, (x.shape[0], count, *total.shape[1:])), 1, 2)


@op("ConvTranspose")
def conv_transpose(
    at: At,
    x: Any,
    w: Weight,
    bias: Any = None,
    *,
    auto_pad: str,
    dilations: Any,
    group: int,
    kernel_shape: Any,
    output_padding: Any,
    output_shape: Any,
    pads: Any,
    strides: Any,
) -> Any:
    """The transpose of a convolution: zeros between the numbers of x, and then one with the filters turned over."""
    axes = w.ndim - 2
    steps, gaps = tuple(strides or (1,) * axes), tuple(dilations or (1,) * axes)
    extra = tuple(output_padding or (0,) * axes)
    covers = _covers(w.shape[2:], gaps)
    whole = [(n - 1) * s + c + e for n, s, c, e in zip(x.shape[2:], steps, covers, extra, strict=True)]
    ends = _cut(x, whole, steps, auto_pad, pads, output_shape)
    if axes <= 2 and all(min(pair) >= 0 for pair in ends):
        padding = [(a, b - e) for (a, b), e in zip(ends, extra, strict=True)]
        if all(b >= 0 for _, b in padding) or not any(extra):
            y = _two_axes(x, w, steps, gaps, [(a, max(b, 0)) for a, b in padding], group)
            return y if bias is None else y + lg.reshape(bias, (-1,) + (1,) * axes)
    y = _by_zeros(at, x, w, steps, gaps, [(c - 1, c - 1 + e) for c, e in zip(covers, extra, strict=True)], group)
    index = [slice(max(a, 0), n - max(b, 0)) for (a, b), n in zip(ends, whole, strict=True)]
    y = lg.pad(y[(slice(None), slice(None), *index)], [(0, 0), (0, 0), *((max(-a, 0), max(-b, 0)) for a, b in ends)])
    return y if bias is None else y + lg.reshape(bias, (-1,) + (1,) * axes)


def _cut(x: Any, whole: list[int], steps: Any, auto_pad: str, pads: Any, output_shape: Any) -> Ends:
    """How much of the whole result is cut off on each side."""
    wanted = list(output_shape or ())[-len(whole) :]
    if not wanted and auto_pad.startswith("SAME"):
        wanted = [n * s for n, s in zip(x.shape[2:], steps, strict=True)]
    if not wanted:
        return _ends(x.shape[2:], whole, steps, "NOTSET" if auto_pad != "VALID" else "VALID", pads)
    ends = []
    for n, size in zip(whole, wanted, strict=True):
        total = n - size
        less = total // 2
        ends.append((less, total - less) if auto_pad == "SAME_UPPER" else (total - less, less))
    return ends


def _two_axes(x: Any, w: Any, steps: Any, gaps: Any, ends: Ends, group: int) -> Any:
    axes = w.ndim - 2
    y = lg.nn.conv2d_transpose(
        _flat(x, axes),
        _flat(w, axes),
        stride=_pair(steps, 1),
        padding=_pair(ends, (0, 0)),
        dilation=_pair(gaps, 1),
        groups=group,
    )
    return lg.squeeze(y, -2) if axes == 1 else y


def _by_zeros(at: At, x: Any, w: Any, steps: Any, gaps: Any, borders: Ends, group: int) -> Any:
    for axis, step in enumerate(steps, 2):
        if step > 1:
            ends = [(0, 0)] * (x.ndim + 1)
            ends[axis + 1] = (0, step - 1)
            apart = lg.pad(lg.expand_dims(x, axis + 1), ends)
            sizes = (*x.shape[:axis], x.shape[axis] * step, *x.shape[axis + 1 :])
            x = lg.reshape(apart, sizes)[(slice(None),) * axis + (slice(0, sizes[axis] - step + 1),)]
    channels, depth, *kernel = w.shape
    turned = lg.flip(lg.reshape(w, (group, channels // group, depth, *kernel)), tuple(range(3, 3 + len(kernel))))
    filters = lg.reshape(lg.swapaxes(turned, 1, 2), (group * depth, channels // group, *kernel))
    return _convolved(at, x, filters, (1,) * len(kernel), gaps, borders, group)


class _Windows:
    """How windows lie on the axes of an input."""

    def __init__(self, x: Any, kernel: Any, strides: Any, dilations: Any, auto_pad: str, pads: Any, ceil: Any) -> None:
        axes = len(kernel)
        self.kernel, self.steps = tuple(kernel), tuple(strides or (1,) * axes)
        self.gaps = tuple(dilations or (1,) * axes)
        self.sizes = x.shape[2:]
        covers = _covers(kernel, self.gaps)
        self.ends = _ends(self.sizes, covers, self.steps, auto_pad, pads)
        self.counts, self.beyond = [], []  # how many windows; what the last one needs beyond the padding
        for n, (a, b), cover, step in zip(self.sizes, self.ends, covers, self.steps, strict=True):
            room = n + a + b - cover
            count = (-(-room // step) if ceil else room // step) + 1
            if ceil and (count - 1) * step >= n + a:  # a window begins in the input, or in the padding before it
                count -= 1
            self.counts.append(count)
            self.beyond.append(max((count - 1) * step + cover - (n + a + b), 0))

    def padded(self, x: Any, value: Any) -> Any:
        """The input with the number around it."""
        ends = [(0, 0), (0, 0), *((a, b + more) for (a, b), more in zip(self.ends, self.beyond, strict=True))]
        return lg.pad(x, ends, constant_values=value) if any(map(any, ends)) else x

    def held(self, with_padding: bool) -> Any:
        """How many elements of the input, or of that with its padding, each window has."""
        total: Any = np.ones(())
        for n, (a, b), k, step, gap, count in zip(
            self.sizes, self.ends, self.kernel, self.steps, self.gaps, self.counts, strict=True
        ):
            places = np.arange(count)[:, None] * step + np.arange(k) * gap
            low, high = (0, n + a + b) if with_padding else (a, a + n)
            total = total[..., None] * ((places >= low) & (places < high)).sum(axis=1)
        return total

    def pooled(self, x: Any, function: Any) -> Any:
        """The function over all windows, of a padded input: two axes at a time."""
        axes = len(self.kernel)
        for first in range(0, axes, 2):
            these = list(range(first, min(first + 2, axes)))
            places = [2 + i for i in these]
            x = lg.moveaxis(x, places, list(range(-len(these), 0)))
            chosen = [[whole[i] for i in these] for whole in (self.kernel, self.steps, self.gaps)]
            x = _flat(x, len(these))
            x = function(x, _pair(chosen[0], 1), stride=_pair(chosen[1], 1), dilation=_pair(chosen[2], 1))
            x = lg.squeeze(x, -2) if len(these) == 1 else x
            x = lg.moveaxis(x, list(range(-len(these), 0)), places)
            kept = [slice(0, self.counts[i]) if i in these else slice(None) for i in range(axes)]
            x = x[(slice(None), slice(None), *kept)]
        return x


@op("MaxPool")
def max_pool(
    at: At,
    x: Any,
    *,
    auto_pad: str,
    ceil_mode: Any,
    dilations: Any,
    kernel_shape: Any,
    pads: Any,
    storage_order: Any,
    strides: Any,
) -> Any:
    """The largest element of every window, and where it stands."""
    windows = _Windows(x, kernel_shape, strides, dilations, auto_pad, pads, ceil_mode)
    low = -np.inf if x.dtype.kind == "f" else int(np.iinfo(x.dtype).min)
    if at.outputs > 1:
        return _with_places(at, x, windows, low, storage_order)
    return windows.pooled(windows.padded(x, low), lg.nn.max_pool2d)


def _with_places(at: At, x: Any, windows: _Windows, low: Any, columns_first: Any) -> Any:
    axes = len(windows.kernel)
    if axes > 2:
        raise ExportError(report(f"cannot import {at.node}: places of {axes} axes are not known here", at=here()))
    places = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:], order="F" if columns_first else "C")
    ends = [(a, b + more) for (a, b), more in zip(windows.ends, windows.beyond, strict=True)]
    numbers = np.pad(places, ends)
    settings = (_pair(windows.kernel, 1), _pair(windows.steps, 1), _pair(windows.gaps, 1))
    seen = lg.nn.windows(_flat(windows.padded(x, low), axes), *settings)
    where = lg.nn.windows(_flat(lg.asarray(numbers), axes), *settings)
    seen, where = (lg.reshape(t, (*t.shape[:-2], -1)) for t in (seen, where))
    best = lg.expand_dims(lg.argmax(seen, axis=-1), -1)
    found = lg.take_along_axis(lg.broadcast_to(where, seen.shape), best)[..., 0]
    image = lg.reshape(lg.asarray(np.arange(x.shape[0] * x.shape[1])), (x.shape[0], x.shape[1], 1, 1))
    found = found + image * places.size
    largest = lg.take_along_axis(seen, best)[..., 0]
    return tuple(lg.squeeze(t, -2) if axes == 1 else t for t in (largest, found))


@op("AveragePool")
def average_pool(
    at: At,
    x: Any,
    *,
    auto_pad: str,
    ceil_mode: Any,
    count_include_pad: int,
    dilations: Any,
    kernel_shape: Any,
    pads: Any,
    strides: Any,
) -> Any:
    """The mean of every window."""
    windows = _Windows(x, kernel_shape, strides, dilations, auto_pad, pads, ceil_mode)
    at.check_length(max(windows.counts))
    total = windows.pooled(windows.padded(x, 0), lg.nn.sum_pool2d)
    return total / windows.held(bool(count_include_pad)).astype(x.dtype)


@op("LpPool")
def lp_pool(
    at: At,
    x: Any,
    *,
    auto_pad: str,
    ceil_mode: Any,
    dilations: Any,
    kernel_shape: Any,
    p: int,
    pads: Any,
    strides: Any,
) -> Any:
    """(Σ |x|ᵖ)^(1/p) of every window."""
    windows = _Windows(x, kernel_shape, strides, dilations, auto_pad, pads, ceil_mode)
    total = windows.pooled(windows.padded(lg.abs(x) ** p, 0), lg.nn.sum_pool2d)
    return total ** (1 / p)


@op("GlobalAveragePool")
def global_average_pool(at: At, x: Any) -> Any:
    """The mean of each channel."""
    return lg.mean(x, axis=tuple(range(2, x.ndim)), keepdims=True)


@op("GlobalMaxPool")
def global_max_pool(at: At, x: Any) -> Any:
    """The largest element of each channel."""
    return lg.max(x, axis=tuple(range(2, x.ndim)), keepdims=True)


@op("GlobalLpPool")
def global_lp_pool(at: At, x: Any, *, p: int) -> Any:
    """(Σ |x|ᵖ)^(1/p) of each channel."""
    return lg.sum(lg.abs(x) ** p, axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p)
