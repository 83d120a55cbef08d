"""JAX: the whole step under ``jit``, parameters and optimizer state donated; Optax for the update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads.base import LEARNING_RATE, MOMENTUM, Numbers

NAME = "JAX jit"
PACKAGES = ("jax", "optax")


def optimizer(name: str) -> Any:
    """The optimizer of that name, with the settings that all workloads share."""
    if name == "adam":
        return optax.adam(LEARNING_RATE)
    return optax.sgd(LEARNING_RATE, momentum=MOMENTUM if name == "momentum" else None)


def descending(loss: Callable[..., Any], method: Any, numbers: Numbers) -> Callable[[int], Any]:
    """The step that lowers ``loss(parameters, *batch)``, one compiled call."""
    parameters: Any = [jnp.asarray(p) for p in numbers[0]]
    batches = [tuple(map(jnp.asarray, batch)) for batch in numbers[1]]
    state = method.init(parameters)
    count = len(batches)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(parameters: Any, state: Any, *batch: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, *batch)
        moves, state = method.update(gradients, state, parameters)
        return optax.apply_updates(parameters, moves), state, value

    def step(number: int) -> Any:
        nonlocal parameters, state
        parameters, state, value = update(parameters, state, *batches[number % count])
        return value

    return step


def cross_entropy(logits: Any, classes: Any) -> Any:
    """The mean over rows."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, classes).mean()
