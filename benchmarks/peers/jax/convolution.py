"""Convolutional networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.peers.jax import cross_entropy, descending, optimizer
from benchmarks.workloads.convolution import Convolution


def training(workload: Convolution) -> Callable[[int], Any]:
    """The step."""
    activation = jax.nn.sigmoid if workload.activation == "sigmoid" else jax.nn.relu
    convolutions = 2 * len(workload.channels)

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        h = x
        for k in range(0, len(parameters), 2):
            w, b = parameters[k], parameters[k + 1]
            if k < convolutions:
                h = lax.conv_general_dilated(h, w, (1, 1), "VALID", dimension_numbers=("NCHW", "OIHW", "NCHW"))
                h = activation(h + b[:, None, None])
                h = lax.reduce_window(h, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
            else:
                h = h.reshape(workload.batch, -1) @ w + b
                if k < len(parameters) - 2:
                    h = activation(h)
        return cross_entropy(h, y)

    return descending(loss, optimizer("momentum"), workload.numbers())
