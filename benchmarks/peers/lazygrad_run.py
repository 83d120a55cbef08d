"""lazygrad with ``env.run``: a fresh graph at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazygrad as lg
from benchmarks.workloads import BATCHES, LEARNING_RATE, MOMENTUM, Workload

NAME = "lazygrad run"
PACKAGES = ("lazygrad",)


def training(workload: Workload) -> Callable[[int], Any]:
    """The step, written anew at every call."""
    env, step, batches = program(workload)
    return lambda number: env.run(step, *batches[number % BATCHES])[0]


def program(workload: Workload) -> tuple[lg.VariableEnvironment, Callable[..., Any], list[Any]]:
    """The environment with its parameters, the step as users write it, and the batches."""
    parameters, batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    layers = len(parameters) // 2
    for k in range(layers):
        env.name(f"w{k}").set(parameters[2 * k])
        env.name(f"b{k}").set(parameters[2 * k + 1])
    if workload.optimizer == "adam":
        optimizer = lg.optim.Adam(env, learning_rate=LEARNING_RATE)
    else:
        optimizer = lg.optim.SGD(env, learning_rate=LEARNING_RATE, momentum=MOMENTUM)

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> Any:
        h = x
        for k in range(layers):
            h = h @ ctx.variable(f"w{k}") + ctx.variable(f"b{k}")
            if k < layers - 1:
                h = lg.tanh(h) if workload.activation == "tanh" else lg.nn.relu(h)
        losses = lg.nn.cross_entropy(h, y) if workload.loss == "cross_entropy" else lg.square(h - y)
        loss = lg.mean(losses)
        return loss, optimizer.minimize(loss)

    return env, step, batches
