"""Dense networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, cross_entropy, updates
from benchmarks.workloads.dense import Dense


def training(workload: Dense) -> Callable[[int], Any]:
    """The step."""
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
    loss = pt.mean((h - y) ** 2) if workload.loss == "squared" else cross_entropy(h, y)
    return compiled([x, y], loss, batches, updates(workload.optimizer, loss, parameters))
