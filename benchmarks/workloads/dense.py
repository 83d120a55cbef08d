"""Dense networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads.base import BATCHES, Numbers, Workload, glorot


@dataclass(frozen=True)
class Dense(Workload):
    """A dense network, the loss it lowers, and the method that lowers it.

    Attributes:
        sizes: widths of the layers, input first.
        activation: between the layers, ``"tanh"`` or ``"relu"``; ``None`` where there is one layer.
        loss: ``"squared"``, the mean squared error, or ``"cross_entropy"``, the mean over examples.
        optimizer: ``"adam"``, ``"momentum"`` or ``"sgd"``, which is without momentum.
        batch: examples a step.
    """

    sizes: tuple[int, ...]
    activation: str | None
    loss: str
    optimizer: str
    batch: int
    family: ClassVar[str] = "dense"
    # float32, through fifty steps that build on each other: rounding alone has been seen to make 1.2e-5.
    tolerance: ClassVar[float] = 1e-4

    @property
    def layers(self) -> int:
        """How many matrices."""
        return len(self.sizes) - 1

    def numbers(self) -> Numbers:
        """Parameters ``[w0, b0, w1, b1, ...]`` and batches ``(x, y)``, float32, classes int64."""
        rng = np.random.default_rng(0)
        parameters: list[Any] = []
        for inputs, outputs in pairwise(self.sizes):
            parameters += [glorot(rng, inputs, outputs), np.zeros(outputs, np.float32)]
        return parameters, [self._drawn(rng) for _ in range(BATCHES)]

    def _drawn(self, rng: np.random.Generator) -> tuple[Any, Any]:
        x = rng.uniform(-1, 1, (self.batch, self.sizes[0])).astype(np.float32)
        if self.loss == "cross_entropy":
            return x, rng.integers(0, self.sizes[-1], self.batch)
        return x, np.sin(3 * x[:, : self.sizes[-1]]).astype(np.float32)

    def tiny(self) -> Dense:
        return replace(self, sizes=tuple(min(size, 40) for size in self.sizes), batch=16, check=10)

    def __str__(self) -> str:
        hidden = f" {self.activation}" if self.activation else ""
        layers = f"{'-'.join(map(str, self.sizes))}{hidden}"
        return f"{layers}, batch {self.batch}, {self.loss.replace('_', ' ')} loss, {self.optimizer}"
