"""Convolution and pooling on a GPU, as kernels and products: nothing of them is called back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from codegen.native_steps import plan_of
from gpu.emulated import emulated

import lazygrad as lg
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.lower.kernels import Kernel
from lazygrad.engine.lower.meaning import run
from lazygrad.engine.table.counts import counted
from lazygrad.engine.table.lower import lowered

RNG = np.random.default_rng(0)
X = RNG.integers(-9, 9, (2, 3, 13, 17)).astype(np.float32)
FILTERS = RNG.integers(-3, 3, (4, 3, 3, 2)).astype(np.float32)


def _convolved(**settings: Any) -> Callable[..., Any]:
    def step(ctx: Any, x: Any) -> Any:
        y = lg.nn.conv2d(x, ctx.variable("w"), **settings)
        loss = lg.sum(y * y)
        return y, lg.grad(loss, x), lg.grad(loss, ctx.variable("w"))

    return step


def _pooled(pool: Callable[..., Any], *settings: Any, **named: Any) -> Callable[..., Any]:
    def step(ctx: Any, x: Any) -> Any:
        y = pool(x, *settings, **named)
        return y, lg.grad(lg.sum(y * y), x)

    return step


STEPS: dict[str, Callable[..., Any]] = {
    "conv2d": _convolved(),
    "conv2d with steps": _convolved(stride=(2, 3), padding=1),
    "conv2d with gaps": _convolved(dilation=(2, 1), padding="same"),
    "max_pool2d": _pooled(lg.nn.max_pool2d, 2),
    "max_pool2d that overlaps": _pooled(lg.nn.max_pool2d, 3, stride=2, padding=1),
    "sum_pool2d": _pooled(lg.nn.sum_pool2d, (2, 3), stride=1, dilation=2),
    "avg_pool2d": _pooled(lg.nn.sum_pool2d, 2, padding=1),
    "windows": lambda ctx, x: lg.nn.max_pool2d(lg.flip(x, 2)[:, 1:, ::2], (4, 2), stride=1),
    "whole numbers": lambda ctx, x: lg.nn.max_pool2d(lg.astype(x, "int16"), 2),
}


@pytest.mark.parametrize("name", STEPS)
def test_windows_are_kernels(name: str) -> None:
    """Of whole numbers bit for bit as NumPy, and as 32 lanes of the host; with derivatives, and without a call back."""
    variables = {"w": FILTERS} if "conv2d" in name else {}
    this = emulated(STEPS[name], X, **variables)
    for found, host, expected in zip(this.found, this.host, this.expected, strict=True):
        assert host.tobytes() == found.tobytes()
        np.testing.assert_array_equal(found, expected)
    assert not counted(this.native).calls


def test_large_windows_are_called_back() -> None:
    """Lanes would hold too much of each."""
    plan = plan_of(lambda ctx, x: lg.nn.max_pool2d(x, 9, stride=1), X)
    assert {"window_max": 1} == dict(counted(lowered(plan, GPU)).calls)


def test_nan_and_infinities_come_through() -> None:
    """A maximum with NaN is NaN; what is laid back elsewhere is not touched."""
    x = X.copy()
    x[0, 0, 0, 0], x[0, 1, 2, 3], x[1, 2, 12, 16] = np.nan, np.inf, -np.inf
    this = emulated(_pooled(lg.nn.max_pool2d, 3, stride=2), x)
    for found, expected in zip(this.found, this.expected, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_description_of_windows_means_what_numpy_computes() -> None:
    """Read in plain Python, element by element."""
    x = X[:1, :1, :5, :6]
    plan = plan_of(lambda ctx, x: lg.nn.max_pool2d(x, 2), x)
    native = lowered(plan, GPU)
    (kernel,) = [entry for entry in native.entries if isinstance(entry, Kernel)]
    (node,) = plan.values
    memory = {i: x.ravel().copy() for i in plan.placeholders.values()} | {node: np.zeros(6, np.float32)}
    run(kernel, memory, np)
    np.testing.assert_array_equal(memory[node].reshape(2, 3), x[0, 0, :4].reshape(2, 2, 3, 2).max(axis=(1, 3)))
