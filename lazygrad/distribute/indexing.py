"""How reading and writing at places that arrays name is shared out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lazygrad.define.kinds import Elementwise
from lazygrad.distribute.rules import beside, is_all, rule, shape_of
from lazygrad.distribute.sharing import Sharing
from lazygrad.distribute.states import PART, Split, Value
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Shape, broadcast
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.indexing import _gather, _scatter_add, _scatter_set
from lazygrad.ops.movement import _astype, broadcast_to, reshape
from lazygrad.ops.source import _arange

__all__: list[str] = []


class _Pattern(NamedTuple):
    """An index with arrays, read.

    Attributes:
        taken: for every axis of the operand that a slice takes, the axis of the result.
        arrays: for every array in order the axis of the operand that it is an index of.
        first: the first of the axes that the arrays have together, in the result.
        joint: their shape.
    """

    taken: dict[int, int]
    arrays: list[int]
    first: int
    joint: Shape


def _read(pattern: Sequence[Any], indices: Sequence[Value]) -> _Pattern:
    joint = broadcast([v.shape for v in indices]) if indices else ()
    places = [i for i, part in enumerate(pattern) if isinstance(part, str)]
    together = not places or places == list(range(places[0], places[0] + len(places)))
    first = places[0] if places and together else 0
    taken: dict[int, int] = {}
    arrays: list[int] = []
    axis, made = 0, 0 if together else len(joint)
    for place, part in enumerate(pattern):
        if isinstance(part, str):
            arrays.append(axis)
            made += len(joint) if together and place == places[0] else 0
        elif part is None or isinstance(part, slice):  # a whole number takes an axis, and makes none
            if part is not None:
                taken[axis] = made
            made += 1
        axis += part is not None
    return _Pattern(taken, arrays, first, joint)


def _all_of(pattern: Sequence[Any], axis: int, size: int) -> tuple[Any, ...] | None:
    """The pattern with ``axis`` taken whole, whatever its size is; None if it is not taken whole."""
    made, seen = list(pattern), -1
    for place, part in enumerate(pattern):
        seen += part is not None
        if part is not None and seen == axis:
            if not is_all(part, size):
                return None
            made[place] = slice(None)
            break
    return tuple(made)


def _counts(to: Sharing, x: Tensor) -> int | None:
    """The axis along which a tensor counts 0, 1, 2, …, and along which alone it changes; None if there is none."""
    node = to.made.nodes[x.index]
    if node.of(_arange):
        return 0 if node.params["start"] == 0 and node.params["step"] == 1 else None
    if not (node.of(reshape) or node.of(broadcast_to) or node.of(_astype)):
        return None
    source = to.made.tensor(node.inputs[0])
    axis = _counts(to, source)
    if axis is None or isinstance(node.op, Elementwise):
        return axis
    size = source.shape[axis]
    if node.of(broadcast_to):
        return axis + x.ndim - source.ndim if size > 1 else None
    places = [k for k, n in enumerate(x.shape) if n != 1]
    return places[0] if len(places) == 1 and source.size == size == x.shape[places[0]] else None


def _counting(to: Sharing, dtype: Any, shape: Shape, axis: int, count: int) -> Tensor:
    """What counts from 0 along an axis of so many places."""
    numbers = _arange.write(to.made, start=0, step=1, shape=(count,), dtype=dtype)
    lined = reshape(numbers, tuple(count if k == axis else 1 for k in range(len(shape))))
    return broadcast_to(lined, tuple(count if k == axis else n for k, n in enumerate(shape)))


def _of_rows(
    to: Sharing,
    node: Node,
    x: Value,
    values: Value | None,
    indices: Sequence[Value],
    read: _Pattern,
    place: int,
    axis: int,
) -> Value | None:
    """Where every row of ``x`` is named by its own number: index number ``place`` counts along a joint axis."""
    counted = indices[place]
    along = _counts(to, counted.local) if counted.is_whole else None
    if along is None or counted.shape[along] != x.shape[axis]:
        return None
    joint = along + len(read.joint) - len(counted.shape)
    split = x.split if x.split is not None else _split_at(values, indices, read, joint)
    if split is None or (x.split is not None and x.split.axis != axis):
        return None
    at = split.at(joint)
    count = to.local_shape(read.joint, at)[joint]
    others = [beside(to, v, at, len(read.joint)) for v in indices]
    others[place] = _counting(to, counted.local.dtype, counted.shape, along, count)
    mine = to.split(x, split.at(axis))
    if values is None:
        return Value(to.again(node, [mine, *others]), split.at(read.first + joint), shape_of(node))
    new = to.split(values, split.at(read.first + joint))
    return Value(to.again(node, [mine, new, *others]), split.at(axis), shape_of(node))


def _split_at(values: Value | None, indices: Sequence[Value], read: _Pattern, joint: int) -> Split | None:
    """How rows are split along a joint axis, of values or of another index."""
    if values is not None and values.split is not None and values.split.axis == read.first + joint:
        return values.split
    found = [v.split for v in indices if v.split is not None and v.split.axis + len(read.joint) - len(v.shape) == joint]
    return found[0] if found else None


@rule(_gather)
def _gathered(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    x, *indices = given
    pattern, shape = node.params["pattern"], shape_of(node)
    if any(v.state is PART for v in given):
        return None
    read = _read(pattern, indices)
    if x.split is not None and x.split.axis in read.taken:
        seen = _all_of(pattern, x.split.axis, x.shape[x.split.axis])
        if seen is None:
            return None
        y = to.again(node, [x.local, *[to.whole(v) for v in indices]], pattern=seen)
        return Value(y, x.split.at(read.taken[x.split.axis]), shape)
    if x.split is not None:
        return _of_rows(to, node, x, None, indices, read, read.arrays.index(x.split.axis), x.split.axis)
    split = next(v.split.at(v.split.axis + len(read.joint) - len(v.shape)) for v in indices if v.split is not None)
    others = [beside(to, v, split, len(read.joint)) for v in indices]
    return Value(to.again(node, [x.local, *others]), split.at(read.first + split.axis), shape)


@rule(_scatter_add, _scatter_set)
def _scattered(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    x, values, *indices = given
    pattern, shape = node.params["pattern"], shape_of(node)
    if any(v.state is PART for v in given):
        return None
    read = _read(pattern, indices)
    if not any(v.split for v in indices):
        back = {made: axis for axis, made in read.taken.items()}
        axis = (
            x.split.axis if x.split is not None else back.get(values.split.axis) if values.split is not None else None
        )
        if axis is not None and axis in read.taken:
            split = x.split or values.split
            seen = _all_of(pattern, axis, x.shape[axis])
            if seen is None or split is None:
                return None
            operands = [to.split(x, split.at(axis)), to.split(values, split.at(read.taken[axis]))]
            return Value(to.again(node, [*operands, *[v.local for v in indices]], pattern=seen), split.at(axis), shape)
    for place, axis in enumerate(read.arrays):
        found = _of_rows(to, node, x, values, indices, read, place, axis)
        if found is not None:
            return found
    if x.split is not None or not node.of(_scatter_add):
        return None
    split = next(
        (v.split.at(v.split.axis + len(read.joint) - len(v.shape)) for v in indices if v.split is not None), None
    )
    if split is None:  # the values alone
        if values.split is None or not read.first <= values.split.axis < read.first + len(read.joint):
            return None
        split = values.split.at(values.split.axis - read.first)
    others = [beside(to, v, split, len(read.joint)) for v in indices]
    new = to.split(values, split.at(read.first + split.axis))
    return Value(to.again(node, [to.part(x), new, *others]), PART, shape)
