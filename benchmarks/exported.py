"""A network for one image, in Python and exported: ``python -m benchmarks.exported``.

The network of MNIST, 784-128-10 in float32, with first weights, for one image. It is called compiled in Python, by
``lazygrad_runtime``, and from a loop in C; each is a median over turns of a thousand calls, in which the three take
turns. That the bits are the same is checked first. Then the sizes of the files, and how long a process takes to import
NumPy and ``lazygrad_runtime`` and to load the library.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
import lazygrad_runtime
from lazygrad.export.linking import compiler

CALLS = 1000
MOST = {"python": 15.0, "c": 10.0}  # microseconds
LARGEST = 700_000  # bytes of the library

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "predict.h"

int main(void) {
    static float x[PREDICT_X_SIZE], y[PREDICT_Y_SIZE];
    void *workspace = malloc(predict_workspace_size());
    if (fread(x, sizeof x, 1, stdin) != 1) return 1;
    for (int turn = 0; turn < TURNS; turn++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int call = 0; call < CALLS; call++) if (predict(x, y, workspace)) return 1;
        clock_gettime(CLOCK_MONOTONIC, &to);
        printf("%.4f\\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / 1e3 / CALLS);
    }
    for (int k = 0; k < PREDICT_Y_SIZE; k++) printf("%.9g\\n", y[k]);
    return 0;
}
"""

STARTS = """
import time
begin = time.perf_counter()
import numpy
middle = time.perf_counter()
import lazygrad_runtime
imported = time.perf_counter()
lazygrad_runtime.load("predict.so")
loaded = time.perf_counter()
print(middle - begin, imported - middle, loaded - imported)
"""


def main() -> int:
    """A line a number; the status is 1 if one is not what it must be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exported", description=__doc__)
    parser.add_argument("--turns", type=int, default=20, help="of a thousand calls each")
    turns = parser.parse_args().turns
    env = lg.VariableEnvironment(seed=0)
    hidden, out = lg.nn.Linear(env, 784, 128, name="hidden"), lg.nn.Linear(env, 128, 10, name="out")
    predict = env.compile(lambda ctx, x: lg.nn.softmax(out(lg.nn.relu(hidden(x)))), wait=True)
    x = np.random.default_rng(0).random((1, 784)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        predict.export(Path(folder, "predict"), x)
        loaded = lazygrad_runtime.load(Path(folder, "predict.so"))
        timed = {"python": _turns(predict, x, turns), "runtime": _turns(loaded, x, turns)}
        timed["c"], printed = _in_c(folder, x, turns)
        same = predict(x).tobytes() == loaded(x).tobytes() == np.float32(printed).tobytes()
        size = Path(folder, "predict.so").stat().st_size
        starts = _starts(folder)
    print(f"same bits in all three: {same}")
    good = same and size <= LARGEST
    for name, times in timed.items():
        median, most = statistics.median(times), MOST.get(name)
        good = good and (most is None or median <= most)
        print(f"{name:<8}{median:8.2f} µs a call, least {min(times):.2f}" + (f", at most {most:g}" if most else ""))
    print(f"library {size:,} bytes, at most {LARGEST:,}; the weights are {4 * (784 * 128 + 128 + 128 * 10 + 10):,}")
    numpy, imported, load = (1000 * one for one in starts)
    print(f"a process imports NumPy in {numpy:.0f} ms, lazygrad_runtime in {imported:.1f}, and loads in {load:.1f}")
    return 0 if good else 1


def _turns(call: Callable[[Any], Any], x: Any, turns: int) -> list[float]:
    """Microseconds of a call, for each turn."""
    call(x)
    found = []
    for _ in range(turns):
        begin = time.perf_counter()
        for _ in range(CALLS):
            call(x)
        found.append((time.perf_counter() - begin) * 1e6 / CALLS)
    return found


def _in_c(folder: str, x: Any, turns: int) -> tuple[list[float], list[float]]:
    """The same of a program of C, and what it computed."""
    text = PROGRAM.replace("TURNS", str(turns)).replace("CALLS", str(CALLS))
    Path(folder, "main.c").write_text(text, encoding="utf-8")
    command = [*compiler(), "-O2", "main.c", "predict.o", "-lm", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    done = subprocess.run([f"{folder}/main"], input=x.tobytes(), capture_output=True, check=True, timeout=120)
    numbers = [float(line) for line in done.stdout.decode().split()]
    return numbers[:turns], numbers[turns:]


def _starts(folder: str) -> list[float]:
    """Seconds for NumPy, for ``lazygrad_runtime``, and for loading: medians of processes."""
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    rows = []
    for _ in range(7):
        done = subprocess.run(
            [sys.executable, "-c", STARTS], cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True,
            check=True, text=True, timeout=60,
        )  # fmt: skip
        rows.append([float(number) for number in done.stdout.split()])
    return [statistics.median(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
