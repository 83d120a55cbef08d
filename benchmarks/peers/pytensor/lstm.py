"""An LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, cross_entropy, symbol, updates
from benchmarks.workloads.lstm import LSTM


def training(workload: LSTM) -> Callable[[int], Any]:
    """The step, unrolled: with ``scan`` it takes a fifth longer."""
    pytensor.config.floatX = "float32"
    numbers, batches = workload.numbers()
    parameters = [pytensor.shared(p, shape=p.shape) for p in numbers]
    w, b, v, d = parameters
    x, y = map(symbol, batches[0])
    n = workload.hidden

    h = c = pt.zeros((workload.batch, n), dtype="float32")
    for t in range(workload.length):
        z = pt.concatenate([x[:, t], h], 1) @ w + b
        i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
        c = pt.sigmoid(f) * c + pt.sigmoid(i) * pt.tanh(g)
        h = pt.sigmoid(o) * pt.tanh(c)
    loss = cross_entropy(h @ v + d, y)
    return compiled([x, y], loss, batches, updates("momentum", loss, parameters))
