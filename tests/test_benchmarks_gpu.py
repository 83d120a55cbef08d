"""``python -m benchmarks.gpu`` on the double of CuPy; nothing here is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.gpu import page, suites  # noqa: E402
from benchmarks.gpu.times import AIMS  # noqa: E402

pytest.importorskip("llvmlite", reason="llvmlite is not installed")


def ran(*options: object, **environment: str) -> tuple[int, str]:
    """How the script ends, and what it prints."""
    command = [sys.executable, "-m", "benchmarks.gpu", *map(str, options)]
    given = {k: v for k, v in os.environ.items() if not k.startswith("LAZYGRAD_TEST")}
    done = subprocess.run(
        command, cwd=ROOT, env={**given, **environment}, capture_output=True, text=True, timeout=280, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_without_a_gpu_it_says_so_and_runs_nothing(tmp_path: Path) -> None:
    """In one sentence, whatever CuPy there is."""
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1 is not there')\n", encoding="utf-8")
    status, said = ran(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert 2 == status
    assert (
        "There is no GPU here that CuPy can use (ImportError: libcuda.so.1 is not there): nothing was run. "
        "--double tries the script itself.\n"
    ) == said


def test_a_stage_is_tried_on_the_double(tmp_path: Path) -> None:
    """The page says on what it was, and which stages were not run."""
    file = tmp_path / "page.md"
    status, said = ran("--double", "--only", "device", "--only", "bits", "--page", file)
    assert 0 == status, said
    text = file.read_text(encoding="utf-8")
    assert "**the double of CuPy over NumPy: no GPU**" in text
    assert "| kernels give the bits of the host's lanes | yes |" in text
    assert "| tests pass | not looked at |" in text
    assert "- suites: did not end well: not run" in text


@pytest.mark.slow
def test_every_stage_is_tried_on_the_double(tmp_path: Path) -> None:
    """All of them end well; what is about speed is not judged."""
    file = tmp_path / "page.md"
    status, said = ran("--double", "--page", file)
    text = file.read_text(encoding="utf-8")
    assert 0 == status, said
    for name in ("kernels give the bits of the host's lanes", "tests pass", "memcheck finds nothing", "memory is flat"):
        assert f"| {name} | yes |" in text
    assert "did not end well" not in text
    assert "| linreg | " in text


FOUND: dict[str, Any] = {
    "device": {"device": "a GPU"},
    "bits": {"equal": 3, "near": 1, "wrong": ["maps: AssertionError: other bits"]},
    "suites": {"counts": {"passed": 5}, "failed": [], "in time": False, "said": ""},
    "sanitizer": {"memcheck": "nothing found", "racecheck": "not tried: there is no compute-sanitizer"},
    "replays": {"error": "took longer than 15 s"},
    "elem": {"GB/s": 900.0, "copied GB/s": 1000.0, "share": 0.9, "ms": 2.0},
    "times": {
        "sine": {
            "lazygrad": {"ms": 1.0, "loss": 2.0},
            "jax": {"ms": 3.0, "loss": 2.1},
            "pytorch": {"error": "failed: no kernel image"},
        }
    },
}


def test_what_fails_is_told_and_does_not_hide_the_rest() -> None:
    """Every promise holds, does not, or was not looked at."""
    held = page.kept(FOUND)
    assert {
        "kernels give the bits of the host's lanes": False,
        "tests pass": None,
        "first losses are the peers'": False,
        "memcheck finds nothing": True,
        "racecheck finds nothing": None,
        "memory is flat": None,
        "elem: at least 85% of a copy's bytes a second": True,
        "adam: at least 80% of a copy's bytes a second": None,
        "sine: at most 0.5 times the best peer's time": True,
    }.items() <= held.items()
    assert len(held) == 8 + len(AIMS)
    text = page.written(FOUND, 123.4)
    assert "    - maps: AssertionError: other bits" in text
    assert "- suites: 5 passed, then the time was over" in text
    assert "| sine | 1.000 | failed: no kernel image |  | 3.000 | 0.33 | 0.5 |" in text
    assert "| adam | not run | | | 80% |" in text


def test_a_program_that_takes_too_long_is_ended() -> None:
    """With what it had said by then."""
    script = "import time; print('begun', flush=True); time.sleep(60)"
    assert (None, "begun\n") == suites.ran([sys.executable, "-c", script], 2.0, {})
    assert (3, "") == suites.ran([sys.executable, "-c", "raise SystemExit(3)"], 20.0, {})
