"""Elements put in and taken out, blocks put together, angles without jumps, signals folded with windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import abs, remainder
from lazygrad.ops.comparison import equal, less, logical_and, where
from lazygrad.ops.cumulative import cumulative_sum, diff
from lazygrad.ops.indexing import take
from lazygrad.ops.movement import _axis, broadcast_to, concat, flatten, flip, moveaxis, reshape
from lazygrad.ops.passing import stop_gradient

__all__ = ["block", "convolve", "correlate", "delete", "insert", "unwrap"]


def _known(what: str, x: Tensor, index: Any) -> Any:
    """An index that is known now, as the size of the result depends on it."""
    if isinstance(index, Tensor):
        facts = [f"index:  {index.spec}   {index.graph.describe(index.index)}"]
        cure = "The size of the result would only be known later: the index is a number, a slice, a list or an array."
        raise SpecError(report(f"cannot {what} {x.spec}", at=here(), facts=facts, cure=cure))
    return index


def _rows(x: TensorLike, axis: int | None) -> tuple[Tensor, int]:
    x = tensor(x)
    return (flatten(x), 0) if axis is None else (x, _axis("index", x, axis))


@function
def delete(x: TensorLike, index: Any, axis: int | None = None) -> Tensor:
    """``x`` without the elements at ``index`` along ``axis``; of the flattened tensor, if it is not given.

    ``index`` is a number, a slice, or a list or array of numbers or booleans; it is no tensor.

    Raises:
        SpecError: there is no such element, or the index is a tensor.
    """
    x, place = _rows(x, axis)
    try:
        left = np.delete(np.arange(x.shape[place]), _known("delete from", x, index))
    except (IndexError, ValueError) as reason:
        raise SpecError(report(f"cannot delete from {x.spec}", at=here(), cure=f"{reason}.".capitalize())) from None
    return take(x, left, axis=place)


@function
def insert(x: TensorLike, index: Any, values: TensorLike, axis: int | None = None) -> Tensor:
    """``x`` with ``values`` put in before ``index`` along ``axis``; into the flattened tensor, if it is not given.

    As in NumPy places are counted in ``x`` before anything is put in. ``index`` is a number, or a list or array of
    numbers, one for each slice of ``values``; it is no tensor. ``values`` are cast to the dtype of ``x`` and broadcast.

    Raises:
        SpecError: there is no such place, the index is a tensor, or the values do not fit.
    """
    x, place = _rows(x, axis)
    size = x.shape[place]
    places = _places("insert into", x, index, size)
    values = tensor(values, x.graph, x.dtype)
    values = reshape(values, (1,) * (x.ndim - values.ndim) + values.shape)
    if places.size == 1:
        values = moveaxis(values, 0, place) if not places.ndim else values
        places = np.repeat(places, values.shape[place])
    wide = (*x.shape[:place], places.size, *x.shape[place + 1 :])
    order = np.full(size + places.size, -1)  # of x and the values behind it
    sorting = np.argsort(places, kind="stable")
    order[places[sorting] + np.arange(places.size)] = size + sorting
    order[order < 0] = np.arange(size)
    return take(concat([x, broadcast_to(values, wide)], axis=place), order, axis=place)


def _places(what: str, x: Tensor, index: Any, size: int) -> Any:
    """An index that is known now as places counted from the front, in the shape it has."""
    index = _known(what, x, index)
    places = np.arange(size)[index] if isinstance(index, slice) else np.asarray(index)
    places = np.flatnonzero(places) if places.dtype == np.bool_ else places.astype(np.int64)
    if places.ndim > 1 or np.any((places < -size) | (places > size)):
        cure = f"Places are numbers from {-size} to {size}, one or several along one axis."
        raise SpecError(report(f"cannot {what} {x.spec} at {index!r:.60}", at=here(), cure=cure))
    return np.where(places < 0, places + size, places)


@function
def block(arrays: Any) -> Tensor:
    """A tensor put together of blocks: in the innermost lists along the last axis, in the next along the one before.

    ``block([[a, b], [c, d]])`` is the matrix with ``a`` and ``b`` above ``c`` and ``d``. Numbers and vectors get axes
    of size 1 in front.

    Raises:
        SpecError: a list is empty, lists are not equally deep, or sizes do not fit.
    """
    depth = _depth(arrays)
    leaves = tensors(*_leaves(arrays))
    ndim = max([depth, *(x.ndim for x in leaves)])
    rest = iter([reshape(x, (1,) * (ndim - x.ndim) + x.shape) for x in leaves])

    def joined(part: Any, level: int) -> Tensor:
        if not isinstance(part, list):
            return next(rest)
        return concat([joined(p, level - 1) for p in part], axis=-level)

    return joined(arrays, depth)


def _leaves(part: Any) -> list[Any]:
    return [leaf for p in part for leaf in _leaves(p)] if isinstance(part, list) else [part]


def _depth(part: Any) -> int:
    if not isinstance(part, list):
        return 0
    depths = {_depth(p) for p in part}
    if len(depths) != 1:
        cure = "A list is not empty, and all lists are equally deep: block([[a, b], [c, d]])."
        raise SpecError(report("cannot block", at=here(), cure=cure))
    return depths.pop() + 1


@function
@in_floats("x")
def unwrap(x: TensorLike, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Tensor:
    """Angles along ``axis`` without jumps: each differs from the one before by at most half a ``period``.

    Only jumps of ``discont`` or more are mended, half a period if it is not given. The derivative is that
    of ``x``.
    """
    x = tensor(x)
    rows = moveaxis(x, _axis("unwrap", x, axis), -1)
    step, half = diff(rows), period / 2
    near = remainder(step + half, period) - half
    near = where(logical_and(equal(near, -half), step > 0), half, near)
    turned = where(less(abs(step), half if discont is None else discont), 0, near - step)
    jumps = cumulative_sum(stop_gradient(turned))  # whole periods, which have no slope
    return moveaxis(concat([rows[..., :1], rows[..., 1:] + jumps], axis=-1), -1, axis)


def _overlapping(a: Shape, v: Shape) -> Shape:
    return (a[0] + v[0] - 1,)


def _pulled(g: Tensor, other: Tensor, size: int) -> Tensor:
    return _convolve(g, flip(other))[other.size - 1 :][:size]


@opaque(
    shape=_overlapping,
    vjp=(lambda g, y, a, v: _pulled(g, v, a.size), lambda g, y, a, v: _pulled(g, a, v.size)),
    jvp=(lambda t, y, a, v: _convolve(t, v), lambda t, y, a, v: _convolve(a, t)),
    adds=True,
)
def _convolve(xp: Any, a: Array, v: Array) -> Any:
    """Every sum of products of two vectors that overlap, one from behind."""
    return xp.convolve(a, v)


@function
def convolve(a: TensorLike, v: TensorLike, mode: str = "full") -> Tensor:
    """Convolution of two vectors, Σₖ a[k]·v[n − k], as NumPy's; for images see :func:`lazygrad.nn.conv2d`.

    Args:
        a: ``(m,)``.
        v: ``(n,)``.
        mode: ``"full"`` gives every place where they overlap, ``m + n − 1``; ``"same"`` those in the middle, as many as
            the longer one has; ``"valid"`` those where they overlap wholly.

    Raises:
        SpecError: one has not one axis, or is empty, or there is no such mode.
    """
    a, v = tensors(a, v)
    if a.ndim != 1 or v.ndim != 1 or not a.size or not v.size or mode not in ("full", "same", "valid"):
        cure = "Both have one axis and are not empty; mode is 'full', 'same' or 'valid'."
        raise SpecError(report(f"cannot convolve {a.spec} and {v.spec} with mode={mode!r}", at=here(), cure=cure))
    longer, shorter = max(a.size, v.size), min(a.size, v.size)
    first, count = {
        "full": (0, -1),
        "same": ((shorter - 1) // 2, longer),
        "valid": (shorter - 1, longer - shorter + 1),
    }[mode]
    y = _convolve(a, v)
    return y if mode == "full" else y[first : first + count]


@function
def correlate(a: TensorLike, v: TensorLike, mode: str = "valid") -> Tensor:
    """Cross-correlation of two vectors, Σₖ a[k + n]·v[k], as NumPy's: the convolution with ``v`` from behind."""
    a, v = tensors(a, v)
    if a.size < v.size:  # what is left over at the ends is on the other side then
        return flip(convolve(v, flip(a), mode))
    return convolve(a, flip(v), mode)
