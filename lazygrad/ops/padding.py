"""Padding: what stands around a tensor, in each of NumPy's modes."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import floor
from lazygrad.ops.arithmetic import round as rint
from lazygrad.ops.comparison import where
from lazygrad.ops.indexing import take
from lazygrad.ops.movement import _pad, astype, broadcast_to, concat, flip, moveaxis, reshape
from lazygrad.ops.reduction import max, mean, median, min
from lazygrad.ops.source import arange, ones_like

__all__ = ["pad"]

MOVED = ("edge", "reflect", "symmetric", "wrap")  # elements of x itself, in other places
STATISTICS: dict[str, Callable[..., Tensor]] = {"maximum": max, "minimum": min, "mean": mean, "median": median}
MODES = ("constant", "empty", *MOVED, "linear_ramp", *STATISTICS)


@function
def pad(
    x: TensorLike,
    pad_width: Any,
    mode: Any = "constant",
    constant_values: Any = 0,
    *,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: str = "even",
) -> Tensor:
    """``x`` with more elements around it: ``pad_width`` on every side, or ``(before, after)``, or such a pair an axis.

    The dtype is that of ``x``, to which values are cast.

    Args:
        x: what is padded.
        pad_width: how many elements, not negative; or a dict of these by axis.
        mode: as NumPy's: ``"constant"``; ``"edge"``, the outermost element; ``"reflect"`` and ``"symmetric"``, a mirror
            image without and with the outermost element; ``"wrap"``, the other end; ``"linear_ramp"``, in equal steps
            to ``end_values``; ``"maximum"``, ``"minimum"``, ``"mean"``, ``"median"`` of the axis; ``"empty"``, zeros. A
            number in this place is ``constant_values``.
        constant_values: what stands around; it may be a tensor.
        end_values: for ``"linear_ramp"``, what it ends in.
        stat_length: for the statistics, of how many outermost elements they are; of all if not given.
        reflect_type: ``"odd"`` mirrors in the outermost element, so that slopes go on; the default ``"even"`` does not.

    Raises:
        SpecError: the widths or the mode do not fit.
    """
    x = tensor(x)
    if not isinstance(mode, str):
        mode, constant_values = "constant", mode
    widths = _widths(x, pad_width)
    if mode not in MODES:
        cure = "mode is one of " + ", ".join(map(repr, MODES)) + "."
        raise SpecError(report(f"cannot pad {x.spec} with mode={mode!r}", at=here(), cure=cure))
    if mode in ("constant", "empty"):
        return _constant(x, widths, 0 if mode == "empty" else constant_values)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if not x.shape[axis]:
                cure = f"Axis {axis} has no elements to take values from: only mode='constant' pads it."
                raise SpecError(report(f"cannot pad {x.spec} with mode={mode!r}", at=here(), cure=cure))
            rows = moveaxis(x, axis, -1)
            if mode in MOVED:
                rows = _moved(rows, before, after, mode, reflect_type)
            elif mode == "linear_ramp":
                rows = _ramped(rows, before, after, *_pairs(end_values, x.ndim)[axis])
            else:
                length = None if stat_length is None else _pairs(stat_length, x.ndim)[axis]
                rows = _summarized(rows, before, after, STATISTICS[mode], length)
            x = moveaxis(rows, -1, axis)
    return x


def _pairs(given: Any, ndim: int) -> Any:
    return np.broadcast_to(np.asarray(given), (ndim, 2)).tolist()


def _widths(x: Tensor, pad_width: Any) -> list[tuple[int, int]]:
    """Widths before and after, an axis each."""
    try:
        if isinstance(pad_width, dict):
            listed = np.zeros((x.ndim, 2), np.int64)
            for axis, width in pad_width.items():
                listed[axis] = width
        else:
            listed = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))
    except (ValueError, IndexError):
        listed = np.full((1, 2), -1)
    if listed.size and (listed.min() < 0 or listed.dtype.kind not in "iu"):
        cure = "pad_width is a whole number, (before, after), or one such pair an axis; none is negative."
        raise SpecError(report(f"cannot pad {x.spec} by {pad_width!r}", at=here(), cure=cure))
    return [(int(before), int(after)) for before, after in listed]


def _constant(x: Tensor, widths: list[tuple[int, int]], value: Any) -> Tensor:
    before, after = tuple(b for b, _ in widths), tuple(a for _, a in widths)
    zero = isinstance(value, (int, float, np.integer, np.floating)) and value == 0
    if zero or isinstance(value, Tensor) or not np.ndim(value):
        padded = _pad(x, before=before, after=after)
        if zero:
            return padded
        inside = _pad(ones_like(x, dtype=bool), before=before, after=after)
        return where(inside, padded, tensor(value, x.graph, x.dtype))
    for axis, ((b, a), (low, high)) in enumerate(zip(widths, _pairs(value, x.ndim), strict=True)):
        front = (0,) * axis
        behind = (0,) * (x.ndim - axis - 1)
        x = _constant(x, [*zip(front, front, strict=True), (b, 0), *zip(behind, behind, strict=True)], low)
        x = _constant(x, [*zip(front, front, strict=True), (0, a), *zip(behind, behind, strict=True)], high)
    return x


def _moved(rows: Tensor, before: int, after: int, mode: str, reflect_type: str) -> Tensor:
    """Elements of ``rows`` itself: where each comes from NumPy says."""
    size = rows.shape[-1]
    places = np.pad(np.arange(size), (before, after), mode=mode)  # type: ignore[call-overload]
    padded = take(rows, places, axis=-1)
    if mode not in ("reflect", "symmetric") or reflect_type == "even":
        return padded
    most = size - (mode == "reflect")
    if reflect_type != "odd" or builtins.max(before, after) > most:
        cure = f"reflect_type is 'even', or 'odd' for at most {most} elements on a side, of {size}."
        raise SpecError(report(f"cannot pad by ({before}, {after}) with mode={mode!r}", at=here(), cure=cure))
    left, right = 2 * rows[..., :1] - padded[..., :before], 2 * rows[..., -1:] - padded[..., before + size :]
    return concat([left, rows, right], axis=-1)


def _ramped(rows: Tensor, before: int, after: int, low: float, high: float) -> Tensor:
    """Equal steps from the outermost element to the end values, which stand outermost then."""
    left = _ramp(rows[..., :1], before, low)
    right = flip(_ramp(rows[..., -1:], after, high), -1)
    return concat([left, rows, right], axis=-1)


def _ramp(edge: Tensor, count: int, end: float) -> Tensor:
    wide = edge if edge.dtype.kind == "f" else astype(edge, np.float64)
    share = astype(arange(count), wide.dtype) / builtins.max(count, 1)
    steps = end + share * (wide - end)
    return steps if wide is edge else astype(floor(steps), edge.dtype)


def _summarized(rows: Tensor, before: int, after: int, statistic: Callable[..., Tensor], length: Any) -> Tensor:
    """The statistic of the outermost elements on either side."""
    size = rows.shape[-1]
    low, high = (size, size) if length is None else (int(n) for n in length)
    ends = []
    for part, count in ((rows[..., :low], before), (rows[..., builtins.max(size - high, 0) :], after)):
        value = statistic(part, axis=-1)
        if rows.dtype.kind in "iu" and value.dtype.kind == "f":
            value = rint(value)
        value = reshape(astype(value, rows.dtype), (*rows.shape[:-1], 1))
        ends.append(broadcast_to(value, (*rows.shape[:-1], count)))
    return concat([ends[0], rows, ends[1]], axis=-1)
