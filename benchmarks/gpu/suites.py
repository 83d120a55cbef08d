"""The tests on the GPU, and the same kernels under NVIDIA's ``compute-sanitizer``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.process import ROOT

__all__ = ["sanitized", "tested"]

# What computes, and what is about the GPU alone; the first are every test with ``backend="cupy"``.
SUITES = ("tests/test_ops.py", "tests/backends/test_cupy.py", "tests/test_optimizers.py", "tests/test_compile.py")
SUITES += ("tests/test_gradient.py", "tests/nn", "tests/ops", "tests/test_loops", "tests/test_random_programs.py")
FEW = ("tests/test_zero_cotangents.py",)
TOOLS = ("memcheck", "racecheck")
PLACES = ("/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer", "/opt/cuda/extras/compute-sanitizer")
# In place of compute-sanitizer where the double is: runs the program that stands after the four words of its options.
RUN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[5:]))"
STAND_IN = (sys.executable, "-c", RUN)


def tested(double: bool, seconds: float) -> dict[str, Any]:
    """How many tests passed, failed and were skipped in so many seconds, and the names of those that failed."""
    given = {"LAZYGRAD_TEST_BACKEND": "double" if double else "cupy"}
    workers = [] if double else ["-n", str(min(4, os.cpu_count() or 1))]
    command = [sys.executable, "-m", "pytest", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-o", "addopts=", *workers]
    command += ["-m", "not slow", *(FEW if double else SUITES)]
    rc, said = ran(command, seconds, given)
    counts = {
        word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", said.rpartition("\n=")[2])
    }
    failed = re.findall(r"^(?:FAILED|ERROR) ([^\s].*)$", said, re.M)
    if rc is None:  # what was done by then
        dots = re.findall(r"^(?:\S+\.py )?([.sxFE]+)(?: +\[ *\d+%\])?$", said, re.M)
        counts = {"passed": sum(line.count(".") for line in dots), "failed": sum(line.count("F") for line in dots)}
    return {"counts": counts, "failed": failed, "in time": rc is not None, "said": "" if counts else said[-400:]}


def sanitized(double: bool, seconds: float) -> dict[str, str]:
    """What each tool says of the kernels that ``bits`` runs."""
    program = STAND_IN if double else sanitizer()
    if program is None:
        return dict.fromkeys(TOOLS, "not tried: there is no compute-sanitizer")
    stage = [sys.executable, "-m", "benchmarks.gpu", "--stage", "few bits", *(["--double"] * double)]
    found = {}
    for tool in TOOLS:
        options = ["--tool", tool, "--error-exitcode", "9"]
        rc, said = ran([*program, *options, *stage], seconds / len(TOOLS), {})
        if rc is None:
            found[tool] = f"not over after {seconds / len(TOOLS):.0f} s"
        elif rc == 0:
            found[tool] = "nothing found"
        else:
            errors = [line for line in said.splitlines() if line.startswith("=====")] or said.splitlines()
            found[tool] = f"ended with {rc}: {' '.join(errors[-1:])}"
    return found


def sanitizer() -> tuple[str, ...] | None:
    """NVIDIA's program, of the path or of a CUDA toolkit."""
    name = "compute-sanitizer"
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(PLACES))
    return None if found is None else (str(Path(found)),)


def ran(command: list[str], seconds: float, given: dict[str, str]) -> tuple[int | None, str]:
    """How a program ended, None if it had to be ended, and what it said."""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            return None, process.communicate()[0]
    return process.returncode, said
