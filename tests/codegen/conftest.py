"""What the tests of native code share: an environment."""

from __future__ import annotations

import pytest

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment."""
    return lg.VariableEnvironment(seed=0, dtype="float64")
