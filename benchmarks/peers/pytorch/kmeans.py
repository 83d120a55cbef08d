"""One iteration of Lloyd's algorithm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers.pytorch import Transform
from benchmarks.workloads.kmeans import KMeans


def training(workload: KMeans, transform: Transform) -> Callable[[int], Any]:
    """The iteration; the new centres."""
    [first], [(numbers,)] = workload.numbers()
    centres, x = torch.from_numpy(first), torch.from_numpy(numbers)

    def iterated(x: Any, centres: Any) -> Any:
        nearest = torch.argmin(torch.sum((x[:, None] - centres) ** 2, -1), 1)
        sums = torch.zeros_like(centres).index_add(0, nearest, x)
        return sums / torch.bincount(nearest, minlength=len(centres))[:, None]

    function = transform(iterated)

    def step(number: int) -> Any:
        nonlocal centres
        centres = function(x, centres)
        return centres

    return step
