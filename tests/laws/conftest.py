"""The environment of the tests of the laws."""

from __future__ import annotations

import numpy as np
import pytest
from ways import CALLS

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with two small variables."""
    CALLS.clear()
    env = lg.VariableEnvironment(seed=7)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    env.name("b").set(np.array([0.5, 0.5, 0.5], "float32"))
    return env
