"""Functions that are known at some points: between them, their slopes and their integrals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import remainder
from lazygrad.ops.comparison import clip, equal, greater, isnan, less, where
from lazygrad.ops.cumulative import cumulative_sum, diff
from lazygrad.ops.indexing import take
from lazygrad.ops.movement import _axis, astype, concat, moveaxis
from lazygrad.ops.reduction import any, sum
from lazygrad.ops.sorting import argsort, searchsorted

__all__ = ["central_difference", "cumulative_trapezoid", "interp", "lerp", "trapezoid"]


@function
@in_floats("a", "b", "weight")
def lerp(a: TensorLike, b: TensorLike, weight: TensorLike) -> Tensor:
    """``a + weight·(b − a)``: ``a`` for weight 0, ``b`` for weight 1; all three broadcast."""
    a, b, weight = tensor(a), tensor(b), tensor(weight)
    return a + weight * (b - a)


@function
@in_floats("x", "xp", "fp")
def interp(
    x: TensorLike, xp: TensorLike, fp: TensorLike, left: Any = None, right: Any = None, period: float | None = None
) -> Tensor:
    """The piecewise linear function through the points ``(xp[i], fp[i])``, at ``x``.

    Args:
        x: of any shape.
        xp: ``(n,)``, increasing, or in any order if there is a ``period``.
        fp: ``(n,)``.
        left: what it is below ``xp[0]``; ``fp[0]`` if not given.
        right: what it is above ``xp[-1]``; ``fp[-1]`` if not given.
        period: of a periodic function; then ``left`` and ``right`` do not count.

    Its derivatives are those of the piece that ``x`` lies in, for ``x``, ``fp`` and ``xp`` alike; beyond the ends the
    slope is 0. Halves and float32 are computed with as such, where NumPy gives float64.

    Raises:
        SpecError: ``xp`` and ``fp`` are not of one axis and one size, or are empty.
    """
    x, xp, fp = tensor(x), tensor(xp), tensor(fp)
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        facts = [f"xp:  {xp.spec}   {xp.graph.describe(xp.index)}", f"fp:  {fp.spec}   {fp.graph.describe(fp.index)}"]
        cure = "xp and fp have one axis and the same size, which is not 0."
        raise SpecError(report(f"cannot interp at {x.spec}", at=here(), facts=facts, cure=cure))
    if period is not None:
        x, xp = remainder(x, period), remainder(xp, period)
        order = argsort(xp)
        xp, fp = take(xp, order), take(fp, order)
        xp = concat([xp[-1:] - period, xp, xp[:1] + period])
        fp = concat([fp[-1:], fp, fp[:1]])
        left = right = None
    low = fp[0] if left is None else tensor(left, x.graph, fp.dtype)
    high = fp[-1] if right is None else tensor(right, x.graph, fp.dtype)
    below, above = less(x, xp[0]), greater(x, xp[-1])
    if xp.size == 1:
        return where(below, low, where(above, high, fp[0] + 0 * x))
    place = clip(searchsorted(xp, x, side="right"), 1, xp.size - 1)
    x0, x1, y0, y1 = take(xp, place - 1), take(xp, place), take(fp, place - 1), take(fp, place)
    wide = where(equal(x0, x1), 1, x1 - x0)
    inside = where(equal(x, x1), y1 + (x - x1) * ((y1 - y0) / wide), y0 + (x - x0) * ((y1 - y0) / wide))
    y = where(below, low, where(above, high, inside))
    return where(any(isnan(xp)), math.nan, y)  # among points of which one is missing nothing can be found


def _spacing(what: str, y: Tensor, x: Any, dx: Any, axis: int) -> tuple[Tensor, Any]:
    """``y`` with ``axis`` last, and the distances of its points there."""
    rows = moveaxis(y, _axis(what, y, axis), -1)
    if x is None:
        return rows, dx
    x = tensor(x, y.graph)
    x = x if x.ndim == 1 else moveaxis(x, axis, -1)
    if not x.ndim or x.shape[-1] != rows.shape[-1]:
        cure = f"There is one x for every point along the axis, of which there are {rows.shape[-1]}."
        raise SpecError(report(f"cannot {what} {y.spec} over {x.spec}", at=here(), cure=cure))
    return rows, diff(x)


@function
@in_floats("y", "x")
def trapezoid(y: TensorLike, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """Integral along ``axis`` by the trapezoidal rule.

    Args:
        y: values.
        x: where they are taken: one for every point along the axis, or in the shape of ``y``.
        dx: the distance of the points, if there is no ``x``.
        axis: which.
    """
    rows, step = _spacing("trapezoid", tensor(y), x, dx, axis)
    return sum(step * (rows[..., 1:] + rows[..., :-1]) / 2, axis=-1)


@function
@in_floats("y", "x")
def cumulative_trapezoid(y: TensorLike, x: Any = None, dx: Any = 1.0, axis: int = -1, initial: Any = None) -> Tensor:
    """Integral from the first point up to each other one along ``axis``, by the trapezoidal rule, as SciPy's.

    There is one element less along ``axis``, or as many if ``initial``, the value at the first point, is given.
    """
    y = tensor(y)
    rows, step = _spacing("cumulative_trapezoid", y, x, dx, axis)
    total = cumulative_sum(step * (rows[..., 1:] + rows[..., :-1]) / 2)
    if initial is not None:
        total = concat([rows[..., :1] * 0 + initial, total], axis=-1)
    return moveaxis(total, -1, axis)


@function
def central_difference(
    f: TensorLike, *spacing: Any, axis: int | Sequence[int] | None = None, edge_order: int = 1
) -> Any:
    """Slopes of a sampled function along each axis, NumPy's ``gradient``: differences of the neighbours of each point.

    They are precise to the second order within, on grids of unequal steps too; at the ends to ``edge_order``. The
    derivative of a function that is computed is :func:`lazygrad.grad`.

    Args:
        f: values on a grid.
        spacing: nothing, for steps of 1; one step for all axes; or for each axis a step, or the coordinates ``(n,)``.
        axis: along which axes; all, if not given.
        edge_order: 1 or 2.

    Returns:
        A tensor in the shape of ``f``; of several axes a tuple of them.

    Raises:
        SpecError: there are too few points along an axis, or the spacing does not fit.
    """
    f = tensor(f)
    dtype = f.dtype if f.dtype.kind == "f" else np.dtype(np.float64)
    f = f.astype(working(dtype))
    many = axis is None or isinstance(axis, (tuple, list))
    axes = list(range(f.ndim)) if axis is None else list(axis) if isinstance(axis, (tuple, list)) else [axis]
    places = [_axis("take central differences of", f, a) for a in axes]
    steps = list(spacing) or [1.0]
    if len(steps) == 1:
        steps = steps * len(places)
    if len(steps) != len(places) or edge_order not in (1, 2):
        cure = f"There is one spacing, or one for each of {len(places)} axes; edge_order is 1 or 2."
        raise SpecError(report(f"cannot take central differences of {f.spec}", at=here(), cure=cure))
    slopes = [astype(_slopes(f, place, step, edge_order), dtype) for place, step in zip(places, steps, strict=True)]
    return tuple(slopes) if many and len(slopes) != 1 else slopes[0]


def _slopes(f: Tensor, axis: int, step: Any, order: int) -> Tensor:
    rows = moveaxis(f, axis, -1)
    count = rows.shape[-1]
    step = tensor(step, f.graph, f.dtype)
    what = f"cannot take central differences of {f.spec} along axis {axis}"
    if count <= order:
        raise SpecError(report(what, at=here(), cure=f"There must be more than {order} points along it."))
    if step.ndim > 1 or (step.ndim == 1 and step.shape != (count,)):
        cure = f"The spacing is a number, or {count} coordinates."
        raise SpecError(report(what, at=here(), cure=cure))
    pieces = [_end(rows, step, order), _within(rows, step), _end(rows[..., ::-1], _turned(step), order)]
    return moveaxis(concat([p for p in pieces if p.shape[-1]], axis=-1), -1, axis)


def _turned(step: Tensor) -> Tensor:
    return step[::-1] if step.ndim else -step


def _within(rows: Tensor, step: Tensor) -> Tensor:
    """Slopes at inner points; on unequal steps the parabola through three points has them."""
    if not step.ndim:
        return (rows[..., 2:] - rows[..., :-2]) / (2 * step)
    a, b = diff(step)[:-1], diff(step)[1:]
    outer = -b / (a * (a + b)) * rows[..., :-2] + a / (b * (a + b)) * rows[..., 2:]
    return outer + (b - a) / (a * b) * rows[..., 1:-1]


def _end(rows: Tensor, step: Tensor, order: int) -> Tensor:
    """The slope at the first point."""
    a = step[1] - step[0] if step.ndim else step
    if order == 1:
        return (rows[..., 1:2] - rows[..., :1]) / a
    b = step[2] - step[1] if step.ndim else step
    first, second = -(2 * a + b) / (a * (a + b)) * rows[..., :1], (a + b) / (a * b) * rows[..., 1:2]
    return first + second - a / (b * (a + b)) * rows[..., 2:3]
