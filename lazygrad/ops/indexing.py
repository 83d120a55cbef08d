"""Reading and writing parts: slices, index arrays, masks, and ``x.at``.

A basic index (numbers, slices, ``None``, ``...``) is a movement. An index with arrays is split into a
pattern, which is a setting, and the arrays, which are operands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define import movement, opaque
from lazygrad.errors import SpecError, report
from lazygrad.kinds import tensor
from lazygrad.ops.movement import broadcast_to, reshape
from lazygrad.ops.source import arange, zeros_like
from lazygrad.registry import function, functions, here
from lazygrad.spec import Mismatch, Shape, broadcast, kept, normalize_axis
from lazygrad.tensor import Array, Tensor, TensorLike

__all__ = ["at", "diagonal", "getitem", "segment_sum", "take", "take_along_axis"]

ARRAY = "array"  # stands in a pattern where an index array was
Pattern = tuple[Any, ...]


def _sliced(shape: Shape, index: Pattern) -> Shape:
    sizes = iter(shape)
    result: list[int] = []
    for axis, part in enumerate(index):
        if part is None:
            result.append(1)
            continue
        size = next(sizes)
        if isinstance(part, slice):
            result.append(len(range(*part.indices(size))))
        elif not -size <= part < size:
            raise Mismatch(f"Index {part} at place {axis} is out of range for an axis of size {size}.")
    return tuple(result)


@movement(shape=_sliced, view="always", vjp=lambda g, y, x, *, index: _place(g, index=index, size=x.shape))
def _slice(xp: Any, x: Array, *, index: Pattern) -> Any:
    """The part of x that a basic index names."""
    return x[(*index, ...)]  # with the dots a view, where whole numbers alone would give a number


@movement(shape=lambda g, index, size: size, vjp=lambda g, y, x, *, index, size: _slice(g, index=index))
def _place(xp: Any, x: Array, *, index: Pattern, size: Shape) -> Any:
    """Zeros, with x in the place that a basic index names."""
    out = xp.zeros(size, x.dtype)
    out[index] = x
    return out


def _gathered(x: Shape, *indices: Shape, pattern: Pattern) -> Shape:
    joint = broadcast(indices)
    places = [i for i, part in enumerate(pattern) if part == ARRAY]
    together = places == list(range(places[0], places[0] + len(places)))
    front: list[int] = []
    middle: list[int] = []
    sizes = iter(x)
    for place, part in enumerate(pattern):
        if part is None:
            (front if place < places[0] else middle).append(1)
            continue
        size = next(sizes)
        if part == ARRAY:
            continue
        (front if place < places[0] else middle).append(len(range(*part.indices(size))))
    return (*front, *joint, *middle) if together else (*joint, *front, *middle)


def _filled(pattern: Pattern, indices: Any) -> Pattern:
    arrays = iter(indices)
    return tuple(next(arrays) if isinstance(part, str) else part for part in pattern)


@opaque(
    shape=_gathered,
    vjp=lambda g, y, x, *indices, pattern: (_scatter_add(zeros_like(x), g, *indices, pattern=pattern), *_none(indices)),
    dtype=kept,
)
def _gather(xp: Any, *x_and_indices: Array, pattern: Pattern) -> Any:
    """The elements of x that index arrays name."""
    x, *indices = x_and_indices
    return xp.elements(x, _filled(pattern, indices))


@opaque(
    shape=lambda x, values, *indices, pattern: x,
    vjp=lambda g, y, x, values, *indices, pattern: (
        g,
        _read(g, indices, pattern),
        *_none(indices),
    ),
    dtype=kept,
)
def _scatter_add(xp: Any, *operands: Array, pattern: Pattern) -> Any:
    """x with values added at the places that index arrays name; a place named twice is added to twice."""
    x, values, *indices = operands
    return xp.added(x, _filled(pattern, indices), values)


@opaque(
    shape=lambda x, values, *indices, pattern: x,
    vjp=lambda g, y, x, values, *indices, pattern: (
        _scatter_set(g, zeros_like(values), *indices, pattern=pattern),
        _counted(_read(g, indices, pattern), indices, pattern, x.shape),
        *_none(indices),
    ),
    dtype=kept,
)
def _scatter_set(xp: Any, *operands: Array, pattern: Pattern) -> Any:
    """x with values written at the places that index arrays name; of a place named twice the last one counts."""
    x, values, *indices = operands
    return xp.placed(x, _filled(pattern, indices), values)


def _none(indices: Any) -> tuple[None, ...]:
    return (None,) * len(indices)


def _read(x: Tensor, indices: Any, pattern: Pattern) -> Tensor:
    return _gather(x, *indices, pattern=pattern) if indices else _slice(x, index=pattern)


def _counted(g: Tensor, indices: Any, pattern: Pattern, shape: Shape) -> Tensor:
    """``g``, but 0 for values that were written over because their place is named again."""
    if not indices:  # a basic index names no place twice
        return g
    # Every value writes its number; the one that can be read back is the last of its place.
    numbers = reshape(arange(g.size), g.shape)
    written = _scatter_set(functions["zeros"](shape, np.int64), numbers, *indices, pattern=pattern)
    last = functions["equal"](_gather(written, *indices, pattern=pattern), numbers)
    return functions["where"](last, g, 0)


def _basic(part: Any) -> bool:
    whole = isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))
    return whole or isinstance(part, slice) or part is None or part is Ellipsis


def parse(x: Tensor, index: Any) -> tuple[Pattern, list[Tensor]]:
    """An index as the user writes it, as a pattern over every axis and the index arrays."""
    parts: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if _basic(part):
            parts.append(part)
            continue
        if isinstance(part, Tensor):
            if part.dtype == np.bool_:
                raise SpecError(
                    report(
                        f"cannot index {x.spec} with a mask that is not known while the graph is being written",
                        at=here(),
                        facts=[f"mask:  {part.spec}   {part.graph.describe(part.index)}"],
                        cure="How many elements it picks would only be known later. Write lg.where(mask, x, 0), "
                        "x.at[mask].set(value), x[lg.nonzero(mask, size=n)], or use a NumPy mask.",
                    )
                )
            parts.append(part)
            continue
        array = np.asarray(part)
        if array.size == 0 and not isinstance(part, np.ndarray):
            array = array.astype(np.int64)
        if array.dtype == np.bool_:
            used = sum(_consumed(p) for p in parts)
            if array.shape != x.shape[used : used + array.ndim]:
                cure = f"A mask has the shape of the axes it stands for, {list(x.shape[used : used + array.ndim])}."
                raise SpecError(report(f"cannot index {x.spec} with bool{list(array.shape)}", at=here(), cure=cure))
            parts.extend(array.nonzero())
        else:
            parts.append(array)
    if sum(p is Ellipsis for p in parts) > 1:
        raise SpecError(report(f"cannot index {x.spec}: '...' stands twice", at=here()))
    used = sum(_consumed(p) for p in parts)
    if used > x.ndim:
        raise SpecError(report(f"cannot index {x.spec} with {used} indices", at=here(), cure=f"It has {x.ndim} axes."))
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    place = next(i for i, p in enumerate(parts) if p is Ellipsis)
    parts[place : place + 1] = [slice(None)] * (x.ndim - used)
    arrays = [p for p in parts if not _basic(p)]
    if arrays:  # beside an array, a number is an array too
        parts = [np.asarray(p) if isinstance(p, (int, np.integer)) else p for p in parts]
        arrays = [p for p in parts if not _basic(p)]
    indices = [tensor(a, x.graph) for a in arrays]
    for i in indices:
        if not np.issubdtype(i.dtype, np.integer):
            cure = "Indices are whole numbers: cast them with .astype('int64')."
            raise SpecError(report(f"cannot index {x.spec} with {i.spec}", at=here(), cure=cure))
    pattern = tuple(_plain(p) if _basic(p) else ARRAY for p in parts)
    return pattern, indices


def _consumed(part: Any) -> int:
    return 0 if part is None or part is Ellipsis else 1


def _plain(part: Any) -> Any:
    if isinstance(part, slice):
        return slice(*[None if p is None else p.__index__() for p in (part.start, part.stop, part.step)])
    return part if part is None else int(part)


@function
def getitem(x: TensorLike, index: Any) -> Tensor:
    """``x[index]``, as NumPy's: numbers, slices, ``None``, ``...``, index arrays, masks of known size."""
    x = tensor(x)
    pattern, indices = parse(x, index)
    if indices:
        return _gather(x, *indices, pattern=pattern)
    if all(isinstance(p, slice) and p == slice(None) for p in pattern):
        return x
    return _slice(x, index=pattern)


