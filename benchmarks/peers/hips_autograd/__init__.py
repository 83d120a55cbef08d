"""HIPS autograd: a tape of NumPy calls, written at every step; the updates are those by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import value_and_grad

from benchmarks.peers.numpy_by_hand.updates import optimizer
from benchmarks.workloads.base import Numbers

NAME = "HIPS autograd"
PACKAGES = ("autograd",)


def descending(loss: Callable[..., Any], method: str, numbers: Numbers) -> Callable[[int], Any]:
    """The step that lowers ``loss(parameters, *batch)``: value and gradient from autograd, then the update."""
    parameters, batches = numbers
    move = optimizer(method, parameters)
    differentiated = value_and_grad(loss)
    count = len(batches)

    def step(number: int) -> Any:
        value, gradients = differentiated(parameters, *batches[number % count])
        move(gradients)
        return value

    return step


def cross_entropy(logits: Any, classes: Any) -> Any:
    """The mean over rows."""
    shifted = logits - anp.max(logits, 1, keepdims=True)
    log_softmax = shifted - anp.log(anp.sum(anp.exp(shifted), 1, keepdims=True))
    return -anp.mean(log_softmax[anp.arange(len(classes)), classes])


def sigmoid(z: Any) -> Any:
    """The logistic function."""
    return 1 / (1 + anp.exp(-z))
