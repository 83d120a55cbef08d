"""A straight line: nodes whose arrays are so small that every element of them is a register, as data.

Most kernels are loops over elements. Where an array has four or sixteen of them, loops, and the memory between kernels,
cost more than the arithmetic; a straight line has neither. It is a list of operations on arrays, each of which refers
only to earlier ones, as the nodes of a graph do. Its code, the key of that, its length and its words are its readings.

The body of a loop is a straight line too, if it is small; so loops stand among operations.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from lazygrad.define.counted import Counted
from lazygrad.define.kinds import Elementwise, Movement, item
from lazygrad.engine.lower import index as indexing
from lazygrad.engine.lower.classify import Classified, Way
from lazygrad.engine.lower.places import naming
from lazygrad.engine.machine import BodyPlan
from lazygrad.engine.trace.reading import Folded, Gathered, Scattered
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.ops.control import Cond, Scan, While

__all__ = [
    "BLOCK",
    "How",
    "Operation",
    "StraightLine",
    "operation",
    "region",
    "straight_line",
]

LIMIT = 4000  # instructions of a body; LLVM takes half a second for so many
CALL = 10  # instructions of a call, with what must be kept over it
MANY = 256  # elements of an array that is kept in registers
BLOCK = 128  # numbers that NumPy sums with eight totals before it cuts them in halves


class How(enum.StrEnum):
    """How the elements of an operation's result are made."""

    GIVEN = "given"
    """They lie in memory, or a loop carries them."""
    NUMBERS = "numbers"
    """They are the same in every run."""
    APPLY = "apply"
    """The kernel of an elementwise op makes each of one element of every operand."""
    COUNT = "count"
    """A formula makes each of its number, and of all elements of the operands."""
    MOVE = "move"
    """Each is an element of the operand."""
    TAKE = "take"
    """Each is the element of the first operand that the others name."""
    SCATTER = "scatter"
    """They are the first operand's, but where the second is added, or written, as the others name."""
    FOLD = "fold"
    """Each combines elements of the operand."""
    PLACE = "place"
    """Each is an element of one of the operands, or 0."""
    PRODUCT = "product"
    """They are a product of matrices."""
    MATRICES = "matrices"
    """They are what linear algebra makes of small matrices."""
    REGION = "region"
    """A loop makes them, a choice or a call, whose bodies are straight lines."""
    ITEM = "item"
    """They are those of one result of what has several."""


