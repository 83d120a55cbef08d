"""A loop that carries many single numbers, with ``lax.scan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads.leaves import Leaves


def training(workload: Leaves) -> Callable[[int], Any]:
    """The value and the gradient, waited for, as whoever calls it wants them."""
    jax.config.update("jax_enable_x64", True)
    (seen,), numbers = workload.numbers()
    observed = jnp.asarray(seen)
    batches = [jnp.asarray(parameters) for (parameters,) in numbers]

    def loss(parameters: Any, observed: Any) -> Any:
        omega, kappa, rate = parameters

        def turn(state: Any, u: Any) -> Any:
            means, moved = [m for m, _, _ in state] + [0.0], []
            surprise = 0.0
            for level, (m, p, d) in enumerate(state):
                s = 1 / (1 / p + jnp.exp(omega + kappa * means[level + 1]))
                e = u - m
                p = s + 1
                moved.append((m + rate * (e + d / 2) / p, p, e))
                if level == 0:
                    surprise = s * e * e - jnp.log(s)
                u = jnp.tanh(s * e * e - 1)
            return moved, surprise

        start = [(jnp.zeros(()), jnp.ones(()), jnp.zeros(())) for _ in range(workload.levels)]
        return jnp.sum(jax.lax.scan(turn, start, observed)[1])

    differentiated = jax.jit(jax.value_and_grad(loss))
    return lambda number: jax.block_until_ready(differentiated(batches[number % len(batches)], observed))
