"""Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from benchmarks.workloads.base import BATCHES, Numbers, Workload, glorot


@dataclass(frozen=True)
class LSTM(Workload):
    """One layer over a sequence, from zeros; its last output goes through a dense layer to the classes.

    With the gates i, f, g, o = [xₜ, h]·w + b:  c ← σ(f)·c + σ(i)·tanh(g),  h ← σ(o)·tanh(c).

    Attributes:
        length: of the sequence.
        inputs: numbers at each place of it.
        hidden: numbers of the state.
        classes: how many.
        batch: sequences a step.
    """

    length: int
    inputs: int
    hidden: int
    classes: int
    batch: int
    check: int = field(default=20, kw_only=True)
    family: ClassVar[str] = "lstm"
    tolerance: ClassVar[float] = 1e-4  # float32, through the length of the sequence

    def numbers(self) -> Numbers:
        """Parameters ``[w, b, v, d]``, gates in the order i, f, g, o; batches ``(x, y)``, x (batch, length, inputs)."""
        rng = np.random.default_rng(0)
        gates = 4 * self.hidden
        parameters: list[Any] = [glorot(rng, self.inputs + self.hidden, gates), np.zeros(gates, np.float32)]
        parameters += [glorot(rng, self.hidden, self.classes), np.zeros(self.classes, np.float32)]
        shape = (self.batch, self.length, self.inputs)
        batches = [(rng.random(shape, np.float32), rng.integers(0, self.classes, self.batch)) for _ in range(BATCHES)]
        return parameters, batches

    def tiny(self) -> LSTM:
        return replace(self, length=3, inputs=5, hidden=4, batch=3, check=5)

    def __str__(self) -> str:
        return (
            f"LSTM over {self.length} steps of {self.inputs}, hidden {self.hidden}, {self.classes} classes, "
            f"batch {self.batch}, cross entropy, momentum"
        )
