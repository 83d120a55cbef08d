"""What the tests of ``lazygrad.nn`` share: evaluating in every way there is, and reading an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def value() -> Callable[..., Any]:
    """``value(f, *arrays)``: what f gives, by env.run and env.compile, each called twice; all must agree."""

    def evaluate(f: Callable[..., Any], *arrays: Any) -> Any:
        env = lg.VariableEnvironment(seed=0, dtype="float64")

        def step(ctx: Any, *xs: Any) -> Any:
            return f(*xs)

        first = env.run(step, *arrays)
        compiled = env.compile(step)
        for again in (lambda: env.run(step, *arrays), lambda: compiled(*arrays), lambda: compiled(*arrays)):
            other = again()
            for a, b in zip(first if isinstance(first, (list, tuple)) else [first], _listed(other), strict=True):
                assert a.dtype == b.dtype
                eps = np.finfo(a.dtype).eps if a.dtype.kind == "f" else 0
                np.testing.assert_allclose(b, a, rtol=100 * eps, atol=100 * eps)
        return first

    return evaluate


def _listed(ys: Any) -> list[Any]:
    return list(ys) if isinstance(ys, (list, tuple)) else [ys]


@pytest.fixture
def gradient(value) -> Callable[..., Any]:
    """``gradient(f, *arrays)``: the gradients of the sum of f for every array, evaluated in every way."""

    def differentiate(f: Callable[..., Any], *arrays: Any) -> Any:
        return value(lambda *xs: lg.grad(f(*xs), list(xs)), *arrays)

    return differentiate


@pytest.fixture
def refusal() -> Callable[..., str]:
    """``refusal(f, *arrays)``: the text of the SpecError that f raises, with PLACE for the line and its file."""

    def read(f: Callable[..., Any], *arrays: Any) -> str:
        with pytest.raises(lg.SpecError) as caught:
            lg.VariableEnvironment().run(lambda ctx, *xs: f(*xs), *arrays)
        text, count = re.subn(r"(?m)^    .*\S  +\S*\w+\.py:\d+, in \S+$", "    PLACE", str(caught.value))
        assert count <= 1
        return text

    return read
