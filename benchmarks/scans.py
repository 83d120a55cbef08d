"""How loops grow with their turns: ``python -m benchmarks.scans``.

A native loop of ten times the turns takes ten times as long; writing and planning one in ``env.run`` takes as long for
ten thousand turns as for one; and the gradient of a loop whose body is a ``lg.checkpoint`` needs memory that grows as
the square root of the turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from benchmarks.peers import load, program
from benchmarks.process import fresh, keep, memory, notice, pin
from benchmarks.workloads import WORKLOADS

LOOPS = ("rk4", "kalman", "leaves")
TURNS = (1_000, 10_000)
RATIO = (9.0, 11.0)  # of the times of the two
WRITING_MS = 3.0
LONG = (400, 1_600, 6_400)  # turns of the loop whose memory is measured: each has four times those before
ROOT_RATIO = 2.6  # of the memory of one to that before, at most, where 2 is the square root
WIDTH = 20_000  # numbers that this one carries


def main() -> None:
    """Measure the three, print them, and keep them in a file if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scans", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--tiny", action="store_true", help="few turns, which say nothing")
    parser.add_argument("--peak", nargs=2, metavar=("TURNS", "KIND"), help="the memory of one gradient alone")
    asked = parser.parse_args()
    if asked.peak:
        turns, kind = asked.peak
        print(json.dumps({"mb": peak(int(turns), kind == "checkpoint")}))
        return
    turns, long = ((3, 30), (4, 16)) if asked.tiny else (TURNS, LONG)
    found: dict[str, Any] = {"times": {}, "writing": {}, "memory": {}}
    for name in LOOPS:
        notice(f"{name}: times")
        found["times"][name] = times = {count: step_s(name, count) for count in turns}
        ratio = times[turns[1]] / times[turns[0]]
        shown = ", ".join(f"{count:,} turns {seconds * 1e3:.3g} ms" for count, seconds in times.items())
        print(f"{name:<8} {shown}: {ratio:.1f} × (wanted {RATIO[0]:g} to {RATIO[1]:g})", flush=True)
    found["writing"] = {count: writing_s(count) for count in turns}
    shown = ", ".join(f"{count:,} turns {seconds * 1e3:.2f} ms" for count, seconds in found["writing"].items())
    print(f"writing and planning rk4 with its gradient: {shown} (at most {WRITING_MS:g} ms)", flush=True)
    for kind in ("kept", "checkpoint"):
        found["memory"][kind] = peaks = {count: peak_of(count, kind) for count in long}
        print(
            f"gradient of a loop, {kind}: " + ", ".join(f"{count:,} turns {mb:.0f} MB" for count, mb in peaks.items())
        )
    keep(asked.json, "scans", found)


def least(call: Callable[[], Any], seconds: float = 1.0) -> float:
    """The least time of calls, for so many seconds and at least five."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def step_s(name: str, turns: int) -> float:
    """Seconds of a step in native code, with so many turns."""
    full: Any = WORKLOADS[name]
    workload = replace(full, turns=turns)
    _, training = load("lazygrad_compile", workload.family)
    step = training(workload)
    step(0)
    step.wait()  # type: ignore[attr-defined]
    step(0)
    return least(lambda: step(0))


def writing_s(turns: int) -> float:
    """Seconds to write and to plan the step of ``rk4`` again, of which nothing is evaluated."""
    full: Any = WORKLOADS["rk4"]
    env, step, batches = program("lazygrad_run", full.family).program(replace(full, turns=turns))

    def unread(ctx: lg.Context, *arrays: lg.Tensor) -> Any:
        step(ctx, *arrays)
        return arrays[0]

    env.run(unread, *batches[0])
    env.run(unread, *batches[0])
    gc.collect()
    return least(lambda: env.run(unread, *batches[0]))


def peak_of(turns: int, kind: str) -> float:
    """The megabytes that :func:`peak` finds in a process of its own."""
    notice(f"memory of {turns:,} turns, {kind}")
    found = fresh("benchmarks.scans", "--peak", turns, kind, environment=pin(1), limit=600)
    return float(found["mb"])


def peak(turns: int, checkpoint: bool) -> float:
    """By how many megabytes the peak of this process rises in a gradient through so many turns."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")

    def turn(x: lg.Tensor, _: None) -> Any:
        return lg.tanh(1.01 * x + 0.1 * lg.sin(x)), None

    def step(ctx: lg.Context, x: lg.Tensor, count: int) -> Any:
        last, _ = lg.scan(lg.checkpoint(turn) if checkpoint else turn, x, None, length=count)
        return lg.sum(lg.grad(lg.sum(last), x))

    x = np.linspace(-1, 1, WIDTH)
    env.run(step, x, 2)  # so that what is imported and remembered is there
    before = memory()
    env.run(step, x, turns)
    return round(memory() - before, 1)


if __name__ == "__main__":
    main()
