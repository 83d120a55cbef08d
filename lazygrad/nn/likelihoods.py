"""Losses of a predicted distribution: of counts, of a normal number, of a quantile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, broadcast
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.losses import _compared, _masked, _weighted
from lazygrad.ops.arithmetic import maximum, square
from lazygrad.ops.elementary import exp, log
from lazygrad.ops.movement import astype, broadcast_to
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.source import numeric
from lazygrad.ops.special import gammaln

__all__ = ["gaussian_nll", "poisson_nll", "quantile"]


@function
@in_floats("log_rate", beside=["target"])
def poisson_nll(log_rate: Any, target: Any, *, full: bool = False, mask: Any = None) -> Tensor:
    """Minus the logarithm of the probability of a count, eˢ − t·s with s the logarithm of its rate; one number a label.

    Args:
        log_rate: the logarithm of the expected count, of any shape.
        target: counts of the same shape, or one number.
        full: whether log t!, which does not depend on ``log_rate``, is added: then it is that probability exactly.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``log_rate``.

    Raises:
        SpecError: the shapes differ.
    """
    log_rate, target = _compared("poisson_nll", log_rate=log_rate, target=target)
    losses = exp(log_rate) - _weighted(target, log_rate)  # of a rate of 0 the count 0 is certain
    return _masked(losses + gammaln(target + 1) if full else losses, mask)


@function
@in_floats("mean", beside=["target", "variance"])
def gaussian_nll(
    mean: Any, target: Any, variance: Any, *, full: bool = False, eps: float = 1e-6, mask: Any = None
) -> Tensor:
    """Minus the logarithm of a normal density, ½·(log v + (t − m)²/v), one number a label (Nix & Weigend 1994).

    Args:
        mean: of any shape.
        target: of the same shape, or one number.
        variance: likewise; not negative. Make it of a network's output with ``lg.nn.softplus`` or ``lg.exp``.
        full: whether ½·log 2π is added.
        eps: least variance, a smaller one counts as this. As in PyTorch the derivative is that at ``eps`` then, so
            that a variance which has become too small can grow again.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``mean``.

    Raises:
        SpecError: the shapes differ, or ``eps`` is negative.
    """
    mean, target = _compared("gaussian_nll", mean=mean, target=target)
    _, variance = _compared("gaussian_nll", mean=mean, variance=variance)
    with fitting("gaussian_nll", mean=mean, variance=variance):
        least = number("eps", eps, 0, math.inf)
    held = variance + stop_gradient(maximum(variance, least) - variance)
    losses = 0.5 * (log(held) + square(target - mean) / held)
    return _masked(losses + 0.5 * math.log(2 * math.pi) if full else losses, mask)


@function
@in_floats("prediction", beside=["target"])
def quantile(prediction: Any, target: Any, q: Any = 0.5, *, mask: Any = None) -> Tensor:
    """Pinball loss, whose mean is least where ``prediction`` is the ``q``-quantile (Koenker & Bassett 1978).

    With r = t − p: q·r where r ≥ 0, else (q − 1)·r; one number a label. For q = ½ it is half the absolute difference.

    Args:
        prediction: of any shape.
        target: of the same shape, or one number.
        q: from 0 to 1: a number, or an array that broadcasts to the shape of ``prediction``, such as one number a
            column.
        mask: see :func:`cross_entropy`.

    Returns:
        The shape of ``prediction``.

    Raises:
        SpecError: the shapes differ, or ``q`` is not from 0 to 1.
    """
    prediction, target = _compared("quantile", prediction=prediction, target=target)
    with fitting("quantile", prediction=prediction, target=target):
        level = _levels(q, prediction)
    r = target - prediction
    return _masked(maximum(level * r, (level - 1) * r), mask)


def _levels(q: Any, prediction: Tensor) -> Any:
    """Which quantiles are meant, in the shape of the prediction."""
    if isinstance(q, Tensor):
        levels = q
    else:
        levels = numeric(q)
        if not np.all((levels >= 0) & (levels <= 1)):
            raise Mismatch(f"q is from 0 to 1, not {q!r:.60}.")
    if broadcast([levels.shape, prediction.shape]) != prediction.shape:
        raise Mismatch(f"q has the shape {list(levels.shape)}, which does not broadcast to {list(prediction.shape)}.")
    return broadcast_to(astype(tensor(levels, prediction.graph), prediction.dtype), prediction.shape)
