"""What it costs that workers exchange their gradients: ``python -m benchmarks.workers``.

A network with 2.7 MB of gradients is trained by processes of one thread each: every one alone with its rows, and
nothing exchanged; then all together. The first ratio is what the exchange adds to a step, wanted at most 1.15. Strong
scaling divides one batch among the processes, weak scaling gives each as many rows. PyTorch's
DistributedDataParallel with gloo is measured beside it where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from benchmarks.process import ROOT

SIZES = (784, 512, 512, 10)  # 669,706 numbers in float32: 2.7 MB
RATIO = 1.15
PIECES = 20  # steps between two looks at the clock


def main() -> None:
    """Measure, or be one of the processes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, metavar="K")
    parser.add_argument("--batch", type=int, default=1024, help="rows of all together, or in weak scaling of each")
    parser.add_argument("--rounds", type=int, default=15, help=f"of {PIECES} steps each")
    parser.add_argument("--worker", choices=("lazygrad", "torch"), help="be one process of these")
    parser.add_argument("--profile", action="store_true", help="print what is exchanged")
    asked = parser.parse_args()
    if asked.worker == "torch":
        _torch(asked.batch, asked.rounds)
    elif asked.worker:
        _worker(asked.batch, asked.rounds, asked.profile)
    else:
        _all(asked)


def _all(asked: Any) -> None:
    """Start the processes, and print what they found."""
    found = {"lazygrad": _started(asked, "lazygrad")}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = _started(asked, "torch")
    else:
        print("PyTorch is not installed: nothing is measured beside it")
    for name, times in found.items():
        alone, together = times["alone"], times["together"]
        goal = f" (wanted at most {RATIO})" if name == "lazygrad" else ""
        print(
            f"{name}: {asked.workers} processes, {asked.batch // asked.workers} rows each: {alone * 1e3:.2f} ms "
            f"without exchange, {together * 1e3:.2f} ms with it: {together / alone:.2f} ×{goal}"
        )
        strong, weak = times["one"] / together, times["one"] / times["weak"] * asked.workers
        print(f"{name}: one process, {asked.batch} rows: {times['one'] * 1e3:.2f} ms")
        print(f"{name}: strong scaling {strong:.2f} ×, weak scaling {weak:.2f} × of {asked.workers}", flush=True)
    if "torch" in found:
        ours, theirs = (found[name]["together"] - found[name]["alone"] for name in ("lazygrad", "torch"))
        print(f"what the exchange adds: {ours * 1e3:.2f} ms, PyTorch {theirs * 1e3:.2f} ms: {ours / theirs:.2f} ×")


def _started(asked: Any, which: str) -> dict[str, float]:
    launcher = Path(sys.executable).with_name("mpiexec")
    command = [str(launcher) if launcher.exists() else shutil.which("mpiexec") or "mpiexec", "-n", str(asked.workers)]
    command += [sys.executable, "-m", "benchmarks.workers", "--worker", which]
    command += ["--batch", str(asked.batch), "--rounds", str(asked.rounds), *["--profile"] * asked.profile]
    threads = dict.fromkeys(("LAZYGRAD_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    env = {**os.environ, **threads, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    *said, last = [line for line in done.stdout.splitlines() if line]
    print("\n".join(said) + "\n" if said else "", end="")
    times: dict[str, float] = json.loads(last)
    return times


def _step(env: Any) -> Any:
    layers = [lg.nn.Linear(env, a, b, name=f"layer{i}") for i, (a, b) in enumerate(itertools.pairwise(SIZES))]
    adam = lg.optim.Adam(env)

    @env.compile
    def step(ctx: Any, x: Any, y: Any) -> Any:
        for layer in layers[:-1]:
            x = lg.nn.relu(layer(x))
        loss = lg.mean(lg.nn.cross_entropy(layers[-1](x), y))
        return loss, adam.minimize(loss)

    return step


def _data(rows: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, SIZES[0])).astype("float32"), rng.integers(0, SIZES[-1], rows)


def _seconds(call: Callable[[], Any], rounds: int, meet: Callable[[], Any]) -> float:
    """The median time of a step, over rounds that all processes begin together."""
    found = []
    for _ in range(rounds):
        meet()
        start = time.perf_counter()
        for _ in range(PIECES):
            call()
        found.append((time.perf_counter() - start) / PIECES)
    return statistics.median(found)


def _worker(batch: int, rounds: int, profile: bool) -> None:
    """One process: the times go to the first one, which prints the slowest of each."""
    together = lg.VariableEnvironment(seed=0, workers="mpi")
    among = together._store.among.communicator
    size = together.workers
    x, y = _data(batch * size)
    times: dict[str, float] = {}

    def measure(name: str, env: Any, *rows: Any) -> None:
        step = _step(env)
        step.prepare(*rows)
        for _ in range(PIECES):
            step(*rows)
        if profile and env.workers > 1 and among.rank == 0:
            print(step.plan.explain().split("exchanges", 1)[1].split(" kernels")[0])
        times[name] = max(among.gather(_seconds(lambda: step(*rows), rounds, lambda: among.gather(0))))

    part = slice(batch * among.rank // size, batch * (among.rank + 1) // size)
    measure("one", lg.VariableEnvironment(seed=0), x[:batch], y[:batch])
    measure("alone", lg.VariableEnvironment(seed=0), x[:batch][part], y[:batch][part])
    measure("together", together, *together.rows(x[:batch], y[:batch]))
    weak = lg.VariableEnvironment(seed=0, workers="mpi")
    measure("weak", weak, *weak.rows(x, y))
    if among.rank == 0:
        print(json.dumps(times), flush=True)


def _torch(batch: int, rounds: int) -> None:
    """One process of PyTorch's; the first one prints."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    rank, size = int(os.environ["PMI_RANK"]), int(os.environ["PMI_SIZE"])
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"})
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=size)
    x, y = (torch.from_numpy(a) for a in _data(batch * size))
    times: dict[str, float] = {}

    def measure(name: str, shared: bool, *rows: Any) -> None:
        layers: list[Any] = []
        for a, b in itertools.pairwise(SIZES):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        net: Any = torch.nn.Sequential(*layers[:-1])
        net = DistributedDataParallel(net) if shared else net
        adam = torch.optim.Adam(net.parameters())

        def step() -> None:
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(rows[0]), rows[1]).backward()
            adam.step()

        for _ in range(PIECES):
            step()
        found = torch.tensor(_seconds(step, rounds, dist.barrier))
        dist.all_reduce(found, dist.ReduceOp.MAX)
        times[name] = float(found)

    part = slice(batch * rank // size, batch * (rank + 1) // size)
    measure("one", False, x[:batch], y[:batch])
    measure("alone", False, x[:batch][part], y[:batch][part])
    measure("together", True, x[:batch][part], y[:batch][part])
    measure("weak", True, x[batch * rank : batch * (rank + 1)], y[batch * rank : batch * (rank + 1)])
    if rank == 0:
        print(json.dumps(times), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
