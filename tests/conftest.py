"""What the tests share: how to know whether there is a GPU, and the settings of hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run, so that a failure can be repeated and CI is stable.
settings.register_profile(
    "lazygrad", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lazygrad")


@pytest.fixture(scope="session")
def cupy():
    """CuPy on a GPU that works, or a skip that says what is missing."""
    found = pytest.importorskip("cupy", reason="CuPy is not installed")
    try:
        found.zeros(1).sum().get()
    except Exception as reason:
        pytest.skip(f"CuPy finds no GPU that works: {reason}")
    return found
