"""Reading and writing parts: slices, index arrays, masks, and ``x.at``."""

# A basic index (numbers, slices, None, ...) is a movement. An index with arrays is split into a pattern, which is a
# setting, and the arrays, which are operands.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define import elementwise, fills, movement, opaque
from lazygrad.define.kinds import flat, tensor
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import Mismatch, Shape, broadcast, kept, normalize_axis
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.comparison import equal, where
from lazygrad.ops.movement import astype, broadcast_to, reshape, whole_index
from lazygrad.ops.source import arange, refuse_masked, zeros, zeros_like

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


@fills(lambda result, x, *, index, size: [result[(*index, ...)]])
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
    adds=True,
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
    written = _scatter_set(zeros(shape, np.int64), numbers, *indices, pattern=pattern)
    last = equal(_gather(written, *indices, pattern=pattern), numbers)
    return where(last, g, 0)


def _basic(part: Any) -> bool:
    whole = isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))
    return whole or isinstance(part, slice) or part is None or part is Ellipsis


class _Index(NamedTuple):
    """An index, read: the tensor it goes into, a pattern over all its axes, the index arrays, and an axis too many.

    As in NumPy, True and False stand for an axis of size 1 put in there, of which they take all or nothing; the
    tensor has these axes. And dots between two arrays keep them apart even where they stand for no axis: then the
    pattern has a new axis there, which the result is to be without.
    """

    x: Tensor
    pattern: Pattern
    arrays: list[Tensor]
    extra: int | None

    def read(self) -> Tensor:
        """What lies there, in the shape that goes with the pattern."""
        return _read(self.x, self.arrays, self.pattern)

    def seen(self, shape: Shape) -> Shape:
        """The shape as the user sees it."""
        return shape if self.extra is None else shape[: self.extra] + shape[self.extra + 1 :]


def _parsed(x: Tensor, index: Any) -> _Index:
    """An index as the user writes it, read."""
    parts = [_part(x, part) for part in (index if isinstance(index, tuple) else (index,))]
    if sum(p is Ellipsis for p in parts) > 1:
        raise SpecError(report(f"cannot index {x.spec}: '...' stands twice", at=here()))
    used = sum(_consumed(p) for p in parts)
    if used > x.ndim:
        raise SpecError(report(f"cannot index {x.spec} with {used} indices", at=here(), cure=f"It has {x.ndim} axes."))
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    place = next(i for i, p in enumerate(parts) if p is Ellipsis)
    apart = used == x.ndim and not all(_basic(p) for p in parts)
    apart = apart and any(map(_joins, parts[:place])) and any(map(_joins, parts[place + 1 :]))
    parts[place : place + 1] = [None] if apart else [slice(None)] * (x.ndim - used)
    before = sum(not _joins(p) for p in parts[:place])
    x, parts = _unmasked(x, parts)
    if not all(_basic(p) for p in parts):  # beside an array, a number is an array too
        parts = [np.asarray(p) if isinstance(p, (int, np.integer)) else p for p in parts]
    indices = [tensor(p, x.graph) for p in parts if not _basic(p)]
    for i in indices:
        if not np.issubdtype(i.dtype, np.integer):
            cure = "Indices are whole numbers: cast them with .astype('int64')."
            raise SpecError(report(f"cannot index {x.spec} with {i.spec}", at=here(), cure=cure))
    indices = [whole_index(i) for i in indices]
    pattern = tuple(_plain(p) if _basic(p) else ARRAY for p in parts)
    extra = max(i.ndim for i in indices) + before if apart else None
    return _Index(x, pattern, indices, extra)


def _joins(part: Any) -> bool:
    """Whether a part of an index is one of arrays, or is beside one: the axes of all of them are taken together."""
    return not (part is None or part is Ellipsis or isinstance(part, slice))


def _part(x: Tensor, part: Any) -> Any:
    """A part of an index: as it is where it is basic, else a tensor or an array."""
    if _basic(part):
        return part
    if not isinstance(part, Tensor):
        refuse_masked(part)
        array = np.asarray(part)
        return array.astype(np.int64) if array.size == 0 and not isinstance(part, np.ndarray) else array
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
    return part


