"""Steps that do nothing but move numbers, beside what the GPU moves when it copies; and whether memory stays flat."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gpu.here import used, wait

__all__ = ["adam", "copied", "elementwise", "per_call", "replays"]

ROUNDS = 5
SHORTEST = 0.02  # seconds of a round


def per_call(
    call: Callable[[int], Any], waited: Callable[[Any], Any], rounds: int = ROUNDS, shortest: float = SHORTEST
) -> float:
    """Seconds of a call, once it has been called: the median of rounds.

    Args:
        call: is given the number of the call.
        waited: is given what the last call of a round returned, and waits until the GPU has done it.
        rounds: how many.
        shortest: seconds that a round takes at least.
    """
    for number in range(3):
        last = call(number)
    waited(last)
    begun = time.perf_counter()
    waited(call(0))
    once = max(time.perf_counter() - begun, 1e-7)
    count = max(1, min(2_000, int(shortest / once)))
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for number in range(count):
            last = call(number)
        waited(last)
        found.append((time.perf_counter() - begun) / count)
    return statistics.median(found)


def copied(cupy: Any, count: int) -> float:
    """Bytes a second, read and written, of copying so many float32."""
    x, y = cupy.ones(count, np.float32), cupy.empty(count, np.float32)

    def copy(number: int) -> None:
        y[...] = x

    return 2 * 4 * count / per_call(copy, lambda last: wait(cupy))


def elementwise(cupy: Any, count: int) -> dict[str, float]:
    """The workload ``elem``: read once, with a gradient that is written once. Beside a copy of as many numbers."""
    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0, backend="cupy")
    x = (cupy.arange(count, dtype=np.float32) % 1000) * np.float32(0.004) - np.float32(2)

    def step(ctx: Any, x: Any) -> Any:
        value = lg.sum(lg.tanh(2 * x + 1) * lg.exp(-x * x))
        return value, lg.grad(value, x)

    compiled = env.compile(step, wait=True)
    compiled(x)
    assert compiled.is_native
    seconds = per_call(lambda number: compiled(x), lambda last: wait(cupy), rounds=3)
    return _beside(8 * count / seconds, copied(cupy, count), seconds)


def adam(cupy: Any, variables: int, size: int) -> dict[str, float]:
    """Adam over many variables, of gradients that take no reading: three arrays each are read and written."""
    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0, backend="cupy")
    names = [f"v{k}" for k in range(variables)]
    for name in names:
        env.name(name).set(np.ones(size, np.float32))
    method = lg.optim.Adam(env, 1e-3)

    def step(ctx: Any) -> Any:
        chosen = [ctx.variable(name) for name in names]
        return method.update(chosen, [w * 0.5 for w in chosen])

    compiled = env.compile(step, wait=True)
    compiled()
    assert compiled.is_native
    seconds = per_call(lambda number: compiled(), lambda last: wait(cupy), rounds=3)
    return _beside(6 * 4 * variables * size / seconds, copied(cupy, variables * size), seconds)


def _beside(moved: float, copy: float, seconds: float) -> dict[str, float]:
    return {"GB/s": moved / 1e9, "copied GB/s": copy / 1e9, "share": moved / copy, "ms": 1e3 * seconds}


def replays(cupy: Any, count: int) -> dict[str, Any]:
    """Bytes on the GPU after half of many training steps, after three quarters, and in the end."""
    import lazygrad as lg

    env = lg.VariableEnvironment(seed=0, backend="cupy")
    layers = [lg.nn.Linear(env, 8, 16), lg.nn.Linear(env, 16, 1)]
    method = lg.optim.Adam(env, 1e-3)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(layers[1](lg.tanh(layers[0](x))) - 1))
        return loss, method.minimize(loss)

    compiled = env.compile(step, wait=True)
    x = cupy.ones((32, 8), np.float32)
    seen = []
    for number in range(1, count + 1):
        compiled(x)
        if number in (count // 2, 3 * count // 4, count):
            wait(cupy)
            seen.append(used(cupy))
    return {"steps": count, "bytes": seen, "flat": len(set(seen)) == 1}
