"""Dense networks: forward, backward and update in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.numpy_by_hand.losses import cross_entropy, squared_error
from benchmarks.peers.numpy_by_hand.updates import optimizer
from benchmarks.workloads.base import BATCHES
from benchmarks.workloads.dense import Dense


def training(workload: Dense) -> Callable[[int], Any]:
    """The step."""
    parameters, batches = workload.numbers()
    weights, biases = parameters[::2], parameters[1::2]
    move = optimizer(workload.optimizer, parameters)
    loss_and_cotangent = cross_entropy if workload.loss == "cross_entropy" else squared_error
    tanh = workload.activation == "tanh"
    last = len(weights) - 1

    def step(number: int) -> Any:
        x, y = batches[number % BATCHES]
        layers = [x]
        for k, (w, b) in enumerate(zip(weights, biases)):
            z = layers[-1] @ w + b
            if k < last:
                z = np.tanh(z) if tanh else np.maximum(z, 0)
            layers.append(z)
        loss, g = loss_and_cotangent(layers.pop(), y)
        gradients: list[Any] = [None] * len(parameters)
        for k in range(last, -1, -1):
            h = layers[k]
            gradients[2 * k] = h.T @ g
            gradients[2 * k + 1] = g.sum(0)
            if k:
                g = g @ weights[k].T
                g *= 1 - h * h if tanh else h > 0
        move(gradients)
        return loss

    return step
