"""Loops whose turns the host launches, and choices that it makes.

What a turn works on is known before the loop begins: slices move by so many bytes a turn, and carries alternate between
two places. So the rows of addresses of many turns are made at once, with NumPy, and sent in one piece; if they are what
they were in the run before, not even that. A turn is then only its launches, each with the address of its part of
a row. A condition, and the predicate of a choice, is a byte on the device that the host waits for.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazygrad.engine.cuda.calls import DeviceCalls, Kernels, address, launches
from lazygrad.engine.cuda.staging import Staging
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.kernels import Spare
from lazygrad.engine.lower.regions import Carried, Constant, Place, Slice, Use
from lazygrad.engine.refused import Refused
from lazygrad.engine.table.calls import Arrays, CallsBack
from lazygrad.engine.table.native import Bundle, Inside, Instruction, NumpyCall, Repeat
from lazygrad.graph.spec import Spec
from lazygrad.store.draws import Drawing

__all__ = ["Turns"]

ROWS = 1024  # turns whose rows are made and sent in one piece
PERIOD = 3  # rows of a loop of any number of turns: of the first turn, and of two that take turns from then on
PATIENCE = 64  # turns of a loop of any number after which it is looked whether a kernel failed

Numbers = NDArray[np.int64]


class _Going(NamedTuple):
    """One run of a repeat.

    Attributes:
        arrays: the arrays of the repeat, each with the element of it that is the first.
        addresses: theirs.
        total: how many turns there are; None: as many as the condition says.
        skipped: how many are left out before the first, where it goes backwards.
    """

    arrays: list[tuple[Any, int]]
    addresses: Numbers
    total: int | None
    skipped: int

    @property
    def key(self) -> Any:
        """Equal for runs with the same rows."""
        return self.addresses.tobytes(), self.total, self.skipped


class Turns:
    """A repeat.

    Args:
        step: what it is.
        around: the arrays that it stands among, and the calls on them.
        kernels: those of the plan.
        draw: what random numbers are drawn from.
    """

    def __init__(self, step: Repeat, around: CallsBack, kernels: Kernels, draw: Drawing) -> None:
        self.step, self._around, self._kernels = step, around, kernels
        arena = around.arrays["arena", step.node]
        bodies = [_TurnCalls(step, k, kernels, draw, arena) for k in range(len(step.uses))]
        self._condition = None if step.condition is None else bodies.pop(0)
        self._bodies = bodies

    def run(self, arrays: Arrays) -> None:
        """All turns; ``arrays`` are those around it that are others at every call.

        Raises:
            Refused: the step fails.
        """
        try:
            self._run(arrays)
        except (ArithmeticError, IndexError, ValueError) as reason:
            raise Refused from reason  # run node by node, the step says in which turn

    def _run(self, arrays: Arrays) -> None:
        step, loop = self.step, self.step.loop
        held = [self._held(argument, arrays) for argument in step.arguments[1:]]
        found = [0, *[address(array) + first * array.dtype.itemsize for array, first in held]]
        for number, _ in step.cleared:
            held[number - 1][0].fill(0)
        total, skipped = loop.turns, 0
        if step.limited:
            assert loop.turns is not None
            total = min(max(int(_number(held[step.limited - 1])), 0), loop.turns)
            skipped = (loop.turns - total) * loop.backwards
        if self._condition is not None:
            total = None
        course = _Going([(None, 0), *held], np.array(found, np.int64), total, skipped)
        if self._condition is not None:
            done = self._as_long_as_it_holds(course)
        else:
            body = self._bodies[0]
            if len(self._bodies) > 1 and not _number(held[0]):
                body = self._bodies[1]
            assert total is not None
            done = total
            for turn in body.turns(course, range(total)):
                turn()
        self._collect(course, done)

    def _as_long_as_it_holds(self, course: _Going) -> int:
        """Turns as long as the condition holds; how many there were."""
        assert self._condition is not None
        most, flag = self.step.loop.turns, course.arrays[-1]
        conditions = self._condition.turns(course, itertools.count())
        bodies = self._bodies[0].turns(course, itertools.count())
        for done in itertools.count():
            next(conditions)()
            if not _number(flag):
                return done
            if done == most or (done % PATIENCE == PATIENCE - 1 and int(self._kernels.failed[0])):
                raise Refused
            next(bodies)()
        raise AssertionError

    def _held(self, argument: Any, arrays: Arrays) -> tuple[Any, int]:
        """An array of the repeat, and which of its elements is the first."""
        native, first = self._around.native, 0
        if isinstance(argument, View):
            argument, first = argument.buffer, argument.start
        key = native.key(argument)
        return (arrays[key] if key in native.moving else self._around.arrays[key]), first

    def _collect(self, course: _Going, done: int) -> None:
        """Bring carries to where they belong, and say how many turns there were."""
        for carry in self.step.carries:
            last = carry.initial if not done else _written(carry, course.total, done - 1)
            target, source = course.arrays[carry.final], course.arrays[last]
            if course.addresses[last] != course.addresses[carry.final]:
                _seen(*target, (carry.nbytes,), bytes_of=True)[...] = _seen(*source, (carry.nbytes,), bytes_of=True)
        if self.step.counted:
            _seen(*course.arrays[self.step.counted], ()).fill(done)


class _TurnCalls(DeviceCalls):
    """A body of a repeat with its arena, of which all turns run the same launches and calls."""

    def __init__(self, step: Repeat, number: int, kernels: Kernels, draw: Drawing, arena: Any) -> None:
        self._step, self._use, self._inside = step, step.loop.uses[number], step.uses[number]
        native = self._inside.native
        super().__init__(native, kernels.backend, draw, None, arena, kernels.statics[native], {}, {})
        self._fixed = self._row()
        turns = step.loop.turns
        count = PERIOD if turns is None or step.condition is not None else min(turns, ROWS)
        rows = np.zeros((count, len(self._fixed)), np.int64)
        self._rows, self._staging = self.xp.asarray(rows), Staging(kernels.backend, rows)
        self._sent: Any = None  # what the rows on the device were made of
        self._program: list[tuple[Callable[[int], None] | None, Any]] = []
        for each, place in launches(native):
            if isinstance(each, (Instruction, Bundle)):
                self._program.append((kernels.launched(each), 8 * place))
            elif isinstance(each, Repeat):
                self._program.append((None, Turns(each, self, kernels, draw).run))
            else:
                self._program.append((None, self._callback(each.node)))
        self._asked = _asked(self._inside, self._use)

    def turns(self, course: _Going, numbers: Any) -> Iterator[Callable[[], None]]:
        """For every number of a turn what runs it."""
        find, key = self._found(course), course.key
        base, width = address(self._rows), 8 * len(self._fixed)
        for turn in numbers:
            if course.total is None:  # nothing moves but carries
                place, first, count = turn if turn < PERIOD else 1 + (turn - 1) % 2, 0, PERIOD
            else:
                first = turn // ROWS * ROWS
                place, count = turn - first, min(ROWS, course.total - first)
            self._send(course, (key, first), first, count)
            yield functools.partial(self._turn, base + width * place, find(turn))

    def _turn(self, row: int, arrays: Arrays) -> None:
        for launch, what in self._program:
            if launch is None:
                what(arrays)
            else:
                launch(row + what)

    def _send(self, course: _Going, key: Any, first: int, count: int) -> None:
        """Make the rows of so many turns and send them, unless they are on the device."""
        if key == self._sent:
            return
        rows = np.tile(self._fixed, (len(self._rows), 1))
        turns = first + np.arange(count)
        for s in self._inside.settings:
            rows[:count, s.place] = course.addresses[s.number] + s.start + s.amount * (turns + course.skipped)
        for r in self._inside.reads:
            carry = self._step.carries[r.carry]
            made = course.addresses[_written(carry, course.total, turns)]
            before = course.addresses[_written(carry, course.total, turns - 1)]
            before = np.where(turns == 0, course.addresses[carry.initial], before)
            rows[:count, r.place] = (made if r.becomes else before) + r.start
        self._sent = None  # an interrupt between the two leaves nothing that seems to be there
        self._staging.send(self._rows, rows)
        self._sent = key

    def _found(self, course: _Going) -> Callable[[int], Arrays]:
        """A function of a turn's number that finds the arrays that calls work on, by key."""
        finders = {key: self._finder(course, place, spec) for key, place, spec in self._asked}
        return lambda turn: {key: find(turn) for key, find in finders.items()}

    def _finder(self, course: _Going, place: Place, spec: Spec) -> Callable[[int], Any]:
        loop, total = self._step.loop, course.total
        if isinstance(place, Carried):
            carry = self._step.carries[place.number]
            known = {
                n: _seen(*course.arrays[n], spec.shape, spec.dtype) for n in {carry.initial, carry.final, carry.other}
            }
            if place.becomes:
                return lambda turn: known[int(_written(carry, total, turn))]
            return lambda turn: known[int(_written(carry, total, turn - 1)) if turn else carry.initial]
        if isinstance(place, Slice):
            assert loop.turns is not None
            array, first = course.arrays[1 + place.number]
            argument, last = self._step.arguments[1 + place.number], loop.turns - 1
            step = argument.steps[0] if isinstance(argument, View) else spec.size
            slices = [first + step * (last - k if loop.backwards else k) for k in range(loop.turns)]
            return lambda turn: _seen(array, slices[turn + course.skipped], spec.shape, spec.dtype)
        number = 1 + place.number if isinstance(place, Constant) else len(course.arrays) - 1
        fixed = _seen(*course.arrays[number], spec.shape, spec.dtype)
        return lambda turn: fixed


