"""The native code of a plan in words: what runs, kernel by kernel, with the bytes and operations of each."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lazygrad.define.kinds import item
from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Kernel, Part
from lazygrad.engine.lower.regions import looped
from lazygrad.engine.lower.reuse import Numbered
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.native import Instruction, Native, NumpyCall, Repeat, Step
from lazygrad.graph.graph import Node

__all__ = ["explained", "inside", "moved", "row_of"]


def explained(native: Native) -> str:
    """A line a kernel, product, repeat or call back, in the order in which they run; then what each kernel computes.

    Below a repeat stands what its bodies run, indented.
    """
    every = list(_everything(native))
    calls = sum(isinstance(step, NumpyCall) for step in every)
    kernels = sum(isinstance(step, Instruction) for step in every)
    lines = [
        f"{kernels} kernels, {len(native.functions)} of them distinct, and {calls} calls back to NumPy; "
        f"an arena of {native.nbytes:,} bytes",
        f"{'':>4}  {'what':<44} {'over':<22} {'chunks':>6} {'bytes read':>14} {'written':>14} {'operations':>14}",
        *_table(native, ""),
    ]
    return "\n".join([*lines, _ways(native), *_descriptions(native, "", set())])


def moved(native: Native) -> tuple[int, int]:
    """Bytes that the kernels of a plan read and write, each array once a kernel."""
    rows = [row_of(native, entry) for entry in native.entries if isinstance(entry, (Kernel, SmallLoop))]
    return sum(row[2] for row in rows), sum(row[3] for row in rows)


def _everything(native: Native) -> Iterator[Step]:
    """What is run, in bodies too."""
    for step in native.program:
        yield step
        for use in step.uses if isinstance(step, Repeat) else ():
            yield from _everything(use.native)


def inside(native: Native, number: int) -> list[tuple[str, Native]]:
    """The bodies of the entry of a number, with what each is called."""
    repeats = [step for step in native.program if step.entry == number and isinstance(step, Repeat)]
    found = []
    for step in repeats:
        names = ["condition"] if step.condition is not None else []
        names += ["if true", "if false"] if len(step.bodies) > 1 else ["body"]
        found += [(name, use.native) for name, use in zip(names, step.uses, strict=True)]
    return found


def _table(native: Native, indent: str) -> list[str]:
    """The lines of what is run."""
    lines = []
    for number, entry in enumerate(native.entries):
        own = [step for step in native.program if step.entry == number]
        chunks = max((step.chunks for step in own if isinstance(step, Instruction)), default=1)
        what, over, read, wrote, operations = row_of(native, entry)
        what = indent + what
        lines.append(f"{number:>4}  {what:<44.44} {over:<22} {chunks:>6} {read:>14,} {wrote:>14,} {operations:>14,}")
        for name, body in inside(native, number):
            lines += [f"{'':>4}  {indent}  {name}", *_table(body, indent + "    ")]
    return lines


def _ways(native: Native) -> str:
    """How many nodes exist in which way, and how many of the lazy ones lie in memory all the same."""
    ways = native.ways
    counts = Counter(ways.way)
    stored = sum(ways.way[i] is Way.LAZY for i in ways.stored)
    said = ", ".join(f"{counts[way]} {way}" for way in Way if counts[way])
    return f"ways of nodes: {said}; {stored} of the lazy ones are stored"


def _descriptions(native: Native, within: str, seen: set[Any]) -> list[str]:
    """What every distinct kernel computes, once."""
    lines = []
    for number, entry in enumerate(native.entries):
        if not isinstance(entry, Entry):
            key = Numbered(entry).key if isinstance(entry, Kernel) else entry.key
            if key not in seen:
                lines += [f"kernel {within}{number}", textwrap.indent(str(entry), "  ")]
            seen.add(key)
        for name, body in inside(native, number):
            lines += _descriptions(body, f"{within}{number}, {name} ", seen)
    return lines


def row_of(native: Native, entry: Kernel | SmallLoop | Entry) -> tuple[str, str, int, int, int]:
    """What an entry is in words, what it goes over, bytes that it reads and writes, operations."""
    if isinstance(entry, SmallLoop):
        return _small_loop(native, entry)
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
    if entry.kind is Way.LAPACK:
        return f"LAPACK: {node.op.name}", str(specs[0]), read, made, 0
    if entry.kind is Way.REPEAT:
        return _loop(native, node), "", read, made, _operations(native, entry.node)
    why = ways.refused.get(entry.node)
    return f"NumPy: {node.op.name}" + (f" ({why})" if why else ""), str(specs[0]), read, made, 0


def _small_loop(native: Native, entry: SmallLoop) -> tuple[str, str, int, int, int]:
    o = entry.operation
    wrote = sum(spec.nbytes for spec, result in zip(o.specs, entry.results, strict=True) if result is not None)
    operations = o.params.get("length", 1) * entry.length
    return _loop(native, native.ways.nodes[o.node]), "in registers", entry.read, wrote, operations


def _loop(native: Native, node: Node) -> str:
    """A repeat in words."""
    loop = looped(node)
    assert loop is not None
    if loop.condition is not None:
        return f"{node.op.name}, " + ("any number of turns" if loop.turns is None else f"at most {loop.turns:,} turns")
    return f"{node.op.name}, {loop.turns:,} turns" if loop.turns != 1 else node.op.name


def _operations(native: Native, node: int) -> int:
    """Of all turns of a repeat, where their number is known; else of one."""
    (step,) = [step for step in native.program if isinstance(step, Repeat) and step.node == node]
    turns = step.loop.turns if step.condition is None and step.loop.turns is not None else 1
    return turns * sum(row_of(use.native, entry)[-1] for use in step.uses for entry in use.native.entries)


def _kernel(native: Native, kernel: Kernel) -> tuple[str, str, int, int, int]:
    ways = native.ways
    own = {s.node for s in kernel.statements if s.target is None}
    reads = {r.node for s in kernel.statements for r in s.reads} - own
    wrote = {s.target.node if isinstance(s.target, Part) else s.node for s in kernel.statements}
    kept = {n for n in wrote if n in kernel.stored or n not in own}
    ops = [(ways.nodes[s.node] if s.small is None else ways.nodes[s.small.base]).op for s in kernel.statements]
    names = ["copy" if s.target is not None else op.name for s, op in zip(kernel.statements, ops, strict=True)]
    rows = " × ".join(map(str, kernel.rows)) or "1"
    return (
        ", ".join(names),
        f"{rows} rows",
        sum(ways.spec(n).nbytes for n in reads),
        sum(ways.spec(n).nbytes for n in kept),
        sum(s.size * s.cost for s in kernel.statements),
    )
