"""A pendulum, in a loop of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.pendulum import GRAVITY, Pendulum


def training(workload: Pendulum, transform: Transform) -> Callable[[int], Any]:
    """The value and the gradient; ``torch.compile`` would unroll the loop, and is given one turn of it."""
    (seen,), numbers = workload.numbers()
    observed, h = torch.from_numpy(seen), workload.step
    batches = [torch.from_numpy(parameters).requires_grad_() for (parameters,) in numbers]

    def slope(y: Any, length: Any, friction: Any) -> Any:
        return torch.stack([y[1], -GRAVITY / length * torch.sin(y[0]) - friction * y[1]])

    def turned(y: Any, *parameters: Any) -> Any:
        k1 = slope(y, *parameters)
        k2 = slope(y + h / 2 * k1, *parameters)
        k3 = slope(y + h / 2 * k2, *parameters)
        k4 = slope(y + h * k3, *parameters)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    turn = transform(turned)

    def step(number: int) -> Any:
        parameters = batches[number % len(batches)]
        parameters.grad = None
        length, friction, start = parameters
        y, angles = torch.stack([start, torch.zeros_like(start)]), []
        for _ in range(workload.turns):
            y = turn(y, length, friction)
            angles.append(y[0])
        value = torch.mean((torch.stack(angles) - observed) ** 2)
        value.backward()
        return value.detach(), parameters.grad

    return step
