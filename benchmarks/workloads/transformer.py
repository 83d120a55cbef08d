"""One block of a transformer, normalised before each part (Vaswani et al. 2017; Xiong et al. 2020, figure 1b)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads.base import BATCHES, Numbers, Workload, glorot

EPS = 1e-5  # added to the variance in the normalisation
ATTENTION = ("scale1", "shift1", "qkv", "qkv_bias", "out", "out_bias")  # qkv: queries, keys and values
NAMES = (*ATTENTION, "scale2", "shift2", "up", "up_bias", "down", "down_bias")


@dataclass(frozen=True)
class Transformer(Workload):
    """x ← x + attention(norm(x)), then x ← x + gelu(norm(x)·u + c)·v + d; the mean of x² is the loss.

    Attributes:
        length: of a sequence.
        width: numbers at each place; four times as many inside the second part.
        heads: of the attention.
        batch: sequences a step.
    """

    length: int
    width: int
    heads: int
    batch: int
    check: int = field(default=10, kw_only=True)
    family: ClassVar[str] = "transformer"
    tolerance: ClassVar[float] = 1e-4  # float32; the loss builds on the updates before

    def numbers(self) -> Numbers:
        """The twelve parameters of :data:`NAMES`, in its order; batches ``(x,)``, x (batch, length, width)."""
        rng = np.random.default_rng(0)
        d = self.width
        parameters: list[Any] = []
        for inputs, outputs, normed in ((d, 3 * d, True), (d, d, False), (d, 4 * d, True), (4 * d, d, False)):
            if normed:
                parameters += [np.ones(d, np.float32), np.zeros(d, np.float32)]
            parameters += [glorot(rng, inputs, outputs), np.zeros(outputs, np.float32)]
        shape = (self.batch, self.length, d)
        return parameters, [(rng.standard_normal(shape, np.float32),) for _ in range(BATCHES)]

    def tiny(self) -> Transformer:
        return replace(self, length=5, width=8, heads=2, batch=2, check=5)

    def __str__(self) -> str:
        return (
            f"One transformer block, sequences of {self.length} × {self.width}, {self.heads} heads, gelu, "
            f"batch {self.batch}, mean of squares, SGD"
        )
