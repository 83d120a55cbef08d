"""For each op how its result is shared out, where its operands are: one function for a kind of op, or for one op.

A rule is given a :class:`~lazygrad.distribute.sharing.Sharing` to write with, the node as it was, and the values of its
operands, of which one is not whole. It returns the value of the result, or None where rows do not stay apart: then the
rows of all workers are brought together first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise, Reduction
from lazygrad.distribute.sharing import Sharing
from lazygrad.distribute.states import PART, WHOLE, Split, Value
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.windows import _fold, _window_max, _window_sum, _windows
from lazygrad.ops.arithmetic import add, divide, multiply, negative, subtract
from lazygrad.ops.cumulative import _cumulative_sum
from lazygrad.ops.indexing import _diagonal, _on_diagonal, _place, _slice
from lazygrad.ops.movement import _astype, _concat, _pad, astype, broadcast_to, permute_dims, reshape
from lazygrad.ops.products import _matmul
from lazygrad.ops.reduction import all as every
from lazygrad.ops.reduction import any as some
from lazygrad.ops.reduction import max as largest
from lazygrad.ops.reduction import min as smallest
from lazygrad.ops.reduction import prod
from lazygrad.ops.reduction import sum as added
from lazygrad.ops.sorting import _argsort
from lazygrad.ops.strong import strong_divide, strong_multiply

__all__ = ["beside", "is_all", "rule", "rule_of", "shape_of"]

Rule = Callable[[Sharing, Node, Sequence[Value]], Any]  # a Value, a tuple of them, or None
RULES: dict[Any, Rule] = {}


def rule_of(node: Node) -> Rule | None:
    """The rule for a node; None if there is none."""
    op = node.op
    found = RULES.get(op)
    if found is not None or not isinstance(op, Declared) or op.random or not op.pure:
        return found
    if isinstance(op, Elementwise):
        return _elementwise
    return _reduction if isinstance(op, Reduction) and op.own else None


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of a node's one result."""
    return cast(Spec, node.spec).shape


def rule(*ops: Any) -> Callable[[Rule], Rule]:
    """The rule for these ops."""

    def declare(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, function))
        return function

    return declare


# Elementwise: the places of the result are those of its operands.


