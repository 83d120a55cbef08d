"""A region that is one kernel: its turns run in native code, and what they carry stays in registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower.classify import Classified
from lazygrad.engine.lower.once import Once
from lazygrad.engine.lower.regions import looped
from lazygrad.engine.lower.schedule import LONG
from lazygrad.engine.lower.straight import LIMIT, How, Operation, StraightLine, region
from lazygrad.engine.lower.ways import Ways
from lazygrad.graph.spec import Spec
from lazygrad.ops.control import Scan

__all__ = ["SmallLoop", "fits", "small_loop"]

_PLAIN = (How.GIVEN, How.NUMBERS, How.APPLY, How.MOVE, How.FOLD, How.PLACE, How.PRODUCT)  # neither fails nor branches
_OWN = (How.PRODUCT, How.FOLD, How.PLACE, How.MATRICES)  # what begins another kernel


@dataclass(frozen=True, eq=False)
class SmallLoop:
    """A region, and what it works on.

    Attributes:
        operation: the region; its operands are what is given, in order.
        operands: views of what is given. All lie in order, or, of what turns go through, each slice does.
        results: the node that each result is; None where nobody reads it.
    """

    operation: Operation
    operands: tuple[Any, ...]
    results: tuple[int | None, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """From one slice to the next, of every operand that has slices."""
        return tuple([view.steps[0] if view.shape else 0 for view in self.operands])

    @property
    def calls(self) -> bool:
        """Whether long functions are called rather than written out."""
        return self.operation.length(calls=False) >= LONG

    @property
    def length(self) -> int:
        """About how many instructions a turn is."""
        return self.operation.length(self.calls)

    @Once
    def paired(self) -> bool:
        """Whether two turns are written together, as the second need not wait for most of the first."""
        o = self.operation
        if not isinstance(o.op, Scan) or o.params["limited"] or o.params["length"] % 2 or self.length > LIMIT // 2:
            return False
        (body,) = o.detail
        return all(each.how in _PLAIN for each in body.operations) and _overlaps(body, o.params["carries"])

    @property
    def read(self) -> int:
        """Bytes of what it is given."""
        return sum([spec.nbytes for spec in self.operation.takes])

    @property
    def arguments(self) -> list[Any]:
        """What the kernel works on: operands, then the results that somebody reads."""
        return [*self.operands, *[result for result in self.results if result is not None]]

    @property
    def key(self) -> Any:
        """Equal for regions with the same code."""
        o = self.operation
        return (o.op, o.key, o.takes, self.steps, tuple([result is not None for result in self.results]))

    def __str__(self) -> str:
        o = self.operation
        settings = [f"{name}={value}" for name, value in o.params.items() if isinstance(value, int)]
        head = f"{', '.join([o.op.name, *settings])}, in registers, of {', '.join(map(str, o.takes))}"
        return "\n".join([head, *("  body\n    " + str(body).replace("\n", "\n    ") for body in o.detail)])


def small_loop(ways: Ways, i: int, target: Target) -> SmallLoop | None:
    """A region, node ``i``, as one kernel with all that it carries in registers.

    Args:
        ways: how the nodes of its plan are computed.
        i: the node.
        target: what its code is written for.

    Returns:
        None if it is too much for registers, or takes longer so than as a repeat.
    """
    found, node = region(ways, i), ways.nodes[i]
    if found is None:
        return None
    if i not in ways.unrepeated and not (_kept(found, ways, i) <= target.registers and _pays(found.detail, target)):
        return None
    operands = [ways.view(j) for j in node.inputs]
    assert None not in operands
    known = {0: i} if isinstance(node.spec, Spec) else ways.results.get(i, {})
    return SmallLoop(found, tuple(operands), tuple([known.get(k) for k in range(len(found.specs))]))


def fits(ways: Classified, i: int) -> bool:
    """Whether a region, node ``i``, can be one kernel."""
    return region(ways, i) is not None


def _kept(found: Operation, ways: Ways, i: int) -> int:
    """Words of 4 bytes that a loop carries from turn to turn, or reads in every turn; of a choice none."""
    loop = looped(ways.nodes[i])
    if loop is None or "carries" not in found.params:
        return 0
    return sum([-(-spec.nbytes // 4) for k, spec in enumerate(found.takes) if k not in loop.sliced])


def _pays(bodies: Sequence[StraightLine], target: Target) -> bool:
    """Whether element by element takes no longer than kernels do, whose lanes are filled but which must be called."""
    work = [_work(body, target) for body in bodies]
    return sum([straight for straight, _ in work]) <= sum([repeated for _, repeated in work])


def _work(body: StraightLine, target: Target) -> tuple[int, int]:
    """The instructions of a turn, element by element, and as kernels of a table."""
    straight, repeated = 0, target.entry
    for o in body.operations:
        if o.how is How.REGION:
            inner = [_work(inside, target) for inside in o.detail]
            turns = o.params.get("length", 1)
            straight += turns * sum([one for one, _ in inner])
            repeated += turns * sum([other for _, other in inner])
        elif o.times:
            wide = max(1, 4 * target.lanes // o.specs[0].dtype.itemsize)
            straight += o.times * o.each
            repeated += -(-o.times // wide) * o.each + (target.entry if o.how in _OWN else 0)
    return straight, repeated


def _overlaps(body: StraightLine, carries: int) -> bool:
    """Whether two turns take less than one and a half times what one does, if nothing waits but for its operands."""
    first = _ready(body, [0] * carries)
    second = _ready(body, [first[k] for k in body.outputs[:carries]])
    return 0 < 2 * max(second) <= 3 * max(first)


def _ready(body: StraightLine, carried: Sequence[int]) -> list[int]:
    """When every operation is done, in cycles, if carries are there at these times, and all else at the beginning."""
    found: list[int] = []
    for o in body.operations:
        if o.how is How.GIVEN:
            found.append(carried[o.detail] if o.detail < len(carried) else 0)
            continue
        chain = o.each if o.how is not How.FOLD else -(-o.times // max(1, o.specs[0].size))
        found.append(max([found[k] for k in o.operands], default=0) + (4 * chain if o.times else 0))
    return found
