"""The example of many processes: alone, and under mpiexec, with the same numbers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.filterwarnings("ignore:the rows of all workers")
def test_run_and_compile_train_alike(numbers: Callable[..., dict[str, float]]) -> None:
    """One process, without mpiexec."""
    run, compiled = numbers("distributed_mnist", "--mode", "run"), numbers("distributed_mnist", "--mode", "compile")
    assert run["processes"] == compiled["processes"] == 1
    assert run["loss of the last epoch"] == pytest.approx(compiled["loss of the last epoch"], rel=1e-3)


@pytest.mark.skipif(importlib.util.find_spec("mpi4py") is None, reason="mpi4py comes with the extra mpi")
@pytest.mark.slow
def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    """The loss to the rounding of float32, the accuracy to two images of 500."""

    def trained(*before: str) -> Any:
        folder = tmp_path / str(len(before))
        words = [*before, sys.executable, str(ROOT / "examples/distributed_mnist.py"), "--quick", "--save", str(folder)]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "LAZYGRAD_THREADS": "1"}
        done = subprocess.run(words, capture_output=True, text=True, timeout=240, env=variables, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("test accuracy") == 1
        return json.loads((folder / "distributed_mnist.json").read_text())["numbers"]

    beside = Path(sys.executable).with_name("mpiexec")
    one, two = trained(), trained(str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec", "-n", "2")
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss of the last epoch"] == pytest.approx(one["loss of the last epoch"], rel=1e-4)
    assert abs(two["test accuracy"] - one["test accuracy"]) <= 2 / 500
