"""PyTensor: one compiled function that returns the loss and updates shared variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.workloads import BATCHES, LEARNING_RATE, MOMENTUM, Workload

NAME = "PyTensor"
PACKAGES = ("pytensor",)


def training(workload: Workload) -> Callable[[int], Any]:
    """The step, one compiled call that does not check its arguments again."""
    pytensor.config.floatX = "float32"
    numbers, batches = workload.numbers()
    parameters = [pytensor.shared(p) for p in numbers]
    last = len(parameters) // 2 - 1
    x = pt.matrix("x", dtype="float32")
    y = pt.vector("y", dtype="int64") if workload.loss == "cross_entropy" else pt.matrix("y", dtype="float32")
    h = x
    for k in range(last + 1):
        h = h @ parameters[2 * k] + parameters[2 * k + 1]
        if k < last:
            h = pt.tanh(h) if workload.activation == "tanh" else pt.maximum(h, np.float32(0))
    if workload.loss == "squared":
        loss = pt.mean((h - y) ** 2)
    else:
        loss = -pt.mean(pt.special.log_softmax(h, axis=1)[pt.arange(y.shape[0]), y])
    gradients = pytensor.grad(loss, parameters)
    updates = adam(parameters, gradients) if workload.optimizer == "adam" else momentum(parameters, gradients)
    function = pytensor.function([x, y], loss, updates=updates)
    function.trust_input = True
    return lambda number: function(*batches[number % BATCHES])


def adam(parameters: list[Any], gradients: list[Any]) -> list[tuple[Any, Any]]:
    """Adam (Kingma and Ba 2015, Algorithm 1)."""
    beta1, beta2, one = np.float32(0.9), np.float32(0.999), np.float32(1)
    count = pytensor.shared(np.float32(0))
    t = count + one
    updates = [(count, t)]
    for p, g in zip(parameters, gradients, strict=True):
        m, v = (pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2))
        new_m = beta1 * m + np.float32(0.1) * g
        new_v = beta2 * v + np.float32(0.001) * g * g
        root = pt.sqrt(new_v / (one - beta2**t)) + np.float32(1e-8)
        new_p = p - np.float32(LEARNING_RATE) * (new_m / (one - beta1**t)) / root
        updates += [(m, new_m), (v, new_v), (p, pt.cast(new_p, "float32"))]
    return updates


def momentum(parameters: list[Any], gradients: list[Any]) -> list[tuple[Any, Any]]:
    """v ← μ·v + g, p ← p − λ·v."""
    updates: list[tuple[Any, Any]] = []
    for p, g in zip(parameters, gradients, strict=True):
        v = pytensor.shared(np.zeros_like(p.get_value()))
        new_v = np.float32(MOMENTUM) * v + g
        updates += [(v, new_v), (p, p - np.float32(LEARNING_RATE) * new_v)]
    return updates
