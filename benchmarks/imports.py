"""Time that ``import lazygrad`` takes, and ``import numpy`` alone. ``python -m benchmarks.imports``.

Each in fresh processes in turn; the first of each is not counted, as it may have to compile to bytecode.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from pathlib import Path

from benchmarks.process import fresh, keep, memory, notice

SECONDS = 0.3
PACKAGES = ("numpy", "lazygrad")


def main() -> None:
    """The medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", choices=PACKAGES, help="this alone, in this process")
    asked = parser.parse_args()
    if asked.one:
        start = time.perf_counter()
        dir(importlib.import_module(asked.one))  # with its names, which lazygrad imports when the first is used
        print(json.dumps({"seconds": time.perf_counter() - start, "memory_mb": memory()}))
        return
    rounds: dict[str, list[dict[str, float]]] = {package: [] for package in PACKAGES}
    for number in range(asked.rounds + 1):
        for package in PACKAGES:
            notice(f"import {package}, round {number} of {asked.rounds}")
            rounds[package].append(fresh("benchmarks.imports", "--one", package))
    notice("")
    found = {
        package: {key: round(statistics.median(r[key] for r in results[1:]), 3) for key in results[0]}
        for package, results in rounds.items()
    }
    for package, row in found.items():
        print(f"import {package:<9} {row['seconds']:.3f} s  {row['memory_mb']:.0f} MB at its peak")
    print(f"lazygrad may take {SECONDS} s")
    keep(asked.json, "imports", found)


if __name__ == "__main__":
    main()
