"""The focal loss: of classes most of which are easy, where the few that are not shall count."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define.kinds import tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, normalize_axis
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import log_softmax, sigmoid
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.losses import _are_labels, _class_weights, _compared, _kept, _logistic_loss, _masked, _picked
from lazygrad.ops.arithmetic import power
from lazygrad.ops.comparison import where
from lazygrad.ops.elementary import expm1

__all__ = ["binary_focal_with_logits", "focal"]


@function
@in_floats("logits")
def focal(
    logits: Any,
    labels: Any,
    gamma: float = 2.0,
    axis: int = -1,
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    mask: Any = None,
) -> Tensor:
    """−w·(1 − p)^γ·log p with p the softmax of the label, one number a label (Lin et al. 2017).

    Args:
        logits: ``(N, C)``, or any shape with the classes along ``axis``.
        labels: whole numbers of that shape without the axis.
        gamma: 0 or more; with 0 it is :func:`cross_entropy`.
        axis: of the classes.
        weight: as for :func:`cross_entropy`; the paper's α, one number a class.
        ignore_index: as for :func:`cross_entropy`.
        mask: as for :func:`cross_entropy`.

    Returns:
        The shape of ``labels``.

    Raises:
        SpecError, IndexError: as :func:`cross_entropy`; or ``gamma`` is negative.
    """
    logits, labels = tensors(logits, labels)
    with fitting("take the focal loss of", logits=logits, labels=labels):
        place = normalize_axis(axis, logits.ndim)
        if not _are_labels(logits, labels, place):
            raise Mismatch("Labels have the shape of the logits without the axis of the classes.")
        exponent = number("gamma", gamma, 0, math.inf)
        weights = _class_weights(weight, logits, place)
        kept = _kept(labels, ignore_index)
    labels = labels if kept is None else where(kept, labels, 0)
    surprise = -_picked(log_softmax(logits, place), labels, place)
    # 1 − p is −expm1(log p), of which nothing is lost where p is near 1.
    losses = power(-expm1(-surprise), exponent) * surprise if exponent else surprise
    if weights is not None:
        losses = losses * _picked(weights, labels, place)
    return _masked(losses if kept is None else where(kept, losses, 0), mask)


@function
@in_floats("logits", beside=["targets"])
def binary_focal_with_logits(
    logits: Any, targets: Any, gamma: float = 2.0, alpha: float | None = None, *, mask: Any = None
) -> Tensor:
    """(1 − p)^γ times :func:`binary_cross_entropy_with_logits`, p what the target has of σ(x) and 1 − σ(x).

    Args:
        logits: the logarithms of the odds, of any shape.
        targets: 0 and 1, or probabilities, of the same shape; or one number.
        gamma: 0 or more.
        alpha: by which targets of 1 are multiplied, those of 0 by 1 − ``alpha``; none are, if not given.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``logits``.

    Raises:
        SpecError: the shapes differ, ``gamma`` is negative, or ``alpha`` is not from 0 to 1.
    """
    logits, targets = _compared("binary_focal_with_logits", logits=logits, targets=targets)
    with fitting("binary_focal_with_logits", logits=logits, targets=targets):
        exponent = number("gamma", gamma, 0, math.inf)
        share = None if alpha is None else number("alpha", alpha, 0, 1)
    losses = _logistic_loss(logits, targets)
    if exponent:
        losses = power(targets * sigmoid(-logits) + (1 - targets) * sigmoid(logits), exponent) * losses
    if share is not None:
        losses = (share * targets + (1 - share) * (1 - targets)) * losses
    return _masked(losses, mask)
