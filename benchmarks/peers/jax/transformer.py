"""A transformer block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.jax import descending, optimizer
from benchmarks.workloads.transformer import EPS, NAMES, Transformer


def training(workload: Transformer) -> Callable[[int], Any]:
    """The step."""
    split = (workload.batch, workload.length, 3, workload.heads, workload.width // workload.heads)

    def loss(parameters: list[Any], x: Any) -> Any:
        p = dict(zip(NAMES, parameters, strict=True))
        a = normed(x) * p["scale1"] + p["shift1"]
        q, k, v = jnp.moveaxis((a @ p["qkv"] + p["qkv_bias"]).reshape(split), 2, 0)
        mixed = jax.nn.dot_product_attention(q, k, v).reshape(x.shape)
        x = x + mixed @ p["out"] + p["out_bias"]
        b = normed(x) * p["scale2"] + p["shift2"]
        x = x + jax.nn.gelu(b @ p["up"] + p["up_bias"], approximate=False) @ p["down"] + p["down_bias"]
        return jnp.mean(x**2)

    return descending(loss, optimizer("sgd"), workload.numbers())


def normed(x: Any) -> Any:
    """Each place less its mean and divided by its deviation."""
    return jax.nn.standardize(x, axis=-1, epsilon=EPS)
