"""Runs the trials of every module of this folder in turns, until the time is over.

A module has a docstring, whose first line says what is tried, and a function ``trial(rng, folder)``: one attempt, with
all that is random taken from ``rng``, in an empty folder of its own. It returns a word or two on what happened, which
are counted; a promise that is not kept is an AssertionError, or any other exception.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import pkgutil
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Trial = Callable[[np.random.Generator, Path], str]


def found() -> dict[str, Any]:
    """The modules with trials, by name."""
    here = Path(__file__).parent
    names = sorted(m.name for m in pkgutil.iter_modules([str(here)]) if not m.name.startswith("_"))
    modules = {name: importlib.import_module(f"tests.stress.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "trial")}


def attempt(name: str, trial: Trial, seed: int, number: int) -> str:
    """One trial, the same for the same seed and number."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    with tempfile.TemporaryDirectory(prefix=f"lazygrad-stress-{name}-") as folder:
        return trial(rng, Path(folder))


def main(arguments: Sequence[str] | None = None) -> int:
    """Try for as long as was asked; the number of trials in which a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long, over all (default 5)")
    parser.add_argument("--only", action="append", help="the modules to run, by name (default all)")
    parser.add_argument("--seed", type=int, help="repeats the trials of another run (default: a fresh one)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial")
    parser.add_argument("--trials", type=int, help="how many of each (default: until the time is over)")
    asked = parser.parse_args(arguments)
    seed = int.from_bytes(os.urandom(4), "little") if asked.seed is None else asked.seed
    modules = {name: module for name, module in found().items() if not asked.only or name in asked.only}
    print(f"seed {seed}: {', '.join(modules)}", flush=True)
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in modules}
    spent = dict.fromkeys(modules, 0.0)
    broken, end = 0, time.monotonic() + 60 * asked.minutes
    while time.monotonic() < end:
        left = [n for n in modules if asked.trials is None or counts[n].total() < asked.trials]
        if not left:
            break
        name = min(left, key=spent.__getitem__)  # equal time for each
        number, began = asked.first + counts[name].total(), time.monotonic()
        try:
            counts[name][attempt(name, modules[name].trial, seed, number)] += 1
        except Exception:
            broken += 1
            counts[name]["BROKEN"] += 1
            traceback.print_exc()
            print(f"again: python -m tests.stress --only {name} --seed {seed} --first {number} --trials 1", flush=True)
        spent[name] += time.monotonic() - began
    for name, module in modules.items():
        what = (module.__doc__ or name).splitlines()[0]
        print(f"\n{name}: {what}\n  {counts[name].total()} trials in {spent[name]:.0f} s")
        for said, count in counts[name].most_common():
            print(f"  {count:6} {said}")
    print(f"\n{broken} promises were broken.")
    return min(broken, 100)


if __name__ == "__main__":
    sys.exit(main())
