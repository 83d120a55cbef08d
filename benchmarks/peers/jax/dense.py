"""Dense networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.jax import cross_entropy, descending, optimizer
from benchmarks.workloads.dense import Dense


def training(workload: Dense) -> Callable[[int], Any]:
    """The step."""
    numbers = workload.numbers()
    last = len(numbers[0]) // 2 - 1

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        h = x
        for k in range(last + 1):
            h = h @ parameters[2 * k] + parameters[2 * k + 1]
            if k < last:
                h = jnp.tanh(h) if workload.activation == "tanh" else jax.nn.relu(h)
        return jnp.mean((h - y) ** 2) if workload.loss == "squared" else cross_entropy(h, y)

    return descending(loss, optimizer(workload.optimizer), numbers)
