"""Convolutional networks."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.peers.lazygrad_run.updates import optimizer
from benchmarks.workloads.convolution import Convolution


def program(workload: Convolution) -> Program:
    """Forward, loss and update."""
    parameters, batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    layers = len(parameters) // 2
    for k in range(layers):
        env.name(f"w{k}").set(parameters[2 * k])
        env.name(f"b{k}").set(parameters[2 * k + 1])
    method = optimizer(env, "momentum")
    activation = getattr(lg.nn, workload.activation)
    convolutions = len(workload.channels)

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> Any:
        h = x
        for k in range(layers):
            w, b = ctx.variable(f"w{k}"), ctx.variable(f"b{k}")
            if k < convolutions:
                h = lg.nn.max_pool2d(activation(lg.nn.conv2d(h, w, b)), 2)
            else:
                h = lg.reshape(h, (workload.batch, -1)) @ w + b
                if k < layers - 1:
                    h = activation(h)
        loss = lg.mean(lg.nn.cross_entropy(h, y))
        return loss, method.minimize(loss)

    return env, step, batches
