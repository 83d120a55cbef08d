"""The likelihood of a Gaussian process, differentiated through the Cholesky decomposition."""

from __future__ import annotations

import math
from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.gaussian_process import GaussianProcess


def program(workload: GaussianProcess) -> Program:
    """The value and the gradient; the points and what was observed there are arguments like the logarithms."""
    (points, observed), batches = workload.numbers()
    n = len(points)

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor, logarithms: lg.Tensor) -> Any:
        variance, length, noise = lg.unstack(lg.exp(logarithms))
        squared = lg.sum(lg.square(x[:, None] - x), axis=-1)
        k = variance * lg.exp(-0.5 * squared / lg.square(length)) + noise * lg.eye(n, dtype="float64")
        factor = lg.linalg.cholesky(k)
        half = lg.linalg.solve_triangular(factor, y, lower=True)
        determinant = lg.sum(lg.log(lg.linalg.diagonal(factor)))
        value = -0.5 * lg.sum(half * half) - determinant - 0.5 * n * math.log(2 * math.pi)
        return value, lg.grad(value, logarithms)

    env = lg.VariableEnvironment(seed=0, dtype="float64")
    return env, step, [(points, observed, *batch) for batch in batches]
