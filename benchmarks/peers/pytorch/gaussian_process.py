"""The likelihood of a Gaussian process, differentiated through the Cholesky decomposition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.gaussian_process import GaussianProcess


def training(workload: GaussianProcess, transform: Transform) -> Callable[[int], Any]:
    """The value and the gradient."""
    (points, observed), numbers = workload.numbers()
    x, y = torch.from_numpy(points), torch.from_numpy(observed)
    batches = [torch.from_numpy(logarithms).requires_grad_() for (logarithms,) in numbers]

    def likelihood(logarithms: Any, x: Any, y: Any) -> Any:
        variance, length, noise = torch.exp(logarithms)
        squared = torch.sum((x[:, None] - x) ** 2, -1)
        k = variance * torch.exp(-0.5 * squared / length**2) + noise * torch.eye(len(x), dtype=torch.float64)
        factor = torch.linalg.cholesky(k)
        half = torch.linalg.solve_triangular(factor, y[:, None], upper=False)
        determinant = torch.sum(torch.log(torch.diagonal(factor)))
        return -0.5 * torch.sum(half * half) - determinant - 0.5 * len(x) * math.log(2 * math.pi)

    function = transform(likelihood)

    def step(number: int) -> Any:
        logarithms = batches[number % len(batches)]
        logarithms.grad = None
        value = function(logarithms, x, y)
        value.backward()
        return value.detach(), logarithms.grad

    return step
