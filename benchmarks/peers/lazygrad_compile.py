"""lazygrad with ``env.compile``: traced at the first call, then reused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.peers.lazygrad_run import program
from benchmarks.workloads import BATCHES, Workload

NAME = "lazygrad compile"
PACKAGES = ("lazygrad",)


def training(workload: Workload) -> Callable[[int], Any]:
    """The compiled step."""
    env, step, batches = program(workload)
    compiled = env.compile(step)
    return lambda number: compiled(*batches[number % BATCHES])[0]
