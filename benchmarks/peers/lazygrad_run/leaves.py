"""A loop that carries many single numbers, with ``lg.scan``."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.leaves import Leaves


def program(workload: Leaves) -> Program:
    """The value and the gradient."""
    (observed,), batches = workload.numbers()

    def step(ctx: lg.Context, parameters: lg.Tensor, observed: lg.Tensor) -> Any:
        omega, kappa, rate = lg.unstack(parameters)

        def turn(state: Any, u: lg.Tensor) -> Any:
            means, moved = [m for m, _, _ in state] + [0.0], []
            surprise: Any = 0.0
            for level, (m, p, d) in enumerate(state):
                s = 1 / (1 / p + lg.exp(omega + kappa * means[level + 1]))
                e = u - m
                p = s + 1
                moved.append((m + rate * (e + d / 2) / p, p, e))
                if level == 0:
                    surprise = s * e * e - lg.log(s)
                u = lg.tanh(s * e * e - 1)
            return moved, surprise

        zero, one = lg.zeros((), dtype="float64"), lg.ones((), dtype="float64")
        _, surprises = lg.scan(turn, [(zero, one, zero)] * workload.levels, observed)
        value = lg.sum(surprises)
        return value, lg.grad(value, parameters)

    env = lg.VariableEnvironment(seed=0, dtype="float64")
    return env, step, [(parameters, observed) for (parameters,) in batches]
