"""A Kalman filter, with ``lg.scan`` or as a loop of Python."""

from __future__ import annotations

from typing import Any

import lazygrad as lg
from benchmarks.peers.lazygrad_run import Program
from benchmarks.workloads.kalman import Kalman


def program(workload: Kalman) -> Program:
    """The value and the gradient."""
    (seen,), batches = workload.numbers()
    n, k = workload.states, workload.observed

    def step(ctx: lg.Context, f: lg.Tensor, logs_q: lg.Tensor, logs_r: lg.Tensor, ys: lg.Tensor) -> Any:
        q, r = (lg.eye(len(logs), dtype="float64") * lg.exp(logs) for logs in (logs_q, logs_r))

        def turn(state: Any, y: lg.Tensor) -> Any:
            m, p = state
            m, p = f @ m, f @ p @ f.T + q
            e, s = y - m[:k], p[:k, :k] + r
            gain = lg.linalg.solve(s, p[:k]).T
            value = -0.5 * (lg.linalg.slogdet(s)[1] + lg.sum(e * lg.linalg.solve(s, e)))
            return (m + gain @ e, p - gain @ p[:k]), value

        state: Any = (lg.zeros((n,), dtype="float64"), lg.eye(n, dtype="float64"))
        if workload.unrolled:
            values = []
            for i in range(workload.turns):
                state, value = turn(state, ys[i])
                values.append(value)
            total = lg.sum(lg.stack(values))
        else:
            total = lg.sum(lg.scan(turn, state, ys)[1])
        return total, lg.grad(total, [f, logs_q, logs_r])

    env = lg.VariableEnvironment(seed=0, dtype="float64")
    return env, step, [(*batch, seen) for batch in batches]
