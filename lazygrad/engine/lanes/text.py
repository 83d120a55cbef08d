"""The text of one native function: instructions at the depth of the loops that they depend on, loops, variables.

Loops nest, and every register knows how deep the loops are that it depends on: its level. An instruction
is written at the deepest level of its operands, not where the writer happens to be. So what does not change
in a loop is computed before the loop, by construction; no pass has to find it.

Nothing here knows of lanes: control flow is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.registers import BOOL, I64, Cell, Register

__all__ = ["Text"]


class _Loop(NamedTuple):
    lines: list[str]
    known: dict[Any, Register]


class Text:
    """The text of a function ``i64 name(ptr arguments, i64 begin, i64 end)`` that returns 0, or what went wrong.

    ``arguments`` points to a row of addresses; ``begin`` and ``end`` bound the share of the work that a
    call is to do, where it can be shared.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}  # functions and tables beside this one, by name
        self._levels: list[_Loop] = [_Loop([], {})]
        self._labels = ["entry"]
        self._floor = 0
        self._names = 0
        self._cells: list[str] = []
        self.begin = Register(self, "%begin", I64, False, 0)
        self.end = Register(self, "%end", I64, False, 0)

    @property
    def level(self) -> int:
        """How many loops are open."""
        return len(self._levels) - 1

    @property
    def count(self) -> int:
        """How many instructions have been written."""
        return sum(len(loop.lines) for loop in self._levels)

    @property
    def lines(self) -> list[str]:
        """What has been written in the innermost loop, so far."""
        return self._levels[-1].lines

    def line(self, text: str) -> None:
        """Append an instruction without a result, where the writer is now."""
        self._levels[-1].lines.append(f"  {text}")

    def _name(self) -> str:
        self._names += 1
        return f"%r{self._names}"

    def instruction(self, text: str, dtype: np.dtype[Any], *operands: Register, wide: bool | None = None) -> Register:
        """Append an instruction whose result depends on its operands alone, at their deepest level."""
        level = self._floor
        for operand in operands:
            if operand.level > level:
                level = operand.level
        if wide is None:
            wide = any(operand.wide for operand in operands)
        known = self._levels[level].known.get(text)
        if known is not None:
            # LLVM's integers have no sign: the same bits may be wanted as int32 and as uint32.
            return known if known.dtype == dtype else Register(self, known.name, dtype, wide, level)
        result = Register(self, self._name(), dtype, wide, level)
        self._levels[level].lines.append(f"  {result.name} = {text}")
        self._levels[level].known[text] = result
        return result

    def here(self, text: str, dtype: np.dtype[Any], wide: bool) -> Register:
        """Append an instruction that must stand where the writer is now, such as a read of what may change."""
        result = Register(self, self._name(), dtype, wide, self.level)
        self._levels[-1].lines.append(f"  {result.name} = {text}")
        return result

    # What is remembered, and variables.

    def recall(self, key: Any) -> Register | None:
        """What was remembered under ``key``, if it is known where the writer is now."""
        for loop in reversed(self._levels):
            found: Register | None = loop.known.get(key)
            if found is not None:
                return found
        return None

    def remember(self, key: Any, x: Register) -> None:
        """Remember a register as long as it is known: until the loop that it was computed in ends."""
        self._levels[min(x.level, self.level)].known[key] = x

    def cell(self, first: Register) -> Cell:
        """A variable that begins as ``first``, set where the writer is now."""
        name = self._name()
        self._cells.append(f"  {name} = alloca {first.type}, align 64")
        cell = Cell(self, name, first.dtype, first.wide)
        cell.set(first)
        return cell

    def flag(self) -> Cell:
        """A variable that is false when the function begins."""
        name = self._name()
        self._cells += [f"  {name} = alloca i1", f"  store i1 false, ptr {name}"]
        return Cell(self, name, BOOL, False)

    # Flow.

    @contextmanager
    def loop(self, begin: Any, end: Any, step: int = 1) -> Iterator[Register]:
        """A loop over whole numbers from ``begin`` up to, not including, ``end``; it runs at least once."""
        begin, end = (x if isinstance(x, Register) else Register(self, str(x), I64, False, 0) for x in (begin, end))
        name = self._name()[2:]
        head, leave = f"head.{name}", f"leave.{name}"
        before = self._labels[-1]
        self._levels.append(_Loop([], {}))
        self._labels.append(head)
        index = Register(self, f"%i.{name}", I64, False, self.level)
        yield index
        body = self._levels.pop()
        latch = self._labels.pop()
        outer = self._levels[-1].lines
        outer += [
            f"  br label %{head}",
            f"{head}:",
            f"  {index.name} = phi i64 [ {begin.name}, %{before} ], [ %next.{name}, %{latch} ]",
            *body.lines,
            f"  %next.{name} = add nsw i64 {index.name}, {step}",
            f"  %more.{name} = icmp slt i64 %next.{name}, {end.name}",
            f"  br i1 %more.{name}, label %{head}, label %{leave}",
            f"{leave}:",
        ]
        self._labels[-1] = leave

    @contextmanager
    def when(self, condition: Register) -> Iterator[None]:
        """What is written within runs only if the narrow ``condition`` holds; results leave it in cells."""
        name = self._name()[2:]
        then, after = f"then.{name}", f"after.{name}"
        self._levels.append(_Loop([], {}))
        self._labels.append(then)
        floor, self._floor = self._floor, self.level
        yield
        self._floor = floor
        body = self._levels.pop()
        self._labels.pop()
        outer = self._levels[-1].lines
        outer += [
            f"  br i1 {condition.name}, label %{then}, label %{after}",
            f"{then}:",
            *body.lines,
            f"  br label %{after}",
            f"{after}:",
        ]
        self._labels[-1] = after

    @contextmanager
    def carrying(
        self, begin: Any, end: Any, step: int, firsts: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[Register, list[str]]]:
        """A loop that carries values, given as LLVM's type and name, from turn to turn without cells.

        The names in the list are those of the values at the beginning of a turn; put those at its end in their
        places. After the loop the list holds the last ones.
        """
        with self.loop(begin, end, step) as index:
            before = self._labels[-2]
            names = [self._name() for _ in firsts]
            values = list(names)
            yield index, values
            latch = self._labels[-1]
            self._levels[-1].lines[:0] = [
                f"  {name} = phi {kind} [ {first}, %{before} ], [ {value}, %{latch} ]"
                for name, (kind, first), value in zip(names, firsts, values, strict=True)
            ]

    @contextmanager
    def asking(self, firsts: Sequence[tuple[str, str]]) -> Iterator[tuple[list[str], Callable[[Register], None]]]:
        """A loop that carries values as :meth:`carrying` does, and is left when a condition does not hold.

        What is written before the second of the pair is called belongs to the condition, which that is given; the rest
        is the turn. The last values are those at the beginning of the turn that is not made.
        """
        name = self._name()[2:]
        head, turn, leave = f"head.{name}", f"turn.{name}", f"leave.{name}"
        before = self._labels[-1]
        self._levels.append(_Loop([], {}))
        self._labels.append(head)
        names = [self._name() for _ in firsts]
        values = list(names)

        def ask(condition: Register) -> None:
            here = self._levels[-1].lines
            here += [f"  br i1 {condition.name}, label %{turn}, label %{leave}", f"{turn}:"]
            self._labels[-1] = turn

        yield values, ask
        body = self._levels.pop()
        latch = self._labels.pop()
        outer = self._levels[-1].lines
        outer += [
            f"  br label %{head}",
            f"{head}:",
            *[
                f"  {own} = phi {kind} [ {first}, %{before} ], [ {value}, %{latch} ]"
                for own, (kind, first), value in zip(names, firsts, values, strict=True)
            ],
            *body.lines,
            f"  br label %{head}",
            f"{leave}:",
        ]
        self._labels[-1] = leave
        values[:] = names

    def body(self, result: Register | None = None) -> str:
        """The text of the function from its first brace on; it returns ``result``, or 0."""
        assert len(self._levels) == 1
        last = f"{result.type} {result.name}" if result is not None else "i64 0"
        lines = ["entry:", *self._cells, *self._levels[0].lines, f"  ret {last}"]
        return "{\n" + "\n".join(lines) + "\n}\n"

    def function(self, name: str, status: Register | None = None) -> str:
        """The text of the whole function."""
        return f"define i64 @{name}(ptr noalias %arguments, i64 %begin, i64 %end) #0 {self.body(status)}"
