"""A Kalman filter, with ``lax.scan`` or as a loop of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads.kalman import Kalman


def training(workload: Kalman) -> Callable[[int], Any]:
    """The value and the gradient, waited for, as whoever calls it wants them."""
    jax.config.update("jax_enable_x64", True)
    (seen,), numbers = workload.numbers()
    ys, n, k = jnp.asarray(seen), workload.states, workload.observed
    batches = [tuple(map(jnp.asarray, batch)) for batch in numbers]

    def likelihood(parameters: Any, ys: Any) -> Any:
        f, q, r = parameters[0], jnp.diag(jnp.exp(parameters[1])), jnp.diag(jnp.exp(parameters[2]))

        def turn(state: Any, y: Any) -> Any:
            m, p = state
            m, p = f @ m, f @ p @ f.T + q
            e, s = y - m[:k], p[:k, :k] + r
            gain = jnp.linalg.solve(s, p[:k]).T
            value = -0.5 * (jnp.linalg.slogdet(s)[1] + e @ jnp.linalg.solve(s, e))
            return (m + gain @ e, p - gain @ p[:k]), value

        state: Any = (jnp.zeros(n), jnp.eye(n))
        if not workload.unrolled:
            return jnp.sum(jax.lax.scan(turn, state, ys)[1])
        values = []
        for y in ys:
            state, value = turn(state, y)
            values.append(value)
        return jnp.sum(jnp.stack(values))

    differentiated = jax.jit(jax.value_and_grad(likelihood))
    return lambda number: jax.tree.leaves(jax.block_until_ready(differentiated(batches[number % len(batches)], ys)))
