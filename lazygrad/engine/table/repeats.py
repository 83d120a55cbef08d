"""A region as a stretch of the table that is run again and again: its bodies, and where all their arrays lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from lazygrad.engine.lower.index import View, identity, in_order
from lazygrad.engine.lower.kernels import Kernel, Spare
from lazygrad.engine.lower.regions import Carried, Flag, Looped, Place, Slice, Use, looped
from lazygrad.engine.lower.ways import Ways
from lazygrad.engine.memory import Buffer
from lazygrad.engine.table.described import Carry, Read, Setting
from lazygrad.engine.table.native import Inside, Native, Repeat
from lazygrad.graph.spec import Spec

__all__ = ["flushes", "repeat"]

BYTE = np.dtype(np.uint8)
_FLOAT, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def repeat(ways: Ways, number: int, node: int, lower: Callable[[Ways], Native]) -> tuple[Repeat, dict[Any, Buffer]]:
    """The repeat that a region becomes, and the memory that it needs beside operands and results.

    Args:
        ways: how the nodes around it are computed.
        number: of the entry that it is.
        node: the region.
        lower: makes native code of a body.
    """
    loop = looped(ways.nodes[node])
    assert loop is not None
    specs = ways.plan.specs(node)
    views = [ways.view(j) for j in ways.nodes[node].inputs]
    operands = [view for view in views if view is not None]
    assert len(operands) == len(views)
    results = _results(ways, node)
    others = [("other", node, k) for k in range(loop.carries)]
    arguments = (("description", node), *operands, *results, *others, ("flag", node))
    final, other = 1 + len(operands), 1 + len(operands) + len(results)
    arrays = _Arrays(loop, [*[_steps(ways, view) for view in operands], *map(_strides, specs)], len(arguments) - 1)
    inside = [arrays.used(use, lower(own)) for use, own in zip(loop.uses, ways.inside[node], strict=True)]
    own = [k for k in range(loop.carries) if in_place(inside[-1].native, k)]
    carries = [
        Carry(1 + loop.first + k, final + k, final + k if k in own else other + k, specs[k].nbytes)
        for k in range(loop.carries)
    ]
    sizes = [Spec((0 if k in own else specs[k].nbytes,), BYTE) for k in range(loop.carries)]
    scratch: dict[Any, Buffer] = {key: Buffer(spec, number, number) for key, spec in zip(others, sizes, strict=True)}
    scratch |= {key: Buffer(specs[k], number, number) for k, key in enumerate(results) if isinstance(key, tuple)}
    scratch["flag", node] = Buffer(Spec((1,), BYTE), number, number)
    scratch["arena", node] = Buffer(Spec((max(use.native.nbytes for use in inside),), BYTE), number, number)
    condition = None if loop.condition is None else inside.pop(0)
    counted = 0 if loop.counted is None else 1 + loop.counted
    limited = 0 if loop.limited is None else 1 + loop.limited
    cleared = [(final + k, spec.nbytes) for k, spec in enumerate(specs) if limited and k >= loop.carries]
    made = Repeat(
        node, number, arguments, loop, condition, tuple(inside), tuple(carries), counted, limited, tuple(cleared),
        flushes(ways, node),
    )  # fmt: skip
    return made, scratch


def in_place(native: Native, k: int) -> bool:
    """Whether what carry ``k`` of a body becomes may be written over what it is.

    It is not read any more by then, or only by the kernel that writes, element by element, and not after that.
    """
    from lazygrad.engine.table.stages import touched  # only where there are loops

    given, made = native.inputs[k], Spare(k)
    found: dict[Any, list[tuple[int, int]]] = {given: [], made: []}  # when it is touched, and by which entry
    for place, step in enumerate(native.program):
        reads, writes = touched(native.ways, step, native.key)
        for key in found.keys() & (reads | writes):
            found[key].append((native.stages[place] if native.stages else step.entry, step.entry))
    if not found[made]:
        return False
    time, entry = min(found[made])  # others read it
    last = max([when for when, _ in found[given]], default=-1)
    if last != time:
        return last < time
    kernel = native.entries[entry]
    alone = {entry} == {each for when, each in found[given] if when == time}
    return alone and isinstance(kernel, Kernel) and _element_by_element(native, kernel, k)


def _element_by_element(native: Native, kernel: Kernel, k: int) -> bool:
    """Whether a kernel reads carry ``k`` only where it is about to write, and nowhere after it has written."""
    given, shape = native.inputs[k], native.ways.spec(native.inputs[k]).shape
    for s in kernel.statements:
        for read in s.reads:
            if read.node == given and (s.shape != shape or read.at != identity(shape, range(len(shape)))):
                return False
        if s.target == Spare(k) or (s.target is None and native.key(s.node) == Spare(k)):
            after = kernel.statements[kernel.statements.index(s) + 1 :]
            return not s.axes and all(read.node != given for later in after for read in later.reads)
    return False


def flushes(ways: Ways, node: int) -> bool:
    """Whether what underflows is zero in a region: in a loop that computes in float32, and in no wider floats.

    What goes from turn to turn may become smaller and smaller, as cotangents do on their way back through a long
    sequence. A product of which an operand is subnormal costs a processor some 150 cycles.
    """
    loop = looped(ways.nodes[node])
    assert loop is not None
    if loop.turns == 1 and loop.condition is None:
        return False
    return _FLOAT in _floats(ways.inside[node]) and _DOUBLE not in _floats(ways.inside[node])


def _floats(inside: Iterable[Ways]) -> set[np.dtype[Any]]:
    """The dtypes of what the nodes of bodies give."""
    found = set[np.dtype[Any]]()
    for ways in inside:
        found |= {spec.dtype for i in range(len(ways.nodes)) for spec in ways.plan.specs(i)}
        for others in ways.inside.values():
            found |= _floats(others)
    return found


def _results(ways: Ways, node: int) -> list[Any]:
    """What the results are computed into; of those that nobody reads, memory for nothing else."""
    if isinstance(ways.nodes[node].spec, Spec):
        return [node]
    known = ways.results.get(node, {})
    return [known.get(k, ("result", node, k)) for k in range(len(ways.plan.specs(node)))]


def _steps(ways: Ways, view: View) -> int:
    """Bytes from one slice of an operand to the next."""
    return view.steps[0] * ways.spec(view.buffer).dtype.itemsize if view.steps else 0


def _strides(spec: Spec) -> int:
    """The same of a result."""
    return in_order(spec.shape).steps[0] * spec.dtype.itemsize if spec.shape else 0


class _Arrays:
    """Where the inputs and outputs of a body lie.

    Args:
        loop: what it is the body of.
        amounts: for every array of the region the bytes from one slice to the next.
        flag: the number of the argument in which a condition says 0 or 1.
    """

    def __init__(self, loop: Looped, amounts: list[int], flag: int) -> None:
        self._loop, self._amounts, self._flag = loop, amounts, flag

    def used(self, use: Use, native: Native) -> Inside:
        """A body, with how the arguments of its kernels are found."""
        keys = [*native.inputs, *[Spare(k) for k in range(len(use.outputs))]]
        settings: list[Setting] = []
        reads: list[Read] = []
        for key, place in zip(keys, (*use.inputs, *use.outputs), strict=True):
            for argument, start in native.moving[key].places:
                if isinstance(place, Carried):
                    reads.append(Read(place.number, place.becomes, argument, start))
                else:
                    settings.append(self._setting(place, argument, start))
        return Inside(native, tuple(settings), tuple(reads))

    def _setting(self, place: Place, argument: int, start: int) -> Setting:
        if isinstance(place, Flag):
            return Setting(self._flag, argument, start)
        assert not isinstance(place, Carried)
        if not isinstance(place, Slice):
            return Setting(1 + place.number, argument, start)
        amount = self._amounts[place.number]
        if self._loop.backwards:
            assert self._loop.turns is not None
            return Setting(1 + place.number, argument, start + amount * (self._loop.turns - 1), -amount)
        return Setting(1 + place.number, argument, start, amount)