def _asked(inside: Inside, use: Use) -> list[tuple[Any, Place, Spec]]:
    """What calls in a body need of the arrays outside of it: by which key, where it lies, and what it is."""
    native = inside.native
    plan: Any = native.plan
    nodes = [*plan.inputs, *plan.outputs]
    keys = [*native.inputs, *[Spare(k) for k in range(len(use.outputs))]]
    wanted = {native.key(view.buffer) for view in native.called_views()}
    for step in native.program:
        if isinstance(step, NumpyCall):
            wanted |= {native.key(i) for i in (step.node, *native.ways.results.get(step.node, {}).values())}
        elif isinstance(step, Repeat):
            wanted |= {native.key(a.buffer if isinstance(a, View) else a) for a in step.arguments}
    places = (*use.inputs, *use.outputs)
    listed = zip(keys, places, nodes, strict=True)
    return [(key, place, native.ways.spec(node)) for key, place, node in listed if key in wanted]


def _written(carry: Any, total: int | None, turn: Any) -> Any:
    """The number of the array that a carry is written to in a turn; if the last is known, there it is the final one."""
    return np.where((turn - (0 if total is None else total - 1)) % 2 == 0, carry.final, carry.other)


def _number(held: tuple[Any, int]) -> Any:
    """A number on the device; waits for it."""
    array, first = held
    return array.reshape(-1)[first : first + 1].get()[0]


def _seen(array: Any, first: int, shape: Any, dtype: Any = None, bytes_of: bool = False) -> Any:
    """The part of an array that lies in order from an element on, as one of a shape, and of a dtype of its own."""
    flat = array.reshape(-1)
    if bytes_of:
        flat, first = flat.view(np.uint8), first * array.dtype.itemsize
    elif dtype is not None and flat.dtype != dtype:
        flat = flat.view(dtype)
    size = int(np.prod(shape, dtype=np.int64))
    return flat[first : first + size].reshape(shape)
