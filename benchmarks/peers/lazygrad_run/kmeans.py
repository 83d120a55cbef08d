"""One iteration of Lloyd's algorithm; the centres are a variable."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.kmeans import KMeans


def program(workload: KMeans) -> Program:
    """The new centres, which are kept for the next iteration."""
    [centres], batches = workload.numbers()
    env = lg.VariableEnvironment(seed=0)
    env.name("centres").set(centres, trainable=False)
    count = len(centres)

    def step(ctx: lg.Context, x: lg.Tensor) -> Any:
        distances = lg.sum(lg.square(x[:, None] - ctx.variable("centres")), axis=-1)
        nearest = lg.argmin(distances, axis=1)
        points = lg.segment_sum(lg.ones((len(x),)), nearest, count)
        moved = lg.segment_sum(x, nearest, count) / points[:, None]
        return moved, ctx.assign("centres", moved)

    return env, step, batches
