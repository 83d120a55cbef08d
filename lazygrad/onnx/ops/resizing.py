"""Images made larger or smaller: along each axis a number is a weighted sum of a few, which are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Known, op


class _How(NamedTuple):
    """The settings of a node."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float
    outside: bool  # whether weights beyond the ends are left out
    antialias: bool
    fill: float


def _source(how: _How, size: int, new: int, scale: float, roi: tuple[float, float]) -> Any:
    """Where in the old axis each place of the new one lies."""
    x = np.arange(new, dtype=np.float64)
    whole = scale * size
    if how.coordinates == "asymmetric":
        return x / scale
    if how.coordinates == "pytorch_half_pixel":
        return (x + 0.5) / scale - 0.5 if new > 1 else np.zeros(new)
    if how.coordinates == "align_corners":
        return x * (size - 1) / (whole - 1) if new > 1 else np.zeros(new)
    if how.coordinates == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if how.coordinates == "half_pixel_symmetric":
        adjusted = new / whole
        return size / 2 * (1 - adjusted) + (x + 0.5) / scale - 0.5
    if how.coordinates == "tf_crop_and_resize":
        start, end = roi
        if new > 1:
            return start * (size - 1) + x * (end - start) * (size - 1) / (new - 1)
        return np.full(new, 0.5 * (start + end) * (size - 1))
    return (x + 0.5) / scale - 0.5


def _nearest(how: _How, places: Any) -> Any:
    """The number of the old place that is nearest."""
    if how.nearest == "floor":
        return np.floor(places)
    if how.nearest == "ceil":
        return np.ceil(places)
    return np.ceil(places - 0.5) if how.nearest == "round_prefer_floor" else np.floor(places + 0.5)


def _linear(d: Any, a: float) -> Any:
    return np.maximum(1 - np.abs(d), 0)


def _cubic(d: Any, a: float) -> Any:
    """Keys' cubic of a distance (1981)."""
    d = np.abs(d)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


KERNELS: dict[str, tuple[Callable[[Any, float], Any], int]] = {"linear": (_linear, 1), "cubic": (_cubic, 2)}


def _taps(how: _How, places: Any, size: int, scale: float) -> tuple[Any, Any]:
    """For each new place the old ones that count, and their weights: (new, taps) of both."""
    kernel, reach = KERNELS[how.mode]
    stretch = min(scale, 1.0) if how.antialias else 1.0
    radius = reach / stretch
    first = np.floor(places - radius).astype(np.int64) + 1
    index = first[:, None] + np.arange(int(np.ceil(2 * radius)) + 1)
    weights = kernel((index - places[:, None]) * stretch, how.cubic)
    inside = (index >= 0) & (index < size)
    if how.outside or how.antialias:
        weights = np.where(inside, weights, 0) if how.outside else weights
        weights = weights / weights.sum(axis=1, keepdims=True)
    used = (weights != 0).any(axis=0)
    return np.clip(index[:, used], 0, size - 1), weights[:, used]


def _along(at: At, x: Any, axis: int, how: _How, new: int, scale: float, roi: tuple[float, float]) -> Any:
    """The tensor with an axis of another size."""
    size = x.shape[axis]
    at.check_length(new)
    places = _source(how, size, new, scale, roi)
    shape = (1,) * axis + (new,) + (1,) * (x.ndim - axis - 1)
    if how.mode == "nearest":
        return lg.take(x, np.clip(_nearest(how, places), 0, size - 1).astype(np.int64), axis=axis)
    index, weights = _taps(how, places, size, scale)
    total: Any = None
    for k in range(index.shape[1]):
        part = lg.take(x, index[:, k], axis=axis) * weights[:, k].astype(x.dtype).reshape(shape)
        total = part if total is None else total + part
    if how.coordinates != "tf_crop_and_resize":
        return total
    beyond = (places < 0) | (places > size - 1)
    return lg.where(beyond.reshape(shape), np.asarray(how.fill, x.dtype), total) if beyond.any() else total


@op("Resize")
def resize(
    at: At,
    x: Any,
    roi: Known = None,
    scales: Known = None,
    sizes: Known = None,
    *,
    antialias: Any,
    axes: Any,
    coordinate_transformation_mode: str | None,
    cubic_coeff_a: Any,
    exclude_outside: Any,
    extrapolation_value: Any,
    keep_aspect_ratio_policy: Any,
    mode: str,
    nearest_mode: str | None,
) -> Any:
    """x with axes of other sizes, which are given, or by which they are multiplied."""
    if at.since < 11:  # there the second operand are scales
        return _resized(at, x, range(x.ndim), _floors(x, roi), [float(s) for s in roi], _old(mode), None)
    how = _How(
        mode,
        coordinate_transformation_mode or "half_pixel",
        nearest_mode or "round_prefer_floor",
        -0.75 if cubic_coeff_a is None else cubic_coeff_a,
        bool(exclude_outside),
        bool(antialias),
        extrapolation_value or 0.0,
    )
    places = list(range(x.ndim)) if axes is None else [a % x.ndim for a in axes]
    old = [x.shape[a] for a in places]
    if sizes is not None and len(sizes):
        news, factors = _sized(old, [int(n) for n in sizes], keep_aspect_ratio_policy or "stretch")
    else:
        factors = [float(s) for s in scales]
        news = [int(np.floor(n * s)) for n, s in zip(old, factors, strict=True)]
    return _resized(at, x, places, news, factors, how, None if roi is None or not len(roi) else roi)


def _sized(old: list[int], wanted: list[int], policy: str) -> tuple[list[int], list[float]]:
    """Sizes and factors, of which all are the same where the shape of the image is kept."""
    factors = [new / n for new, n in zip(wanted, old, strict=True)]
    if policy == "stretch":
        return wanted, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * n + 0.5)) for n in old], [factor] * len(old)


def _resized(at: At, x: Any, places: Any, news: Any, factors: Any, how: _How, roi: Any) -> Any:
    count = len(list(places))
    for k, (axis, new, factor) in enumerate(zip(places, news, factors, strict=True)):
        bounds = (0.0, 1.0) if roi is None else (float(roi[k]), float(roi[count + k]))
        if new != x.shape[axis] or factor != 1 or bounds != (0.0, 1.0):
            x = _along(at, x, axis, how, new, factor, bounds)
    return x


def _floors(x: Any, scales: Any) -> list[int]:
    return [int(np.floor(n * float(s))) for n, s in zip(x.shape, scales, strict=True)]


def _old(mode: str) -> _How:
    """As it was before version 11."""
    return _How(mode, "asymmetric", "floor", -0.75, False, False, 0.0)


@op("Upsample")
def upsample(at: At, x: Any, given: Known = None, *, mode: str, scales: Any) -> Any:
    """Resize, as it was called first."""
    factors = [float(s) for s in (scales if given is None else given)]
    return _resized(at, x, range(x.ndim), _floors(x, factors), factors, _old(mode), None)
