"""Grids: points in equal ratios, and places as one number or as one for each axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Mismatch, Shape, sized
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import floor_divide, power, remainder
from lazygrad.ops.elementary import exp
from lazygrad.ops.indexing import At, _grid
from lazygrad.ops.movement import _axis, astype, broadcast_to, stack
from lazygrad.ops.source import arange, linspace, meshgrid

__all__ = ["geomspace", "indices", "logspace", "put_along_axis", "ravel_multi_index", "unravel_index"]


@function
def logspace(
    start: float, stop: float, num: int = 50, endpoint: bool = True, base: float = 10.0, dtype: Any = None
) -> Tensor:
    """Powers of ``base`` with equally spaced exponents from ``start`` to ``stop``."""
    points = power(float(base), linspace(start, stop, num, np.float64, endpoint))
    return astype(points, linspace(0, 1, 1).dtype if dtype is None else dtype)


@function
def geomspace(start: float, stop: float, num: int = 50, endpoint: bool = True, dtype: Any = None) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, each the one before times the same; both ends have one sign.

    Raises:
        SpecError: an end is 0, or they have two signs.
    """
    if not start * stop > 0:
        cure = "No number times itself leads from one to the other: both have one sign, and neither is 0."
        raise SpecError(report(f"cannot make geomspace from {start!r} to {stop!r}", at=here(), cure=cure))
    low, high = math.log(abs(start)), math.log(abs(stop))
    points = exp(linspace(low, high, num, np.float64, endpoint)) * math.copysign(1.0, start)
    return astype(points, linspace(0, 1, 1).dtype if dtype is None else dtype)


@function
def indices(shape: Any) -> Tensor:
    """The place of every element of an array of ``shape``: ``(axes, *shape)``, the index along each axis."""
    sizes = _sizes("indices", shape)
    return stack(meshgrid(*[arange(n) for n in sizes], indexing="ij"))


def _sizes(what: str, shape: Any) -> Shape:
    try:
        return sized(shape)
    except Mismatch as reason:
        raise SpecError(report(f"cannot make {what}", at=here(), cure=str(reason))) from None


@function
def put_along_axis(
    x: TensorLike, indices: TensorLike, values: TensorLike, *, axis: int = -1, add: bool = False
) -> Tensor:
    """``x`` with ``values`` at the places that :func:`take_along_axis` reads; ``x`` itself does not change.

    Args:
        x: what is written into.
        indices: for every row along ``axis`` the places there; it has as many axes as ``x``.
        values: what is written, in a shape that broadcasts to that of ``indices``.
        axis: which.
        add: whether to add to what is there, twice at a place that is named twice. If not, the last one counts.

    Raises:
        SpecError: the shapes do not fit.
    """
    x = tensor(x)
    indices = tensor(indices, x.graph)
    place = _axis("put_along_axis", x, axis)
    sizes = [(i, n) for k, (i, n) in enumerate(zip(indices.shape, x.shape, strict=False)) if k != place]
    if indices.ndim != x.ndim or any(i not in (1, n) for i, n in sizes):
        cure = "indices has as many axes as x, and its sizes but along the axis, or 1."
        raise SpecError(report(f"cannot put_along_axis {x.spec} at {indices.spec}", at=here(), cure=cure))
    wide = broadcast_to(indices, tuple(indices.shape[k] if k == place else n for k, n in enumerate(x.shape)))
    there = At(x)[_grid(wide, place)]
    return there.add(values) if add else there.set(values)


@function
def unravel_index(places: TensorLike, shape: Any) -> tuple[Tensor, ...]:
    """For places in a flattened array of ``shape`` the index along each axis, for ``x[…]``."""
    rest = tensor(places)
    found = []
    for n in reversed(_sizes("indices", shape)):
        found.append(remainder(rest, max(n, 1)))
        rest = floor_divide(rest, max(n, 1))
    return tuple(reversed(found))


@function
def ravel_multi_index(places: Any, shape: Any) -> Tensor:
    """The opposite of :func:`unravel_index`: the place in the flattened array, of an index along each axis."""
    sizes = _sizes("an index", shape)
    if len(places) != len(sizes) or not sizes:
        cure = f"There are {len(places)} indices and {len(sizes)} axes: give one for each."
        raise SpecError(report("cannot ravel_multi_index", at=here(), cure=cure))
    found = tensor(places[0])
    for n, index in zip(sizes[1:], places[1:], strict=True):
        found = found * n + index
    return found
