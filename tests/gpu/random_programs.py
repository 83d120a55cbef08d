"""Random programs on the emulator: ``python -m tests.gpu.random_programs --count 2000``.

The programs of ``tests/programs.py`` and ``tests/wild_programs.py``, *exact*, *smooth* and *wild* ones in turns, smooth
ones with their gradients and in float32 or float64, as steps whose kernels are written for threads and run as PTX. What
comes out must have the bits of the CPU's code with 32 lanes, and be what NumPy gives: of exact programs bit for bit, of
others as near as ``docs/native.md`` says.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import numpy as np
from gpu.emulated import Emulated, emulated, held_to_the_law
from programs import exact_program, smooth_program
from wild_programs import wild_program

import lazygrad as lg
from lazygrad.engine.table.native import Instruction

__all__ = ["FAMILIES", "tried"]

FAMILIES: dict[str, Callable[[random.Random], Any]] = {
    "exact": exact_program,
    "smooth": smooth_program,
    "wild": wild_program,
}


def tried(family: str, seed: int) -> Emulated:
    """A random program, run and compared; an assertion says what is wrong."""
    made = FAMILIES[family](random.Random(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data that are wider than the environment
        found = _smooth(made, seed) if family == "smooth" else _plain(made)
    held_to_the_law(found)
    if family == "exact":
        for one, expected in zip(found.found, found.expected, strict=True):
            np.testing.assert_array_equal(one, expected)
    return found


def _plain(made: Any) -> Emulated:
    """The program with its updates, in an environment of float64."""
    step = made.step()
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    for k, value in enumerate(made.variables):
        env.name("abc"[k]).set(value)
    return emulated(step, *made.arguments, environment=env)


def _smooth(made: Any, seed: int) -> Emulated:
    """The program with its gradient; every other one in float32."""
    function, dtype = made.function(), ("float64", "float32")[seed % 2]

    def step(ctx: Any, *arguments: Any) -> Any:
        values = dict(zip(made.names, function(lg, *arguments), strict=True))
        outputs = [values[name] for name in made.outputs]
        return outputs, lg.grad(lg.add_n([lg.sum(lg.sin(y)) for y in outputs]), list(arguments))

    env = lg.VariableEnvironment(seed=0, dtype=dtype)
    return emulated(step, *[a.astype(dtype) for a in made.arguments], environment=env)


def main(arguments: Sequence[str] | None = None) -> int:
    """How many programs were right, and what is wrong with the others; 0 if nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.random_programs", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="of programs, over all families (default 2000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--family", action="append", choices=FAMILIES, help="again for several; all if not given")
    asked = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    families, begun, wrong = asked.family or list(FAMILIES), time.perf_counter(), 0
    for number in range(asked.first, asked.first + asked.count):
        family = families[number % len(families)]
        try:
            steps = [type(step) for step in tried(family, number).native.program]
        except Exception:
            wrong += 1
            print(f"{family} {number}\n{traceback.format_exc()}", flush=True)
        else:
            counts[family] += 1
            counts["launches"] += sum(step is Instruction for step in steps)
            counts["calls back"] += sum(step is not Instruction for step in steps)
    seconds = time.perf_counter() - begun
    print(f"{asked.count} programs in {seconds:.0f} s, {wrong} of them wrong: {dict(counts)}")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
