"""Shapes: what is asked about them, and tensors laid out in others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Known, op


def _product(sizes: Any) -> float:
    return float(np.prod(np.asarray(sizes, np.float64)))


def _spread(x: Any, shape: Any) -> float:
    sizes = np.asarray(shape)
    return max(_product(sizes), 1.0) * max(np.size(x), 1)


@op("Shape", mixed=True)
def shape(at: At, x: Any, *, start: int | None, end: int | None) -> Any:
    """The sizes of x, which are known."""
    return np.array(np.shape(x) if not isinstance(x, lg.Tensor) else x.shape, np.int64)[start or 0 : end]


@op("Size", mixed=True)
def size(at: At, x: Any) -> Any:
    """How many elements x has."""
    return np.array(math.prod(x.shape), np.int64)


@op("Constant", mixed=True)
def constant(at: At, *, value: Any, value_float: Any, value_floats: Any, value_int: Any, value_ints: Any) -> Any:
    """An array of the file."""
    if value is not None:
        return value
    if value_float is not None or value_floats is not None:
        return np.array(value_floats if value_float is None else value_float, np.float32)
    return np.array(value_ints if value_int is None else value_int, np.int64)


@op("ConstantOfShape", grows=_product)
def constant_of_shape(at: At, shape: Known, *, value: Any) -> Any:
    """An array of one number, over and over."""
    number = np.float32(0) if value is None else np.asarray(value).reshape(-1)[0]
    return lg.full(tuple(int(n) for n in shape), number.item(), dtype=number.dtype)


def _steps(start: Any, limit: Any, delta: Any) -> float:
    a, b, step = (float(np.reshape(x, -1)[0]) for x in (start, limit, delta))
    return float(np.ceil((b - a) / step)) if step else 0.0


@op("Range", grows=_steps)
def range_(at: At, start: Known, limit: Known, delta: Known) -> Any:
    """Numbers with equal steps between them."""
    return lg.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@op("EyeLike")
def eye_like(at: At, x: Any, *, dtype: int | None, k: int) -> Any:
    """Ones on a diagonal, zeros elsewhere, in the shape of x."""
    from lazygrad.onnx.ops.elementwise import _dtype

    rows, columns = x.shape
    return lg.eye(rows, columns, k=k, dtype=x.dtype if dtype is None else _dtype(at, dtype))


@op("Reshape")
def reshape(at: At, x: Any, shape: Known, *, allowzero: int | None) -> Any:
    """x in another shape, where −1 is what is left, and 0 the size that was there."""
    sizes = [int(n) for n in shape]
    if not allowzero:
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    if -1 in sizes and 0 in sizes:  # of no rows: what is left is that of one
        rest, given = (math.prod(n for n in shape if n > 0) for shape in (x.shape, sizes))
        sizes[sizes.index(-1)] = rest // given
    return lg.reshape(x, tuple(sizes))


@op("Flatten")
def flatten(at: At, x: Any, *, axis: int) -> Any:
    """A matrix: the axes in front of one, and the others."""
    axis = axis + x.ndim if axis < 0 else axis
    return lg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@op("Transpose")
def transpose(at: At, x: Any, *, perm: tuple[int, ...] | None) -> Any:
    """x with its axes in another order."""
    return lg.permute_dims(x, tuple(perm or reversed(range(x.ndim))))


def _axes(at: At, given: Any, setting: Any) -> tuple[int, ...] | None:
    """Axes, which are a setting in older versions and an operand in newer ones."""
    found = setting if given is None else [int(a) for a in np.asarray(given).reshape(-1)]
    return None if found is None else tuple(found)


@op("Unsqueeze")
def unsqueeze(at: At, x: Any, given: Known = None, *, axes: tuple[int, ...] | None) -> Any:
    """x with axes of size 1 put in."""
    return lg.expand_dims(x, _axes(at, given, axes) or ())


@op("Squeeze")
def squeeze(at: At, x: Any, given: Known = None, *, axes: tuple[int, ...] | None) -> Any:
    """x without axes of size 1."""
    found = _axes(at, given, axes)
    return lg.squeeze(x, tuple(i for i, n in enumerate(x.shape) if n == 1) if found is None else found)


@op("Expand", grows=_spread)
def expand(at: At, x: Any, shape: Known) -> Any:
    """x repeated along axes of size 1."""
    return lg.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in shape)))


@op("Tile", grows=_spread)
def tile(at: At, x: Any, repeats: Known) -> Any:
    """x side by side with itself."""
    return lg.tile(x, tuple(int(n) for n in repeats))


@op("Concat")
def concat(at: At, *xs: Any, axis: int) -> Any:
    """Tensors one after another."""
    return lg.concat(xs, axis=axis)


@op("Split")
def split(at: At, x: Any, given: Known = None, *, axis: int, split: Any, num_outputs: int | None) -> Any:
    """Parts along an axis: of given sizes, or as equal as they can be, the last one smaller."""
    sizes = given if given is not None else split
    if sizes is None:
        count = num_outputs or len(at.node.outputs)
        each = -(-x.shape[axis] // count)
        sizes = [min(each, max(x.shape[axis] - i * each, 0)) for i in range(count)]
    ends = np.cumsum([int(n) for n in sizes])[:-1]
    return tuple(lg.split(x, [int(n) for n in ends], axis=axis))


@op("Slice")
def slice_(
    at: At,
    x: Any,
    start: Known = None,
    end: Known = None,
    axis: Known = None,
    step: Known = None,
    *,
    starts: Any,
    ends: Any,
    axes: Any,
) -> Any:
    """A part along axes; the places are settings before version 10."""
    if at.since < 10:
        start, end, axis = starts, ends, axes
    places = range(len(start)) if axis is None else [int(a) for a in axis]
    steps = [1] * len(start) if step is None else [int(s) for s in step]
    index: list[Any] = [slice(None)] * x.ndim
    for place, a, b, s in zip(places, start, end, steps, strict=True):
        index[place] = _cut(int(a), int(b), s, x.shape[place])
    return x[tuple(index)]


def _cut(start: int, end: int, step: int, size: int) -> slice:
    """The slice that ONNX means, as Python writes it: beyond the ends is at the ends."""
    start, end = (n + size if n < 0 else n for n in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    end = min(max(end, -1), size - 1)
    return slice(min(max(start, 0), size - 1), None if end < 0 else end, step)


MODES = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}


@op("Pad")
def pad(
    at: At, x: Any, widths: Known = None, fill: Any = None, axes: Known = None, *, mode: str, pads: Any, value: Any
) -> Any:
    """x with borders; negative ones cut off."""
    widths = pads if at.since < 11 else [int(n) for n in widths]
    fill = (value or 0.0) if at.since < 11 else 0 if fill is None else fill
    places = range(x.ndim) if axes is None else [int(a) % x.ndim for a in axes]
    half, pairs = len(widths) // 2, [(0, 0)] * x.ndim
    for k, place in enumerate(places):
        pairs[place] = (int(widths[k]), int(widths[half + k]))
    x = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(pairs, x.shape, strict=True))]
    pairs = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if mode != "constant":
        at.check_length(max((a + b for a, b in pairs), default=0))
        return lg.pad(x, pairs, mode=MODES[mode])
    return lg.pad(x, pairs, constant_values=lg.reshape(fill, ()) if isinstance(fill, lg.Tensor) else fill)


@op("DepthToSpace")
def depth_to_space(at: At, x: Any, *, blocksize: int, mode: str) -> Any:
    """Channels laid out as blocks of pixels."""
    n, c, h, w = x.shape
    b = blocksize
    if mode == "CRD":
        apart = lg.permute_dims(lg.reshape(x, (n, c // b**2, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    else:
        apart = lg.permute_dims(lg.reshape(x, (n, b, b, c // b**2, h, w)), (0, 3, 4, 1, 5, 2))
    return lg.reshape(apart, (n, c // b**2, h * b, w * b))


@op("SpaceToDepth")
def space_to_depth(at: At, x: Any, *, blocksize: int, mode: str | None) -> Any:
    """Blocks of pixels laid out as channels."""
    n, c, h, w = x.shape
    b = blocksize
    apart = lg.reshape(x, (n, c, h // b, b, w // b, b))
    order = (0, 1, 3, 5, 2, 4) if mode == "CRD" else (0, 3, 5, 1, 2, 4)
    return lg.reshape(lg.permute_dims(apart, order), (n, c * b * b, h // b, w // b))


@op("Trilu")
def trilu(at: At, x: Any, k: Known = None, *, upper: int) -> Any:
    """The upper or the lower triangle."""
    shift = 0 if k is None else int(np.asarray(k).reshape(-1)[0])
    return lg.triu(x, k=shift) if upper else lg.tril(x, k=shift)
