"""Which kernels are the same but for the arrays they work on, seen before their code is written.

The thousand layers of a network have few forms, so code is written few times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lazygrad.engine.lower.kernels import (
    Anywhere,
    Apply,
    Counter,
    Kernel,
    Load,
    Moved,
    Number,
    Part,
    Small,
    Statement,
    Taken,
    Viewed,
)

__all__ = ["Numbered"]


class Numbered:
    """All that the code of a kernel depends on: its nodes are numbered in the order of their first mention.

    Attributes:
        key: equal for kernels that are the same but for their nodes, and for the variables they write.
        names: the nodes and variables that the numbers stand for.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._numbers: dict[Any, int] = {}
        self.key = (kernel.rank, tuple([self._statement(s, s.node in kernel.stored) for s in kernel.statements]))
        self.names: list[Any] = list(self._numbers)

    def _number(self, name: Any) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _statement(self, s: Statement, is_stored: bool) -> Any:
        target: Any = None
        if isinstance(s.target, Part):
            target = (self._number(s.target.node), s.target.place)
        elif s.target is not None:
            target = self._number(s.target)
        elements = tuple([_READ[type(e)](self._number, e) for e in s.elements])
        fold = None if s.fold is None else (s.fold.op, s.fold.how)
        number, is_own = self._number(s.node), s.source == s.node
        return (
            number,
            is_stored,
            s.spec,
            s.shape,
            s.axes,
            fold,
            target,
            is_own,
            s.result,
            s.segments,
            s.start,
            elements,
        )


_READ: dict[Any, Callable[[Callable[[Any], int], Any], Any]] = {
    Anywhere: lambda number, e: (Anywhere, number(e.view.buffer), e.view[1:], e.dtype),
    Number: lambda number, e: (Number, number(e.node), e.key, e.dtype),
    Load: lambda number, e: (Load, number(e.node), e.at, e.spec),
    Viewed: lambda number, e: (Viewed, number(e.node), e.at, number(e.array), e.place, e.dtype),
    Apply: lambda number, e: (Apply, number(e.node), e.at, e.op, e.key, e.operands, e.dtype),
    Counter: lambda number, e: (Counter, number(e.node), e.at, e.place),
    Small: lambda number, e: (
        Small,
        number(e.node),
        number(e.base),
        e.at,
        e.rows,
        e.op,
        e.key,
        e.operands,
        e.shapes,
        e.result,
        e.dtype,
    ),
    Moved: lambda number, e: (Moved, number(e.node), e.at, e.operand, e.dtype),
    Taken: lambda number, e: (Taken, number(e.node), e.at, e.source, e.place, e.named, e.dtype),
}
