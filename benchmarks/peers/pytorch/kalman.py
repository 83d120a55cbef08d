"""A Kalman filter, in a loop of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.kalman import Kalman


def training(workload: Kalman, transform: Transform) -> Callable[[int], Any]:
    """The value and the gradient; ``torch.compile`` would unroll the loop, and is given one turn of it."""
    (seen,), numbers = workload.numbers()
    ys, n, k = torch.from_numpy(seen), workload.states, workload.observed
    batches = [tuple(torch.from_numpy(array).requires_grad_() for array in batch) for batch in numbers]

    def turned(m: Any, p: Any, y: Any, f: Any, q: Any, r: Any) -> Any:
        m, p = f @ m, f @ p @ f.T + q
        e, s = y - m[:k], p[:k, :k] + r
        gain = torch.linalg.solve(s, p[:k]).T
        value = -0.5 * (torch.linalg.slogdet(s)[1] + e @ torch.linalg.solve(s, e))
        return m + gain @ e, p - gain @ p[:k], value

    turn = transform(turned)

    def step(number: int) -> Any:
        parameters = batches[number % len(batches)]
        for parameter in parameters:
            parameter.grad = None
        f, q, r = parameters[0], torch.diag(torch.exp(parameters[1])), torch.diag(torch.exp(parameters[2]))
        m, p, values = torch.zeros(n, dtype=torch.float64), torch.eye(n, dtype=torch.float64), []
        for y in ys:
            m, p, value = turn(m, p, y, f, q, r)
            values.append(value)
        total = torch.sum(torch.stack(values))
        total.backward()
        return total.detach(), [parameter.grad for parameter in parameters]

    return step
