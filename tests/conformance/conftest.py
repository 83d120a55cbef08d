"""A gradient check for the conformance tests; it uses nothing of the engine but the values it computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

STEP = 1e-5  # of the central differences, whose error is of the order STEP² and 1e-16 / STEP


def fresh(arrays: Sequence[Any]) -> lg.VariableEnvironment:
    """An environment of seed 0 in float64, with the arrays as variables v0, v1, …"""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    for i, array in enumerate(arrays):
        env.name(f"v{i}").set(np.asarray(array, np.float64))
    return env


def _value(f: Callable[..., Any], arrays: Sequence[Any]) -> Any:
    return fresh(arrays).run(lambda ctx: f(*[ctx.variable(f"v{i}") for i in range(len(arrays))]))


def _gradients(f: Callable[..., Any], arrays: Sequence[Any], seed: Any) -> list[Any]:
    """The engine's gradients; the same when the step is run, run again, compiled, and compiled and called again."""

    def step(ctx: Any) -> Any:
        xs = [ctx.variable(f"v{i}") for i in range(len(arrays))]
        return lg.grad(f(*xs), xs, seed)

    first = fresh(arrays).run(step)
    random = fresh(arrays).trace(step).draws > 0
    for way in ("run", "compile"):
        env = fresh(arrays)
        call = env.compile(step) if way == "compile" else lambda env=env: env.run(step)
        for _ in range(1 if random else 3):
            for expected, actual in zip(first, call(), strict=True):
                np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12, err_msg=way)
    return list(first)


@pytest.fixture
def check_gradients() -> Callable[..., None]:
    """``check_gradients(f, *arrays)``: gradients of f against central differences, in float64.

    Two gradients are checked for every array: of the sum of f's elements, as the Rust crate does it, and
    of their sum with random weights, which sees a gradient that is right only in total.
    """

    def check(f: Callable[..., Any], *arrays: Any, tolerance: float = 1e-6) -> None:
        arrays = tuple(np.array(array, np.float64) for array in arrays)
        y = _value(f, arrays)
        weights = np.random.default_rng(1).normal(size=y.shape)
        of_sum, of_weighted = _gradients(f, arrays, None), _gradients(f, arrays, weights)
        for k, array in enumerate(arrays):
            sums, weighted = np.zeros(array.shape), np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                ends = []
                for sign in (1, -1):
                    moved = [a.copy() for a in arrays]
                    moved[k][index] += sign * STEP
                    ends.append(_value(f, moved))
                slope = (ends[0] - ends[1]) / (2 * STEP)
                sums[index], weighted[index] = slope.sum(), (slope * weights).sum()
            assert array.shape == of_sum[k].shape
            np.testing.assert_allclose(of_sum[k], sums, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(of_weighted[k], weighted, rtol=tolerance, atol=tolerance)

    return check
