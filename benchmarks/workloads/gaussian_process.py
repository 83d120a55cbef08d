"""The log marginal likelihood of a Gaussian process (Rasmussen and Williams 2006, equations 5.8 and 5.9)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from benchmarks.workloads.base import BATCHES, Numbers, Workload


@dataclass(frozen=True)
class GaussianProcess(Workload):
    """−½·yᵀK⁻¹y − Σ log Lᵢᵢ − ½·n·log 2π with K = LLᵀ, and its gradient for three logarithms.

    K = s·exp(−½·‖x − x′‖² / l²) + e·1, and the logarithms are of s, l and e, in this order.

    Attributes:
        points: how many, n.
        axes: numbers of a point.
    """

    points: int
    axes: int
    check: int = field(default=BATCHES, kw_only=True)
    family: ClassVar[str] = "gaussian_process"
    # float64; K has a condition number of some 1e5, so that about as many of sixteen digits are lost.
    tolerance: ClassVar[float] = 1e-9
    measures: ClassVar[str] = "One value and gradient"

    def numbers(self) -> Numbers:
        """The points and what was observed there, all float64; batches of the three logarithms."""
        rng = np.random.default_rng(0)
        x = rng.uniform(-2, 2, (self.points, self.axes))
        y = np.sin(x.sum(1)) + 0.1 * rng.standard_normal(self.points)
        return [x, y], [(rng.uniform([-0.5, -0.5, -4], [0.5, 0.5, -3]),) for _ in range(BATCHES)]

    def tiny(self) -> GaussianProcess:
        return replace(self, points=12)

    def __str__(self) -> str:
        return (
            f"Log marginal likelihood of a Gaussian process with its gradient, {self.points} points of {self.axes} "
            "float64, squared exponential kernel"
        )