def _elementwise(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    partial = _of_parts(to, node, given)
    if partial is not None:
        return partial
    given = [v if v.split else Value(to.whole(v), WHOLE, v.shape) for v in given]
    shape = shape_of(node)
    splits = [v.split.at(v.split.axis + len(shape) - len(v.shape)) for v in given if v.split is not None]
    if not splits:
        return to.copied(node, [v.local for v in given])
    split = splits[0]
    return Value(to.again(node, [beside(to, v, split, len(shape)) for v in given]), split, shape)


def beside(to: Sharing, value: Value, split: Split, ndim: int) -> Tensor:
    """An operand beside one that is split, to which it is broadcast."""
    axis = split.axis - (ndim - len(value.shape))
    if value.split is not None and value.split == split.at(axis):
        return value.local
    return to.aligned(to.whole(value), split, ndim)


def _of_parts(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    """What is linear in parts has parts too."""
    parts = [v.state is PART for v in given]
    if not any(parts) or cast(Spec, node.spec).dtype.kind != "f" or any(v.local.dtype.kind != "f" for v in given):
        return None  # of booleans a sum is "or"
    shape = shape_of(node)
    small = all(math.prod(shape) <= math.prod(v.shape) for v, is_part in zip(given, parts, strict=True) if is_part)
    op: Any = node.op
    alone = op in (negative, _astype)
    scaled = op in (multiply, strong_multiply) and sum(parts) == 1
    scaled = scaled or (op in (divide, strong_divide) and parts == [True, False])
    if scaled:
        scaled = all(v.is_whole or is_part for v, is_part in zip(given, parts, strict=True))
    if op in (add, subtract) and all(v.shape == shape for v in given) and not any(v.split for v in given):
        if all(parts) or to.is_body:  # in a body the first worker adds what is whole, once
            return Value(to.again(node, [to.part(v) for v in given]), PART, shape)
    if small and (alone or scaled):
        return Value(to.again(node, [v.local for v in given]), PART, shape)
    return None


# Reductions: those of a worker's rows, and then over the workers.


def _reduction(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    axes, shape = node.params["axis"], shape_of(node)
    if x.split is None:
        if x.state is PART and node.of(added) and x.local.dtype.kind != "b":
            return Value(to.again(node, [x.local]), PART, shape)
        return to.copied(node, [to.whole(x)])
    if x.split.axis not in axes:
        gone = 0 if node.params["keepdims"] else sum(a < x.split.axis for a in axes)
        return Value(to.again(node, [x.local]), x.split.at(x.split.axis - gone), shape)
    if node.of(added):
        return Value(to.again(node, [x.local]), PART, shape)
    if cast(Any, node.op) in (every, some, largest, smallest, prod):
        y = to.again(node, [x.local])
        whole = to.each(astype(y, np.int64)) if y.dtype.kind == "b" else to.each(y)
        found = cast(Any, node.op)(whole, axis=0)
        return Value(astype(found, y.dtype), WHOLE, shape)
    return None


# Movements: the places move.


@rule(reshape)
def _reshape(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    shape = shape_of(node)
    if x.split is None:
        return Value(to.again(node, [x.local]), x.state, shape)
    split = x.split.reshaped(x.shape, shape)
    if split is None:
        return None
    return Value(reshape(x.local, to.local_shape(shape, split)), split, shape)


@rule(permute_dims)
def _permute_dims(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None:
        return Value(to.again(node, [x.local]), x.state, shape_of(node))
    order = [axis % len(x.shape) for axis in node.params["axes"]]
    return Value(to.again(node, [x.local]), x.split.at(order.index(x.split.axis)), shape_of(node))


@rule(broadcast_to)
def _broadcast_to(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    shape = shape_of(node)
    if x.split is None:
        return to.copied(node, [to.whole(x)])
    split = x.split.at(x.split.axis + len(shape) - len(x.shape))
    return Value(broadcast_to(x.local, to.local_shape(shape, split)), split, shape)


@rule(_pad)
def _padded(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    split, before, after = x.split, node.params["before"], node.params["after"]
    if split is None or before[split.axis] or after[split.axis]:
        return None
    return Value(to.again(node, [x.local]), split, shape_of(node))


@rule(_concat)
def _joined(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    if all(v.state is PART for v in given):
        return Value(to.again(node, [v.local for v in given]), PART, shape_of(node))
    split = next((v.split for v in given if v.split is not None), None)
    if split is None or split.axis == node.params["axis"]:
        return None
    return Value(to.again(node, [to.split(v, split) for v in given]), split, shape_of(node))


def is_all(part: Any, size: int) -> bool:
    """Whether a part of an index takes all places of an axis, in order."""
    return isinstance(part, slice) and part.indices(size) == (0, size, 1)


def _through(index: Sequence[Any], axis: int, size: int) -> tuple[tuple[Any, ...], int] | None:
    """A basic index that takes all places of an axis, said without their number; and which axis that becomes."""
    seen, place, made = -1, 0, list(index)
    for number, part in enumerate(index):
        seen += part is not None
        if part is not None and seen == axis:
            made[number] = slice(None)
            return (tuple(made), place) if is_all(part, size) else None
        place += part is None or isinstance(part, slice)
    return tuple(made), place + axis - seen - 1


@rule(_slice)
def _sliced(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None:
        return Value(to.again(node, [x.local]), x.state, shape_of(node)) if x.state is PART else None
    found = _through(node.params["index"], x.split.axis, x.shape[x.split.axis])
    if found is None:
        return None
    return Value(_slice(x.local, index=found[0]), x.split.at(found[1]), shape_of(node))


@rule(_place)
def _placed(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    size, index = node.params["size"], node.params["index"]
    if x.split is None:
        return None
    for axis in range(len(size)):
        found = _through(index, axis, size[axis])
        if found is not None and found[1] == x.split.axis and size[axis] == x.shape[x.split.axis]:
            split = x.split.at(axis)
            return Value(_place(x.local, index=found[0], size=to.local_shape(size, split)), split, size)
    return None


@rule(_windows)
def _windowed(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None or x.split.axis >= len(x.shape) - 2:
        return None
    return Value(to.again(node, [x.local]), x.split.at(x.split.axis + 2), shape_of(node))


@rule(_fold)
def _folded(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None or not 2 <= x.split.axis < len(x.shape) - 2:
        return None
    return Value(to.again(node, [x.local]), x.split.at(x.split.axis - 2), shape_of(node))


@rule(_window_sum, _window_max, _diagonal)
def _of_last_two(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None or x.split.axis >= len(x.shape) - 2:
        return None
    return Value(to.again(node, [x.local]), x.split, shape_of(node))


@rule(_on_diagonal)
def _of_last(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None or x.split.axis >= len(x.shape) - 1:
        return None
    return Value(to.again(node, [x.local]), x.split, shape_of(node))


@rule(_cumulative_sum, _argsort)
def _along(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    (x,) = given
    if x.split is None or x.split.axis == node.params["axis"] % len(x.shape):
        return None
    return Value(to.again(node, [x.local]), x.split, shape_of(node))


# Products: rows of the left are rows of the result; where rows are summed over, each worker has a part.


@rule(_matmul)
def _product(to: Sharing, node: Node, given: Sequence[Value]) -> Value | None:
    a, b = [v if v.split is not None else Value(to.whole(v), WHOLE, v.shape) for v in given]
    shape = shape_of(node)
    left, right = (None if v.split is None else len(v.shape) - v.split.axis for v in (a, b))  # counted from the end
    if left is None and right is None:
        return to.copied(node, [a.local, b.local])
    if left == 1 or right == 2:  # the axis that is summed over
        split = a.split if left == 1 else b.split
        assert split is not None
        x = to.split(a, split.at(len(a.shape) - 1))
        y = to.split(b, split.at(len(b.shape) - 2))
        return Value(to.again(node, [x, y]), PART, shape)
    batch = next((v.split.at(len(shape) - n) for v, n in ((a, left), (b, right)) if v.split and n and n > 2), None)
    if batch is not None:
        return Value(to.again(node, [beside(to, v, batch, len(shape)) for v in (a, b)]), batch, shape)
    if left == 2:
        assert a.split is not None
        return Value(to.again(node, [a.local, to.whole(b)]), a.split.at(len(shape) - 2), shape)
    assert b.split is not None
    return Value(to.again(node, [to.whole(a), b.local]), b.split.at(len(shape) - 1), shape)
