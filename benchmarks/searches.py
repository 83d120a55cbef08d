"""When many small models are trained as one on one core: ``python -m benchmarks.searches``.

A search trains M models of one kind with other settings. They can be trained one after the other, in several processes
(joblib), or as one step whose variables have a first axis that counts the models. The table has, for networks of
several widths, the time of such a step of M models, as a share of M steps of one. A search of P processes divides M
steps by P: it is slower than one step on one core where the share is below 1/P.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad as lg
from benchmarks.process import keep

ROWS, COLUMNS = 64, 16


def step_of(width: int, models: int) -> Any:
    """A compiled step of gradient descent of so many networks, each with a rate of its own; and its arguments."""
    rng = np.random.default_rng(0)
    env = lg.VariableEnvironment(seed=0)
    shapes = {"w": (COLUMNS, width), "b": (width,), "v": (width, 1)}
    for name, shape in shapes.items():
        env.name(name).set(rng.normal(0, 0.3, (models, *shape)).astype("float32"))
    rates = np.geomspace(1e-4, 1e-1, models).astype("float32")
    x = rng.normal(size=(ROWS, COLUMNS)).astype("float32")
    y = np.tanh(x[:, :1])

    def trained(parameters, rate):
        w, b, v = parameters
        loss = lg.mean(lg.square(lg.tanh(x @ w + b) @ v - y))
        slopes = lg.grad(loss, parameters)
        return loss, [p - rate * g for p, g in zip(parameters, slopes, strict=True)]

    def step(ctx, rates):
        losses, new = lg.vmap(trained)([ctx.variable(name) for name in shapes], rates)
        return losses, [ctx.assign(name, value) for name, value in zip(shapes, new, strict=True)]

    return env.compile(step, wait=True), rates


def seconds(width: int, models: int, rounds: int) -> float:
    """The time of a step, the median of several rounds."""
    step, rates = step_of(width, models)
    step(rates)
    count = max(3, int(2e-2 / max(_timed(step, rates, 3), 1e-7)))
    return statistics.median(_timed(step, rates, count) for _ in range(rounds))


def _timed(step: Any, rates: Any, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        step(rates)
    return (time.perf_counter() - began) / count


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches", description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[4, 16, 64, 256])
    parser.add_argument("--models", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    print(
        "width   one model, µs   " + "   ".join(f"{m:>4} models" for m in asked.models) + "   (share of as many steps)"
    )
    for width in asked.widths:
        one = seconds(width, 1, asked.rounds)
        shares = {m: seconds(width, m, asked.rounds) / (m * one) for m in asked.models}
        found[str(width)] = {"one_us": round(one * 1e6, 1), **{str(m): round(s, 3) for m, s in shares.items()}}
        print(f"{width:>5}   {one * 1e6:>13.1f}   " + "   ".join(f"{s:>11.2f}" for s in shares.values()), flush=True)
    keep(asked.json, "searches", found)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
