"""What the tests of training share: a small regression, and a way to make it anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import lazygrad as lg


class Problem(NamedTuple):
    """An environment with a linear model, its step, and data."""

    env: lg.VariableEnvironment
    step: Callable[..., Any]
    x: Any
    y: Any


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    """A function that makes it, the same every time."""

    def made(rows: int = 103, compiled: bool = True, columns: int = 3) -> Problem:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(rows, columns)).astype("float32")
        y = (x @ rng.normal(size=columns) + 0.1 * rng.normal(size=rows)).astype("float32")
        env = lg.VariableEnvironment(seed=0)
        env.name("w").set(np.zeros(columns, "float32"))
        adam = lg.optim.Adam(env, 0.05)

        def step(ctx: Any, x: Any, y: Any, train: bool) -> Any:
            kept = lg.nn.dropout(x, 0.1, train)  # so that the random state matters
            loss = lg.mean(lg.square(kept @ ctx.variable("w") - y))
            return {"loss": loss, "update": adam.minimize(loss)} if train else {"loss": loss}

        return Problem(env, env.compile(step) if compiled else step, x, y)

    return made
