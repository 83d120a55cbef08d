"""Memory over a million runs of a small step: it must stay where it was. ``python -m benchmarks.memory``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.peers import load
from benchmarks.process import keep, memory, notice
from benchmarks.workloads import WORKLOADS

FIRST = 1_000  # calls after which memory is taken for settled
GROWTH_MB = 5


def main() -> None:
    """Resident memory after the first thousand calls and after the last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found = grown(asked.calls)
    notice("")
    print(f"{asked.calls:,} calls of env.run in {found['seconds']} s: {found['after_first_mb']} MB after the first")
    print(f"{FIRST:,}, {found['at_end_mb']} MB at the end; may grow by {GROWTH_MB} MB, grew by {found['growth_mb']} MB")
    keep(asked.json, "memory", found)


def grown(calls: int) -> dict[str, float]:
    """Resident memory in MB before and after, its growth, and the seconds taken."""
    _, training = load("lazygrad_run", "dense")
    step = training(WORKLOADS["linreg"])
    start, before = time.perf_counter(), 0.0
    for number in range(calls):
        if number == min(FIRST, calls - 1):
            before = memory("resident")
        if number % 10_000 == 0:
            notice(f"call {number:,} of {calls:,}")
        step(number)
    after = memory("resident")
    return {
        "calls": calls,
        "after_first_mb": round(before, 1),
        "at_end_mb": round(after, 1),
        "growth_mb": round(after - before, 2),
        "seconds": round(time.perf_counter() - start, 1),
    }


if __name__ == "__main__":
    main()
