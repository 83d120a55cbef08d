"""What random numbers cost in a compiled step: ``python -m benchmarks.draws``.

First dropout: steps on a (1024, 1024) array of float32 with and without it, in turns in one process. Then draws alone,
summed so that nothing is written, beside NumPy's generators, and JAX's where it is installed. A time is the least of
all turns; ``--processor`` takes that of all threads together, which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import lazygrad as lg

SIDE = 1024
RATE = 0.1
Call = Callable[[], Any]


def main() -> int:
    """A line a measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draws", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="a measurement takes, all of its calls together")
    parser.add_argument("--count", type=int, default=1 << 20, help="numbers of a draw alone")
    parser.add_argument("--processor", action="store_true", help="measure the processor's time, of all threads")
    asked = parser.parse_args()
    clock = time.process_time if asked.processor else time.perf_counter
    whose = "of the processor, " if asked.processor else ""
    print(f"milliseconds {whose}least of all turns; {os.cpu_count()} cores")
    print(f"{'dropout of (1024, 1024), float32':<44}{'without':>10}{'with':>10}{'ratio':>8}")
    for name, make in STEPS.items():
        times = least({"without": make(0.0), "with": make(RATE)}, asked.seconds, clock)
        ratio = times["with"] / times["without"]
        print(f"{name:<44}{1e3 * times['without']:>10.3f}{1e3 * times['with']:>10.3f}{ratio:>8.3f}", flush=True)
    print()
    others = ["numpy", *(["jax"] if importlib.util.find_spec("jax") else [])]
    print(f"{f'sum of {asked.count:,} numbers':<44}{'lazygrad':>10}{''.join(f'{name:>10}' for name in others)}")
    for dtype in ("float32", "float64"):
        for what in ("uniform", "normal", "exponential"):
            calls = {"lazygrad": ours(what, asked.count, dtype), "numpy": numpys(what, asked.count, dtype)}
            if "jax" in others:
                calls["jax"] = jaxs(what, asked.count, dtype)
            check(calls, asked.count, what)
            times = least(calls, asked.seconds, clock)
            listed = "".join(f"{1e3 * times[name]:>10.3f}" for name in calls)
            print(f"{what + ', ' + dtype:<44}{listed}", flush=True)
    return 0


def least(calls: Mapping[str, Call], seconds: float, clock: Callable[[], float]) -> dict[str, float]:
    """The least time of each call; they take turns."""
    for call in calls.values():
        call()
    times = dict.fromkeys(calls, float("inf"))
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for name, call in calls.items():
            start = clock()
            call()
            times[name] = min(times[name], clock() - start)
    return times


def step_of(loss: Callable[[Any, Any, float], Any], slopes: bool) -> Callable[[float], Call]:
    """A function that makes a compiled step of a rate of dropout: a loss, or its gradient for the weights too."""

    def make(rate: float) -> Call:
        rng = np.random.default_rng(0)
        x = rng.standard_normal((SIDE, SIDE)).astype(np.float32)
        env = lg.VariableEnvironment(seed=0)
        env.name("w").set(x.T / SIDE)

        def step(ctx: Any, x: Any) -> Any:
            w = ctx.variable("w")
            value = loss(x, w, rate)
            return (value, lg.grad(value, [w])[0]) if slopes else value

        fast = env.compile(step, wait=True)
        return lambda: fast(x)

    return make


def layer(x: Any, w: Any, rate: float) -> Any:
    """A layer of a network: a product, a function, dropout."""
    return lg.mean(lg.square(lg.nn.dropout(lg.nn.relu(x @ w), rate)))


def elements(x: Any, w: Any, rate: float) -> Any:
    """Nothing but a few operations on each element."""
    return lg.mean(lg.square(lg.nn.dropout(lg.nn.relu(x * w), rate)))


def functions(x: Any, w: Any, rate: float) -> Any:
    """Elements with functions: gelu and softmax of rows."""
    return lg.mean(lg.square(lg.nn.dropout(lg.nn.softmax(lg.nn.gelu(x * w)), rate)))


STEPS: dict[str, Callable[[float], Call]] = {
    "a layer: product, relu, mean of squares": step_of(layer, False),
    "the same with its gradient": step_of(layer, True),
    "gelu, softmax, mean of squares": step_of(functions, False),
    "the same with its gradient ": step_of(functions, True),
    "relu, mean of squares, no product": step_of(elements, False),
    "the same with its gradient  ": step_of(elements, True),
}


def ours(what: str, count: int, dtype: str) -> Call:
    """A compiled step that sums a draw."""
    env = lg.VariableEnvironment(seed=0)
    return env.compile(lambda ctx: lg.sum(getattr(ctx.random, what)(count, dtype=dtype)), wait=True)


def numpys(what: str, count: int, dtype: str) -> Call:
    """NumPy's generator, and a sum."""
    rng = np.random.default_rng(0)
    draw: Any = {"uniform": rng.random, "normal": rng.standard_normal, "exponential": rng.standard_exponential}[what]
    return lambda: draw(count, dtype=dtype).sum()


def jaxs(what: str, count: int, dtype: str) -> Call:
    """The same, compiled by JAX; the key is one more at every call."""
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    draw = getattr(jax.random, what)
    fast = jax.jit(lambda seed: draw(jax.random.key(seed), (count,), dtype=dtype).sum())
    seeds = iter(range(1 << 40))
    return lambda: fast(next(seeds)).block_until_ready()


def check(calls: Mapping[str, Call], count: int, what: str) -> None:
    """Their means are what they should be, within 6 standard errors."""
    mean = {"uniform": 0.5, "normal": 0.0, "exponential": 1.0}[what]
    for name, call in calls.items():
        found = float(call()) / count
        assert abs(found - mean) < 6 / np.sqrt(count) + 1e-5, (name, found)


if __name__ == "__main__":
    raise SystemExit(main())
