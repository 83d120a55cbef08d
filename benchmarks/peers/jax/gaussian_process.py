"""The likelihood of a Gaussian process, differentiated through the Cholesky decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from benchmarks.workloads.gaussian_process import GaussianProcess


def training(workload: GaussianProcess) -> Callable[[int], Any]:
    """The value and the gradient, waited for, as whoever calls it wants them."""
    jax.config.update("jax_enable_x64", True)
    (points, observed), numbers = workload.numbers()
    x, y = jnp.asarray(points), jnp.asarray(observed)
    batches = [jnp.asarray(logarithms) for (logarithms,) in numbers]

    def likelihood(logarithms: Any, x: Any, y: Any) -> Any:
        variance, length, noise = jnp.exp(logarithms)
        squared = jnp.sum((x[:, None] - x) ** 2, -1)
        k = variance * jnp.exp(-0.5 * squared / length**2) + noise * jnp.eye(len(x))
        factor = jnp.linalg.cholesky(k)
        half = solve_triangular(factor, y, lower=True)
        determinant = jnp.sum(jnp.log(jnp.diagonal(factor)))
        return -0.5 * half @ half - determinant - 0.5 * len(x) * jnp.log(2 * jnp.pi)

    differentiated = jax.jit(jax.value_and_grad(likelihood))
    return lambda number: jax.block_until_ready(differentiated(batches[number % len(batches)], x, y))
