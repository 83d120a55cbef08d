"""The likelihood of a Gaussian process, differentiated through the Cholesky decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
from autograd import value_and_grad
from autograd.scipy.linalg import solve_triangular

from benchmarks.workloads.gaussian_process import GaussianProcess


def training(workload: GaussianProcess) -> Callable[[int], Any]:
    """The value and the gradient."""
    (x, y), batches = workload.numbers()
    n = len(x)

    def likelihood(logarithms: Any) -> Any:
        variance, length, noise = anp.exp(logarithms)
        squared = anp.sum((x[:, None] - x) ** 2, -1)
        k = variance * anp.exp(-0.5 * squared / length**2) + noise * anp.eye(n)
        factor = anp.linalg.cholesky(k)
        half = solve_triangular(factor, y, lower=True)
        determinant = anp.sum(anp.log(anp.diag(factor)))
        return -0.5 * anp.dot(half, half) - determinant - 0.5 * n * anp.log(2 * anp.pi)

    differentiated = value_and_grad(likelihood)
    return lambda number: differentiated(*batches[number % len(batches)])
