"""What the tests of ``lg.optimize`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture(autouse=True)
def numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most steps here run a few times: they are not worth compiling. Tests of native code wait for it by themselves."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "off")


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Two variables of float64, at the start of Rosenbrock's valley, in two shapes."""
    made = lg.VariableEnvironment(dtype="float64", seed=0)
    made.name("a").set(np.array(-1.2))
    made.name("b").set(np.array([[1.0]]))
    return made


@pytest.fixture
def valley(env: lg.VariableEnvironment) -> Any:
    """Rosenbrock's function of the two, as a compiled step; its least value is 0, at (1, 1)."""

    @env.compile
    def rosenbrock(ctx: Any) -> Any:
        a, b = ctx.variable("a"), ctx.variable("b")
        return lg.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)

    return rosenbrock


@pytest.fixture
def fails(env: lg.VariableEnvironment) -> Iterator[Callable[..., str]]:
    """A function that gives the message of an error; the variables are then as they were before."""

    def failing(kind: type[Exception], call: Callable[[], Any]) -> str:
        before = {v.path: v.value for v in env}
        with pytest.raises(kind) as caught:
            call()
        assert before.keys() == {v.path for v in env}
        for path, value in before.items():
            np.testing.assert_array_equal(value, env[path])
        return str(caught.value)

    return failing
