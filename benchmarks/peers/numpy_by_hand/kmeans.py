"""One iteration of Lloyd's algorithm: ‖x − c‖² = ‖x‖² − 2·x·c + ‖c‖², where ‖x‖² decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads.kmeans import KMeans


def training(workload: KMeans) -> Callable[[int], Any]:
    """The iteration; the new centres."""
    [centres], [(x,)] = workload.numbers()
    columns = [np.ascontiguousarray(column) for column in x.T]

    def step(number: int) -> Any:
        nonlocal centres
        nearest = np.argmin((centres * centres).sum(1) - 2 * (x @ centres.T), 1)
        sums = np.stack([np.bincount(nearest, column, len(centres)) for column in columns], 1)
        counts = np.bincount(nearest, minlength=len(centres))
        centres = (sums / counts[:, None]).astype(np.float32)
        return centres

    return step
