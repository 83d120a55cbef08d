"""Fresh processes to measure in, what they use of the machine, and the file that keeps what was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["ROOT", "fresh", "keep", "load", "machine", "memory", "notice", "pin"]

ROOT = Path(__file__).parent.parent
THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA", "NUMEXPR")


def fresh(module: str, *arguments: object, environment: Mapping[str, str] | None = None) -> Any:
    """What ``python -m module arguments`` prints in its last line, read as JSON; raises if it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"python -m {module} {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def pin(threads: int) -> dict[str, str]:
    """The environment in which every library uses as many threads, on the CPU alone."""
    pinned = {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    # XLA has no setting for its threads but this count of processors.
    return {**pinned, "NPROC": str(threads), "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def memory(what: str = "peak") -> float:
    """Memory of this process in MB (2²⁰ bytes): ``"peak"``, or ``"resident"`` now.

    Linux tells it in ``/proc``. ``getrusage`` will not do where ``/proc`` is: there it begins with the
    peak of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM" if what == "peak" else "VmRSS"].split()[0]) / 2**10
    if what == "resident":
        rss = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True, check=True)
        return int(rss.stdout) / 2**10
    import resource  # there is none on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS counts bytes


def machine() -> dict[str, Any]:
    """The machine in words, without its name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def load() -> float:
    """How many other programs wanted a core over the last minute; 0 where the system does not say."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else 0.0


def keep(path: Path | None, section: str, measured: Any) -> None:
    """Put what was measured into a JSON file as one of its sections; the others stay as they are."""
    if path is None:
        return
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results["machine"] = machine()
    results[section] = measured
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def notice(text: str) -> None:
    """Say how far the measurement is, where someone looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
