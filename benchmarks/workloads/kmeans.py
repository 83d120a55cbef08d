"""Lloyd's algorithm (Lloyd 1982, Least squares quantization in PCM)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from benchmarks.workloads.base import Numbers, Workload


@dataclass(frozen=True)
class KMeans(Workload):
    """One iteration: every point goes to the centre nearest to it, every centre to the mean of its points.

    Attributes:
        points: how many.
        axes: numbers of a point.
        centres: how many.
    """

    points: int
    axes: int
    centres: int
    check: int = field(default=5, kw_only=True)
    family: ClassVar[str] = "kmeans"
    # A centre is the mean of a hundred thousand float32 that some peers add one after the other.
    tolerance: ClassVar[float] = 1e-4
    measures: ClassVar[str] = "One iteration, from the centres of the one before"

    def numbers(self) -> Numbers:
        """The centres, which are the first points; one batch, the points, normal."""
        x = np.random.default_rng(0).standard_normal((self.points, self.axes), np.float32)
        return [x[: self.centres].copy()], [(x,)]

    def tiny(self) -> KMeans:
        return replace(self, points=1_000)

    def __str__(self) -> str:
        return f"Lloyd's algorithm, {self.points:,} points of {self.axes} float32, {self.centres} centres"
