"""One peer on one workload in this process: ``python -m benchmarks.measure PEER WORKLOAD``; prints JSON.

:mod:`benchmarks.run` starts this again and again. Nothing is imported before the clock of the import runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

WARM_UP = 20


def main() -> None:
    """Import, make the first step, make the steps whose losses are compared, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", type=int, default=50, help="steps whose losses are compared")
    parser.add_argument("--stretches", type=int, default=5, help="timed stretches; 0 times nothing")
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    print(json.dumps(measured(asked.peer, asked.workload, asked.check, asked.stretches)))


def measured(peer: str, workload_name: str, check: int, stretches: int) -> dict[str, Any]:
    """Seconds of the import and of the first call, losses, microseconds a step, and peak memory.

    A peer that is not installed gives only the reason why it was left out.
    """
    start = time.perf_counter()
    try:
        module = importlib.import_module(f"benchmarks.peers.{peer}")
    except ModuleNotFoundError as reason:
        if (reason.name or "").partition(".")[0] in ("benchmarks", "lazygrad"):
            raise
        return {"skipped": f"{reason.name} is not installed"}
    import_s = time.perf_counter() - start

    from importlib.metadata import version

    from benchmarks.process import memory
    from benchmarks.workloads import WORKLOADS

    workload = WORKLOADS[workload_name]
    workload.numbers()  # so that no first call has to import NumPy's generators
    start = time.perf_counter()
    step = module.training(workload)
    losses = [float(step(0))]
    first_s = time.perf_counter() - start
    losses += [float(step(number)) for number in range(1, check)]
    result: dict[str, Any] = {
        "name": module.NAME,
        "packages": {name: version(name) for name in module.PACKAGES},
        "import_s": import_s,
        "first_s": first_s,
        "losses": losses,
    }
    if stretches:
        for number in range(WARM_UP):
            step(number)
        result["step_us"] = statistics.median(stretch(step, workload.steps) for _ in range(stretches))
        result["memory_mb"] = memory()
    return result


def stretch(step: Callable[[int], Any], steps: int) -> float:
    """Microseconds a step, over one stretch of steps that ends when the last loss is there."""
    start = time.perf_counter()
    for number in range(steps):
        loss = step(number)
    float(loss)
    return (time.perf_counter() - start) / steps * 1e6


if __name__ == "__main__":
    main()
