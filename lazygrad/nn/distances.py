"""Losses of vectors that shall lie near to one another, or far apart."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, normalize_axis
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import relu
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.losses import _masked
from lazygrad.ops.arithmetic import minimum
from lazygrad.ops.comparison import equal, where
from lazygrad.ops.norms import vector_norm
from lazygrad.ops.reduction import sum

__all__ = ["cosine", "triplet"]


@function
@in_floats("prediction", "target")
def cosine(
    prediction: Any, target: Any, labels: Any = None, axis: int = -1, margin: float = 0.0, *, mask: Any = None
) -> Tensor:
    """1 − cos of the angle between two vectors, one number a pair.

    Args:
        prediction: vectors along ``axis``, ``(N, D)`` for example.
        target: of the same shape. The gradient passes to it too.
        labels: 1 where the two belong together and −1 where they do not, one a pair; 1 for all, if not given. Of a
            pair with −1 the loss is max(0, cos − ``margin``).
        axis: of the vectors' elements.
        margin: up to which cosine a pair with −1 costs nothing; from −1 to 1.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``prediction`` without ``axis``. The cosine with a vector of zeros is 0.

    Raises:
        SpecError: the shapes differ, or ``margin`` is out of range.
    """
    prediction, target = tensors(prediction, target)
    with fitting("take the cosine of", prediction=prediction, target=target):
        place = normalize_axis(axis, prediction.ndim)
        if prediction.shape != target.shape:
            raise Mismatch("Both must have the same shape.")
        least = number("margin", margin, -1, 1)
    alike = sum(_direction(prediction, place) * _direction(target, place), axis=place)
    if labels is None:
        return _masked(1 - alike, mask)
    labels = tensor(labels, prediction.graph)
    with fitting("take the cosine of", prediction=prediction, labels=labels):
        if labels.shape not in (alike.shape, ()):
            raise Mismatch(f"Labels are 1 or -1, one a pair: their shape is {list(alike.shape)}.")
    return _masked(where(equal(labels, 1), 1 - alike, relu(alike - least)), mask)


def _direction(x: Tensor, axis: int) -> Tensor:
    """x divided by its length; zeros stay zeros."""
    size = vector_norm(x, axis=axis, keepdims=True)
    return x / where(equal(size, 0), 1, size)


@function
@in_floats("anchor", "positive", "negative")
def triplet(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, axis: int = -1, swap: bool = False, *,
    mask: Any = None,
) -> Tensor:  # fmt: skip
    """max(0, ‖a − p‖ − ‖a − n‖ + margin), one number a triplet (Schroff et al. 2015, with distances not squared).

    Args:
        anchor: vectors along ``axis``, ``(N, D)`` for example.
        positive: of the same shape; each shall be nearer to its anchor,
        negative: of the same shape, than this, by ``margin``.
        margin: 0 or more.
        axis: of the vectors' elements.
        swap: whether ‖p − n‖ counts in place of ‖a − n‖ where it is less (Balntas et al. 2016).
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``anchor`` without ``axis``. A distance of 0 has no gradient.

    Raises:
        SpecError: the shapes differ, or ``margin`` is negative.
    """
    anchor, positive, negative = tensors(anchor, positive, negative)
    with fitting("take the triplet of", anchor=anchor, positive=positive, negative=negative):
        place = normalize_axis(axis, anchor.ndim)
        if not anchor.shape == positive.shape == negative.shape:
            raise Mismatch("All three must have the same shape.")
        least = number("margin", margin, 0, math.inf)
    apart = vector_norm(anchor - negative, axis=place)
    if swap:
        apart = minimum(apart, vector_norm(positive - negative, axis=place))
    return _masked(relu(vector_norm(anchor - positive, axis=place) - apart + least), mask)
