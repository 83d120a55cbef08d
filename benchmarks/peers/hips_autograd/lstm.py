"""An LSTM, unrolled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np

from benchmarks.peers.hips_autograd import cross_entropy, descending, sigmoid
from benchmarks.workloads.lstm import LSTM


def training(workload: LSTM) -> Callable[[int], Any]:
    """The step."""
    zeros = np.zeros((workload.batch, workload.hidden), np.float32)

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        w, b, v, d = parameters
        h = c = zeros
        for t in range(workload.length):
            z = anp.dot(anp.concatenate([x[:, t], h], 1), w) + b
            i, f, g, o = anp.split(z, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * anp.tanh(g)
            h = sigmoid(o) * anp.tanh(c)
        return cross_entropy(anp.dot(h, v) + d, y)

    return descending(loss, "momentum", workload.numbers())
