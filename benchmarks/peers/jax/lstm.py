"""An LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.jax import cross_entropy, descending, optimizer
from benchmarks.workloads.lstm import LSTM


def training(workload: LSTM) -> Callable[[int], Any]:
    """The step, with ``lax.scan``: unrolled it takes about twice as long here, and compiles six times as long."""

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        w, b, v, d = parameters

        def cell(state: Any, x: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(jnp.concatenate([x, h], 1) @ w + b, 4, 1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((workload.batch, workload.hidden))
        (h, _), _ = jax.lax.scan(cell, (zeros, zeros), x.swapaxes(0, 1))
        return cross_entropy(h @ v + d, y)

    return descending(loss, optimizer("momentum"), workload.numbers())
