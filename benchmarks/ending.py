"""Where LLVM works, in the process or in one beside it: ``python -m benchmarks.ending``.

For a step of thousands of small ops that is being compiled: how long the process takes to end, a fork, and an answer to
a cancellation, and how much memory it holds at most; for the ``king`` step, how long it takes until native code is in
place, with nothing on disk. Medians of fresh processes, the two in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from typing import Any

from benchmarks.process import fresh, memory, notice, pin

PLACES = ("process", "thread")
LAYERS = 1500


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ending", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--within", choices=PLACES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.within:
        within()
        return
    found: dict[str, list[dict[str, float]]] = {place: [] for place in PLACES}
    for number in range(asked.rounds):
        for place in PLACES:
            notice(f"{place}, round {number + 1} of {asked.rounds}")
            found[place].append(measured(place))
    notice("")
    for what in found[PLACES[0]][0]:
        medians = [statistics.median(one[what] for one in found[place]) for place in PLACES]
        print(f"{what:<42}" + "".join(f"  {p}: {m:8.3f}" for p, m in zip(PLACES, medians, strict=True)))


def measured(place: str) -> dict[str, float]:
    """One round, with LLVM at work there."""
    surroundings = {**pin(2), "LAZYGRAD_COMPILER": place, "LAZYGRAD_CACHE": "off"}
    result = fresh("benchmarks.ending", "--within", place, environment=surroundings)
    result["to end, s"] = time.time() - result.pop("ends at")
    with tempfile.TemporaryDirectory() as folder:
        empty = {**surroundings, "LAZYGRAD_CACHE": folder}
        king: dict[str, Any] = fresh("benchmarks.measure", "lazygrad_compile", "king", "--steps", 3, environment=empty)
    return {**result, "king in place, nothing on disk, s": king["ready_s"]}


def within() -> None:
    """Compile, fork, cancel, compile again, and end."""
    import numpy as np

    import lazygrad as lg

    def step(ctx: Any, x: Any, number: int) -> Any:
        for k in range(LAYERS):
            x = lg.cumulative_sum(lg.sin(x * (1 + (k + number) / 4096)), axis=k % 2)
        return lg.sum(x)

    env, x = lg.VariableEnvironment(), np.ones((4, 3), np.float32)

    def begun(number: int) -> Any:
        fast = env.compile(step)
        fast(x, number)
        fast(x, number)
        while fast.progress.kernels == 0:
            time.sleep(0.01)
        time.sleep(0.3)  # LLVM is at work
        return fast

    fast = begun(0)
    began = time.perf_counter()
    child = os.fork()
    forked = time.perf_counter() - began
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    began = time.perf_counter()
    fast.cancel()
    fast.wait()
    cancelled = time.perf_counter() - began
    begun(1)
    result = {"to fork, s": forked, "to cancel, s": cancelled, "memory at most, MB": memory(), "ends at": time.time()}
    print(json.dumps(result), flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
