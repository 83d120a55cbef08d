"""The same bits with any number of threads: ``python -m benchmarks.threads``.

Steps of the workloads, of chains of layers, and of models of each layer, compiled and run in fresh processes with 1, 2,
3, 4 and 7 threads; what they compute, and all their variables afterwards, must be equal bit for bit. The threads of
NumPy's BLAS and LAPACK, which calls back use, are another setting, and one here.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.process import fresh, notice, pin

COUNTS = (1, 2, 3, 4, 7)
STEPS = 3
HUGE = ("layers1000",)  # as the shorter chains


def main() -> int:
    """A line for each step, and how many differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a workload, a chain or a layer; all if none")
    parser.add_argument("--threads", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--tiny", action="store_true", help="the workloads at sizes that take no time")
    parser.add_argument("--one", metavar="NAME", help="the digest of this, in this process")
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(digest(asked.one, asked.tiny)))
        return 0
    differ = 0
    for name in asked.names or names():
        found = {}
        for threads in asked.threads:
            notice(f"{name} with {threads} threads")
            environment = {**pin(1), "LAZYGRAD_THREADS": str(threads), "LAZYGRAD_NATIVE": "wait"}
            found[threads] = fresh(
                "benchmarks.threads", "--one", name, *(["--tiny"] * asked.tiny), environment=environment
            )
        notice("")
        same = len({one["digest"] for one in found.values()}) == 1
        differ += not same
        shared = max(one["chunks"] for one in found.values())
        said = "the same bits" if same else f"other bits: {json.dumps(found)}"
        print(f"{name:<20} {said}   (kernels in up to {shared} chunks)", flush=True)
    return differ


def names() -> list[str]:
    """Everything that can be asked for."""
    from benchmarks.workloads import CHAINS, WORKLOADS

    return [*WORKLOADS, *(name for name in CHAINS if name not in HUGE), *LAYERS]


def digest(name: str, tiny: bool = False) -> dict[str, Any]:
    """Of all that the first steps compute and of the variables then; and the most chunks of a kernel."""
    from lazygrad.engine.table.native import Instruction

    env, step, batches = program(name, tiny)
    compiled = env.compile(step, wait=True)
    seen = hashlib.sha256()
    for number in range(STEPS):
        for array in arrays(compiled(*batches[number % len(batches)])):
            seen.update(array.tobytes())
    assert compiled.is_native, compiled
    for variable in env:
        seen.update(variable.value.tobytes())
    instructions = [step for step in compiled.plan.native().native.program if isinstance(step, Instruction)]
    return {"digest": seen.hexdigest(), "chunks": max((step.chunks for step in instructions), default=0)}


def program(name: str, tiny: bool) -> tuple[Any, Callable[..., Any], list[Any]]:
    """An environment, a step in it, and its batches."""
    if name in LAYERS:
        return layer(*LAYERS[name])
    from benchmarks.peers import program as program_of
    from benchmarks.workloads import CHAINS, WORKLOADS

    workload = (WORKLOADS | CHAINS)[name]
    env, step, batches = program_of("lazygrad_run", workload.family).program(workload.tiny() if tiny else workload)
    return env, step, list(batches)


def layer(kind: str, settings: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, Callable[..., Any], list[Any]]:
    """Training of one layer on noise."""
    import numpy as np

    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0)
    made = getattr(lg.nn, kind)(env, *settings)
    adam = lg.optim.Adam(env, learning_rate=0.01)
    random = np.random.default_rng(0)
    if kind == "Embedding":
        batches = [(random.integers(0, settings[0], shape),) for _ in range(STEPS)]
    else:
        batches = [(random.normal(size=shape).astype(np.float32),) for _ in range(STEPS)]

    def step(ctx: Any, x: Any) -> Any:
        y = made(x)
        y = y[0] if isinstance(y, tuple) else y
        loss = lg.mean(lg.square(y - 0.5))
        return (y, loss) if kind.endswith("Pool2d") else (y, loss, adam.minimize(loss))

    return env, step, batches


def arrays(result: Any) -> list[Any]:
    """What a step computed."""
    if result is None:
        return []
    return [array for part in result for array in arrays(part)] if isinstance(result, (tuple, list)) else [result]


# Of each layer its settings, and a batch that is large enough to be shared.
LAYERS: dict[str, tuple[str, tuple[Any, ...], tuple[int, ...]]] = {
    "Linear": ("Linear", (300, 400), (1000, 300)),
    "Conv2d": ("Conv2d", (4, 8, 3), (32, 4, 24, 24)),
    "ConvTranspose2d": ("ConvTranspose2d", (4, 8, 3), (32, 4, 24, 24)),
    "AvgPool2d": ("AvgPool2d", (2,), (64, 8, 32, 32)),
    "MaxPool2d": ("MaxPool2d", (2,), (64, 8, 32, 32)),
    "SumPool2d": ("SumPool2d", (2,), (64, 8, 32, 32)),
    "BatchNorm": ("BatchNorm", (64,), (5000, 64)),
    "LayerNorm": ("LayerNorm", (64,), (5000, 64)),
    "GroupNorm": ("GroupNorm", (16, 4), (500, 16, 8, 8)),
    "Embedding": ("Embedding", (1000, 64), (64, 100)),
    "RNN": ("RNN", (40, 64), (64, 12, 40)),
    "GRU": ("GRU", (40, 64), (64, 12, 40)),
    "LSTM": ("LSTM", (40, 64), (64, 12, 40)),
    "MultiHeadAttention": ("MultiHeadAttention", (64, 4), (16, 100, 64)),
    "TransformerBlock": ("TransformerBlock", (64, 4), (16, 100, 64)),
}


if __name__ == "__main__":
    sys.exit(main())
