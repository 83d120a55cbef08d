"""The many small trainings of these tests run on NumPy: compiling each would take longer than all of them."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def on_numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No native code, but in the tests with real data, and where a run asks for it."""
    if "LAZYGRAD_NATIVE" not in os.environ and request.module.__name__ != "test_estimators":
        monkeypatch.setenv("LAZYGRAD_NATIVE", "off")
