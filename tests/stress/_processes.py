"""Programs that are run in processes of their own, and steps that take long to compile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["PROGRAM", "begun", "finished"]

PATIENCE = 120  # seconds after which a process hangs

# A step of LAYERS layers, which adds 0.5 to a variable, and what it gives.
PROGRAM = """
import os, signal, sys, threading, time
import numpy as np, lazygrad as lg
x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
def environment():
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([1.0, 2.0, 3.0], "float32"))
    return env
def step(ctx, x):
    w = ctx.variable("w")
    y = x * w
    for k in range(LAYERS):
        y = lg.cumulative_sum(lg.tanh(y * (1 + k / 1024)) + lg.sin(y - k), axis=0)
    return lg.sum(y), ctx.assign("w", w + 0.5)
def expected(calls):
    env = environment()
    return [env.run(step, x)[0] for _ in range(calls)]
def right(values, env):
    np.testing.assert_allclose(values, expected(len(values)), rtol=1e-3)
    assert env["w"].tolist() == [1 + len(values) / 2, 2 + len(values) / 2, 3 + len(values) / 2]
"""


def begun(text: str, layers: int = 1, **variables: str) -> Any:
    """A process that runs the program and this text."""
    root = str(Path(__file__).parents[2])
    kept = {k: v for k, v in os.environ.items() if k not in ("LAZYGRAD_NATIVE", "LAZYGRAD_CHECK")}
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM.replace("LAYERS", str(layers)) + text],
        env={**kept, "PYTHONPATH": paths, "LAZYGRAD_CACHE": "off", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: Any, ignored: bool = False) -> str:
    """What a process printed that must end well, and in time, with nothing to complain of.

    With ``ignored``, Python may have said that it ignored an exception in a finalizer.
    """
    try:
        out, said = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError("it hangs") from None
    if ignored and said.startswith("Exception ignored in"):
        said = ""
    assert (0, "") == (process.returncode, said), (process.returncode, said)
    return str(out)
