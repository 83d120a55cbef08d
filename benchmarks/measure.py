"""One peer on one workload in this process: ``python -m benchmarks.measure PEER WORKLOAD``; prints JSON.

:mod:`benchmarks.run` starts this again and again. Nothing is imported before the clock of the import runs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

WARM_UP_S = 0.2
STRETCH_S = 0.2
LOOP_S = 1.0  # of a stretch in a framework's own loop, where each call has costs beside the steps
LEAST = 3  # steps of a stretch, however long they take
SAMPLE = 50  # numbers of a large array that are compared


def main() -> None:
    """Import, make the first step, make the steps whose results are compared, then time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("workload")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="before the timed ones; those to compare if not given")
    parser.add_argument("--stretches", type=int, default=5, help="timed stretches; 0 times nothing")
    parser.add_argument("--tiny", action="store_true", help="the workload at sizes that take no time")
    asked = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    print(json.dumps(measured(asked.peer, asked.workload, asked.steps, asked.stretches, asked.tiny)))


def measured(peer: str, name: str, steps: int | None, stretches: int, tiny: bool = False) -> dict[str, Any]:
    """Seconds of the import and of the first calls, what was computed, microseconds a step, and memory.

    A peer that is not installed gives only the reason why it was left out, and no reason if it has no program.
    """
    start = time.perf_counter()
    from benchmarks.peers import NoProgram, load
    from benchmarks.workloads import CHAINS, WORKLOADS

    workload = (WORKLOADS | CHAINS)[name]
    try:
        module, training = load(peer, workload.family)
    except NoProgram:
        return {"skipped": None}
    except ModuleNotFoundError as reason:
        if (reason.name or "").partition(".")[0] in ("benchmarks", "lazygrad"):
            raise
        return {"skipped": f"{reason.name} is not installed"}
    import_s = time.perf_counter() - start

    from importlib.metadata import version

    from benchmarks.process import memory

    if tiny:
        workload = workload.tiny()
    if steps is None:
        steps = workload.check
    workload.numbers()  # so that no first call has to import NumPy's generators
    start = time.perf_counter()
    step = training(workload)
    values = [observed(step(0))]
    first_s = time.perf_counter() - start
    # Nothing runs meanwhile: what compiles in the background has the machine for itself.
    getattr(step, "wait", lambda: None)()
    ready_s = time.perf_counter() - start
    values += [observed(step(number)) for number in range(1, steps)]
    result: dict[str, Any] = {
        "name": module.NAME,
        "packages": {name: version(name) for name in module.PACKAGES},
        "import_s": import_s,
        "first_s": first_s,
        "ready_s": ready_s,
        "values": values,
        "resident_mb": memory("resident"),
    }
    if stretches:
        own = getattr(step, "many", None)
        many = own or looped(step)
        steps = max(LEAST, round((LOOP_S if own else STRETCH_S) / warmed_up(many)))
        result["step_us"] = statistics.median(seconds(many, steps) / steps * 1e6 for _ in range(stretches))
        result["memory_mb"] = memory()
    return result


def looped(step: Callable[[int], Any]) -> Callable[[int], Any]:
    """Several steps, one after the other; what the last computed."""

    def many(steps: int) -> Any:
        for number in range(steps):
            result = step(number)
        return result

    return many


def warmed_up(many: Callable[[int], Any]) -> float:
    """Seconds a step takes in the longest of stretches that take twice as many steps each."""
    steps, taken = 1, seconds(many, 1)
    while taken < WARM_UP_S / 2:
        steps *= 2
        taken = seconds(many, steps)
    return taken / steps


def seconds(many: Callable[[int], Any], steps: int) -> float:
    """Of one stretch of steps, that ends when the last result is there."""
    start = time.perf_counter()
    arrays(many(steps))
    return time.perf_counter() - start


def observed(result: Any) -> list[list[float]]:
    """For each array of a result, numbers to compare: all of a small one; a sample and the norm of a large one."""
    import numpy as np

    found = []
    for array in arrays(result):
        numbers = array.ravel()
        if numbers.size > SAMPLE:
            norm = np.linalg.norm(numbers.astype(np.float64)) / numbers.size**0.5
            numbers = [*numbers[:: -(-numbers.size // SAMPLE)], norm]
        found.append([float(number) for number in numbers])
    return found


def arrays(result: Any) -> list[Any]:
    """What a step computed, as NumPy's arrays; asking for them waits for what is still being computed."""
    import numpy as np

    if result is None:
        return []
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in arrays(part)]
    return [np.asarray(result)]


if __name__ == "__main__":
    main()
