"""A Kalman filter, backwards through its turns by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.kalman import Kalman


def training(workload: Kalman) -> Callable[[int], Any]:
    """The value and the gradient."""
    (ys,), batches = workload.numbers()
    n, k = workload.states, workload.observed

    def step(number: int) -> Any:
        f, q, r = batches[number % len(batches)]
        noise, seen_noise = np.diag(np.exp(q)), np.diag(np.exp(r))
        m, p, value, kept = np.zeros(n), np.eye(n), 0.0, []
        for y in ys:
            ahead, spread = f @ m, f @ p @ f.T + noise
            e, s = y - ahead[:k], spread[:k, :k] + seen_noise
            inverse = np.linalg.inv(s)
            gain, weighed = spread[:, :k] @ inverse, inverse @ e
            value -= 0.5 * (np.log(np.linalg.det(s)) + e @ weighed)
            kept.append((m, p, spread, inverse, gain, weighed))
            m, p = ahead + gain @ e, spread - gain @ spread[:k]

        gf, gq, gr, gm, gp = np.zeros((n, n)), np.zeros(n), np.zeros(k), np.zeros(n), np.zeros((n, n))
        for m, p, spread, inverse, gain, weighed in reversed(kept):
            # m' = ahead + spread[:, :k]·weighed and p' = spread − spread[:, :k]·inverse·spread[:k]
            g_ahead, g_spread, back = gm.copy(), gp.copy(), inverse @ spread[:k] @ gm
            g_spread[:, :k] += np.outer(gm, weighed) - gp @ gain
            g_spread[:k] -= gain.T @ gp
            # weighed = s⁻¹·e, and the value has −½·(log det s + eᵀ·s⁻¹·e).
            g_e = back - weighed
            g_s = gain.T @ gp @ gain - np.outer(back, weighed) + 0.5 * (np.outer(weighed, weighed) - inverse)
            g_ahead[:k] -= g_e
            g_spread[:k, :k] += g_s
            gr += np.diag(g_s)
            gq += np.diag(g_spread)
            gf += np.outer(g_ahead, m) + g_spread @ f @ p.T + g_spread.T @ f @ p
            gm, gp = f.T @ g_ahead, f.T @ g_spread @ f
        return value, [gf, gq * np.exp(q), gr * np.exp(r)]

    return step
