"""The Kalman filter (Kalman 1960) and the log likelihood that it gives (Schweppe 1965)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads.base import Numbers, Workload


@dataclass(frozen=True)
class Kalman(Workload):
    """The log likelihood of what was observed, without its constant, and its gradient.

    The state moves as x' = F·x + w, w ~ N(0, diag exp q), and of it the first ``observed`` numbers are seen as
    y = x[:observed] + v, v ~ N(0, diag exp r). It begins as N(0, 1). The gradient is for F, q and r.

    Attributes:
        states: numbers of the state.
        observed: numbers of an observation.
        turns: how many observations.
        unrolled: whether the program is written without a loop of the framework, as a loop of Python.
    """

    states: int
    observed: int
    turns: int
    unrolled: bool = False
    check: int = field(default=3, kw_only=True)
    family: ClassVar[str] = "kalman"
    tolerance: ClassVar[float] = 1e-8  # float64; a turn inverts a matrix of condition 10
    measures: ClassVar[str] = "One value and gradient"

    def numbers(self) -> Numbers:
        """What was observed, (turns, observed); batches ``(F, q, r)``; all float64."""
        rng = np.random.default_rng(0)
        n, k = self.states, self.observed
        motion = np.eye(n)
        motion[:k, n - k :] += 0.1 * np.eye(k)  # places, and speeds that change them
        state, seen = np.zeros(n), np.empty((self.turns, k))
        for turn in range(self.turns):
            state = 0.99 * motion @ state + 0.1 * rng.standard_normal(n)
            seen[turn] = state[:k] + 0.3 * rng.standard_normal(k)
        batches: list[tuple[Any, ...]] = []
        for _ in range(4):
            changed = 0.99 * motion + 0.01 * rng.standard_normal((n, n))
            batches.append((changed, rng.uniform(-5, -4, n), rng.uniform(-3, -2, k)))
        return [seen], batches

    def tiny(self) -> Kalman:
        return replace(self, turns=5)

    def __str__(self) -> str:
        written = ", written as a loop of Python" if self.unrolled else ""
        return (
            f"Log likelihood of a Kalman filter with its gradient, {self.states} states, {self.observed} observed, "
            f"{self.turns:,} turns{written}, float64"
        )
