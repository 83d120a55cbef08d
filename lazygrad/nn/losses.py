"""Losses. Each returns one number an example; ``lg.mean`` of it is the usual scalar.

An element of the first axis is an example. A loss is computed for every element (for every distribution,
where one axis is that of the classes), and then averaged over all axes but the first. Where there is one axis
only, each element is an example; where there is none, the loss is one number.
"""

from __future__ import annotations

from typing import Any

from lazygrad.define import elementwise
from lazygrad.kinds import tensors
from lazygrad.nn.activations import centered, log_softmax, relu
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.embedding import _one_hot, is_label
from lazygrad.ops.arithmetic import abs, square
from lazygrad.ops.comparison import clip, equal, isinf, logical_and, where
from lazygrad.ops.elementary import _logistic_slope, _small_part, exp, log
from lazygrad.ops.movement import astype
from lazygrad.ops.reduction import mean, sum
from lazygrad.precision import in_floats
from lazygrad.registry import function
from lazygrad.spec import Mismatch, floating, normalize_axis
from lazygrad.tensor import Array, Tensor

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


def _each(losses: Tensor) -> Tensor:
    """One number an example."""
    return mean(losses, axis=tuple(range(1, losses.ndim))) if losses.ndim > 1 else losses


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
def mean_squared_error(prediction: Any, target: Any) -> Tensor:
    """Mean squared difference, one number an example.

    Args:
        prediction: ``(N, ...)``.
        target: of the same shape, or one number.

    Returns:
        ``(N,)``: the mean over every axis but the first.

    Raises:
        SpecError: the shapes differ.
    """
    prediction, target = _compared("mean_squared_error", prediction=prediction, target=target)
    return _each(square(prediction - target))


@function
@in_floats("prediction", beside=["target"])
def mean_absolute_error(prediction: Any, target: Any) -> Tensor:
    """Mean absolute difference, one number an example; see :func:`mean_squared_error`."""
    prediction, target = _compared("mean_absolute_error", prediction=prediction, target=target)
    return _each(abs(prediction - target))


@function
@in_floats("prediction", beside=["target"])
def huber(prediction: Any, target: Any, delta: Any = 1.0) -> Tensor:
    """Half the squared difference up to ``delta``, beyond it linear (Huber 1964), one number an example.

    With r the difference: r²/2 where |r| ≤ δ, else δ(|r| − δ/2). Shapes as in :func:`mean_squared_error`;
    ``delta`` is a positive number, or a 0-d tensor.
    """
    prediction, target = _compared("huber", prediction=prediction, target=target)
    r = prediction - target
    held = clip(r, -delta, delta)
    return _each(held * (r - 0.5 * held))


@function
@in_floats("prediction", beside=["target"])
def hinge(prediction: Any, target: Any) -> Tensor:
    """max(0, 1 − t·p) for targets t of −1 and 1, one number an example; see :func:`mean_squared_error`."""
    prediction, target = _compared("hinge", prediction=prediction, target=target)
    return _each(relu(1 - target * prediction))


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
def binary_cross_entropy_with_logits(logits: Any, targets: Any) -> Tensor:
    """−t·log σ(x) − (1 − t)·log(1 − σ(x)), one number an example, right for logits of any size.

    Args:
        logits: ``(N, ...)``, the logarithms of the odds.
        targets: probabilities of the same shape, or one number. The gradient passes to them too.

    Returns:
        ``(N,)``: the mean over every axis but the first.

    Raises:
        SpecError: the shapes differ.
    """
    logits, targets = _compared("binary_cross_entropy_with_logits", logits=logits, targets=targets)
    return _each(_logistic_loss(logits, targets))


@function
@in_floats("logits", beside=["targets"])
def cross_entropy(logits: Any, targets: Any, axis: int = -1, label_smoothing: float = 0.0) -> Tensor:
    """−Σ t·log softmax(logits) along ``axis``, one number an example.

    Args:
        logits: ``(N, C)``, or any shape with the classes along ``axis``.
        targets: labels, whole numbers of the shape of ``logits`` without that axis; or probabilities of the
            shape of ``logits``, to which the gradient passes.
        axis: of the classes.
        label_smoothing: part of the target that is spread evenly over all classes (Szegedy et al. 2016, §7).

    Returns:
        ``(N,)``: where more axes are left than one, the mean over all but the first.

    Raises:
        SpecError: the targets are neither, or ``label_smoothing`` is not between 0 and 1.
        IndexError: when it is evaluated: a label is negative, or not below the number of classes.
    """
    logits, targets = tensors(logits, targets)
    with fitting("take the cross_entropy of", logits=logits, targets=targets):
        place = normalize_axis(axis, logits.ndim)
        labels = _are_labels(logits, targets, place)
        smoothing = number("label_smoothing", label_smoothing, 0, 1)
    if labels:
        logits = centered(logits, place)
        picked = _picked(logits, targets, place)
        if smoothing:
            picked = (1 - smoothing) * picked + smoothing * mean(logits, axis=place)
        return _each(log(sum(exp(logits), axis=place)) - picked)
    targets = _followed(targets, logits)
    if smoothing:
        targets = (1 - smoothing) * targets + smoothing / logits.shape[place]
    return _each(-sum(_weighted(targets, log_softmax(logits, place)), axis=place))


@function
@in_floats("log_probabilities")
def negative_log_likelihood(log_probabilities: Any, labels: Any, axis: int = -1) -> Tensor:
    """Minus the logarithm of the probability of the label, one number an example.

    Args:
        log_probabilities: ``(N, C)``, or any shape with the classes along ``axis``.
        labels: whole numbers, of that shape without the axis.
        axis: of the classes.

    Raises:
        SpecError, IndexError: as :func:`cross_entropy`.
    """
    log_probabilities, labels = tensors(log_probabilities, labels)
    with fitting("take the likelihood of", log_probabilities=log_probabilities, labels=labels):
        place = normalize_axis(axis, log_probabilities.ndim)
        if not _are_labels(log_probabilities, labels, place):
            raise Mismatch("Labels have the shape of log_probabilities without the axis of the classes.")
    return _each(-_picked(log_probabilities, labels, place))


@function
@in_floats("logits", beside=["targets"])
def kl_divergence(logits: Any, targets: Any, axis: int = -1) -> Tensor:
    """Σ t·(log t − log softmax(logits)) along ``axis`` (Kullback & Leibler 1951), one number an example.

    ``targets`` are probabilities of the shape of ``logits``; where they are 0 their term is 0.
    """
    logits, targets = tensors(logits, targets)
    with fitting("take the kl_divergence of", logits=logits, targets=targets):
        place = normalize_axis(axis, logits.ndim)
        if targets.shape != logits.shape:
            raise Mismatch("Targets are probabilities of the shape of the logits.")
    targets = _followed(targets, logits)
    entropy = targets * log(where(equal(targets, 0), 1, targets))
    return _each(sum(entropy - _weighted(targets, log_softmax(logits, place)), axis=place))


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
