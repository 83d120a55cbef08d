"""What a GPU would run, seen without one: ``python -m benchmarks.device [NAME …]``.

Every program of :mod:`benchmarks.corpus` is lowered for the threads of a GPU, and ``ptxas`` assembles its kernels as
they are launched, several together. ``--steps`` says of the workloads what a step costs a GPU, as a table in Markdown:
launches of kernels, products, calls back, bytes that are read and written beside the least that there is to move
(inputs, variables and results, once), and operations. ``--keep`` puts that into ``results.json``, from which
``python -m benchmarks.report`` writes the page. Nothing is measured: these numbers are counted, and are the same on
every machine. ``--architecture`` is that of the assembler, again for several.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, NamedTuple

from benchmarks.assembling import SPILLED
from benchmarks.corpus import plans
from benchmarks.process import notice
from benchmarks.report import RESULTS, counts_of_steps
from lazygrad.engine.cuda.entry import device_code
from lazygrad.engine.cuda.llvm import Usage, assembled, ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.table.counts import Counts, counted
from lazygrad.engine.table.lower import lowered


class Cost(NamedTuple):
    """What a step costs a GPU: what is counted, the bytes that it must move, what launches take of a thread."""

    counts: Counts
    least: int
    usages: dict[str, Usage]


def main() -> int:
    """How many programs there are, and those whose kernels need more than a GPU has; 0 if there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("name", nargs="*", default=[""], help="what a program's name begins with")
    parser.add_argument("--seeds", type=int, default=20, help="random programs of each family")
    parser.add_argument("--architecture", action="append", help="sm_80 if not given")
    parser.add_argument("--steps", action="store_true", help="the workloads alone, as a table in Markdown")
    parser.add_argument("--keep", action="store_true", help="the same, and keep it for the page of results")
    asked = parser.parse_args()
    if asked.steps or asked.keep:
        rows = steps()
        print(counts_of_steps(rows))
        if asked.keep:
            results = json.loads(RESULTS.read_text(encoding="utf-8"))
            results["device"] = rows
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return 0
    begun, kernels, bad = time.perf_counter(), 0, []
    names = []
    for name, plan in plans(tuple(asked.name), asked.seeds):
        notice(name)
        names.append(name)
        for architecture in asked.architecture or ["sm_80"]:
            cost = cost_of(plan, architecture)
            kernels += len(cost.usages)
            bad += [(name, architecture, key, usage) for key, usage in cost.usages.items() if is_too_much(usage)]
    notice("")
    seconds = time.perf_counter() - begun
    print(f"{len(names)} programs, {kernels} kernels assembled in {seconds:.0f} s, {len(bad)} of them too large")
    for each in bad:
        print(*each)
    return int(bool(bad))


def is_too_much(usage: Usage) -> bool:
    """Whether a kernel lays aside more than it may."""
    return usage.spilled > SPILLED


def cost_of(plan: Any, architecture: str | None = None) -> Cost:
    """What a plan costs a GPU; its kernels are assembled for an architecture, if one is given."""
    native = lowered(plan, GPU)
    functions = {name: body for name, body in native.functions.items() if name != "take"}
    usages: dict[str, Usage] = {}
    if architecture is not None and functions:
        code = device_code(functions, native.definitions, native.together, native.apart)
        usages = assembled(ptx(code.text, architecture), architecture)[1]
    outside = {*plan.variables.values(), *plan.placeholders.values(), *plan.constants, *plan.values}
    least = sum(spec.nbytes for i in outside for spec in plan.specs(i))
    least += sum(plan.spec(i).nbytes for i in plan.updates.values())
    return Cost(counted(native), least, usages)


def steps() -> dict[str, dict[str, Any]]:
    """What each workload costs, by its name."""
    found = {}
    for name, plan in plans(("workload",), 0):
        notice(name)
        cost = cost_of(plan)
        found[name.partition(" ")[2]] = {**cost.counts._asdict(), "calls": dict(cost.counts.calls), "least": cost.least}
    notice("")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
