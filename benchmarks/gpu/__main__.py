"""All that a GPU is needed for: ``python -m benchmarks.gpu``, in at most five minutes.

First what is right: kernels bit for bit beside the CPU's code with 32 lanes, which is made on the spot; the tests, on
CuPy; ``compute-sanitizer``, where there is one; memory over 10,000 steps. Then what is fast: beside the GPU's own
copying, and beside PyTorch and JAX, where they are installed. Each stage has its time, and its failure does not stop
the others. What was found is a page that names the device and the day.

``--double`` tries the script itself, small and without a GPU, on the double of CuPy in ``tests/cupy_double``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu import bandwidth, here, page, suites
from benchmarks.gpu.times import AIMS, installed, timed
from benchmarks.process import ROOT, Failed, fresh, notice

PAGE = ROOT / "docs" / "gpu-results.md"
LIMIT = 300.0  # seconds in all
# Seconds of each stage; what one leaves over the later ones have.
BUDGETS = {"device": 15, "bits": 50, "suites": 75, "sanitizer": 40, "replays": 15, "elem": 15, "adam": 20, "times": 70}


def main() -> int:
    """What holds and what does not; 0 if nothing that was looked at fails, 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--page", type=Path, help=f"{PAGE.relative_to(ROOT)} if not given; with --double none")
    parser.add_argument("--double", action="store_true", help="small, on the double of CuPy")
    parser.add_argument("--only", action="append", choices=BUDGETS, help="this stage; again for several")
    parser.add_argument("--stage", nargs="+", metavar="NAME", help="this alone, in this process; prints JSON")
    asked = parser.parse_args()
    if asked.stage:
        return in_this_process(asked.stage, asked.double)
    try:
        here.cupy_here(asked.double)
    except here.NoGPU as reason:
        print(f"There is no GPU here that CuPy can use ({reason}): nothing was run. --double tries the script itself.")
        return 2
    begun = time.perf_counter()
    found = all_stages(asked.double, asked.only or list(BUDGETS), begun)
    seconds = time.perf_counter() - begun
    target = asked.page or (None if asked.double else PAGE)
    if target is not None:
        target.write_text(page.written(found, seconds), encoding="utf-8")
        print(f"{target} in {seconds:.0f} s")
    held = page.kept(found)
    words = {True: "holds", False: "FAILS", None: "not looked at"}
    for name, value in held.items():
        print(f"{words[value]:>13}  {name}")
    return int(False in held.values())


def all_stages(double: bool, names: list[str], begun: float) -> dict[str, Any]:
    """What each stage found, or why it did not."""
    found: dict[str, Any] = {"double": double}
    spare = 0.0
    for name in names:
        notice(name)
        begun_here = time.perf_counter()
        limit = min(BUDGETS[name] + spare, LIMIT - (begun_here - begun))
        if name == "times":
            found[name] = all_times(double, limit)
        elif limit < 1:
            found[name] = {"error": "there was no time left"}
        elif name in ("suites", "sanitizer"):  # programs of their own, which end in time
            found[name] = (suites.tested if name == "suites" else suites.sanitized)(double, limit)
        else:
            found[name] = one(name, double=double, limit=limit)
        spare = limit - (time.perf_counter() - begun_here)
    notice("")
    return found


def all_times(double: bool, limit: float) -> dict[str, Any]:
    """Of every workload the time of lazygrad and of the peers; each has an equal share of what is left."""
    found: dict[str, Any] = {name: {} for name in AIMS}
    pairs = [(name, peer) for peer in ["lazygrad", *([] if double else installed())] for name in AIMS]
    pairs = pairs[:2] if double else pairs
    end = time.perf_counter() + limit
    for number, (name, peer) in enumerate(pairs):
        left = end - time.perf_counter()
        if left < 1:
            found[name][peer] = {"error": "no time left"}
            continue
        most = left if peer == "lazygrad" else 3 * left / (len(pairs) - number)
        notice(f"{name} {peer}")
        found[name][peer] = one("time", name, peer, double=double, limit=min(left, most))
    return found


def one(*stage: str, double: bool, limit: float) -> Any:
    """What a stage finds in a process of its own."""
    try:
        return fresh("benchmarks.gpu", "--stage", *stage, *(["--double"] * double), limit=limit)
    except Failed as reason:
        return {"error": str(reason)}
    except (OSError, ValueError, IndexError) as reason:  # it printed no JSON
        return {"error": f"{type(reason).__name__}: {reason}"}


def in_this_process(stage: list[str], double: bool) -> int:
    """A stage, whose result is printed as JSON."""
    cupy = here.cupy_here(double)
    from benchmarks.gpu import bits

    def small(much: int, little: int) -> int:
        return little if double else much

    stages: dict[str, Callable[[], Any]] = {
        "device": lambda: here.described(cupy, double),
        "bits": lambda: bits.compared(few=double),
        "few bits": lambda: bits.compared(few=True),
        "replays": lambda: bandwidth.replays(cupy, small(10_000, 12)),
        "elem": lambda: bandwidth.elementwise(cupy, small(256_000_000, 2_000)),
        "adam": lambda: bandwidth.adam(cupy, small(500, 5), small(100_000, 100)),
        "time": lambda: timed(cupy, stage[2], stage[1], double),
    }
    found = stages[stage[0]]()
    print(json.dumps(found))
    return int(bool(found.get("wrong"))) if stage[0] == "few bits" else 0


if __name__ == "__main__":
    sys.exit(main())
