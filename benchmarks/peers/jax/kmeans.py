"""One iteration of Lloyd's algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads.kmeans import KMeans


def training(workload: KMeans) -> Callable[[int], Any]:
    """The iteration; the new centres."""
    [first], [(numbers,)] = workload.numbers()
    centres, x = jnp.asarray(first), jnp.asarray(numbers)
    count = len(first)

    def iterated(x: Any, centres: Any) -> Any:
        nearest = jnp.argmin(jnp.sum((x[:, None] - centres) ** 2, -1), 1)
        sums = jax.ops.segment_sum(x, nearest, count)
        return sums / jax.ops.segment_sum(jnp.ones(len(x), x.dtype), nearest, count)[:, None]

    compiled = jax.jit(iterated)

    def step(number: int) -> Any:
        nonlocal centres
        centres = compiled(x, centres)
        return centres

    return step
