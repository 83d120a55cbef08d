"""Programs that mpiexec starts: what each worker printed, and how it ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["Ended", "command", "environment", "mpiexec", "needs_mpi"]

PATIENCE = 60  # seconds after which a program hangs


def _why_not() -> str:
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError) as reason:
        return f"mpi4py does not work here ({reason}): it comes with the extra mpi"
    return "" if _launcher() else "there is no mpiexec: it comes with the extra mpi"


def _launcher() -> str | None:
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec")


WHY_NOT = _why_not()
needs_mpi = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "it works")


class Ended(NamedTuple):
    """How a program came to its end."""

    code: int
    out: str
    said: str

    def lines(self) -> list[str]:
        """What the workers printed, sorted, as they print in any order."""
        return sorted(self.out.splitlines())


def command(workers: int, *words: str, before: Sequence[str] = ()) -> list[str]:
    """The words that start Python so many times; ``before`` are settings of mpiexec's own."""
    return [_launcher() or "mpiexec", *before, "-n", str(workers), sys.executable, "-W", "error", *words]


def environment(**others: str) -> dict[str, str]:
    """The environment variables of a worker: one thread each, and this lazygrad."""
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    alone = {"LAZYGRAD_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **alone, "PYTHONPATH": paths, **others}


def mpiexec(workers: int, text: str, *arguments: str, before: Sequence[str] = (), **others: str) -> Ended:
    """Run a program with so many workers; it must end in time."""
    begun = subprocess.Popen(
        command(workers, "-c", textwrap.dedent(text), *arguments, before=before),
        env=environment(**others),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, said = begun.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(begun.pid, signal.SIGKILL)
        out, said = begun.communicate()
        raise AssertionError(f"it hangs\n{out}\n{said}") from None
    return Ended(begun.returncode, out, said)
