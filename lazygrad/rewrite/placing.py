"""Sums of what lies side by side: the gradient of something that was split is put together, in place of added up."""

from __future__ import annotations

import numpy as np

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add
from lazygrad.ops.indexing import _place
from lazygrad.ops.movement import _concat
from lazygrad.rewrite.rules import node_of, number, operands, rule

__all__: list[str] = []

Ranges = list[tuple[int, int]]

MOST = 32  # pieces; they are put together one by one, so that the work for n of them grows as n²


def _ranges(x: Tensor) -> Ranges | None:
    """Where along every axis lies what is placed among zeros; None if that is not one piece, in order."""
    node = node_of(x)
    if not node.of(_place):
        return None
    index, size = node.params["index"], node.params["size"]
    if len(index) != len(size) or any(not isinstance(part, slice) for part in index):
        return None
    found = [part.indices(n) for part, n in zip(index, size, strict=True)]
    if any(step != 1 or stop <= start for start, stop, step in found):
        return None
    return [(start, stop) for start, stop, _ in found]


def _side_by_side(a: Ranges, b: Ranges) -> int | None:
    """The axis along which ``b`` begins where ``a`` ends, if they are alike otherwise."""
    apart = [axis for axis, (one, other) in enumerate(zip(a, b, strict=True)) if one != other]
    return apart[0] if len(apart) == 1 and a[apart[0]][1] == b[apart[0]][0] else None


@rule(
    "simplify",
    add,
    of=[_place],
    example=lambda x: (
        _place(x, index=(slice(0, 2), slice(1, 4)), size=(2, 7))
        + _place(x, index=(slice(0, 2), slice(4, 7)), size=(2, 7))
    ),
)
def placed_side_by_side(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """(x among zeros) + (y beside it, among zeros) = x + 0 and y + 0, one after the other, among zeros.

    They are added to 0 still, as −0 + 0 = 0.
    """
    if a.shape != b.shape or a.dtype.kind == "b":
        return None
    one, other = _ranges(a), _ranges(b)
    if one is None or other is None:
        return None
    axis = _side_by_side(one, other)
    if axis is None:
        a, b, one, other = b, a, other, one
        axis = _side_by_side(one, other)
    if axis is None:
        return None
    pieces = [part for x in (a, b) for part in _parts(x, axis)]
    if len(pieces) > MOST:
        return None
    parts = [part if _is_added(part) else add(part, 0) for part in pieces]
    joined = _concat(*parts, axis=axis)
    index = list(one)
    index[axis] = (one[axis][0], other[axis][1])
    if joined.shape == a.shape:
        return joined
    return _place(joined, index=tuple([slice(*ends) for ends in index]), size=a.shape)


def _is_added(x: Tensor) -> bool:
    """Whether 0 has been added to ``x`` already."""
    values = [number(term) for term in operands(x, add)]
    return any(value is not None and value == 0 and not np.signbit(value) for value in values)


def _parts(x: Tensor, axis: int) -> list[Tensor]:
    """What is placed, in the pieces of which it has been put together."""
    (inner,) = operands(x, _place)
    node = node_of(inner)
    return operands(inner, _concat) if node.of(_concat) and node.params["axis"] == axis else [inner]
