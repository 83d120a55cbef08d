"""What the tests of the examples share: an example imported in an empty working folder, and its numbers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """A function that imports an example, with an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for path in EXAMPLES.glob("*.py"):
        if path.stem != "data":  # which remembers what takes long to read
            sys.modules.pop(path.stem, None)


@pytest.fixture
def numbers(example: Callable[[str], Any]) -> Callable[..., dict[str, float]]:
    """A function that runs an example quickly; its numbers, without the times."""

    def run(name: str, *arguments: str) -> dict[str, float]:
        found = example(name).main(["--quick", *arguments])
        return {key: value for key, value in found.items() if "seconds" not in key}

    return run
