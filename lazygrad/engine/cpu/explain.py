"""The native code of a plan in words: what runs, kernel by kernel, with the bytes and operations of each."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from typing import Any

from lazygrad.define.kinds import item
from lazygrad.engine.cpu.native import Native, NumpyCall
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Kernel, Part
from lazygrad.engine.lower.reuse import Numbered
from lazygrad.engine.lower.ways import Way

__all__ = ["explained"]


def explained(native: Native) -> str:
    """A line a kernel, product or call back, in the order in which they run; then what each kernel computes."""
    calls = [step for step in native.program if isinstance(step, NumpyCall)]
    kernels = len(native.program) - len(calls)
    lines = [
        f"{kernels} kernels, {len(native.functions)} of them distinct, and {len(calls)} calls back to NumPy; "
        f"an arena of {native.nbytes:,} bytes",
        f"{'':>4}  {'what':<44} {'over':<22} {'chunks':>6} {'bytes read':>14} {'written':>14} {'operations':>14}",
    ]
    for number, entry in enumerate(native.entries):
        own = [step for step in native.program if step.entry == number]
        chunks = max((step.chunks for step in own if not isinstance(step, NumpyCall)), default=1)
        what, over, read, wrote, operations = _row(native, entry)
        lines.append(f"{number:>4}  {what:<44.44} {over:<22} {chunks:>6} {read:>14,} {wrote:>14,} {operations:>14,}")
    return "\n".join([*lines, _ways(native), *_descriptions(native)])


def _ways(native: Native) -> str:
    """How many nodes exist in which way, and how many of the lazy ones lie in memory all the same."""
    ways = native.ways
    counts = Counter(ways.way)
    stored = sum(ways.way[i] is Way.LAZY for i in ways.stored)
    said = ", ".join(f"{counts[way]} {way}" for way in Way if counts[way])
    return f"ways of nodes: {said}; {stored} of the lazy ones are stored"


def _descriptions(native: Native) -> list[str]:
    """What every distinct kernel computes, once."""
    lines, seen = [], set[Any]()
    for number, entry in enumerate(native.entries):
        if isinstance(entry, Kernel):
            key = Numbered(entry).key
            if key not in seen:
                lines += [f"kernel {number}", textwrap.indent(str(entry), "  ")]
            seen.add(key)
    return lines


def _row(native: Native, entry: Kernel | Entry) -> tuple[str, str, int, int, int]:
    return _kernel(native, entry) if isinstance(entry, Kernel) else _called(native, entry)


def _called(native: Native, entry: Entry) -> tuple[str, str, int, int, int]:
    ways = native.ways
    node = ways.nodes[entry.node]
    views = [ways.view(j) if node.op is not item and ways.way[j] is not Way.NUMBER else None for j in node.inputs]
    read = sum(math.prod(v.shape) * ways.spec(v.buffer).dtype.itemsize for v in views if v is not None)
    specs = native.plan.specs(entry.node)
    made = sum(spec.nbytes for spec in specs)
    if entry.kind is Way.PRODUCT:
        a, b = (ways.spec(j) for j in node.inputs)
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        return f"product {m} × {k} × {n}", str(specs[0]), read, made, 2 * k * specs[0].size
    return f"NumPy: {node.op.name}", str(specs[0]), read, made, 0


def _kernel(native: Native, kernel: Kernel) -> tuple[str, str, int, int, int]:
    ways = native.ways
    own = {s.node for s in kernel.statements if s.target is None}
    reads = {r.node for s in kernel.statements for r in s.reads} - own
    wrote = {s.target.node if isinstance(s.target, Part) else s.node for s in kernel.statements}
    kept = {n for n in wrote if n in kernel.stored or n not in own}
    names = [ways.nodes[s.node].op.name if s.target is None else "copy" for s in kernel.statements]
    rows = " × ".join(map(str, kernel.rows)) or "1"
    return (
        ", ".join(names),
        f"{rows} rows",
        sum(ways.spec(n).nbytes for n in reads),
        sum(ways.spec(n).nbytes for n in kept),
        sum(s.size * s.cost for s in kernel.statements),
    )
