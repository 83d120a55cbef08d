"""Instructions in the order in which they can run, so that a processor sees those of several turns at once.

A processor looks some five hundred instructions ahead. What follows a long chain of dependent ones in the text, such as
a turn after a turn, begins too late, though it may hardly depend on the chain. So both are written, and sorted by the
time at which each can begin, which is list scheduling without a limit on what begins at once (Cooper and Torczon 2012,
"Engineering a Compiler", §12.3).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["by_depth"]

# Cycles until a result can be used, about the same on all processors of the last ten years (Fog 2022, "Instruction
# tables"); what is not here takes one.
_LATENCY = {"fadd": 4, "fsub": 4, "fmul": 4, "fma": 4, "fdiv": 14, "sqrt": 18, "rint": 8, "load": 5}
_NAME = re.compile(r"%[\w.]+")
_OPERATION = re.compile(r"  (%[\w.]+) = (?:call [^@]*@(?:llvm\.)?(\w+)|(\w+))")
_LATE = ("getelementptr", "load")
_CALL = 60  # cycles of a function that is called


def by_depth(lines: Sequence[str]) -> list[str]:
    """Lines of one straight piece of text, those first that can begin first; of equals, in the order they were in.

    Addresses, and what is loaded from them, stand before the first line that needs them: else they all would be first,
    and registers too few. Nothing in the lines may read memory that they write.
    """
    ready: dict[str, int] = {}
    placed: list[tuple[int, int, str]] = []
    late: dict[str, str] = {}
    for number, line in enumerate(lines):
        found = _OPERATION.match(line)
        begin = max([ready.get(name, 0) for name in _operands(line)], default=0)
        if found:
            function, what = found[2], found[2] or found[3]
            ready[found[1]] = begin + _LATENCY.get(what, _CALL if function and "_of_" in function else 1)
            if what in _LATE or f"{what} i64" in line:
                late[found[1]] = line
                continue
        placed.append((begin, number, line))
    ordered: list[str] = []
    for _, _, line in sorted(placed):
        _append(ordered, line, late)
    while late:
        _append(ordered, late.pop(next(iter(late))), late)
    return ordered


def _operands(line: str) -> list[str]:
    """The names that a line needs."""
    names = _NAME.findall(line)
    return names[1:] if line.startswith("  %") else names


def _append(ordered: list[str], line: str, late: dict[str, str]) -> None:
    """Append a line, after what it needs of those that wait."""
    for name in _operands(line):
        if name in late:
            _append(ordered, late.pop(name), late)
    ordered.append(line)
