"""A transformer block."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.peers.lazygrad_run.updates import optimizer
from benchmarks.workloads.transformer import EPS, NAMES, Transformer


def program(workload: Transformer) -> Program:
    """Forward, loss and update."""
    parameters, batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    for name, parameter in zip(NAMES, parameters, strict=True):
        env.name(name).set(parameter)
    method = optimizer(env, "sgd")
    shape = (workload.batch, workload.length, workload.width)
    split = (*shape[:2], 3, workload.heads, workload.width // workload.heads)

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        p = {name: ctx.variable(name) for name in NAMES}
        a = lg.nn.layer_norm(x, p["scale1"], p["shift1"], eps=EPS)
        # (3, batch, head, place, feature)
        q, k, v = lg.unstack(lg.permute_dims(lg.reshape(a @ p["qkv"] + p["qkv_bias"], split), (2, 0, 3, 1, 4)))
        mixed = lg.reshape(lg.swapaxes(lg.nn.scaled_dot_product_attention(q, k, v), 1, 2), shape)
        x = x + mixed @ p["out"] + p["out_bias"]
        b = lg.nn.layer_norm(x, p["scale2"], p["shift2"], eps=EPS)
        x = x + lg.nn.gelu(b @ p["up"] + p["up_bias"]) @ p["down"] + p["down_bias"]
        loss = lg.mean(lg.square(x))
        return loss, method.minimize(loss)

    return env, step, batches
