"""The training steps that are measured: sizes, first parameters, and the batches they learn from.

All numbers come from one generator in one order, first the parameters and then the batches. So every
peer starts from the same parameters and sees the same data, and their losses can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["BATCHES", "LEARNING_RATE", "MOMENTUM", "WORKLOADS", "Workload"]

LEARNING_RATE = 0.01
MOMENTUM = 0.9
BATCHES = 8


@dataclass(frozen=True)
class Workload:
    """A dense network, the loss it lowers, and the method that lowers it.

    Attributes:
        name: by which it is asked for.
        sizes: widths of the layers, input first.
        activation: between the layers, ``"tanh"`` or ``"relu"``; ``None`` where there is one layer.
        loss: ``"squared"``, the mean squared error, or ``"cross_entropy"``, the mean over examples.
        optimizer: ``"adam"`` or ``"momentum"``.
        batch: examples a step.
        steps: steps in one timed stretch.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str | None
    loss: str
    optimizer: str
    batch: int
    steps: int

    def numbers(self) -> tuple[list[Any], list[tuple[Any, Any]]]:
        """Parameters ``[w0, b0, w1, b1, ...]`` and batches ``(x, y)``, float32, classes int64.

        Weights are uniform within ±√(6 / (inputs + outputs)) (Glorot and Bengio 2010, equation 16).
        """
        rng = np.random.default_rng(0)
        parameters: list[Any] = []
        for inputs, outputs in pairwise(self.sizes):
            limit = (6 / (inputs + outputs)) ** 0.5
            parameters.append(rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
            parameters.append(np.zeros(outputs, np.float32))
        return parameters, [self._drawn(rng) for _ in range(BATCHES)]

    def _drawn(self, rng: np.random.Generator) -> tuple[Any, Any]:
        x = rng.uniform(-1, 1, (self.batch, self.sizes[0])).astype(np.float32)
        if self.loss == "cross_entropy":
            return x, rng.integers(0, self.sizes[-1], self.batch)
        return x, np.sin(3 * x[:, :1]).astype(np.float32)

    def __str__(self) -> str:
        hidden = f" {self.activation}" if self.activation else ""
        layers = f"{'-'.join(map(str, self.sizes))}{hidden}"
        return f"{layers}, batch {self.batch}, {self.loss.replace('_', ' ')} loss, {self.optimizer}"


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("linreg", (1, 1), None, "squared", "adam", 64, 2000),
        Workload("sine", (1, 64, 64, 1), "tanh", "squared", "adam", 64, 1000),
        Workload("mnist_mlp", (784, 128, 10), "relu", "cross_entropy", "momentum", 128, 300),
        Workload("king", (34, *[35] * 8, 1), "relu", "squared", "momentum", 128, 500),
    )
}
