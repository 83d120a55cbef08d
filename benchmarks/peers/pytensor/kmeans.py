"""One iteration of Lloyd's algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from benchmarks.peers.pytensor import compiled, symbol
from benchmarks.workloads.kmeans import KMeans


def training(workload: KMeans) -> Callable[[int], Any]:
    """The iteration; the new centres."""
    pytensor.config.floatX = "float32"
    [first], batches = workload.numbers()
    centres = pytensor.shared(first)
    x = symbol(batches[0][0])
    nearest = pt.argmin(pt.sum((x[:, None] - centres) ** 2, -1), 1)
    sums = pt.inc_subtensor(pt.zeros_like(centres)[nearest], x)
    counts = pt.inc_subtensor(pt.zeros(len(first), dtype="float32")[nearest], np.float32(1))
    moved = sums / counts[:, None]
    return compiled([x], moved, batches, [(centres, moved)])
