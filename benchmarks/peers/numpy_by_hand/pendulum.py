"""A pendulum, backwards through its turns by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.pendulum import GRAVITY, Pendulum


def training(workload: Pendulum) -> Callable[[int], Any]:
    """The value and the gradient: plain numbers of Python, which single numbers are quickest as."""
    (seen,), batches = workload.numbers()
    observed, h, turns = seen.tolist(), workload.step, workload.turns

    def step(number: int) -> Any:
        length, friction, start = batches[number % len(batches)][0].tolist()
        pull = GRAVITY / length
        a, v, kept, angles = start, 0.0, [], []
        for _ in range(turns):
            v1 = -pull * math.sin(a) - friction * v
            x2, y2 = a + h / 2 * v, v + h / 2 * v1
            v2 = -pull * math.sin(x2) - friction * y2
            x3, y3 = a + h / 2 * y2, v + h / 2 * v2
            v3 = -pull * math.sin(x3) - friction * y3
            x4, y4 = a + h * y3, v + h * v3
            v4 = -pull * math.sin(x4) - friction * y4
            kept.append(((a, v), (x2, y2), (x3, y3), (x4, y4)))
            a, v = a + h / 6 * (v + 2 * y2 + 2 * y3 + y4), v + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            angles.append(a)
        value = sum((angle - one) ** 2 for angle, one in zip(angles, observed, strict=True)) / turns

        g_pull = g_friction = ga = gv = 0.0
        for turn in reversed(range(turns)):
            ga += 2 / turns * (angles[turn] - observed[turn])
            below_a, below_v = ga, gv
            gx = gy = 0.0  # cotangents of the place of the stage after this one, where the next slopes were taken
            for (x, y), weight, reach in zip(reversed(kept[turn]), (1, 2, 2, 1), (0.0, h, h / 2, h / 2), strict=True):
                slope_x, slope_y = h / 6 * weight * ga + reach * gx, h / 6 * weight * gv + reach * gy
                g_pull -= slope_y * math.sin(x)
                g_friction -= slope_y * y
                gx, gy = -pull * math.cos(x) * slope_y, slope_x - friction * slope_y
                below_a, below_v = below_a + gx, below_v + gy
            ga, gv = below_a, below_v
        return value, np.array([-g_pull * pull / length, g_friction, ga])

    return step
