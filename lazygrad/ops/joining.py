"""NumPy's other forms of joining, cutting, turning and repeating: columns, rows, pieces of unequal length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor, tensors
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.tensor import Tensor, TensorLike
from lazygrad.ops.arithmetic import minimum
from lazygrad.ops.cumulative import cumulative_sum
from lazygrad.ops.indexing import take
from lazygrad.ops.movement import (
    _axis,
    atleast_1d,
    atleast_2d,
    broadcast_to,
    concat,
    expand_dims,
    flatten,
    flip,
    moveaxis,
    reshape,
    split,
)
from lazygrad.ops.sorting import searchsorted
from lazygrad.ops.source import arange

__all__ = [
    "append",
    "array_split",
    "atleast_3d",
    "column_stack",
    "dsplit",
    "dstack",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
    "repeat",
    "rollaxis",
    "vsplit",
    "vstack",
]


def _given(what: str, arrays: Any) -> list[Tensor]:
    if not len(arrays):
        raise SpecError(report(f"cannot {what} nothing", at=here(), cure="Give at least one tensor."))
    return tensors(*arrays)


@function
def vstack(arrays: Sequence[Any]) -> Tensor:
    """The tensors below each other, along the first axis; one with a single axis is a row."""
    return concat([atleast_2d(x) for x in _given("vstack", arrays)], axis=0)


@function
def hstack(arrays: Sequence[Any]) -> Tensor:
    """The tensors beside each other: along the second axis, or the only one."""
    given = [atleast_1d(x) for x in _given("hstack", arrays)]
    return concat(given, axis=0 if given[0].ndim == 1 else 1)


@function
def dstack(arrays: Sequence[Any]) -> Tensor:
    """The tensors behind each other, along the third axis; a matrix becomes ``(m, n, 1)``, a vector ``(1, n, 1)``."""
    return concat([atleast_3d(x) for x in _given("dstack", arrays)], axis=2)


@function
def column_stack(arrays: Sequence[Any]) -> Tensor:
    """The tensors beside each other as columns of a matrix; one with a single axis is a column."""
    given = [atleast_1d(x) for x in _given("column_stack", arrays)]
    return concat([expand_dims(x, 1) if x.ndim == 1 else x for x in given], axis=1)


@function
def append(x: TensorLike, values: TensorLike, axis: int | None = None) -> Tensor:
    """``x`` followed by ``values`` along ``axis``; both flattened, if it is not given."""
    return concat(tensors(x, values), axis=axis)


@function
def array_split(x: TensorLike, parts: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """As :func:`split`, but a number of ``parts`` need not divide the size: the first pieces have one element more."""
    x = tensor(x)
    total = x.shape[_axis("array_split", x, axis)]
    if not isinstance(parts, (int, np.integer)) or parts < 1:
        return split(x, parts, axis)
    size, longer = divmod(total, int(parts))
    return split(x, [size * i + min(i, longer) for i in range(1, int(parts))], axis)


def _along(what: str, x: TensorLike, parts: int | Sequence[int], axis: int) -> tuple[Tensor, ...]:
    x = tensor(x)
    if x.ndim <= axis:
        cure = f"It needs {axis + 1} axes or more; it has {x.ndim}."
        raise SpecError(report(f"cannot {what} {x.spec}", at=here(), cure=cure))
    return split(x, parts, axis)


@function
def vsplit(x: TensorLike, parts: int | Sequence[int]) -> tuple[Tensor, ...]:
    """``x`` cut along the first axis, as :func:`split` does; it has two axes or more."""
    if tensor(x).ndim < 2:
        return _along("vsplit", x, parts, 1)
    return split(x, parts, 0)


@function
def hsplit(x: TensorLike, parts: int | Sequence[int]) -> tuple[Tensor, ...]:
    """``x`` cut along the second axis, or the only one, as :func:`split` does."""
    x = tensor(x)
    return _along("hsplit", x, parts, 0 if x.ndim < 2 else 1)


@function
def dsplit(x: TensorLike, parts: int | Sequence[int]) -> tuple[Tensor, ...]:
    """``x`` cut along the third axis, as :func:`split` does."""
    return _along("dsplit", x, parts, 2)


@function
def flipud(x: TensorLike) -> Tensor:
    """``x`` with the first axis, its rows, in reverse order."""
    return flip(x, 0)


@function
def fliplr(x: TensorLike) -> Tensor:
    """``x`` with the second axis, its columns, in reverse order."""
    return flip(x, 1)


@function
def rollaxis(x: TensorLike, axis: int, start: int = 0) -> Tensor:
    """``x`` with ``axis`` moved until it stands before ``start``; :func:`moveaxis` says the same more plainly."""
    x = tensor(x)
    source = _axis("rollaxis", x, axis)
    before = x.ndim if start == x.ndim else _axis("rollaxis", x, start)
    return moveaxis(x, source, before - 1 if source < before else before)


@function
def atleast_3d(x: TensorLike) -> Tensor:
    """``x`` with three axes or more: a vector becomes ``(1, n, 1)``, a matrix ``(m, n, 1)``."""
    x = tensor(x)
    if x.ndim == 2:
        return expand_dims(x, 2)
    return x if x.ndim > 2 else reshape(flatten(x), (1, x.size, 1))


@function
def repeat(x: TensorLike, repeats: Any, axis: int | None = None, *, size: int | None = None) -> Tensor:
    """Every element ``repeats`` times in a row along ``axis``; of the flattened tensor, if not given.

    Args:
        x: what is repeated.
        repeats: a number, or an array or list with one for every element along the axis. It may be a tensor of these,
            if there is a ``size``.
        axis: along which.
        size: how many elements the result has along the axis, where ``repeats`` is a tensor: their sum. Of more the
            last are left out; if there are fewer, the last element of ``x`` stands for the rest.

    Raises:
        SpecError: one is negative, there are not as many as elements, or a tensor has no ``size``.
    """
    x = tensor(x)
    if axis is None:
        x, axis = flatten(x), 0
    place = _axis("repeat", x, axis)
    if isinstance(repeats, Tensor) and size is not None:
        ends = cumulative_sum(broadcast_to(repeats, (x.shape[place],)))
        places = minimum(searchsorted(ends, arange(size), side="right"), x.shape[place] - 1)
        return take(x, places, axis=place)
    counts = _counts(x, repeats, x.shape[place])
    if counts.ndim:
        return x[(slice(None),) * place + (np.repeat(np.arange(x.shape[place]), counts),)]
    wide = broadcast_to(expand_dims(x, place + 1), (*x.shape[: place + 1], int(counts), *x.shape[place + 1 :]))
    return reshape(wide, (*x.shape[:place], x.shape[place] * int(counts), *x.shape[place + 1 :]))


def _counts(x: Tensor, repeats: Any, size: int) -> np.ndarray[Any, Any]:
    """How often each element is repeated: one number, or as many as there are elements."""
    if isinstance(repeats, Tensor):
        facts = [f"repeats:  {repeats.spec}   {repeats.graph.describe(repeats.index)}"]
        cure = "How many there are is known only when the graph is run: give size=, or repeats that are no tensor."
        raise SpecError(report(f"cannot repeat {x.spec}", at=here(), facts=facts, cure=cure))
    counts = np.asarray(repeats, np.int64 if isinstance(repeats, (list, tuple)) and not repeats else None)
    if counts.shape == (1,):
        counts = counts[0]
    if counts.dtype.kind not in "iu" or counts.shape not in ((), (size,)) or (counts < 0).any():
        cure = f"repeats is a whole number that is not negative, or {size} of these, one an element."
        raise SpecError(report(f"cannot repeat {x.spec} by {repeats!r:.60}", at=here(), cure=cure))
    return counts
