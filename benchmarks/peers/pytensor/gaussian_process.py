"""The likelihood of a Gaussian process, differentiated through the Cholesky decomposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, symbol
from benchmarks.workloads.gaussian_process import GaussianProcess


def training(workload: GaussianProcess) -> Callable[[int], Any]:
    """The value and the gradient."""
    (points, observed), batches = workload.numbers()
    n = len(points)
    x, y, logarithms = map(symbol, (points, observed, *batches[0]))
    variance, length, noise = (pt.exp(logarithms[k]) for k in range(3))
    squared = pt.sum((x[:, None] - x) ** 2, -1)
    k = variance * pt.exp(-0.5 * squared / length**2) + noise * pt.eye(n)
    factor = pt.linalg.cholesky(k)
    half = pt.linalg.solve_triangular(factor, y, lower=True)
    determinant = pt.sum(pt.log(pt.diagonal(factor)))
    value = -0.5 * pt.sum(half**2) - determinant - 0.5 * n * np.log(2 * np.pi)
    arguments = [(points, observed, *batch) for batch in batches]
    return compiled([x, y, logarithms], [value, pytensor.grad(value, logarithms)], arguments)