class At:
    """A place in a tensor, chosen by ``x.at[index]``; nothing is ever changed in place."""

    def __init__(self, x: Tensor, index: Any = None) -> None:
        self._x = x
        self._index = index

    def __getitem__(self, index: Any) -> At:
        return At(self._x, index)

    def _write(self, scatter: Callable[..., Tensor], value: Any) -> Tensor:
        x, index = self._x, self._index
        pattern, indices = parse(x, index)
        # The shape of what is written, and so the error, comes from reading the place.
        wanted = (
            _gathered(x.shape, *[i.shape for i in indices], pattern=pattern) if indices else _sliced(x.shape, pattern)
        )
        value = broadcast_to(self._cast(value), wanted)
        return scatter(x, value, *indices, pattern=pattern)

    def set(self, value: Any) -> Tensor:
        """The tensor with ``value`` there. Of a place named twice, the last one counts."""
        mask = _mask(self._x, self._index)
        if mask is not None:
            return functions["where"](mask, self._cast(value), self._x)
        return self._write(_scatter_set, value)

    def add(self, value: Any) -> Tensor:
        """The tensor with ``value`` added there. A place named twice is added to twice."""
        mask = _mask(self._x, self._index)
        if mask is not None:
            return functions["where"](mask, self._x + self._cast(value), self._x)
        return self._write(_scatter_add, value)

    def multiply(self, value: Any) -> Tensor:
        """The tensor with the elements there multiplied by ``value``; no place may be named twice."""
        mask = _mask(self._x, self._index)
        if mask is not None:
            return functions["where"](mask, self._x * self._cast(value), self._x)
        return self.set(self._x[self._index] * self._cast(value))

    def _cast(self, value: Any) -> Tensor:
        """What is written takes the dtype of the tensor it is written into, as in NumPy."""
        return tensor(value, self._x.graph, self._x.dtype)


