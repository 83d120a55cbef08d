"""Sequences of tensors, which are lists while a step is written."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.define.kinds import tensor
from lazygrad.onnx.ops.table import At, Known, op


def _place(place: Any) -> int:
    return int(np.asarray(place).reshape(-1)[0])


@op("SequenceConstruct", mixed=True)
def construct(at: At, *xs: Any) -> Any:
    """A sequence of tensors."""
    return list(xs)


@op("SequenceEmpty", mixed=True)
def empty(at: At, *, dtype: Any) -> Any:
    """A sequence of none."""
    return []


@op("SequenceAt", mixed=True)
def element(at: At, xs: Any, place: Known) -> Any:
    """The tensor at a place."""
    return xs[_place(place)]


@op("SequenceLength", mixed=True)
def length(at: At, xs: Any) -> Any:
    """How many there are."""
    return np.array(len(xs), np.int64)


@op("SequenceInsert", mixed=True)
def insert(at: At, xs: Any, x: Any, place: Known = None) -> Any:
    """A sequence with one more."""
    k = len(xs) if place is None else _place(place)
    k = k + len(xs) if k < 0 else k
    return [*xs[:k], x, *xs[k:]]


@op("SequenceErase", mixed=True)
def erase(at: At, xs: Any, place: Known = None) -> Any:
    """A sequence with one less."""
    k = (len(xs) - 1 if place is None else _place(place)) % len(xs)
    return [*xs[:k], *xs[k + 1 :]]


@op("ConcatFromSequence", mixed=True)
def concat(at: At, xs: Any, *, axis: int, new_axis: int) -> Any:
    """Its tensors one after another, or on a new axis."""
    if all(not isinstance(x, lg.Tensor) for x in xs):
        return np.stack(xs, axis) if new_axis else np.concatenate(xs, axis)
    return lg.stack(xs, axis=axis) if new_axis else lg.concat(xs, axis=axis)


@op("SplitToSequence", mixed=True)
def split(at: At, x: Any, sizes: Known = None, *, axis: int, keepdims: int) -> Any:
    """The parts of a tensor along an axis: of given sizes, of one size, or each slice."""
    x = tensor(x)
    n = x.shape[axis]
    given = 1 if sizes is None else np.asarray(sizes)
    each = [int(given)] * (n // int(given)) if np.ndim(given) == 0 else [int(s) for s in np.asarray(given)]
    each += [n - sum(each)] if sum(each) < n else []
    parts = list(lg.split(x, [int(e) for e in np.cumsum(each)[:-1]], axis=axis))
    return parts if keepdims or sizes is not None else [lg.squeeze(part, axis) for part in parts]


@op("Optional", mixed=True)
def optional(at: At, x: Any = None, *, type: Any) -> Any:
    """What may be there or not."""
    return x


@op("OptionalHasElement", mixed=True)
def has_element(at: At, x: Any = None) -> Any:
    """Whether it is there, which is known."""
    return np.array(x is not None)


@op("OptionalGetElement", mixed=True)
def get_element(at: At, x: Any) -> Any:
    """What is there."""
    return x
