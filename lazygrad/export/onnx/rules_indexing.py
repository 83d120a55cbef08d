"""Parts of arrays that are read and written: slices, and places that index arrays name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.loops import counted
from lazygrad.export.onnx.rules import rule, spec_of
from lazygrad.export.onnx.rules_arrays import filled, zeros_around
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import broadcast
from lazygrad.ops.indexing import ARRAY, _gather, _place, _scatter_add, _scatter_set, _slice

__all__: list[str] = []


def _sliced(writer: Writer, x: Value, parts: Sequence[Any]) -> Value:
    """Slices of the axes, by numbers a place alone."""
    axes = [a for a, part in enumerate(parts) if part != slice(None)]
    if not axes:
        return x
    starts, ends, steps, shape = [], [], [], list(x.shape)
    for axis in axes:
        part, n = parts[axis], x.shape[axis]
        if not isinstance(part, slice):
            part = slice(part % n, part % n + 1)
        along = range(*part.indices(n))
        shape[axis] = len(along)
        starts.append(along.start)
        steps.append(along.step)
        # Below 0 stands what lies before the first: a place so far off that it is not counted from the end.
        ends.append(along.stop if along.stop >= 0 else -n - 1)
    lists = [writer.constant(np.array(numbers, np.int64), "places") for numbers in (starts, ends, axes, steps)]
    return writer.made("Slice", x, *lists, shape=tuple(shape), dtype=x.dtype)


@rule(_slice)
def sliced(writer: Writer, node: Node, x: Value) -> Value:
    """Slice, then Reshape for the axes that come and go."""
    parts = [part for part in node.params["index"] if part is not None]
    return writer.xp.reshape(_sliced(writer, x, parts), spec_of(node).shape)


def _axes_first(x: Value, axes: Sequence[int]) -> Value:
    rest = [a for a in range(x.ndim) if a not in axes]
    return x.writer.xp.transpose(x, [*axes, *rest])


def _places(writer: Writer, indices: Sequence[Value]) -> Value:
    """Index arrays side by side, an element a place: (..., number of axes)."""
    xp = writer.xp
    shape = broadcast([i.shape for i in indices])
    columns = [xp.reshape(xp.broadcast_to(i.astype(np.int64), shape), (*shape, 1)) for i in indices]
    return xp.concatenate(columns, len(shape))


@rule(_gather)
def gathered(writer: Writer, node: Node, x: Value, *indices: Value) -> Value:
    """Gather along one axis, GatherND along several, of the slices that stand beside them."""
    pattern, xp = node.params["pattern"], writer.xp
    parts = [part for part in pattern if part is not None]
    axes = [a for a, part in enumerate(parts) if part == ARRAY]
    cut = _sliced(writer, x, [slice(None) if part == ARRAY else part for part in parts])
    joint = broadcast([i.shape for i in indices])
    if len(axes) == 1:
        (axis,) = axes
        shape = (*cut.shape[:axis], *joint, *cut.shape[axis + 1 :])
        y = writer.made("Gather", cut, indices[0].astype(np.int64), shape=shape, dtype=x.dtype, axis=axis)
        return xp.reshape(y, spec_of(node).shape)
    first = _axes_first(cut, axes)
    rest = first.shape[len(axes) :]
    y = writer.made("GatherND", first, _places(writer, indices), shape=(*joint, *rest), dtype=x.dtype)
    places = [i for i, part in enumerate(pattern) if part == ARRAY]
    if places == list(range(places[0], places[0] + len(places))) and axes[0]:
        # Arrays that stand together give axes where they stand.
        front = range(len(joint), len(joint) + axes[0])
        y = xp.transpose(y, [*front, *range(len(joint)), *range(len(joint) + axes[0], y.ndim)])
    return xp.reshape(y, spec_of(node).shape)


def _grid(
    writer: Writer, x: Value, pattern: Sequence[Any], indices: Sequence[Value]
) -> tuple[list[int], Value | None, Any]:
    """The axes that are written into by places, the places, and the order of the axes of values that they ask for.

    A slice of part of an axis becomes an array of its places, along an axis of its own behind those of the others.
    """
    xp = writer.xp
    parts = [part for part in pattern if part is not None]
    arrays = iter(indices)
    joint = broadcast([i.shape for i in indices]) if indices else ()
    apart: list[tuple[int, range]] = []  # axes of which a part is written
    for axis, part in enumerate(parts):
        if isinstance(part, slice) and part != slice(None):
            apart.append((axis, range(*part.indices(x.shape[axis]))))
    columns: dict[int, Value] = {}
    for axis, part in enumerate(parts):
        if part == ARRAY:
            i = next(arrays)
            columns[axis] = xp.reshape(i, (*i.shape, *(1,) * len(apart))) if apart else i
        elif not isinstance(part, slice):
            columns[axis] = xp.reshape(writer.number(part, np.int64), (1,) * len(apart))
    for k, (axis, along) in enumerate(apart):
        place = counted(writer, len(along)) * along.step + along.start
        columns[axis] = xp.reshape(place, (len(along), *(1,) * (len(apart) - 1 - k)))
    axes = sorted(columns)
    places = _places(writer, [columns[a] for a in axes]) if axes else None
    return axes, places, (joint, [a for a, _ in apart])


def _laid(writer: Writer, x: Value, values: Value, pattern: Sequence[Any], axes: list[int], laid: Any) -> Value:
    """Values with the axes of places first: those of the index arrays, of the parts, and then whole axes."""
    joint, apart = laid
    parts = [part for part in pattern if part is not None]
    places = [i for i, part in enumerate(pattern) if part == ARRAY]
    together = bool(places) and places == list(range(places[0], places[0] + len(places)))
    # The axes of the values, as reading gives them, named by where they come from.
    axis = -1
    named: list[tuple[str, int]] = []
    for place, part in enumerate(pattern):
        axis += part is not None
        if part == ARRAY:
            if together and place == places[0]:
                named += [("joint", k) for k in range(len(joint))]
        elif part is None:
            named.append(("new", place))
        elif isinstance(part, slice):
            named.append(("axis", axis))
    if places and not together:
        named = [("joint", k) for k in range(len(joint))] + named
    kept = [name for name in named if name[0] != "new"]
    shape = tuple(n for n, name in zip(values.shape, named, strict=True) if name[0] != "new")
    values = writer.xp.reshape(values, shape)
    whole = [("axis", a) for a in range(len(parts)) if a not in axes]
    wanted = [*(("joint", k) for k in range(len(joint))), *(("axis", a) for a in apart), *whole]
    return writer.xp.transpose(values, [kept.index(name) for name in wanted])


def _back(x: Value, axes: Sequence[int]) -> Value:
    """The opposite of :func:`_axes_first`."""
    order = [*axes, *(a for a in range(x.ndim) if a not in axes)]
    return x.writer.xp.transpose(x, [order.index(a) for a in range(x.ndim)])


def _scattered(writer: Writer, x: Value, values: Value, indices: Sequence[Value], pattern: Any, how: str) -> Value:
    axes, places, laid = _grid(writer, x, pattern, indices)
    values = _laid(writer, x, values, pattern, axes, laid)
    if places is None:
        return x + values if how == "add" else values
    first = _axes_first(x, axes)
    if how == "last":
        return _back(_last(writer, first, places, values, len(axes)), axes)
    kept = x.dtype if how == "none" or x.dtype.str[1:] in ("i4", "i8", "f4", "f8") else np.dtype(_WIDE[x.dtype.str[1:]])
    y = writer.made(
        "ScatterND", first.astype(kept), places, values.astype(kept), shape=first.shape, dtype=kept, reduction=how
    )
    return _back(y.astype(x.dtype), axes)


_WIDE = {"b1": "i4", "i1": "i4", "i2": "i4", "u1": "i4", "u2": "i4", "u4": "i8", "u8": "i8", "f2": "f2"}


def _last(writer: Writer, x: Value, places: Value, values: Value, depth: int) -> Value:
    """Of several values for one place the last: each writes its number, and the largest number is the last."""
    xp, rows = writer.xp, places.shape[:-1]
    count = int(np.prod(rows, dtype=int))
    rest = x.shape[depth:]
    numbers = xp.reshape(counted(writer, count), rows)
    table = filled(writer, -1, x.shape[:depth], np.int64)
    number = writer.made("ScatterND", table, places, numbers, shape=table.shape, dtype=np.int64, reduction="max")
    if not count:
        return x
    flat = xp.reshape(values, (count, *rest))
    chosen = writer.made("Gather", flat, xp.maximum(number, 0), shape=x.shape, dtype=x.dtype, axis=0)
    named = xp.reshape(number >= 0, (*number.shape, *(1,) * len(rest)))
    return xp.where(named, chosen, x)


@rule(_scatter_add)
def added(writer: Writer, node: Node, x: Value, values: Value, *indices: Value) -> Value:
    """ScatterND, which adds."""
    return _scattered(writer, x, values, indices, node.params["pattern"], "add")


@rule(_scatter_set)
def written(writer: Writer, node: Node, x: Value, values: Value, *indices: Value) -> Value:
    """ScatterND; where index arrays may name a place twice, of the numbers of the values first."""
    return _scattered(writer, x, values, indices, node.params["pattern"], "last" if indices else "none")


@rule(_place)
def placed(writer: Writer, node: Node, x: Value) -> Value:
    """Pad where it lies in one piece, or ScatterND into zeros."""
    size, index = node.params["size"], node.params["index"]
    parts = [part for part in index if part is not None]
    parts += [slice(None)] * (len(size) - len(parts))
    along = [
        range(*p.indices(n)) if isinstance(p, slice) else range(p % n, p % n + 1)
        for p, n in zip(parts, size, strict=True)
    ]
    if all(a.step == 1 for a in along):
        inner = writer.xp.reshape(x, tuple(len(a) for a in along))
        if inner.size and inner.shape != tuple(size):
            before = [a.start for a in along]
            after = [n - a.start - len(a) for a, n in zip(along, size, strict=True)]
            return zeros_around(writer, inner, before, after)
    zeros = filled(writer, 0, size, x.dtype)
    pattern = tuple(part for part in index if part is not None)
    pattern += (slice(None),) * (len(size) - len(pattern))
    shape = tuple(len(a) for a, p in zip(along, pattern, strict=True) if isinstance(p, slice))
    if not x.size:
        return zeros
    return _scattered(writer, zeros, writer.xp.reshape(x, shape), (), pattern, "none")
