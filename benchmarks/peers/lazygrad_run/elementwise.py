"""A chain of elementwise functions and its gradient."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.elementwise import Elementwise


def program(workload: Elementwise) -> Program:
    """The value and the gradient."""
    _, batches = workload.numbers()

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        value = lg.sum(lg.tanh(2 * x + 1) * lg.exp(-x * x))
        return value, lg.grad(value, x)

    return lg.VariableEnvironment(seed=0), step, batches
