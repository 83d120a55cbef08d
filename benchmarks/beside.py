"""Ours beside another checkout of ours, such as the one before a change: ``python -m benchmarks.beside FOLDER``.

Both run in turn, in fresh processes (A B B A …), so that what the machine does besides falls on both alike. Each
workload's line says how long a step takes here and there, the ratio of the medians, and that of each round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.process import ROOT, fresh, notice, pin
from benchmarks.workloads import WORKLOADS

PEERS = ("lazygrad_compile", "lazygrad_run")
WHAT = ("step_us", "first_s", "ready_s", "resident_mb")


def main() -> int:
    """Measure, and print a line a workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=__doc__)
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="again for several; all if not given")
    parser.add_argument("--peer", choices=PEERS, default=PEERS[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--what", choices=WHAT, default="step_us", help="a step, or until native code is in place")
    asked = parser.parse_args()
    print(f"{asked.peer}, {asked.rounds} rounds, {asked.threads} threads: {asked.what} here, there, and here ÷ there")
    for workload in asked.workload or WORKLOADS:
        here, there = measured(workload, asked.folder.resolve(), asked.peer, asked.rounds, asked.threads, asked.what)
        rounds = " ".join(f"{a / b:.3f}" for a, b in zip(here, there, strict=True))
        a, b = statistics.median(here), statistics.median(there)
        print(f"{workload:<12} {a:12.3f} {b:12.3f} {a / b:8.3f}   rounds: {rounds}", flush=True)
    return 0


def measured(
    workload: str, other: Path, peer: str, rounds: int, threads: int, what: str = "step_us"
) -> tuple[list[float], list[float]]:
    """A number in each round, here and in the other checkout. Nothing that was compiled before is on disk."""
    found: dict[Path, list[float]] = {ROOT: [], other: []}
    for number in range(rounds):
        for folder in (ROOT, other) if number % 2 == 0 else (other, ROOT):
            notice(f"{workload}, round {number + 1} of {rounds}: {folder.name}")
            options = () if what == "step_us" else ("--steps", 3)
            with tempfile.TemporaryDirectory() as empty:
                result = fresh(
                    *("benchmarks.measure", peer, workload, "--threads", threads, *options),
                    environment={**pin(threads), "LAZYGRAD_CACHE": empty},
                    at=folder,
                )
            found[folder].append(result[what])
    notice("")
    return found[ROOT], found[other]


if __name__ == "__main__":
    sys.exit(main())
