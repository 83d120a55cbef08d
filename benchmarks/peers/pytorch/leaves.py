"""A loop that carries many single numbers, in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.leaves import Leaves


def training(workload: Leaves, transform: Transform) -> Callable[[int], Any]:
    """The value and the gradient; ``torch.compile`` would unroll the loop, and is given one turn of it."""
    (seen,), numbers = workload.numbers()
    observed = torch.from_numpy(seen)
    batches = [torch.from_numpy(parameters).requires_grad_() for (parameters,) in numbers]

    def turned(state: Any, u: Any, omega: Any, kappa: Any, rate: Any) -> Any:
        means, moved = [m for m, _, _ in state] + [0.0], []
        surprise = 0.0
        for level, (m, p, d) in enumerate(state):
            s = 1 / (1 / p + torch.exp(omega + kappa * means[level + 1]))
            e = u - m
            p = s + 1
            moved.append((m + rate * (e + d / 2) / p, p, e))
            if level == 0:
                surprise = s * e * e - torch.log(s)
            u = torch.tanh(s * e * e - 1)
        return moved, surprise

    turn = transform(turned)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)

    def step(number: int) -> Any:
        parameters = batches[number % len(batches)]
        parameters.grad = None
        omega, kappa, rate = parameters
        state, surprises = [(zero, one, zero)] * workload.levels, []
        for u in observed:
            state, surprise = turn(state, u, omega, kappa, rate)
            surprises.append(surprise)
        value = torch.sum(torch.stack(surprises))
        value.backward()
        return value.detach(), parameters.grad

    return step
