"""What a GPU would run, seen without one: ``python -m benchmarks.device [NAME …]``.

Every program of :mod:`benchmarks.corpus` is lowered for the threads of a GPU, and ``ptxas`` assembles its kernels.
For each program stands what a step costs a GPU: launches of kernels, calls of libraries, bytes that kernels read and
write beside the least that there is to move (inputs, variables and results, once), and the registers of a thread.

``--steps`` shows workloads alone, in Markdown; ``--architecture`` is that of the assembler, again for several.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.corpus import plans
from benchmarks.process import notice
from lazygrad.define.kinds import item
from lazygrad.engine.cuda.entry import device_code
from lazygrad.engine.cuda.llvm import Usage, assembled, ptx
from lazygrad.engine.cuda.target import GPU
from lazygrad.engine.table.explain import moved as moved_by
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Instruction

REGISTERS = 64  # of a thread, at most: more and too few warps run at once to hide the waiting for memory


class Cost(NamedTuple):
    """What a step costs a GPU."""

    launches: int
    calls: Counter[str]
    nbytes: int
    least: int
    usages: dict[str, Usage]


def main() -> int:
    """How many programs there are, and those whose kernels need more than a GPU has; 0 if there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("name", nargs="*", default=[""], help="what a program's name begins with")
    parser.add_argument("--seeds", type=int, default=20, help="random programs of each family")
    parser.add_argument("--architecture", action="append", help="sm_80 if not given")
    parser.add_argument("--steps", action="store_true", help="the workloads alone, as a table in Markdown")
    asked = parser.parse_args()
    if asked.steps:
        print("\n".join(table()))
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
    """Whether a kernel needs more registers than it may have, or lies in memory for want of them."""
    return usage.registers > REGISTERS or usage.spilled > 16


def cost_of(plan: Any, architecture: str | None = None) -> Cost:
    """What a plan costs a GPU; its kernels are assembled for an architecture, if one is given."""
    native = lowered(plan, GPU)
    steps = Counter(type(step).__name__ for step in native.program)
    nodes = plan.graph.nodes
    called = [nodes[step.node] for step in native.program if not isinstance(step, Instruction)]
    calls = Counter(node.op.name for node in called if node.op is not item)
    read, wrote = moved_by(native)
    functions = {name: body for name, body in native.functions.items() if name != "take"}
    usages: dict[str, Usage] = {}
    if architecture is not None and functions:
        usages = assembled(ptx(device_code(functions, native.definitions).text, architecture), architecture)[1]
    outside = {*plan.variables.values(), *plan.placeholders.values(), *plan.constants, *plan.values}
    least = sum(spec.nbytes for i in outside for spec in plan.specs(i))
    least += sum(plan.spec(i).nbytes for i in plan.updates.values())
    return Cost(steps["Instruction"], calls, read + wrote, least, usages)


def table() -> Iterator[str]:
    """A row a workload."""
    yield "| workload | launches | calls of libraries | MB moved by kernels | MB at least |"
    yield "|---|---|---|---|---|"
    for name, plan in plans(("workload",), 0):
        cost = cost_of(plan)
        calls = ", ".join(f"{count} {op}" for op, count in cost.calls.items()) or "none"
        moved, least = (f"{nbytes / 1e6:,.2f}" for nbytes in (cost.nbytes, cost.least))
        yield f"| {name.partition(' ')[2]} | {cost.launches} | {calls} | {moved} | {least} |"


if __name__ == "__main__":
    raise SystemExit(main())
