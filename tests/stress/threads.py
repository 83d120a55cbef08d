"""Steps give the same bits with 1, 2, 3, 4 and 7 threads: workloads at tiny sizes, chains, and models of each layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import threads
from benchmarks.process import fresh, pin


def trial(rng: np.random.Generator, folder: Path) -> str:
    """One step in two processes with two numbers of threads."""
    name = str(rng.choice(threads.names()))
    found = []
    for count in rng.choice(threads.COUNTS, 2, replace=False):
        environment = {**pin(1), "LAZYGRAD_THREADS": str(count), "LAZYGRAD_CACHE": str(folder)}
        found.append(fresh("benchmarks.threads", "--tiny", "--one", name, environment=environment)["digest"])
    assert found[0] == found[1], f"{name} gives other bits with other threads"
    return "the same bits"
