"""A chain of elementwise functions over many numbers, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from benchmarks.workloads.base import Numbers, Workload


@dataclass(frozen=True)
class Elementwise(Workload):
    """Σ tanh(2x + 1)·exp(−x²) and its gradient.

    Attributes:
        count: how many numbers.
    """

    count: int
    check: int = field(default=2, kw_only=True)  # every call computes the same
    family: ClassVar[str] = "elementwise"
    # Millions of float32 are summed, in as many orders as there are peers.
    tolerance: ClassVar[float] = 1e-4
    measures: ClassVar[str] = "One value and gradient"

    def numbers(self) -> Numbers:
        """No parameters; one batch ``(x,)``, normal."""
        return [], [(np.random.default_rng(0).standard_normal(self.count, np.float32),)]

    def tiny(self) -> Elementwise:
        return replace(self, count=1_000)

    def __str__(self) -> str:
        return f"Σ tanh(2x + 1)·exp(−x²) over {self.count:,} float32 x, with its gradient"
