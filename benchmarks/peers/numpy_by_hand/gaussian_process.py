"""The likelihood through LAPACK; with W = ½·(ααᵀ − K⁻¹), α = K⁻¹y, its derivative for a logarithm is Σ W·∂K."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import lapack
from scipy.spatial.distance import cdist

from benchmarks.workloads.base import BATCHES
from benchmarks.workloads.gaussian_process import GaussianProcess


def training(workload: GaussianProcess) -> Callable[[int], Any]:
    """The value and the gradient; of symmetric matrices only the lower triangle is computed where LAPACK can."""
    (x, y), batches = workload.numbers()
    n = len(x)
    constant = 0.5 * n * np.log(2 * np.pi)

    def step(number: int) -> Any:
        variance, length, noise = np.exp(batches[number % BATCHES][0])
        scaled = cdist(x, x, "sqeuclidean")
        scaled /= length**2
        smooth = variance * np.exp(-0.5 * scaled)
        k = smooth.copy()
        k.flat[:: n + 1] += noise
        factor, _ = lapack.dpotrf(k.T, lower=1, overwrite_a=1)  # the transpose is what LAPACK calls contiguous
        alpha, _ = lapack.dpotrs(factor, y, lower=1)
        value = -0.5 * (y @ alpha) - np.log(np.diagonal(factor)).sum() - constant
        inverse, _ = lapack.dpotri(factor, lower=1)
        # The lower triangle twice and the diagonal once are the whole, as all factors are symmetric.
        weights = np.tril(np.outer(alpha, alpha) - inverse, -1)
        diagonal = 0.5 * (alpha * alpha - np.diagonal(inverse))
        weights *= smooth
        about_length = np.vdot(weights, scaled)
        about_variance = weights.sum() + variance * diagonal.sum()
        return value, np.array([about_variance, about_length, noise * diagonal.sum()])

    return step
