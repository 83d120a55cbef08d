"""A pendulum, with ``lg.scan``."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.pendulum import GRAVITY, Pendulum


def program(workload: Pendulum) -> Program:
    """The value and the gradient."""
    (observed,), batches = workload.numbers()
    h = workload.step

    def step(ctx: lg.Context, parameters: lg.Tensor, observed: lg.Tensor) -> Any:
        length, friction, start = lg.unstack(parameters)

        def slope(y: lg.Tensor) -> lg.Tensor:
            return lg.stack([y[1], -GRAVITY / length * lg.sin(y[0]) - friction * y[1]])

        def turn(y: lg.Tensor, _: None) -> Any:
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return y, y[0]

        _, angles = lg.scan(turn, lg.stack([start, lg.zeros_like(start)]), None, length=workload.turns)
        value = lg.mean(lg.square(angles - observed))
        return value, lg.grad(value, parameters)

    env = lg.VariableEnvironment(seed=0, dtype="float64")
    return env, step, [(parameters, observed) for (parameters,) in batches]
