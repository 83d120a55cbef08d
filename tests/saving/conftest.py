"""What the tests of saving share: a place for a file, and an environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from files import Env


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that is not there yet, in a folder of its own."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder / "env.json"


@pytest.fixture
def env() -> Env:
    """The environment that the file of :func:`document_of` fits."""
    env = Env(seed=7)
    env.name("w").set(np.array([5.0, 6.0], "float32"))
    return env
