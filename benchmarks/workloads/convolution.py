"""Convolutional networks on images of 28 × 28, all filters 5 × 5, each followed by pooling of 2 × 2."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads.base import BATCHES, Numbers, Workload, glorot

SIDE, FILTER, CLASSES = 28, 5, 10


@dataclass(frozen=True)
class Convolution(Workload):
    """Convolutions, then dense layers down to ten classes; cross entropy, momentum.

    Attributes:
        channels: that each convolution makes; the images have one.
        hidden: widths of the dense layers between the convolutions and the classes.
        activation: after every layer but the last, ``"sigmoid"`` or ``"relu"``.
        batch: images a step.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: str
    batch: int
    check: int = field(default=10, kw_only=True)
    family: ClassVar[str] = "convolution"
    tolerance: ClassVar[float] = 1e-4  # float32, sums over a batch of images

    def numbers(self) -> Numbers:
        """Parameters ``[k0, b0, ..., w0, c0, ...]``, filters (out, in, 5, 5); batches ``(images, classes)``."""
        rng = np.random.default_rng(0)
        parameters: list[Any] = []
        side = SIDE
        for inputs, outputs in pairwise((1, *self.channels)):
            limit = (6 / ((inputs + outputs) * FILTER * FILTER)) ** 0.5
            filters = rng.uniform(-limit, limit, (outputs, inputs, FILTER, FILTER)).astype(np.float32)
            parameters += [filters, np.zeros(outputs, np.float32)]
            side = (side - FILTER + 1) // 2
        for inputs, outputs in pairwise((self.channels[-1] * side * side, *self.hidden, CLASSES)):
            parameters += [glorot(rng, inputs, outputs), np.zeros(outputs, np.float32)]
        images = (self.batch, 1, SIDE, SIDE)
        batches = [
            (rng.standard_normal(images, np.float32), rng.integers(0, CLASSES, self.batch)) for _ in range(BATCHES)
        ]
        return parameters, batches

    def tiny(self) -> Convolution:
        return replace(self, channels=tuple(min(c, 4) for c in self.channels), batch=3, check=3)

    def __str__(self) -> str:
        convolutions = ", ".join(f"{c}@5×5 {self.activation}, pool" for c in self.channels)
        dense = "".join(f", {width} {self.activation}" for width in self.hidden)
        return f"28×28 images: {convolutions}{dense}, {CLASSES} classes, batch {self.batch}, cross entropy, momentum"
