"""Running sums, products and extremes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define import opaque
from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.casting import working
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Shape, normalize_axis
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import maximum, minimum, multiply, subtract
from lazygrad.ops.elementary import logaddexp
from lazygrad.ops.movement import _axis, astype, broadcast_to, concat, flatten, flip, moveaxis
from lazygrad.ops.reduction import _widened
from lazygrad.ops.source import full

__all__ = [
    "cumulative_logsumexp",
    "cumulative_max",
    "cumulative_min",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
]


def _along(x: Shape, axis: int) -> Shape:
    normalize_axis(axis, len(x))
    return x


@opaque(
    shape=_along,
    vjp=lambda g, y, x, *, axis: flip(_cumulative_sum(flip(g, axis), axis=axis), axis),
    linear=True,
    adds=True,
)
def _cumulative_sum(xp: Any, x: Array, *, axis: int) -> Any:
    """Running sum."""
    return xp.cumsum(x, axis=axis)


def _flat(x: TensorLike, axis: int | None, dtype: Any = None) -> tuple[Tensor, int]:
    """``x``, cast if a dtype is given, and the axis; flattened if there is none."""
    x = tensor(x) if dtype is None else astype(x, dtype)
    return (flatten(x), 0) if axis is None else (x, axis)


def _led(x: Tensor, axis: int, value: float, include: bool) -> Tensor:
    """``x`` with ``value`` in front along ``axis``, if that is to be included."""
    if not include:
        return x
    rows = moveaxis(x, axis, -1)
    return moveaxis(concat([full((*rows.shape[:-1], 1), value, x.dtype), rows], axis=-1), -1, axis)


@function
def cumulative_sum(x: TensorLike, *, axis: int | None = -1, dtype: Any = None, include_initial: bool = False) -> Tensor:
    """Sum of the elements up to and including each one, along ``axis``; of the flattened tensor if it is None.

    Args:
        x: small whole numbers are added in the default integer, as NumPy does.
        axis: along which.
        dtype: to cast ``x`` to before.
        include_initial: whether to begin with 0, the sum of nothing; there is one element more then.
    """
    x, axis = _flat(x, axis, dtype)
    total = _cumulative_sum(astype(x, _widened(x.dtype)), axis=axis)
    return _led(total if dtype is None else astype(total, dtype), axis, 0, include_initial)


def _running(x: Any, axis: int, combine: Callable[[Any, Any], Tensor]) -> Tensor:
    """``combine`` of the elements up to and including each one.

    Elements are joined with those 1, 2, 4, … places before (Hillis and Steele 1986): log₂ n steps, each an
    ordinary op, so that derivatives of any order hold, also where an element is zero.
    """
    rows = moveaxis(tensor(x), axis, -1)
    reach = 1
    while reach < rows.shape[-1]:
        rows = concat([rows[..., :reach], combine(rows[..., reach:], rows[..., :-reach])], axis=-1)
        reach *= 2
    return moveaxis(rows, -1, axis)


@function
def cumulative_prod(
    x: TensorLike, *, axis: int | None = -1, dtype: Any = None, include_initial: bool = False
) -> Tensor:
    """Product of the elements up to and including each one, along ``axis``; of the flattened tensor if it is None.

    ``dtype`` and ``include_initial`` as for :func:`cumulative_sum`; the product of nothing is 1.
    """
    x, axis = _flat(x, axis, dtype)
    wide = working(x.dtype) if x.dtype.kind == "f" else _widened(x.dtype) if dtype is None else x.dtype
    result = _running(astype(x, wide), axis, multiply)
    return _led(astype(result, x.dtype) if x.dtype.kind == "f" else result, axis, 1, include_initial)


@function
def cumulative_max(x: TensorLike, *, axis: int | None = -1) -> Tensor:
    """Largest of the elements up to and including each one, along ``axis``."""
    return _running(*_flat(x, axis), maximum)


@function
def cumulative_min(x: TensorLike, *, axis: int | None = -1) -> Tensor:
    """Smallest of the elements up to and including each one, along ``axis``."""
    return _running(*_flat(x, axis), minimum)


@function
@in_floats("x")
def cumulative_logsumexp(x: TensorLike, *, axis: int | None = -1) -> Tensor:
    """log of the running sum of exp(x), without overflow, along ``axis``."""
    return _running(*_flat(x, axis), logaddexp)


@function
def diff(x: TensorLike, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Tensor:
    """Difference of neighbours along ``axis``, ``n`` times over.

    ``prepend`` and ``append`` stand before and behind ``x`` along ``axis``: a number, or as many elements as wanted.

    Raises:
        SpecError: ``n`` is negative, or what stands before or behind does not fit.
    """
    if n < 0:
        raise SpecError(report(f"cannot take differences {n} times", at=here(), cure="n is not negative."))
    x = tensor(x)
    ends = [tensor(e, x.graph, x.dtype) if type(e) is int else e for e in (prepend, append)]
    wide = tensors(*[part for part in (ends[0], x, ends[1]) if part is not None])
    place = _axis("take differences of", x, axis)
    rows = [moveaxis(_beside(part, wide[prepend is not None], place), place, -1) for part in wide]
    joined = concat(rows, axis=-1) if len(rows) > 1 else rows[0]
    for _ in range(n):
        left, right = joined[..., :-1], joined[..., 1:]
        joined = subtract(right, left) if joined.dtype != np.bool_ else right ^ left
    return moveaxis(joined, -1, place)


def _beside(part: Tensor, x: Tensor, place: int) -> Tensor:
    """What stands before or behind ``x``: a number once for every row."""
    if part.ndim or not x.ndim:
        return part
    return broadcast_to(part, (*x.shape[:place], 1, *x.shape[place + 1 :]))
