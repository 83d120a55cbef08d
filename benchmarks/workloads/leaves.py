"""A loop that carries many single numbers, as the hierarchical filters of JAX's issue 40150 do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from benchmarks.workloads.base import Numbers, Workload


@dataclass(frozen=True)
class Leaves(Workload):
    """A ladder of filters, each of which follows the surprise of the one below it, and its gradient.

    A level carries three numbers: its mean m, its precision p and its last error d. From the input u of the level,
    and the mean M of the level above (0 for the highest):

        s = 1 / (1/p + exp(ω + κ·M))       the precision that was foretold
        e = u − m
        p' = s + 1
        m' = m + λ·(e + d/2) / p'
        d' = e

    The input of the level above is tanh(s·e² − 1), that of the lowest what was observed. A turn adds the lowest
    level's s·e² − log s to the result. The gradient is for ω, κ and λ. Every level begins with m = 0, p = 1, d = 0.

    Attributes:
        levels: of the ladder; three numbers each.
        turns: how many observations.
    """

    levels: int
    turns: int
    check: int = field(default=3, kw_only=True)
    family: ClassVar[str] = "leaves"
    tolerance: ClassVar[float] = 1e-8  # float64, through the turns
    measures: ClassVar[str] = "One value and gradient"

    def numbers(self) -> Numbers:
        """What was observed; batches of the three parameters ω, κ, λ; all float64."""
        rng = np.random.default_rng(0)
        observed = np.sin(0.05 * np.arange(self.turns)) + 0.3 * rng.standard_normal(self.turns)
        return [observed], [(rng.uniform([-3, 0.3, 0.3], [-2, 0.6, 0.6]),) for _ in range(4)]

    def tiny(self) -> Leaves:
        return replace(self, levels=3, turns=6)

    def __str__(self) -> str:
        return (
            f"A ladder of {self.levels} filters, {3 * self.levels} single numbers carried through {self.turns} turns, "
            "float64, with the gradient"
        )
