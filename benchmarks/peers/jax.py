"""JAX: the whole step under ``jit``, parameters and optimizer state donated; Optax for the update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import BATCHES, LEARNING_RATE, MOMENTUM, Workload

NAME = "JAX jit"
PACKAGES = ("jax", "optax")


def training(workload: Workload) -> Callable[[int], Any]:
    """The step, one compiled call."""
    numbers, batches = workload.numbers()
    parameters = [jnp.asarray(p) for p in numbers]
    arrays = [(jnp.asarray(x), jnp.asarray(y)) for x, y in batches]
    last = len(parameters) // 2 - 1
    if workload.optimizer == "adam":
        optimizer = optax.adam(LEARNING_RATE)
    else:
        optimizer = optax.sgd(LEARNING_RATE, momentum=MOMENTUM)
    state = optimizer.init(parameters)

    def loss(parameters: list[Any], x: Any, y: Any) -> Any:
        h = x
        for k in range(last + 1):
            h = h @ parameters[2 * k] + parameters[2 * k + 1]
            if k < last:
                h = jnp.tanh(h) if workload.activation == "tanh" else jax.nn.relu(h)
        if workload.loss == "squared":
            return jnp.mean((h - y) ** 2)
        return optax.softmax_cross_entropy_with_integer_labels(h, y).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(parameters: list[Any], state: Any, x: Any, y: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, x, y)
        moves, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, moves), state, value

    def step(number: int) -> Any:
        nonlocal parameters, state
        parameters, state, value = update(parameters, state, *arrays[number % BATCHES])
        return value

    return step