def _is_mask(part: Any) -> bool:
    return isinstance(part, (np.ndarray, Tensor)) and part.dtype == np.bool_


def _unmasked(x: Tensor, parts: list[Any]) -> tuple[Tensor, list[Any]]:
    """Every mask among the parts, which stand for all axes, as the places where it is true, an array an axis."""
    shape: list[int] = []
    found: list[Any] = []
    axis = 0
    for part in parts:
        sizes = x.shape[axis : axis + _consumed(part)]
        if _is_mask(part) and not part.ndim:
            shape.append(1)
            found.append(np.arange(int(part)))
        elif _is_mask(part):
            _check_mask("index", x, part, sizes)
            found += part.nonzero()
        else:
            found.append(part)
        shape += sizes
        axis += len(sizes)
    return (x if tuple(shape) == x.shape else reshape(x, tuple(shape))), found


def _check_mask(what: str, x: Tensor, mask: Any, sizes: Shape) -> None:
    if mask.shape != sizes:
        cure = f"A mask has the shape of the axes it stands for, {list(sizes)}."
        raise SpecError(report(f"cannot {what} {x.spec} with bool{list(mask.shape)}", at=here(), cure=cure))


def _consumed(part: Any) -> int:
    """How many axes a part of an index stands for."""
    if _is_mask(part):
        return int(part.ndim)
    return 0 if part is None or part is Ellipsis else 1


def _plain(part: Any) -> Any:
    if isinstance(part, slice):
        return slice(*[None if p is None else p.__index__() for p in (part.start, part.stop, part.step)])
    return part if part is None else int(part)


@function
def getitem(x: TensorLike, index: Any) -> Tensor:
    """``x[index]``, as NumPy's: numbers, slices, ``None``, ``...``, index arrays, masks of known size."""
    found = _parsed(tensor(x), index)
    if not found.arrays and all(isinstance(p, slice) and p == slice(None) for p in found.pattern):
        return found.x
    y = found.read()
    return y if found.extra is None else reshape(y, found.seen(y.shape))


class At:
    """A place in a tensor, chosen by ``x.at[index]``; nothing is ever changed in place."""

    def __init__(self, x: Tensor, index: Any = None) -> None:
        self._x = x
        self._index = index

    def __getitem__(self, index: Any) -> At:
        return At(self._x, index)

    def _write(self, scatter: Callable[..., Tensor], value: Any) -> Tensor:
        found = _parsed(self._x, self._index)
        place = found.read().shape  # reading says at the user's line if there is no such place
        seen = found.seen(place)
        values = broadcast_to(self._fitted(value, seen), seen)
        values = values if seen == place else reshape(values, place)
        written = scatter(found.x, values, *found.arrays, pattern=found.pattern)
        return written if written.shape == self._x.shape else reshape(written, self._x.shape)

    def _chosen(self, change: Callable[[Tensor, Tensor], Tensor], value: Any) -> Tensor | None:
        """What is written where the index holds a mask that is a tensor: ``change(before, value)`` where it is true."""
        found = _mask(self._x, self._index)
        if found is None:
            return None
        index, mask = found
        before = getitem(self._x, index)
        after = where(mask, change(before, self._fitted(value, before.shape)), before)
        return after if before is self._x else At(self._x, index).set(after)

    def set(self, value: Any) -> Tensor:
        """The tensor with ``value`` there. Of a place named twice, the last one counts."""
        chosen = self._chosen(lambda before, value: value, value)
        return self._write(_scatter_set, value) if chosen is None else chosen

    def add(self, value: Any) -> Tensor:
        """The tensor with ``value`` added there. A place named twice is added to twice."""
        chosen = self._chosen(lambda before, value: before + value, value)
        return self._write(_scatter_add, value) if chosen is None else chosen

    def multiply(self, value: Any) -> Tensor:
        """The tensor with the elements there multiplied by ``value``; no place may be named twice."""
        chosen = self._chosen(lambda before, value: before * value, value)
        if chosen is not None:
            return chosen
        before = self._x[self._index]
        return self.set(before * self._fitted(value, before.shape))

    def _fitted(self, value: Any, place: Shape) -> Tensor:
        """``value`` as it is written into a place: in the dtype of the tensor and, as in NumPy, never larger.

        Raises:
            SpecError: it does not broadcast to the shape of the place.
        """
        x = self._x
        value = tensor(value, x.graph, x.dtype)
        extra = max(value.ndim - len(place), 0)
        fitted = reshape(value, value.shape[extra:]) if extra and set(value.shape[:extra]) == {1} else value
        try:
            fits = broadcast([fitted.shape, place]) == place
        except Mismatch:
            fits = False
        if not fits:
            facts = [f"value:  {value.spec}   {value.graph.describe(value.index)}"]
            cure = f"What is written must broadcast to the shape of its place, {list(place)}."
            raise SpecError(report(f"cannot write {value.spec} into {x.spec}", at=here(), facts=facts, cure=cure))
        return fitted


