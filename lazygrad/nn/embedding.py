"""Labels and their vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat, tensor, tensors
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, kept, normalize_axis
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.nn.checks import fitting
from lazygrad.ops.comparison import equal
from lazygrad.ops.indexing import take, within
from lazygrad.ops.movement import astype, expand_dims, reshape, whole_index
from lazygrad.ops.source import _arange

__all__ = ["embedding", "one_hot"]


@elementwise(vjp=flat, dtype=kept)
def _label(xp: Any, labels: Array, *, count: int) -> Any:
    """The labels, all of which name one of ``count`` classes."""
    return within(xp, labels, count, "label", "classes")


def _one_hot(labels: Tensor, *, count: int, axis: int) -> Tensor:
    """Along a new axis, true at the place of the label."""
    labels = _label(astype(whole_index(labels), np.int64), count=count)
    classes = _arange.write(labels.graph, start=0, step=1, shape=(count,), dtype=np.dtype(np.int64))
    places = reshape(classes, (count,) + (1,) * (labels.ndim - axis))
    return equal(expand_dims(labels, axis), places)


def is_label(x: Tensor) -> bool:
    """Whether ``x`` has a dtype of whole numbers."""
    return x.dtype.kind in "iu"


@function
def one_hot(labels: Any, count: int, dtype: Any = None, axis: int = -1) -> Tensor:
    """Vectors that are 1 at the place of the label and 0 elsewhere.

    Args:
        labels: whole numbers from 0 to ``count - 1``, of any shape.
        count: number of classes.
        dtype: of the result; the environment's, if not given.
        axis: where in the result the axis of the classes stands.

    Returns:
        The shape of ``labels`` with an axis of ``count`` put in.

    Raises:
        SpecError: the labels are not whole numbers, or there is no such axis.
        IndexError: when it is evaluated: a label is out of range.
    """
    labels = tensor(labels)
    with fitting("one_hot", labels=labels):
        if not is_label(labels):
            raise Mismatch("Labels are whole numbers: cast them with .astype(int).")
        if isinstance(count, bool) or not hasattr(count, "__index__") or count < 0:
            raise Mismatch(f"count is a whole number, 0 or more, not {count!r:.60}.")
        place = normalize_axis(axis, labels.ndim + 1)
    marks = _one_hot(labels, count=int(count), axis=place)
    return astype(marks, labels.graph.dtype if dtype is None else dtype)


@function
def embedding(table: Any, labels: Any) -> Tensor:
    """The rows of ``table`` that the labels name.

    Args:
        table: ``(count, ...)``, one row a label.
        labels: whole numbers, of any shape. As in indexing, negative ones count from the end.

    Returns:
        ``labels.shape + table.shape[1:]``.

    Raises:
        SpecError: the labels are not whole numbers, or the table has no axes.
        IndexError: when it is evaluated: a label is out of range.
    """
    table, labels = tensors(table, labels)
    with fitting("embed", table=table, labels=labels):
        if not table.ndim:
            raise Mismatch("A table has a row for every label; this one has no axes.")
        if not is_label(labels):
            raise Mismatch("Labels are whole numbers: cast them with .astype(int).")
    return take(table, labels, axis=0)
