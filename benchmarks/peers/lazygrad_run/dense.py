"""Dense networks."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.peers.lazygrad_run.updates import optimizer
from benchmarks.workloads.dense import Dense


def program(workload: Dense) -> Program:
    """Forward, loss and update."""
    parameters, batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    layers = len(parameters) // 2
    for k in range(layers):
        env.name(f"w{k}").set(parameters[2 * k])
        env.name(f"b{k}").set(parameters[2 * k + 1])
    method = optimizer(env, workload.optimizer)

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> Any:
        h = x
        for k in range(layers):
            h = h @ ctx.variable(f"w{k}") + ctx.variable(f"b{k}")
            if k < layers - 1:
                h = lg.tanh(h) if workload.activation == "tanh" else lg.nn.relu(h)
        losses = lg.nn.cross_entropy(h, y) if workload.loss == "cross_entropy" else lg.square(h - y)
        loss = lg.mean(losses)
        return loss, method.minimize(loss)

    return env, step, batches
