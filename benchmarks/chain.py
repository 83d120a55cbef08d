"""Chains of ops: time and memory must grow with their length, no faster. ``python -m benchmarks.chain``.

Each chain is written, differentiated and run once in a fresh process; the median of several.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.process import fresh, keep, memory, notice, pin

RATIO = (8, 13)  # of the times of chains whose lengths are as 1 to 10
MEMORY_MB = 1024


def main() -> None:
    """Both chains, and how their times compare."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain", description=__doc__)
    parser.add_argument("--ops", type=int, default=10_000, help="in the short chain; the long one has tenfold")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--one", action="store_true", help="the short chain alone, in this process")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(chain(asked.ops)))
        return
    lengths = (asked.ops, 10 * asked.ops)
    rounds: dict[int, list[dict[str, float]]] = {length: [] for length in lengths}
    for number in range(asked.rounds):
        for length in lengths:
            notice(f"chain of {length}, round {number + 1} of {asked.rounds}")
            rounds[length].append(fresh("benchmarks.chain", "--one", "--ops", length, environment=pin(asked.threads)))
    notice("")
    found: dict[str, Any] = {
        str(length): {key: round(statistics.median(r[key] for r in results), 3) for key in results[0]}
        for length, results in rounds.items()
    }
    short, long = (found[str(length)] for length in lengths)
    found["ratio"] = round(long["total_s"] / short["total_s"], 2)
    for length in lengths:
        print(f"{length:>9,} ops  " + "  ".join(f"{key} {value}" for key, value in found[str(length)].items()))
    print(f"ratio {found['ratio']}, to be within {RATIO[0]} and {RATIO[1]}; memory to be under {MEMORY_MB} MB")
    keep(asked.json, "chain", found)


def chain(ops: int) -> dict[str, float]:
    """Seconds to write, differentiate and run a chain of sines and its gradient, and peak memory."""
    import numpy as np

    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0)
    env.name("x").set(np.linspace(0, 1, 8, dtype=np.float32))
    seconds: dict[str, float] = {}

    def step(ctx: lg.Context) -> Any:
        clock = [time.perf_counter()]
        x = y = ctx.variable("x")
        for _ in range(ops):
            y = lg.sin(y)
        clock.append(time.perf_counter())
        gradient = lg.grad(y, x)
        clock.append(time.perf_counter())
        values = ctx.evaluator().push(y).push(gradient).run()
        clock.append(time.perf_counter())
        seconds.update(zip(("build_s", "differentiate_s", "run_s"), [b - a for a, b in pairwise(clock)]))
        return values

    start = time.perf_counter()
    values = env.run(step)
    seconds["total_s"] = time.perf_counter() - start
    assert all(np.isfinite(value).all() for value in values)
    return {**seconds, "memory_mb": memory()}


if __name__ == "__main__":
    main()
