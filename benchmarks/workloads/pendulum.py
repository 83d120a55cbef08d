"""A pendulum with friction, followed by the classical Runge–Kutta method (Kutta 1901)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from benchmarks.workloads.base import Numbers, Workload

__all__ = ["GRAVITY", "Pendulum"]

GRAVITY = 9.81


@dataclass(frozen=True)
class Pendulum(Workload):
    """The mean squared difference of the angles from observed ones, and its gradient for the three parameters.

    θ″ = −(g/ℓ)·sin θ − γ·θ′, released at rest from the angle θ₀; the parameters are ℓ, γ and θ₀, in this order.
    The angle after each turn is compared.

    Attributes:
        turns: steps of the integrator.
        step: seconds of each.
    """

    turns: int
    step: float = 0.01
    check: int = field(default=3, kw_only=True)
    family: ClassVar[str] = "pendulum"
    tolerance: ClassVar[float] = 1e-9  # float64, through the turns
    measures: ClassVar[str] = "One value and gradient"

    def numbers(self) -> Numbers:
        """The observed angles; batches of the three parameters; all float64."""
        rng = np.random.default_rng(0)
        times = self.step * np.arange(1, self.turns + 1)
        observed = 1.2 * np.exp(-0.1 * times) * np.cos(2.7 * times) + 0.05 * rng.standard_normal(self.turns)
        return [observed], [(rng.uniform([1, 0.1, 0.8], [1.6, 0.3, 1.6]),) for _ in range(4)]

    def tiny(self) -> Pendulum:
        return replace(self, turns=7, step=0.1)

    def __str__(self) -> str:
        return f"{self.turns:,} turns of the classical Runge–Kutta method for a pendulum, float64, with the gradient"
