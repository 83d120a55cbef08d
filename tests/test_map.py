"""The map of the house in CONTRIBUTING.md is the way that a step takes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lazygrad as lg

HOUSE = Path(lg.__file__).parent
MAP = (HOUSE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEADY = 5  # files of lazygrad that a call visits when all is in place
# And before: the first run of a step, and a call of a compiled step with arrays of another shape. Every op, layer and
# pass that a step uses has a file of its own; docs/decisions/0026-rooms.md says which are left, and why.
FIRST, SHAPE = 47, 100

# A training step, run twice, compiled, and called when all is in place; the files of the package whose functions are
# called, in any thread. In a process of its own: what has been made once is not made again.
PROGRAM = """
import sys, threading
import numpy as np
import lazygrad as lg

seen = set()

def note(frame, event, _):
    if event == "call" and frame.f_code.co_name != "<module>":
        seen.add(frame.f_code.co_filename)

def visited(call):
    seen.clear()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    print(*seen, sep="|")

env = lg.VariableEnvironment(seed=0)
layer, sgd = lg.nn.Linear(env, 3, 1), lg.optim.SGD(env, 0.1)

def step(ctx, x, y):
    loss = lg.mean(lg.square(layer(x) - y))
    return loss, sgd.minimize(loss)

fast, x, y = env.compile(step, wait=True), np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
visited(lambda: (env.run(step, x, y), env.run(step, x, y), fast(x, y)))
fast(x, y), fast(x, y)
visited(lambda: fast(x, y))
visited(lambda: fast(x[1:], y[1:]))
"""

FIRST_RUN = PROGRAM[: PROGRAM.index("visited(lambda: (env")] + "visited(lambda: env.run(step, x, y))"


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """The files that a step visits from the beginning, those when all is in place, and those for another shape."""
    return files_of(PROGRAM, tmp_path_factory)


def files_of(program: str, tmp_path_factory: pytest.TempPathFactory) -> list[set[str]]:
    """For every line that a program prints the files of lazygrad in it."""
    pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LAZYGRAD_")}
    environment = {**kept, "LAZYGRAD_CACHE": str(tmp_path_factory.mktemp("cache")), "PYTHONPATH": str(HOUSE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment, timeout=120
    )
    lines = [line.split("|") for line in done.stdout.splitlines()]
    inside = [[name for name in names if name.startswith(str(HOUSE))] for names in lines]
    return [{Path(name).relative_to(HOUSE).as_posix() for name in names} for names in inside]


def mapped() -> list[str]:
    """The files and folders that the map names."""
    text = MAP[MAP.index("\n1. **It is called**") : MAP.index("Above them stand")]
    return re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.py|[a-z_]+/))`", text)


def test_the_map_names_what_a_step_visits_and_nothing_else(visited: list[set[str]]) -> None:
    """A folder stands for its files."""
    named = mapped()
    assert [] == sorted(file for file in visited[0] if not any(file.startswith(name) for name in named))
    assert [] == [name for name in named if not any(file.startswith(name) for file in visited[0])]


def test_a_call_visits_few_files_when_all_is_in_place(visited: list[set[str]]) -> None:
    """So a reader can follow it."""
    assert 0 < len(visited[1]) <= STEADY


def test_the_map_names_files_that_there_are() -> None:
    """Those of loops and of linear algebra too, which not every step visits."""
    text = MAP[MAP.index("\n1. **It is called**") : MAP.index("\n## What a change needs")]
    named = re.findall(r"`((?:[a-z_]+/)*(?:[a-z_]+\.py|[a-z_]+/))`", text)
    assert [] == [name for name in named if not ((HOUSE / name).exists() or (HOUSE.parent / name).exists())]


def test_a_first_run_and_a_new_shape_visit_few_files(
    visited: list[set[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No more than they did."""
    (first,) = files_of(FIRST_RUN, tmp_path_factory)
    assert len(first) <= FIRST
    assert len(visited[2]) <= SHAPE
