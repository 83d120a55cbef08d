"""Ends and interrupts of processes at random moments of long compilations."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

import lazygrad
from tests.stress._processes import PATIENCE, begun

OURS = str(Path(lazygrad.__file__).parent)
QUICK = 0.5  # seconds more than without native code
SLACK = 1.0  # beside other trials, on a machine that does something else

ENDS = {
    "falling off its end": ("", 0, ""),
    "sys.exit(3)": ("sys.exit(3)", 3, ""),
    "os._exit(4)": ("os._exit(4)", 4, ""),
    "SIGTERM": ("time.sleep(60)", -signal.SIGTERM, ""),
    "SIGINT": ("time.sleep(60)", -signal.SIGINT, "KeyboardInterrupt"),
    "SIGINT while it waits": ("fast.wait(); time.sleep(60)", -signal.SIGINT, "KeyboardInterrupt"),
    "SIGINT while it ends": ("", None, ""),
}


def trial(rng: np.random.Generator, folder: Path) -> str:
    """A program that ends, or is sent a signal, some time after a compilation has begun."""
    kind = str(rng.choice(list(ENDS)))
    text, status, word = ENDS[kind]
    after, layers = float(rng.exponential(0.4)), int(rng.integers(50, 600))
    spent = []
    for native in ("off", "auto"):
        start = "env = environment()\nfast = env.compile(step)\nfast(x), fast(x)\nprint('compiling', flush=True)\n"
        pause = f"time.sleep({after})\n" if "SIG" not in kind or "ends" in kind else ""
        process = begun(start + pause + text, layers, LAZYGRAD_NATIVE=native)
        assert process.stdout.readline() == "compiling\n", process.communicate()
        time.sleep(after)
        if kind.startswith("SIG"):
            process.send_signal(signal.SIGTERM if kind == "SIGTERM" else signal.SIGINT)
        found, said, seconds = _ended(process)
        if status is not None:
            assert found == status, (found, status, said)
        else:  # what comes of an interrupt in the end itself is Python's affair, but no crash
            assert found in (0, 1, -signal.SIGINT), (found, said)
        # In its end Python may lose an interrupt over another error of its own, as `logging.shutdown` does.
        own = status is None and OURS not in said
        assert not said or own or (word or "KeyboardInterrupt") in said, said
        assert "Fatal" not in said, said
        spent.append(seconds)
    assert spent[1] < spent[0] + QUICK + SLACK, (kind, spent)
    return kind


def _ended(process: Any) -> tuple[int, str, float]:
    began = time.monotonic()
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said, time.monotonic() - began