class Operation(NamedTuple):
    """An operation on whole arrays.

    Attributes:
        how: it makes the elements of its result.
        node: the number of the node that it computes.
        op, params, key: those of the node.
        operands: numbers of earlier operations.
        spec: of the result.
        takes: the specs of the operands.
        detail: of what is given, its number; of numbers, their bytes; of a move, which elements of the operand, as they
            lie in order; of what is taken, where in the operand it would lie if all indices were 0, and the indices;
            of a fold, how it combines, and over which axes; of what is placed, where the elements of each operand go;
            of matrices, how they are written out; of a region, its bodies; of an item, which result it is.
        times, each: how many times it computes, and about how many instructions each time.
    """

    how: How
    node: int
    op: Any
    params: dict[str, Any]
    key: Any
    operands: tuple[int, ...]
    spec: Any  # a Spec, or those of several results
    takes: tuple[Any, ...]
    detail: Any
    times: int
    each: int

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Of the results."""
        return (self.spec,) if isinstance(self.spec, Spec) else tuple(self.spec)

    def length(self, calls: bool) -> int:
        """About how many instructions it is, with long functions written out or called."""
        if self.how is How.REGION:
            return sum([body.length(calls) for body in self.detail])
        return self.times * (min(self.each, CALL) if calls else self.each)

    @property
    def identity(self) -> Any:
        """All that its code depends on; the key of a region holds its bodies."""
        detail = None if self.how is How.REGION else self.detail
        return (self.how, self.op, self.key, self.operands, self.spec, self.takes, detail)

    def __str__(self) -> str:
        match self.how:
            case How.GIVEN:
                return f"input {self.detail}, {self.spec}"
            case How.NUMBERS:
                return f"{self.op.name}, {self.spec}"
        return f"{self.op.name}({', '.join(f'%{k}' for k in self.operands)}), {self.spec}"


@dataclass(frozen=True, eq=False)
class StraightLine:
    """Operations in order, and which of them are wanted.

    Attributes:
        operations: each refers to earlier ones.
        outputs: numbers of those that are wanted.
        takes: the specs of its inputs.
    """

    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]
    takes: tuple[Spec, ...]

    def length(self, calls: bool) -> int:
        """About how many instructions its code has, with long functions written out or called."""
        return sum([o.length(calls) for o in self.operations])

    @property
    def may_go_on(self) -> bool:
        """Whether it may take turns without end, so that it must not be computed where nobody wants it."""
        regions = [o for o in self.operations if o.how is How.REGION]
        return any(isinstance(o.op, While) or any(s.may_go_on for s in o.detail) for o in regions)

    @cached_property
    def key(self) -> Any:
        """Equal for straight lines with the same code."""
        return (tuple([o.identity for o in self.operations]), self.outputs)

    @property
    def gives(self) -> list[Spec]:
        """The specs of what is wanted."""
        return [self.operations[k].spec for k in self.outputs]

    def __str__(self) -> str:
        """A line an operation."""
        lines = [f"%{k} = {o}" for k, o in enumerate(self.operations)]
        return "\n".join([*lines, "gives " + ", ".join(f"%{k}" for k in self.outputs)])


def operation(ways: Classified, i: int, numbers: Mapping[int, int]) -> Operation | None:
    """Node ``i`` as an operation; None if its elements cannot be registers.

    Args:
        ways: how each node of the plan is computed.
        i: the node.
        numbers: the operation of every node before it that has one.
    """
    node = ways.nodes[i]
    if any(j not in numbers for j in node.inputs) or any(spec.size > MANY for spec in ways.plan.specs(i)):
        return None
    found = _how(ways, i, node)
    if found is None:
        return None
    inputs = () if found[0] is How.NUMBERS else node.inputs
    return _operation(ways, i, tuple([numbers[j] for j in inputs]), tuple([ways.nodes[j].spec for j in inputs]), *found)


def region(ways: Classified, i: int) -> Operation | None:
    """A region, node ``i``, as an operation on what is given; None if it is too much for registers."""
    inputs, bodies = ways.nodes[i].inputs, _bodies(ways, i)
    if bodies is None:
        return None
    return _operation(ways, i, tuple(range(len(inputs))), tuple([ways.spec(j) for j in inputs]), How.REGION, bodies)


def _operation(
    ways: Classified,
    i: int,
    operands: tuple[int, ...],
    takes: tuple[Any, ...],
    how: How,
    detail: Any = None,
    times: int = 0,
    each: int = 1,
) -> Operation:
    node = ways.nodes[i]
    return Operation(how, i, node.op, node.params, node.key, operands, node.spec, takes, detail, times, each)


def _how(ways: Classified, i: int, node: Node) -> tuple[How, Any, int, int] | None:
    """How a node is computed, what its operation needs to know, and how many times it computes how much."""
    if ways.way[i] is Way.REPEAT:
        bodies = _bodies(ways, i)
        return None if bodies is None else (How.REGION, bodies, 0, 0)
    if node.of(item):
        return How.ITEM, node.params["index"], 0, 0
    if i in ways.small:
        small = ways.small[i]
        return How.MATRICES, small, math.prod(ways.plan.specs(i)[0].shape[: small.rows]), small.length
    return _elements(ways, i, node, ways.spec(i))


def _elements(ways: Classified, i: int, node: Node, spec: Spec) -> tuple[How, Any, int, int] | None:
    """The same of a node that is no region."""
    way, reading = ways.way[i], ways.reading.get(i)
    if way is Way.NUMBER:
        return How.NUMBERS, np.full(spec.shape, node.params["value"], spec.dtype).tobytes(), 0, 0
    if way is Way.LEAF and ways.plan.static[i]:
        return How.NUMBERS, _static(ways, i).astype(spec.dtype).tobytes(), 0, 0
    if way is Way.PRODUCT:
        return How.PRODUCT, None, spec.size, ways.spec(node.inputs[0]).shape[-1]
    if way is Way.COPIES:
        return How.PLACE, reading, 0, 0
    if way is Way.FOLD and isinstance(reading, Folded) and not reading.how.startswith("arg"):
        return How.FOLD, (reading.how, tuple(node.params["axis"])), ways.spec(node.inputs[0]).size, 1
    if isinstance(reading, Scattered) and reading.is_named(node) and ways.spec(node.inputs[1]).size <= MANY:
        named = naming(ways, i, reading.pattern, 1)
        return How.SCATTER, (reading.adds, *named), ways.spec(node.inputs[1]).size, 12
    if way is not Way.LAZY:
        return None
    if isinstance(node.op, Elementwise):
        return How.APPLY, None, spec.size, ways.instructions(node, [ways.spec(j) for j in node.inputs]) or 1
    if isinstance(node.op, Counted):
        return How.COUNT, None, spec.size, ways.instructions(node, [ways.spec(j) for j in node.inputs]) or 1
    if isinstance(reading, Gathered):
        return How.TAKE, naming(ways, i, reading.pattern, 0), spec.size, 8
    if isinstance(node.op, Movement):
        source = ways.spec(node.inputs[0])
        return How.MOVE, indexing.flattened(node.op, source.shape, node.params, node.key, source.dtype), 0, 0
    return None


def _static(ways: Classified, i: int) -> Any:
    """The array of a node that is the same in every run."""
    node = ways.nodes[i]
    with np.errstate(all="ignore"):
        return np.asarray(node.op.kernel(np, *[_static(ways, j) for j in node.inputs], **node.params))


# Bodies.


def straight_line(ways: Classified) -> StraightLine | None:
    """A body as a straight line; None if it is too long, or something in it has no elements that can be registers."""
    plan = cast(BodyPlan, ways.plan)
    places = {i: place for place, i in enumerate(plan.inputs)}
    numbers, operations, length = dict[int, int](), list[Operation](), 0
    for i in range(len(ways.nodes)):
        found = _operation(ways, i, (), (), How.GIVEN, places[i]) if i in places else operation(ways, i, numbers)
        if found is None:
            return None
        length += found.length(calls=True)
        if length > LIMIT:
            return None
        numbers[i] = len(operations)
        operations.append(found)
    takes = tuple([ways.spec(i) for i in plan.inputs])
    return StraightLine(tuple(operations), tuple([numbers[i] for i in plan.outputs]), takes)


def _bodies(ways: Classified, i: int) -> tuple[StraightLine, ...] | None:
    """The bodies of a region as straight lines, that of a condition first; None if one is none."""
    node = ways.nodes[i]
    if sum([spec.size for spec in _carried(ways, i)]) > MANY or node.params.get("length", 1) < 1:
        return None
    found = []
    for inside in ways.inside[i]:
        body = straight_line(inside)
        if body is None or (isinstance(node.op, Cond) and body.may_go_on):
            return None
        found.append(body)
    return tuple(found)


def _carried(ways: Classified, i: int) -> Sequence[Spec]:
    """What turns hand on, or what a choice or a call gives: all of it is registers."""
    node, specs = ways.nodes[i], ways.plan.specs(i)
    return specs[: node.params["carries"]] if isinstance(node.op, Scan) else specs
