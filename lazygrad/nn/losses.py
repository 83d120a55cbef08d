"""Losses. Each returns one number a label; ``lg.mean`` of it is the usual scalar.

A loss has the shape of its labels: of the prediction where both are numbers, of the logits without the axis of the
classes where one axis is theirs. Nothing is averaged, so a mask, or weights of examples, are of that shape too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor, tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, floating, normalize_axis
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.nn.activations import centered, log_softmax, relu
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.embedding import _one_hot, is_label
from lazygrad.ops.arithmetic import abs, square
from lazygrad.ops.comparison import clip, equal, isinf, logical_and, not_equal, where
from lazygrad.ops.elementary import _logistic_slope, _small_part, exp, log
from lazygrad.ops.movement import astype, broadcast_to, reshape
from lazygrad.ops.reduction import mean, sum

__all__ = [
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "hinge",
    "huber",
    "kl_divergence",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
]


def _compared(what: str, **operands: Any) -> list[Tensor]:
    """Prediction and target, of one shape unless the target is one number for all.

    A target that only broadcasts is an error: ``(N,)`` beside ``(N, 1)`` would compare each with every one.
    Targets that are whole numbers take the dtype of the prediction, so that they do not widen it.
    """
    prediction, target = tensors(*operands.values())
    with fitting(what, **dict(zip(operands, (prediction, target), strict=True))):
        if target.shape not in (prediction.shape, ()):
            raise Mismatch("Both must have the same shape, or the target be one number.")
    return [prediction, _followed(target, prediction)]


def _followed(target: Tensor, prediction: Tensor) -> Tensor:
    """The target; whole numbers and booleans take the dtype of the prediction, so that they do not widen it."""
    return target if target.dtype.kind == "f" else astype(target, prediction.dtype)


@function
@in_floats("prediction", beside=["target"])
def mean_squared_error(prediction: Any, target: Any, *, mask: Any = None) -> Tensor:
    """Squared difference, one number a label: ``lg.mean`` of it is the mean squared error.

    Args:
        prediction: of any shape.
        target: of the same shape, or one number.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``prediction``.

    Raises:
        SpecError: the shapes differ.
    """
    prediction, target = _compared("mean_squared_error", prediction=prediction, target=target)
    return _masked(square(prediction - target), mask)


@function
@in_floats("prediction", beside=["target"])
def mean_absolute_error(prediction: Any, target: Any, *, mask: Any = None) -> Tensor:
    """Absolute difference, one number a label; see :func:`mean_squared_error`."""
    prediction, target = _compared("mean_absolute_error", prediction=prediction, target=target)
    return _masked(abs(prediction - target), mask)


@function
@in_floats("prediction", beside=["target"])
def huber(prediction: Any, target: Any, delta: Any = 1.0, *, mask: Any = None) -> Tensor:
    """Half the squared difference up to ``delta``, beyond it linear (Huber 1964), one number a label.

    With r the difference: r²/2 where |r| ≤ δ, else δ(|r| − δ/2). Shapes as in :func:`mean_squared_error`;
    ``delta`` is a positive number, or a 0-d tensor.
    """
    prediction, target = _compared("huber", prediction=prediction, target=target)
    r = prediction - target
    held = clip(r, -delta, delta)
    return _masked(held * (r - 0.5 * held), mask)


@function
@in_floats("prediction", beside=["target"])
def hinge(prediction: Any, target: Any, *, mask: Any = None) -> Tensor:
    """max(0, 1 − t·p) for targets t of −1 and 1, one number a label; see :func:`mean_squared_error`."""
    prediction, target = _compared("hinge", prediction=prediction, target=target)
    return _masked(relu(1 - target * prediction), mask)


# Not σ(x) − t, of which nothing is left where t is 1 and σ(x) near it.
@elementwise(vjp=(lambda g, y, x, t: g * _logistic_slope(x), lambda g, y, x, t: -g), dtype=floating)
def _logistic_loss_slope(xp: Any, x: Array, t: Array) -> Any:
    """(1 − t)·σ(x) − t·σ(−x) = σ(x) − t, the derivative of the loss for x."""
    small = _small_part(xp, x)
    rest = 1 - small
    return xp.where(x < 0, (1 - t) * small - t * rest, (1 - t) * rest - t * small)


@elementwise(vjp=(lambda g, y, x, t: g * _logistic_loss_slope(x, t), lambda g, y, x, t: -g * x), dtype=floating)
def _logistic_loss(xp: Any, x: Array, t: Array) -> Any:
    """−t·log σ(x) − (1 − t)·log(1 − σ(x)), without overflow."""
    against = xp.where(x > 0, 1 - t, -t)
    # What counts for nothing is 0 even if x is infinite.
    return xp.where(xp.equal(against, 0), 0, x * against) + xp.log1p(xp.exp(-xp.abs(x)))


@function
@in_floats("logits", beside=["targets"])
def binary_cross_entropy_with_logits(logits: Any, targets: Any, *, mask: Any = None) -> Tensor:
    """−t·log σ(x) − (1 − t)·log(1 − σ(x)), one number a label, right for logits of any size.

    Args:
        logits: the logarithms of the odds, of any shape.
        targets: probabilities of the same shape, or one number. The gradient passes to them too.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``logits``.

    Raises:
        SpecError: the shapes differ.
    """
    logits, targets = _compared("binary_cross_entropy_with_logits", logits=logits, targets=targets)
    return _masked(_logistic_loss(logits, targets), mask)


@function
@in_floats("logits", beside=["targets"])
def cross_entropy(
    logits: Any,
    targets: Any,
    axis: int = -1,
    label_smoothing: float = 0.0,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    mask: Any = None,
) -> Tensor:
    """−Σ w·t·log softmax(logits) along ``axis``, one number a label.

    Args:
        logits: ``(N, C)``, or any shape with the classes along ``axis``.
        targets: labels, whole numbers of the shape of ``logits`` without that axis; or probabilities of the
            shape of ``logits``, to which the gradient passes.
        axis: of the classes.
        label_smoothing: part of the target that is spread evenly over all classes (Szegedy et al. 2016, §7).
        weight: ``(C,)``, one number a class, by which its terms are multiplied; in the dtype of ``logits``.
        ignore_index: a label whose loss is 0, and has no gradient; it need not be a class.
        mask: booleans, or 0 and 1, of the shape of the result: where it is false the loss is 0, and has no gradient.

    Returns:
        The shape of ``logits`` without the axis of the classes. To average over some labels only, divide the sum by
        their number, ``lg.sum(losses) / lg.sum(labels != ignore_index)``; for PyTorch's mean with weights divide by
        ``lg.sum(lg.take(weight, labels))``.

    Raises:
        SpecError: the targets are neither, ``weight`` or ``mask`` has another shape, ``ignore_index`` is given
            beside probabilities, or ``label_smoothing`` is not between 0 and 1.
        IndexError: when it is evaluated: a label is negative, or not below the number of classes.
    """
    logits, targets = tensors(logits, targets)
    with fitting("take the cross_entropy of", logits=logits, targets=targets):
        place = normalize_axis(axis, logits.ndim)
        labels = _are_labels(logits, targets, place)
        smoothing = number("label_smoothing", label_smoothing, 0, 1)
        weights = _class_weights(weight, logits, place)
        if ignore_index is not None and not labels:
            raise Mismatch("ignore_index is a label, and the targets are probabilities: give mask= instead.")
        kept = _kept(targets, ignore_index)
    if labels:
        targets = targets if kept is None else where(kept, targets, 0)
        logits = centered(logits, place)
        total, picked = log(sum(exp(logits), axis=place)), _picked(logits, targets, place)
        if weights is None:
            losses = total - (picked if not smoothing else _mixed(smoothing, picked, mean(logits, axis=place)))
        else:
            spread = mean(weights, axis=place) * total - mean(weights * logits, axis=place)
            losses = _mixed(smoothing, _picked(weights, targets, place) * (total - picked), spread)
        return _masked(losses if kept is None else where(kept, losses, 0), mask)
    targets = _followed(targets, logits)
    if smoothing:
        targets = (1 - smoothing) * targets + smoothing / logits.shape[place]
    terms = _weighted(targets, log_softmax(logits, place))
    return _masked(-sum(terms if weights is None else weights * terms, axis=place), mask)


@function
@in_floats("log_probabilities")
def negative_log_likelihood(
    log_probabilities: Any,
    labels: Any,
    axis: int = -1,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    mask: Any = None,
) -> Tensor:
    """Minus the logarithm of the probability of the label, one number a label.

    Args:
        log_probabilities: ``(N, C)``, or any shape with the classes along ``axis``.
        labels: whole numbers, of that shape without the axis.
        axis: of the classes.
        weight: as for :func:`cross_entropy`.
        ignore_index: as for :func:`cross_entropy`.
        mask: as for :func:`cross_entropy`.

    Returns:
        The shape of ``labels``.

    Raises:
        SpecError, IndexError: as :func:`cross_entropy`.
    """
    log_probabilities, labels = tensors(log_probabilities, labels)
    with fitting("take the likelihood of", log_probabilities=log_probabilities, labels=labels):
        place = normalize_axis(axis, log_probabilities.ndim)
        if not _are_labels(log_probabilities, labels, place):
            raise Mismatch("Labels have the shape of log_probabilities without the axis of the classes.")
        weights = _class_weights(weight, log_probabilities, place)
        kept = _kept(labels, ignore_index)
    labels = labels if kept is None else where(kept, labels, 0)
    losses = -_picked(log_probabilities, labels, place)
    if weights is not None:
        losses = losses * _picked(weights, labels, place)
    return _masked(losses if kept is None else where(kept, losses, 0), mask)


@function
@in_floats("logits", beside=["targets"])
def kl_divergence(logits: Any, targets: Any, axis: int = -1, *, mask: Any = None) -> Tensor:
    """Σ t·(log t − log softmax(logits)) along ``axis`` (Kullback & Leibler 1951), one number a distribution.

    ``targets`` are probabilities of the shape of ``logits``; where they are 0 their term is 0. The result has that
    shape without the axis, and so has ``mask``, see :func:`cross_entropy`.
    """
    logits, targets = tensors(logits, targets)
    with fitting("take the kl_divergence of", logits=logits, targets=targets):
        place = normalize_axis(axis, logits.ndim)
        if targets.shape != logits.shape:
            raise Mismatch("Targets are probabilities of the shape of the logits.")
    targets = _followed(targets, logits)
    entropy = targets * log(where(equal(targets, 0), 1, targets))
    return _masked(sum(entropy - _weighted(targets, log_softmax(logits, place)), axis=place), mask)


def _mixed(part: float, one: Tensor, other: Tensor) -> Tensor:
    """``part`` of the other, the rest of the one."""
    return (1 - part) * one + part * other if part else one


def _masked(losses: Tensor, mask: Any) -> Tensor:
    """The losses, 0 where the mask is false; a mask of another shape would broadcast, and is refused."""
    if mask is None:
        return losses
    mask = tensor(mask, losses.graph)
    with fitting("mask", losses=losses, mask=mask):
        if mask.shape != losses.shape:
            raise Mismatch(f"A mask has one element a label: its shape is {list(losses.shape)}.")
        if mask.dtype.kind == "f":
            raise Mismatch("A mask says which labels count: give booleans, such as mask > 0.")
    return where(astype(mask, bool), losses, 0)


def _class_weights(weight: Any, x: Tensor, axis: int) -> Tensor | None:
    """The weights of the classes in the shape of ``x``; None if there are none."""
    if weight is None:
        return None
    weight, count = tensor(weight, x.graph), x.shape[axis]
    if weight.shape != (count,):
        raise Mismatch(f"weight is {weight.spec}; it has one number a class: its shape is [{count}].")
    placed = reshape(weight, tuple(count if i == axis else 1 for i in range(x.ndim)))
    return broadcast_to(astype(placed, x.dtype), x.shape)


def _kept(labels: Tensor, ignore_index: Any) -> Tensor | None:
    """Where labels are not the one that is ignored; None if all are kept."""
    if ignore_index is None:
        return None
    if isinstance(ignore_index, (bool, Tensor)) or not hasattr(ignore_index, "__index__"):
        raise Mismatch(f"ignore_index is a whole number, not {ignore_index!r:.60}.")
    label, possible = ignore_index.__index__(), np.iinfo(labels.dtype)
    return not_equal(labels, label) if possible.min <= label <= possible.max else None


def _are_labels(logits: Tensor, targets: Tensor, axis: int) -> bool:
    """Whether the targets are labels; if not, they are probabilities."""
    apart = logits.shape[:axis] + logits.shape[axis + 1 :]
    if targets.shape == logits.shape:
        return False
    if targets.shape != apart:
        raise Mismatch(f"Targets are labels of shape {list(apart)}, or probabilities of shape {list(logits.shape)}.")
    if not is_label(targets):
        raise Mismatch("Labels are whole numbers: cast them with .astype(int).")
    return True


def _picked(x: Tensor, labels: Tensor, axis: int) -> Tensor:
    """The element of the label, along ``axis``. The others may be infinite."""
    return sum(where(_one_hot(labels, count=x.shape[axis], axis=axis), x, 0), axis=axis)


def _weighted(targets: Tensor, log_probabilities: Tensor) -> Tensor:
    """t·log p, which is 0 where t is 0 even if p is."""
    never = logical_and(equal(targets, 0), isinf(log_probabilities))
    return targets * where(never, 0, log_probabilities)
