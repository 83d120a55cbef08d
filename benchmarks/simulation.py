"""When many processes pay: ``python -m benchmarks.simulation``, a simulation of 2 to 1,024 workers.

What a step costs is measured here, and so is what MPI costs between two processes: the latency of a small sum and the
bandwidth of a piece of 1 MiB. The rest is arithmetic. A sum of n bytes over K workers by reduce-scatter and gather,
as MPI does long ones, takes 2⌈log₂K⌉ latencies and moves 2n(K-1)/K bytes by every worker. A part of it travels while
the backward pass computes, from which the first gradients come at once; the rest is waited for:

    T(K) = compute(rows / K) + max(exchange(K) - overlap · backward(rows / K), last piece) + small sums · latency(K)

Machines of a network have its latency and bandwidth; those of one machine what was measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

import lazygrad as lg
from benchmarks.process import ROOT, keep

SIZES = (784, 512, 512, 10)  # 2.7 MB of gradients
BACKWARD = 2 / 3  # of a step: two products of each layer, where the forward pass has one
PIECE = 2**20
WORKERS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
NETWORKS = {"Ethernet, 10 Gbit/s": (30e-6, 1.1e9), "InfiniBand, 100 Gbit/s": (2e-6, 11e9)}  # as their makers give them

MPI = """
import json, time
import numpy as np
from lazygrad.workers import communicator
c = communicator("mpi")
found = []
for size in (1, 262144):
    a = np.ones(size, "float32")
    times = []
    for _ in range(15):
        c.gather(0)
        began = time.perf_counter()
        for _ in range(20):
            c.sum(a)
            a[:] = 1
        times.append((time.perf_counter() - began) / 20)
    found.append(sorted(c.gather(sorted(times)[3]))[-1])
if c.rank == 0:
    print(json.dumps(found))
"""


class Costs(NamedTuple):
    """What an exchange costs: seconds until a small one is there, and bytes a second."""

    latency: float
    bandwidth: float

    def sum(self, nbytes: int, workers: int) -> float:
        """Seconds of a sum over so many workers."""
        rounds = math.ceil(math.log2(workers))
        return 2 * rounds * self.latency + 2 * nbytes * (workers - 1) / workers / self.bandwidth


class Step(NamedTuple):
    """What a step costs one process: seconds beside the rows, and for each row."""

    fixed: float
    row: float
    nbytes: int

    def seconds(self, rows: float) -> float:
        """The time of a step of so many rows."""
        return self.fixed + self.row * rows

    def together(self, rows: int, workers: int, costs: Costs, small: int = 2) -> float:
        """The time of a step of so many rows, shared out among workers, with its exchanges."""
        own = self.seconds(rows / workers)
        exchange = costs.sum(self.nbytes, workers)
        last = costs.sum(min(PIECE, self.nbytes), workers)
        hidden = min(BACKWARD * self.row * rows / workers, exchange - last)
        return own + exchange - hidden + small * costs.sum(8, workers)


def measured_step() -> Step:
    """The cost of a step of the network here, on one thread: a line through two batches."""
    rng = np.random.default_rng(0)

    def seconds(rows: int) -> float:
        env = lg.VariableEnvironment(seed=0)
        layers = [lg.nn.Linear(env, a, b) for a, b in itertools.pairwise(SIZES)]
        adam = lg.optim.Adam(env)

        def step(ctx, x, y):
            for layer in layers[:-1]:
                x = lg.nn.relu(layer(x))
            loss = lg.mean(lg.nn.cross_entropy(layers[-1](x), y))
            return loss, adam.minimize(loss)

        compiled = env.compile(step, wait=True)
        x, y = rng.normal(size=(rows, SIZES[0])).astype("float32"), rng.integers(0, SIZES[-1], rows)
        times = []
        for _ in range(30):
            began = time.perf_counter()
            compiled(x, y)
            times.append(time.perf_counter() - began)
        return min(times[5:])  # what else runs on the machine only adds

    few, many = seconds(16), seconds(256)
    row = (many - few) / 240
    count = sum(a * b + b for a, b in itertools.pairwise(SIZES))
    return Step(max(few - 16 * row, 0.0), row, 4 * count)


def measured_mpi() -> Costs:
    """The cost of a sum between two processes of this machine."""
    beside = Path(sys.executable).with_name("mpiexec")
    launcher = str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [launcher, "-n", "2", sys.executable, "-c", MPI], capture_output=True, text=True, timeout=300, env=variables
    )
    if done.returncode:
        raise SystemExit(f"MPI cannot be measured; it comes with the extra mpi\n{done.stderr}")
    small, large = json.loads(done.stdout)
    return Costs(small / 2, PIECE / max(large - small, 1e-9))


def pays(step: Step, workers: int, costs: Costs, efficiency: float = 0.5) -> int | None:
    """The smallest batch, a power of two, from which so many workers are used to this share; None up to 2²²."""
    for power in range(22):
        rows = max(2**power, workers)
        if step.seconds(rows) / step.together(rows, workers, costs) >= efficiency * workers:
            return rows
    return None


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--rows", type=int, default=8192, help="of the batch of the first table (8192)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--step", type=float, nargs=2, metavar="S", help="seconds beside the rows, and a row; measured")
    parser.add_argument("--mpi", type=float, nargs=2, metavar="S", help="latency and bytes a second; measured")
    asked = parser.parse_args()
    nbytes = 4 * sum(a * b + b for a, b in itertools.pairwise(SIZES))
    step = measured_step() if asked.step is None else Step(*asked.step, nbytes)
    here = measured_mpi() if asked.mpi is None else Costs(*asked.mpi)
    print(f"a step: {step.fixed * 1e3:.2f} ms + {step.row * 1e6:.1f} µs a row; {step.nbytes / 1e6:.1f} MB of gradients")
    print(f"MPI here: {here.latency * 1e6:.1f} µs, {here.bandwidth / 1e9:.2f} GB/s")
    kinds = {"one machine": here, **{name: Costs(*numbers) for name, numbers in NETWORKS.items()}}
    one = step.seconds(asked.rows)
    found: dict[str, dict[str, list[float | None]]] = {"speedup": {}, "pays": {}}
    print(f"\nhow many times as fast as one worker, {asked.rows} rows a step ({one * 1e3:.1f} ms by one)")
    print("workers  " + "  ".join(f"{name:>22}" for name in kinds))
    for k in WORKERS:
        gains = [one / step.together(asked.rows, k, costs) for costs in kinds.values()]
        found["speedup"][str(k)] = [round(g, 2) for g in gains]
        print(f"{k:>7}  " + "  ".join(f"{g:>22.1f}" for g in gains))
    print("\nthe smallest batch from which workers are used to half")
    for k in WORKERS:
        least = [pays(step, k, costs) for costs in kinds.values()]
        found["pays"][str(k)] = [None if rows is None else float(rows) for rows in least]
        print(f"{k:>7}  " + "  ".join(f"{'never' if rows is None else rows:>22}" for rows in least))
    keep(asked.json, "simulation", {"step": step._asdict(), "mpi": here._asdict(), **found})


if __name__ == "__main__":
    main()
