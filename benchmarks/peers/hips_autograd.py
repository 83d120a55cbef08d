"""HIPS autograd: a tape of NumPy calls, written at every step; the update is the one by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import value_and_grad

from benchmarks.peers.numpy_by_hand import optimizer
from benchmarks.workloads import BATCHES, Workload

NAME = "HIPS autograd"
PACKAGES = ("autograd",)


def training(workload: Workload) -> Callable[[int], Any]:
    """The step: the loss and its gradient from autograd, then the update."""
    parameters, batches = workload.numbers()
    move = optimizer(workload, parameters)
    last = len(parameters) // 2 - 1

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        h = x
        for k in range(last + 1):
            h = anp.dot(h, parameters[2 * k]) + parameters[2 * k + 1]
            if k < last:
                h = anp.tanh(h) if workload.activation == "tanh" else anp.maximum(h, 0)
        if workload.loss == "squared":
            return anp.mean((h - y) ** 2)
        h = h - anp.max(h, 1, keepdims=True)
        log_softmax = h - anp.log(anp.sum(anp.exp(h), 1, keepdims=True))
        return -anp.mean(log_softmax[anp.arange(len(y)), y])

    differentiated = value_and_grad(loss)

    def step(number: int) -> Any:
        value, gradients = differentiated(parameters, *batches[number % BATCHES])
        move(gradients)
        return value

    return step
