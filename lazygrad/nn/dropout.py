"""Dropout (Srivastava et al. 2014)."""

from __future__ import annotations

from typing import Any

from lazygrad.define.kinds import tensor
from lazygrad.graph.registry import function
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.checks import fitting, number
from lazygrad.ops.comparison import where
from lazygrad.ops.random import Random

__all__ = ["dropout"]


@function
def dropout(x: Any, rate: float, train: bool = True) -> Tensor:
    """``x`` with a random part ``rate`` of its elements 0, the others divided by 1 − ``rate``.

    So the mean stays, and nothing is scaled when the network is used: with ``train=False``, or a rate of 0, it
    is ``x`` itself. The numbers are drawn afresh at every run, from the environment's seed.

    Args:
        x: a tensor.
        rate: a number, at least 0 and below 1.
        train: whether elements are dropped.

    Raises:
        SpecError: ``rate`` is out of range.
    """
    x = tensor(x)
    with fitting("dropout", x=x):
        rate = number("rate", rate, 0, 1, open_end=True)
    if train and rate:
        keep = Random(x.graph)._happens(x.shape, 1 - rate, coarse=True)
        x = where(keep, x / (1 - rate), 0)
    return tensor(x)
