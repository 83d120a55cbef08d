"""A pendulum, with ``lax.scan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads.pendulum import GRAVITY, Pendulum


def training(workload: Pendulum) -> Callable[[int], Any]:
    """The value and the gradient, waited for, as whoever calls it wants them."""
    jax.config.update("jax_enable_x64", True)
    (seen,), numbers = workload.numbers()
    observed, h = jnp.asarray(seen), workload.step
    batches = [jnp.asarray(parameters) for (parameters,) in numbers]

    def loss(parameters: Any, observed: Any) -> Any:
        length, friction, start = parameters

        def slope(y: Any) -> Any:
            return jnp.stack([y[1], -GRAVITY / length * jnp.sin(y[0]) - friction * y[1]])

        def turn(y: Any, _: Any) -> Any:
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return y, y[0]

        _, angles = jax.lax.scan(turn, jnp.stack([start, 0.0]), length=workload.turns)
        return jnp.mean((angles - observed) ** 2)

    differentiated = jax.jit(jax.value_and_grad(loss))
    return lambda number: jax.block_until_ready(differentiated(batches[number % len(batches)], observed))
