"""The code of small loops: all turns are one kernel, and what they carry stays in registers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lazygrad.engine.emit.overlap import by_depth
from lazygrad.engine.emit.rows import Written
from lazygrad.engine.emit.straight import Memory, StraightText, Values
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import BOOL, I64, Register
from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower.straight import How, Operation
from lazygrad.engine.lower.turns import SmallLoop
from lazygrad.graph.spec import Spec
from lazygrad.ops.control import COUNT, Call, Cond, Scan, While

__all__ = ["LoopsText", "written_loop"]

Turn = Callable[[Register, list[Values]], list[Values]]


class LoopsText(StraightText):
    """Writes straight lines in which loops stand.

    Args:
        writer: of the function that they stand in.
        paired: whether two turns are written together; then there is one loop.
        endless: turns of a loop that may have any number, after which the step fails.
    """

    def __init__(self, writer: Arithmetic, paired: bool, endless: int) -> None:
        super().__init__(writer)
        self.paired, self.endless = paired, endless

    def made(self, o: Operation, operands: list[Any]) -> Any:
        """The elements of the result of an operation; those of each, if it is a loop with several."""
        if o.how is not How.REGION:
            return super().made(o, operands)
        found = self.region(o, operands, [self.room(spec) for spec in o.specs])
        return found[0] if isinstance(o.spec, Spec) else found

    def region(self, o: Operation, operands: list[Any], ys: Sequence[Memory | None]) -> list[Any]:
        """The elements of every result of a loop, a choice or a call.

        Args:
            o: the operation.
            operands: their elements.
            ys: for every result where it lies if turns write it, one after the other; None where nobody reads it.
        """
        match o.op:
            case Scan():
                return self._scan(o, operands, ys)
            case While():
                return self._while(o, operands)
            case Cond():
                return self._choice(o, operands)
        assert isinstance(o.op, Call)
        return self.write(o.detail[0], operands)

    def _scan(self, o: Operation, operands: list[Any], ys: Sequence[Memory | None]) -> list[Any]:
        """A body for every slice; of a limited scan, for the first ones, and what is not written is zero."""
        end: int | Register = o.params["length"]
        specs, n, stacked = o.takes, o.params["carries"], ys[o.params["carries"] :]
        if o.params["limited"]:
            end, operands, specs = operands[0][0], operands[1:], specs[1:]
            for y in stacked:
                if y is not None:
                    y.clear()
        first_held = n + o.params["xs"]
        xs = [self.in_memory(operands[k], specs[k]) for k in range(n, first_held)]
        held = operands[first_held:]

        def turn(at: Register, carried: list[Values]) -> list[Values]:
            after = self.write(o.detail[0], [*carried, *[x.turn(at) for x in xs], *held])
            for y, values in zip(stacked, after[n:], strict=True):
                if y is not None:
                    y.turn(at).store(values)
            return after[:n]

        def directed(counter: Register, carried: list[Values]) -> list[Values]:
            return turn((end - 1) - counter if o.params["reverse"] else counter, carried)

        return [*self._turns(end, specs[:n], operands[:n], directed), *stacked]

    def _turns(self, end: int | Register, specs: Sequence[Spec], carried: Sequence[Values], turn: Turn) -> list[Values]:
        """What is carried after so many turns; a number that is known is not 0."""
        w = self.writer
        if isinstance(end, Register):
            return self._asked([[w.constant(0, I64)], *carried], [COUNT, *specs], end, turn)
        if end == 1:
            return turn(w.constant(0, I64), list(carried))
        firsts = [(x.type, x.name) for x in _flat(carried, specs)]
        with w.carrying(0, end, 1 + self.paired, firsts) as (counter, names):
            after = turn(counter, self._grouped(names, specs))
            if self.paired:
                after = turn(counter + 1, after)
                if self.bad is None and all(line.startswith(("  %", "  store ")) for line in w.lines):
                    w.lines[:] = by_depth(w.lines)
            names[:] = [x.name for x in _flat(after, specs)]
        return self._grouped(names, specs)

    def _asked(self, carried: Sequence[Values], specs: Sequence[Spec], end: Register, turn: Turn) -> list[Values]:
        """The same of a number that is computed, and of carries of which the first counts turns."""
        w = self.writer
        with w.asking([(x.type, x.name) for x in _flat(carried, specs)]) as (names, ask):
            (counter,), *own = self._grouped(names, specs)
            ask(counter < end)
            after = turn(counter, own)
            names[:] = [x.name for x in _flat([[counter + 1], *after], specs)]
        return self._grouped(names, specs)[1:]

    def _grouped(self, names: Sequence[str], specs: Sequence[Spec]) -> list[Values]:
        """Registers of these names, known where the writer is now, by the arrays whose elements they are."""
        rest, level = iter(names), self.writer.level
        return [[Register(self.writer, next(rest), s.dtype, False, level) for _ in range(s.size)] for s in specs]

    def _while(self, o: Operation, operands: list[Any]) -> list[Any]:
        """Turns as long as the condition holds; more than there may be end the step."""
        w, (condition, body) = self.writer, o.detail
        limit = self.endless if o.params["max_steps"] is None else o.params["max_steps"]
        n, asked = o.params["carries"], len(condition.takes)
        specs = [*o.specs[:n], COUNT]
        firsts = _flat([*operands[:n], [w.constant(0, I64)]], specs)
        with w.asking([(x.type, x.name) for x in firsts]) as (names, ask):
            *carried, count = self._grouped(names, specs)
            (holds,) = self.write(condition, [*carried, *operands[n:asked]])
            ask(holds[0] & (count[0] < limit))
            after = self.write(body, [*carried, *operands[asked:]])
            names[:] = [x.name for x in _flat([*after, [count[0] + 1]], specs)]
        found = self._grouped(names, specs)
        self.refuse(Register(w, holds[0].name, BOOL, False, w.level))
        return found

    def _choice(self, o: Operation, operands: list[Any]) -> list[Any]:
        """Both bodies are computed, and one is chosen; the other one cannot fail."""
        predicate = operands[0][0]
        with self.only(predicate):
            one = self.write(o.detail[0], operands[1:])
        with self.only(~predicate):
            other = self.write(o.detail[1], operands[1:])
        return [
            [self.writer.select(predicate, a[k], b[k]) for k in range(spec.size)]
            for a, b, spec in zip(one, other, o.specs, strict=True)
        ]


def written_loop(loop: SmallLoop, target: Target) -> Written:
    """The code of a region that is one kernel."""
    w = target.writer()
    w.calls = loop.calls
    o, looping = loop.operation, LoopsText(w, loop.paired and not target.hosted, target.endless)
    wanted = [k for k, key in enumerate(loop.results) if key is not None]
    given = zip(o.takes, loop.steps, strict=True)
    operands = [Memory(w, w.argument(k), spec, step) for k, (spec, step) in enumerate(given)]
    results = {k: Memory(w, w.argument(len(operands) + place), o.specs[k]) for place, k in enumerate(wanted)}
    found = looping.region(o, operands, [results.get(k) for k in range(len(o.specs))])
    for k, result in results.items():
        if found[k] is not result:
            result.store(found[k])
    status = None
    if looping.bad is not None:
        bad = looping.bad.get()
        status = w.instruction(f"zext i1 {bad.name} to i64", I64, bad)
    return Written(w.body(status), dict(w.definitions), loop.arguments)


def _flat(arrays: Sequence[Values], specs: Sequence[Spec]) -> list[Register]:
    """All elements, one after the other."""
    return [values[k] for values, spec in zip(arrays, specs, strict=True) for k in range(spec.size)]