def _mask(x: Tensor, index: Any) -> Tensor | None:
    """A mask over leading axes of ``x``, with axes added so that it broadcasts; None if it is not one."""
    if not isinstance(index, Tensor) or index.dtype != np.bool_:
        return None
    if index.shape != x.shape[: index.ndim]:
        cure = f"A mask has the shape of the axes it stands for, {list(x.shape[: index.ndim])}."
        raise SpecError(report(f"cannot write into {x.spec} with {index.spec}", at=here(), cure=cure))
    return reshape(index, index.shape + (1,) * (x.ndim - index.ndim))


@function
def at(x: TensorLike) -> At:
    """``at(x)[index].set(value)`` is ``x`` with ``value`` at ``index``; also ``.add`` and ``.multiply``."""
    return At(tensor(x))


@function
def take(x: TensorLike, indices: TensorLike, *, axis: int | None = None) -> Tensor:
    """The slices of ``x`` at ``indices`` along ``axis``; of the flattened tensor, if not given.

    Negative indices count from the end; one out of range raises IndexError when it is evaluated.
    """
    x = tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    try:
        place = normalize_axis(axis, x.ndim)
    except Mismatch as reason:
        raise SpecError(report(f"cannot take from {x.spec}", at=here(), cure=str(reason))) from None
    if isinstance(indices, (int, np.integer)):
        return getitem(x, (slice(None),) * place + (int(indices),))
    return getitem(x, (slice(None),) * place + (tensor(indices, x.graph),))


