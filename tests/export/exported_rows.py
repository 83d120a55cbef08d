"""Which rows of the table of ops are exported as C, by what they compute beside the compiled step.

python -m tests.export.exported_rows
"""

from __future__ import annotations

import collections
import re
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import lazygrad as lg

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from cases import CASES
from exported import bits, called, listed

__all__ = ["ROUNDED", "Tally", "tally"]

# Ops that are computed in other words, which need not be the same bits, and by how many roundings they may differ.
ROUNDED = {"pinv": 200, "convolve": 4}


class Tally(NamedTuple):
    """Rows by what became of them; those that are refused by the op that was named."""

    same: list[str]
    near: list[str]
    differing: list[str]
    refused: dict[str, list[str]]


def symbols() -> dict[str, int]:
    """The LAPACK of this process, as Fortran calls it."""
    from lazygrad.engine.cpu.addresses import addresses
    from lazygrad.engine.emit.lapack import PREFIX

    return {f"{name[len(PREFIX) :]}_": at for name, at in addresses().items()}


def tally(lapack: bool = False) -> Tally:
    """All rows that have operands, each in its first dtype."""
    found = Tally([], [], [], collections.defaultdict(list))
    for case in [case for case in CASES if case.domains]:
        arrays = [np.asarray(a) for a in case.sample(case.dtypes[0])]
        step = lg.VariableEnvironment(seed=0).compile(lambda ctx, *xs, case=case: case.call(*xs), wait=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            step(*arrays)
            expected = listed(step(*arrays))
        try:
            made = called(step, *arrays, lapack=lapack, symbols=symbols() if lapack else None)(*arrays)
        except lg.ExportError as reason:
            found.refused[re.search(r"'(\w+)' has no native form", str(reason))[1]].append(str(case))
            continue
        ops = {node.op.name.strip("_") for node in step.plan.graph.nodes}
        roundings = max([ROUNDED.get(name, 0) for name in ops])
        if bits(expected) == bits(made):
            found.same.append(str(case))
        elif roundings and all(_near(a, b, roundings) for a, b in zip(made, expected, strict=True)):
            found.near.append(str(case))
        else:
            found.differing.append(str(case))
    return found


def _near(a: Any, b: Any, roundings: float) -> bool:
    """Whether an array is another one, but for some roundings of its largest element."""
    if a.dtype.kind != "f":
        return np.array_equal(a, b)
    return float(np.abs(a - b).max(initial=0)) <= roundings * np.finfo(a.dtype).eps * float(np.abs(b).max(initial=0))


def main() -> None:
    """The counts, without LAPACK and with it."""
    for lapack in (False, True):
        same, near, differing, refused = tally(lapack)
        count = sum(map(len, refused.values()))
        print(f"{'with' if lapack else 'without'} LAPACK: {len(same) + len(near) + len(differing) + count} rows")
        print(f"  same bits {len(same)}, to some roundings {len(near)}, differing {len(differing)}, refused {count}")
        for name in differing:
            print(f"  differs: {name}")
    for op, rows in sorted(refused.items(), key=lambda pair: -len(pair[1])):
        print(f"  refused: {op} ({len(rows)}): {', '.join(rows[:6])}{', …' if len(rows) > 6 else ''}")


if __name__ == "__main__":
    main()
