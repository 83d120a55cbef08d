"""What the tests of declarations share: operands, and the ways to run a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg

X = np.arange(1.0, 13.0).reshape(3, 4)
WAYS = ["run", "compile", "wait"]


def evaluated(way: str, op: Callable[..., Any], *arrays: Any) -> Any:
    """What a step with the op computes, by ``run``, by the program of ``compile``, or natively at once."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: Any, *xs: Any) -> Any:
        return op(*xs) + 1

    if way == "wait":
        return env.compile(step, wait=True)(*arrays)
    call = env.compile(step) if way == "compile" else lambda *xs: env.run(step, *xs)
    call(*arrays)
    return call(*arrays)


def evaluated_in(env: lg.VariableEnvironment, way: str, step: Callable[..., Any]) -> Any:
    """What a step computes in an environment."""
    return env.run(step) if way == "run" else env.compile(step, wait=way == "wait")()
