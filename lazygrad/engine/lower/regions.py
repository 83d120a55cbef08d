"""How the bodies of a region are given arrays, and where what they make goes: the only file that knows the loops apart.

Arrays of a region are numbered: its operands, then its results.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, cast

from lazygrad.define.region import Region
from lazygrad.engine.machine import BodyPlan
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Node
from lazygrad.ops.control import Call, Cond, Scan, While

__all__ = ["Carried", "Flag", "Looped", "Place", "Slice", "Use", "Constant", "looped", "native_plan"]


class Constant(NamedTuple):
    """An array of the region, the same in every turn."""

    number: int


class Slice(NamedTuple):
    """That part of an array of the region which belongs to the turn, along its first axis."""

    number: int


class Carried(NamedTuple):
    """A carry, as it is at the beginning of a turn, or what it becomes."""

    number: int
    becomes: bool = False


class Flag(NamedTuple):
    """What a condition says."""


Place: TypeAlias = Constant | Slice | Carried | Flag


class Use(NamedTuple):
    """A body, and the place of each of its inputs and outputs."""

    body: Body
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]


class Looped(NamedTuple):
    """A region.

    Attributes:
        bodies: one, or the two of which a predicate, operand 0, chooses the first where it is true.
        condition: of a loop that goes on as long as it holds.
        carries: how many carries there are: result *k* is where carry *k* ends.
        turns: how many, or how many at most with a condition; None: as many as that says.
        backwards: whether from the last slice to the first.
        counted: the result that is the number of turns.
        limited: the operand that says how many turns are made, the first slices; what is made of the others is zero.
    """

    bodies: tuple[Use, ...]
    condition: Use | None = None
    carries: int = 0
    turns: int | None = 1
    backwards: bool = False
    counted: int | None = None
    limited: int | None = None

    @property
    def first(self) -> int:
        """The operand where the first carry begins."""
        return 0 if self.limited is None else self.limited + 1

    @property
    def uses(self) -> tuple[Use, ...]:
        """All bodies, that of the condition first."""
        return self.bodies if self.condition is None else (self.condition, *self.bodies)

    @property
    def sliced(self) -> frozenset[int]:
        """The arrays of which every turn has its own part."""
        places = [place for use in self.uses for place in (*use.inputs, *use.outputs)]
        return frozenset(place.number for place in places if isinstance(place, Slice))


def native_plan(body: Body) -> BodyPlan:
    """The plan of a body from which native code is made, kept on it."""
    found = body.memo.get("native plan")
    if found is None:
        found = body.memo["native plan"] = BodyPlan(body, shared=True)
    return cast(BodyPlan, found)


def looped(node: Node) -> Looped | None:
    """A region as a loop, with one turn where it is none; None for what is no region."""
    op, params, operands = node.op, node.params, len(node.inputs)
    if isinstance(op, Scan):
        return _scan(node)
    if isinstance(op, While):
        return _while(params["condition"], params["body"], params["carries"], operands, params["max_steps"])
    if isinstance(op, Cond):
        return Looped(tuple(_once(body, 1, operands) for body in params["bodies"]))
    if isinstance(op, Call):
        return Looped((_once(params["body"], 0, operands),))
    assert not isinstance(op, Region), op
    return None


def _carries(count: int, becomes: bool = False) -> tuple[Place, ...]:
    return tuple([Carried(k, becomes) for k in range(count)])


def _scan(node: Node) -> Looped:
    body, carries, limited = node.params["body"], node.params["carries"], node.params["limited"]
    operands, first = len(node.inputs), int(limited) + carries
    gone = tuple([Slice(first + k) for k in range(node.params["xs"])])
    captured = tuple([Constant(k) for k in range(first + len(gone), operands)])
    made = tuple([Slice(operands + k) for k in range(carries, len(body.outputs))])
    use = Use(body, (*_carries(carries), *gone, *captured), (*_carries(carries, True), *made))
    turns, backwards = node.params["length"], node.params["reverse"]
    return Looped((use,), carries=carries, turns=turns, backwards=backwards, limited=0 if limited else None)


def _while(condition: Body, body: Body, carries: int, operands: int, most: int | None) -> Looped:
    first = len(condition.inputs)
    asked = tuple([Constant(k) for k in range(carries, first)])
    captured = tuple([Constant(k) for k in range(first, operands)])
    return Looped(
        (Use(body, (*_carries(carries), *captured), _carries(carries, True)),),
        condition=Use(condition, (*_carries(carries), *asked), (Flag(),)),
        carries=carries,
        turns=most,
        counted=operands + carries,
    )


def _once(body: Body, first: int, operands: int) -> Use:
    made = tuple([Constant(operands + k) for k in range(len(body.outputs))])
    return Use(body, tuple([Constant(k) for k in range(first, operands)]), made)
