"""Fresh processes to measure in, what they use of the machine, and the file that keeps what was measured."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "QUIET",
    "ROOT",
    "Failed",
    "cached",
    "fresh",
    "keep",
    "kept",
    "machine",
    "memory",
    "notice",
    "others",
    "pin",
    "quiet",
]

QUIET = 0.25  # cores that other programs may use, without a say in what is measured

ROOT = Path(__file__).parent.parent
THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMBA", "NUMEXPR")


class Failed(Exception):
    """A process has ended with an error, or was ended as it took too long; says which, in one line."""


def fresh(
    module: str,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    limit: float | None = None,
    at: Path = ROOT,
) -> Any:
    """What ``python -m module arguments``, in the folder ``at``, prints in its last line, read as JSON.

    Raises:
        Failed: it ends with an error, which is among the notes; or takes longer than ``limit`` seconds.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(
        command,
        cwd=at,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, with the compilers that it may start
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _end(process)
            raise Failed(f"took longer than {limit:g} s") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        said = errors.strip().splitlines() or ["without a word"]
        failed = Failed(f"failed: {said[-1]}")
        failed.add_note(f"python -m {module} {' '.join(map(str, arguments))}\n{errors}")
        raise failed
    return json.loads(output.splitlines()[-1])


def _end(process: subprocess.Popen[str]) -> None:
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def pin(threads: int) -> dict[str, str]:
    """The environment in which every library uses as many threads, on the CPU alone."""
    pinned = {f"{name}_NUM_THREADS": str(threads) for name in THREADS}
    # XLA has no setting for its threads but this count of processors.
    counts = {"NPROC": str(threads), "LAZYGRAD_THREADS": str(threads)}
    return {**pinned, **counts, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def cached(folder: Path) -> dict[str, str]:
    """The environment in which every library keeps compiled code in this folder, where it keeps any."""
    torch, lazygrad = folder / "torch", folder / "lazygrad"
    torch.mkdir(exist_ok=True)
    lazygrad.mkdir(exist_ok=True, mode=0o700)
    return {
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
        "TORCHINDUCTOR_CACHE_DIR": str(torch),
        "LAZYGRAD_CACHE": str(lazygrad),
    }


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


def others(seconds: float = 1.0) -> float:
    """How many cores other programs use, while this one waits; 0 where the system does not say."""
    before, began = _busy(), time.monotonic()
    time.sleep(seconds)
    return round((_busy() - before) / (time.monotonic() - began), 2)


def _busy() -> float:
    """Seconds that all cores together have worked since the machine was started."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal, *_ = (int(n) for n in stat.read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq + steal) / float(os.sysconf("SC_CLK_TCK"))


def quiet(limit: float = 60) -> float:
    """Wait until other programs leave the machine alone, or the time is over; how many cores they then use."""
    began = time.monotonic()
    while (used := others()) > QUIET and time.monotonic() - began < limit:
        notice(f"waiting: other programs use {used:g} cores")
    return used


def keep(path: Path | None, section: str, measured: Any) -> None:
    """Put what was measured into a JSON file as one of its sections; the others stay as they are."""
    if path is None:
        return
    results = kept(path)
    results["machine"] = machine()
    results[section] = measured
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def kept(path: Path | None) -> dict[str, Any]:
    """All sections that the file has already."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return found


def notice(text: str) -> None:
    """Say how far the measurement is, where someone looks on."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
