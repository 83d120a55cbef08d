"""An LSTM, with ``lg.scan``."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.peers.lazygrad_run.updates import optimizer
from benchmarks.workloads.lstm import LSTM

NAMES = ("w", "b", "v", "d")


def program(workload: LSTM) -> Program:
    """Forward, loss and update."""
    parameters, batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    for name, parameter in zip(NAMES, parameters, strict=True):
        env.name(name).set(parameter)
    method = optimizer(env, "momentum")

    def step(ctx: lg.Context, x: lg.Tensor, y: lg.Tensor) -> Any:
        w, b, v, d = (ctx.variable(name) for name in NAMES)

        def cell(state: Any, x: lg.Tensor) -> Any:
            h, c = state
            i, f, g, o = lg.split(lg.concat([x, h], axis=1) @ w + b, 4, axis=1)
            c = lg.nn.sigmoid(f) * c + lg.nn.sigmoid(i) * lg.tanh(g)
            return (lg.nn.sigmoid(o) * lg.tanh(c), c), None

        zeros = lg.zeros((workload.batch, workload.hidden))
        (h, _), _ = lg.scan(cell, (zeros, zeros), lg.swapaxes(x, 0, 1))
        loss = lg.mean(lg.nn.cross_entropy(h @ v + d, y))
        return loss, method.minimize(loss)

    return env, step, batches
