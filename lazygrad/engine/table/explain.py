"""The native code of a plan in words: what runs, kernel by kernel, with the bytes and operations of each."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lazygrad.engine.lower.fuse import Entry
from lazygrad.engine.lower.kernels import Kernel
from lazygrad.engine.lower.reuse import Numbered
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.table.native import Instruction, Native, NumpyCall, Repeat, Step
from lazygrad.engine.table.rows import inside, row_of

__all__ = ["explained"]

LINES = 8  # of the user's that are told of one kernel
PARTS = {"forward": "", "gradient": "the gradient of ", "update": "the update in "}


def explained(native: Native) -> str:
    """A line a kernel, product, repeat or call back, in the order in which they run; then whose lines each computes.

    Last comes how every distinct kernel does it. Below a repeat stands what its bodies run, indented.
    """
    every = list(_everything(native))
    calls = sum(isinstance(step, NumpyCall) for step in every)
    kernels = sum(isinstance(step, Instruction) for step in every)
    distinct, arena = len(native.functions.keys() - {"take"}), f"an arena of {native.nbytes:,} bytes"
    heads = [f"{kernels} kernels, {distinct} of them distinct, and {calls} calls back to NumPy; {arena}"]
    if native.stages:
        from lazygrad.engine.table.counts import counted  # of what a CPU runs the rows say enough

        heads = [f"{kernels} kernels, {distinct} of them distinct; {arena}", str(counted(native)), *_together(native)]
    lines = [
        *heads,
        f"{'':>4}  {'what':<44} {'over':<22} {'chunks':>6} {'bytes read':>14} {'written':>14} {'operations':>14}",
        *_table(native, ""),
    ]
    told = ["what each computes of the program", *_told(native)]
    return "\n".join([*lines, *told, _ways(native), *_descriptions(native, "", set())])


def _together(native: Native) -> Iterator[str]:
    """Which entries are launched as one."""
    for bundle in native.bundles:
        steps = native.program[bundle.first : bundle.first + bundle.size]
        yield f"launched together: {', '.join(map(str, sorted({step.entry for step in steps})))}"


def _told(native: Native) -> Iterator[str]:
    """For every entry the user's lines that it computes, with the layers and the ops."""
    from lazygrad.engine.table.costs import work_of  # not where steps are only run

    for number in range(len(native.entries)):
        found: dict[str, dict[str, None]] = {}
        for work in work_of(native, number):
            origin = work.origin
            where = f"{PARTS[origin.part]}{origin.statement_place}" + (f" ({origin.layer})" if origin.layer else "")
            text = origin.statement_text
            found.setdefault(f"{where}:  {text}" if text else where, {})[work.op] = None
        for k, (where, ops) in enumerate(list(found.items())[:LINES]):
            yield f"{number if k == 0 else '':>4}  {where}   by {', '.join(ops)}"
        if len(found) > LINES:
            yield f"{'':>4}  and {len(found) - LINES} more"


def _everything(native: Native) -> Iterator[Step]:
    """What is run, in bodies too."""
    for step in native.program:
        yield step
        for use in step.uses if isinstance(step, Repeat) else ():
            yield from _everything(use.native)


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
