"""A chain of elementwise functions and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.elementwise import Elementwise


def training(workload: Elementwise, transform: Transform) -> Callable[[int], Any]:
    """The value and the gradient."""
    [(numbers,)] = workload.numbers()[1]
    x = torch.from_numpy(numbers).requires_grad_()
    function = transform(lambda x: torch.sum(torch.tanh(2 * x + 1) * torch.exp(-x * x)))

    def step(number: int) -> Any:
        x.grad = None
        value = function(x)
        value.backward()
        return value.detach(), x.grad

    return step