def _grid(indices: Tensor, axis: int) -> tuple[Tensor, ...]:
    """Index arrays that name, for every place of ``indices``, the element of its row that it names."""
    places = []
    for i, n in enumerate(indices.shape):
        column = (1,) * i + (n,) + (1,) * (indices.ndim - 1 - i)
        places.append(indices if i == axis else reshape(arange(n), column))
    return tuple(places)


@function
def take_along_axis(x: TensorLike, indices: TensorLike, *, axis: int = -1) -> Tensor:
    """For every row along ``axis`` the elements at that row of ``indices``; other axes broadcast."""
    x = tensor(x)
    indices = tensor(indices, x.graph)
    try:
        if indices.ndim != x.ndim:
            raise Mismatch(f"indices has {indices.ndim} axes, x has {x.ndim}; they must have as many.")
        place = normalize_axis(axis, x.ndim)
        rest = broadcast([s[:place] + s[place + 1 :] for s in (x.shape, indices.shape)])
    except Mismatch as reason:
        what = f"cannot take_along_axis {x.spec} and {indices.spec}"
        raise SpecError(report(what, at=here(), cure=str(reason))) from None
    x = broadcast_to(x, (*rest[:place], x.shape[place], *rest[place:]))
    indices = broadcast_to(indices, (*rest[:place], indices.shape[place], *rest[place:]))
    return getitem(x, _grid(indices, place))


def _diagonal_shape(x: Shape, offset: int) -> Shape:
    if len(x) < 2:
        raise Mismatch("It needs two axes.")
    rows, columns = x[-2:]
    return (*x[:-2], max(0, min(rows + min(offset, 0), columns - max(offset, 0))))


@movement(
    shape=_diagonal_shape,
    view="always",
    vjp=lambda g, y, x, *, offset: _on_diagonal(g, offset=offset, size=x.shape[-2:]),
)
def _diagonal(xp: Any, x: Array, *, offset: int) -> Any:
    """A diagonal of the last two axes."""
    return xp.diagonal(x, offset, -2, -1)


@movement(shape=lambda x, offset, size: (*x[:-1], *size), vjp=lambda g, y, x, *, offset: _diagonal(g, offset=offset))
def _on_diagonal(xp: Any, x: Array, *, offset: int, size: Shape) -> Any:
    """Matrices of zeros, with x on a diagonal."""
    rows, columns = size
    out = xp.zeros((*x.shape[:-1], rows * columns), x.dtype)
    if x.shape[-1]:
        start = max(offset, 0) + columns * max(-offset, 0)
        out[..., start : start + (x.shape[-1] - 1) * (columns + 1) + 1 : columns + 1] = x
    return out.reshape(*x.shape[:-1], rows, columns)


@function
def diagonal(x: TensorLike, *, offset: int = 0) -> Tensor:
    """The elements on a diagonal of the last two axes, as the last axis.

    Args:
        x: ``(..., m, n)``.
        offset: 0 for the main diagonal, positive for those to the right of it, negative for those below.

    Raises:
        SpecError: ``x`` has fewer than two axes.
    """
    return _diagonal(x, offset=int(offset))


@function
def segment_sum(x: TensorLike, segments: TensorLike, count: int) -> Tensor:
    """Row *k* of the result is the sum of the rows of ``x`` whose segment is *k*.

    Args:
        x: ``(n, ...)``.
        segments: whole numbers ``(n,)``, each from 0 to ``count - 1``, in any order.
        count: number of segments; the result is ``(count, ...)``.
    """
    x = tensor(x)
    segments = tensor(segments, x.graph)
    if segments.shape != x.shape[:1]:
        cure = "There must be one segment for every row of x."
        raise SpecError(report(f"cannot segment_sum {x.spec} by {segments.spec}", at=here(), cure=cure))
    table = functions["zeros"]((count, *x.shape[1:]), x.dtype)
    return At(table)[segments].add(x)