def _mask(x: Tensor, index: Any) -> tuple[Any, Tensor] | None:
    """The index without the mask in it that is a tensor, and the mask as it broadcasts there; None if there is none."""
    parts = index if isinstance(index, tuple) else (index,)
    place = next((i for i, p in enumerate(parts) if isinstance(p, Tensor) and _is_mask(p)), None)
    if place is None:
        return None
    mask = parts[place]
    before, after = parts[:place], parts[place + 1 :]
    if not all(_basic(p) for p in (*before, *after)):
        facts = [f"mask:  {mask.spec}   {mask.graph.describe(mask.index)}"]
        cure = "Beside a mask that is a tensor there may be numbers, slices, None and '...', but no other array."
        raise SpecError(report(f"cannot write into {x.spec} with a mask and arrays", at=here(), facts=facts, cure=cure))
    whole = (*before, *[slice(None)] * mask.ndim, *after)
    used = sum(_consumed(p) for p in whole)
    front = sum(p is None or isinstance(p, slice) for p in before)
    front += max(x.ndim - used, 0) if any(p is Ellipsis for p in before) else 0
    sizes = getitem(x, whole).shape
    _check_mask("write into", x, mask, sizes[front : front + mask.ndim])
    behind = len(sizes) - front - mask.ndim
    return whole, reshape(mask, mask.shape + (1,) * behind) if behind else mask


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


@fills(lambda result, x, *, offset, size: [np.diagonal(result, offset, -2, -1)])
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


def within(xp: Any, numbers: Array, count: int, what: str, of: str) -> Any:
    """The numbers, all of which name one of ``count`` things; IndexError for a negative one too. For kernels."""

    def out_of_range(wrong: Any) -> IndexError:
        cure = f"{what.capitalize()}s are whole numbers from 0 to {count - 1}."
        return IndexError(report(f"{what} {int(wrong)} is out of range: there are {count} {of}", cure=cure))

    return xp.checked(numbers, (numbers < 0) | (numbers >= count), out_of_range)


@elementwise(vjp=flat, dtype=kept)
def _segment(xp: Any, segments: Array, *, count: int) -> Any:
    """The segments, all of which name one of ``count`` rows."""
    return within(xp, segments, count, "segment", "segments")


@function
def segment_sum(x: TensorLike, segments: TensorLike, count: int) -> Tensor:
    """Row *k* of the result is the sum of the rows of ``x`` whose segment is *k*.

    Args:
        x: ``(n, ...)``.
        segments: whole numbers ``(n,)``, each from 0 to ``count - 1``, in any order.
        count: number of segments; the result is ``(count, ...)``.

    Raises:
        SpecError: the segments are not whole numbers, or not as many as ``x`` has rows.
        IndexError: when it is evaluated: there is no such segment; negative ones do not count from the end.
    """
    x = tensor(x)
    segments = tensor(segments, x.graph)
    whole = segments.dtype.kind in "iu"
    if segments.shape != x.shape[:1] or not whole:
        cure = "There must be one segment for every row of x." if whole else "Segments are whole numbers: cast them."
        raise SpecError(report(f"cannot segment_sum {x.spec} by {segments.spec}", at=here(), cure=cure))
    table = zeros((count, *x.shape[1:]), x.dtype)
    segments = _segment(astype(whole_index(segments), np.int64), count=table.shape[0])
    return At(table)[segments].add(x)
