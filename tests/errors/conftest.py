"""The environment of the tests of errors."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with three variables and an optimizer that has made a step."""
    env = lg.VariableEnvironment(seed=1)
    env.name("w").set(np.ones((2, 3), "float32"))
    env.name("b").set(np.zeros(2, "float32"))
    env.namespace("encoder").name("weights").set(np.ones(3))
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9)
    env.run(lambda ctx: sgd.minimize(lg.sum(ctx.variable("b")) + lg.sum(ctx.random.normal(2)), ["b"]))
    return env
