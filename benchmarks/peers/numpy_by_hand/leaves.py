"""A loop that carries many single numbers, with the derivative for each of the three parameters beside each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.leaves import Leaves


def training(workload: Leaves) -> Callable[[int], Any]:
    """The value and the gradient, forwards: three parameters and hundreds of turns ask for no way back."""
    (seen,), batches = workload.numbers()
    observed, levels = seen.tolist(), workload.levels
    directions = np.eye(3)

    def step(number: int) -> Any:
        omega, kappa, rate = batches[number % len(batches)][0].tolist()
        m, p, d = [0.0] * (levels + 1), [1.0] * levels, [0.0] * levels
        dm, dp, dd = np.zeros((levels + 1, 3)), np.zeros((levels, 3)), np.zeros((levels, 3))
        value, slope = 0.0, np.zeros(3)
        for u in observed:
            du = np.zeros(3)
            # Each level reads the mean above it from before the turn: the loop goes upwards, so that is still there.
            for i in range(levels):
                grown = math.exp(omega + kappa * m[i + 1])
                d_grown = grown * (directions[0] + m[i + 1] * directions[1] + kappa * dm[i + 1])
                s = 1 / (1 / p[i] + grown)
                ds = s * s * (dp[i] / (p[i] * p[i]) - d_grown)
                e, de = u - m[i], du - dm[i]
                moved = (e + d[i] / 2) / (s + 1)
                d_moved = (de + dd[i] / 2 - moved * ds) / (s + 1)
                m[i], dm[i] = m[i] + rate * moved, dm[i] + moved * directions[2] + rate * d_moved
                p[i], dp[i], d[i], dd[i] = s + 1, ds, e, de
                if i == 0:
                    value += s * e * e - math.log(s)
                    slope += ds * e * e + 2 * s * e * de - ds / s
                u = math.tanh(s * e * e - 1)
                du = (1 - u * u) * (ds * e * e + 2 * s * e * de)
        return value, slope

    return step
