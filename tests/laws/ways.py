"""An op that notes its calls, and the ways to run a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.define import opaque
from lazygrad.graph.tensor import Array

CALLS: list[str] = []
X = np.array([1.0, -1.0, 0.5], "float32")


@opaque(shape=lambda x, label: x, vjp=lambda g, y, x: g, pure=False)
def counted(xp: Any, x: Array, *, label: str) -> Any:
    """The operand; writes down that it was computed."""
    CALLS.append(label)
    return x


def four_ways(env: lg.VariableEnvironment, step: Callable[..., Any], *args: Any) -> Iterator[Any]:
    """The results of a step under run, run again as a program, compile, and compile again as a program."""
    yield env.run(step, *args)
    yield env.run(step, *args)
    fast = env.compile(step)
    yield fast(*args)
    yield fast(*args)


def ignored(array: Any) -> None:
    """A hook that does nothing, and is the same in every run."""


def rich_step(env: lg.VariableEnvironment) -> Callable[..., Any]:
    """A step with all that a run may change: variables, optimizer state, draws, hooks, opaque kernels."""
    adam = lg.optim.Adam(env, learning_rate=0.1, name="adam")
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9, name="sgd")

    def step(ctx: lg.Context, x: Any) -> Any:
        w, b = ctx.variable("w"), ctx.variable("b")
        noise = ctx.random.normal(3) + ctx.random.gamma(3, 2.0)
        y = counted(lg.exp(x * w) + b + noise, label="y").hook(ignored)
        loss = lg.sum(lg.sort(y)[1:]) + lg.sum(lg.take(y, np.array([0, 2])) * lg.max(y))
        gw, gb = lg.grad(loss, [w, b])
        return loss, adam.update([w], [gw]), sgd.update([b], [gb]), ctx.assign("seen", ctx.variable("seen") + 1)

    return step


def rich_env(runs: int = 1) -> tuple[lg.VariableEnvironment, Callable[..., Any]]:
    """An environment in which :func:`rich_step` can run, after some runs; the first makes all optimizer state."""
    env = lg.VariableEnvironment(seed=3)
    env.name("w").set(np.array([0.1, 0.2, 0.3], "float32"))
    env.name("b").set(np.array([0.5, 0.5, 0.5], "float32"))
    env.name("seen").set(np.zeros((), "int64"), trainable=False)
    step = rich_step(env)
    for _ in range(runs):
        env.run(step, X)
    return env, step


class Injected(Exception):
    """Raised by a test, nowhere else."""
