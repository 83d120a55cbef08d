"""The ops of control flow: a scan, a loop with a condition, a choice, a call. Their bodies are settings.

How they are written is in :mod:`lazygrad.ops.loops`, and their derivatives with the other derivatives. A kernel takes
a :class:`~lazygrad.define.region.Machine`, which runs bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.define.region import Machine, Region
from lazygrad.errors import LoopError, report
from lazygrad.graph.body import Body
from lazygrad.graph.spec import Spec

__all__ = ["Call", "Cond", "Scan", "While", "one_or_all"]


COUNT = Spec((), np.dtype(np.int64))  # of a number of turns


def one_or_all(found: Sequence[Any]) -> Any:
    """What a kernel returns: an array, or a tuple of several."""
    return found[0] if len(found) == 1 else tuple(found)


class Scan(Region):
    """A body once for every slice of ``xs``, from a carry to the next.

    Operands are the carries as they are at first, then ``xs``, whose leading axis is the turn, then what the body
    captures. Results are the last carries, then what each turn gives beside them, stacked.

    A ``limited`` scan has before all these an operand that says how many turns there are, at most ``length``: it goes
    through the first slices, in the one order or the other, and the ys of the others are zeros. The derivative of a
    loop with a condition is such.
    """

    def takes(self, params: dict[str, Any]) -> list[Spec]:
        """The carries, the xs as a whole, the captured."""
        specs, first, last = params["body"].takes, params["carries"], params["carries"] + params["xs"]
        whole = [Spec((params["length"], *spec.shape), spec.dtype) for spec in specs[first:last]]
        return [*[COUNT] * params["limited"], *specs[:first], *whole, *specs[last:]]

    def gives(self, params: dict[str, Any]) -> list[Spec]:
        """The carries, then the ys of all turns."""
        specs, carries = params["body"].gives, params["carries"]
        return [*specs[:carries], *[Spec((params["length"], *s.shape), s.dtype) for s in specs[carries:]]]

    def kernel(
        self,
        machine: Machine,
        *operands: Any,
        body: Body,
        carries: int,
        xs: int,
        length: int,
        reverse: bool,
        limited: bool,
    ) -> Any:
        """Turn by turn."""
        turns = range(int(operands[0]) if limited else length)
        operands = operands[limited:]
        carry, slices = list(operands[:carries]), operands[carries : carries + xs]
        run = machine.bound(body, operands[carries + xs :])
        made = machine.xp.zeros if limited else machine.xp.empty
        stacked = [made((length, *s.shape), dtype=s.dtype) for s in body.gives[carries:]]
        for turn in reversed(turns) if reverse else turns:
            found = run(turn, carry + [x[turn, ...] for x in slices])
            carry = found[:carries]
            for y, value in zip(stacked, found[carries:], strict=True):
                y[turn] = value
        return one_or_all(carry + stacked)


class While(Region):
    """A body as long as a condition of the carry holds.

    Operands are the carries as they are at first, then what the condition captures, then what the body does. Results
    are the last carries, then the number of turns, int64.
    """

    def takes(self, params: dict[str, Any]) -> list[Spec]:
        """The carries, and both captures."""
        carries, condition, body = params["carries"], params["condition"].takes, params["body"].takes
        return [*condition, *body[carries:]]

    def gives(self, params: dict[str, Any]) -> list[Spec]:
        """The carries, and the number of turns."""
        return [*params["body"].gives, COUNT]

    def kernel(
        self,
        machine: Machine,
        *operands: Any,
        condition: Body,
        body: Body,
        carries: int,
        max_steps: int | None,
    ) -> Any:
        """Turn by turn, until the condition is false.

        Raises:
            LoopError: it still holds after ``max_steps`` turns.
        """
        asked = len(condition.inputs)
        carry, turn = list(operands[:carries]), 0
        holds = machine.bound(condition, operands[carries:asked])
        run = machine.bound(body, operands[asked:])
        while bool(holds(turn, carry)[0]):
            if max_steps is not None and turn >= max_steps:
                what = f"a while_loop has taken max_steps={max_steps:,} turns, and its condition still holds"
                cure = "Give more max_steps, or see why the carry does not come to where the condition is false."
                raise LoopError(report(what, at=machine.origin, cure=cure))
            carry = run(turn, carry)
            turn += 1
        return (*carry, machine.xp.asarray(turn, dtype=np.int64))


class Cond(Region):
    """One of two bodies: the first where the predicate, the first operand, is true. Both take the same operands."""

    def takes(self, params: dict[str, Any]) -> list[Spec]:
        """The predicate, then what both bodies take."""
        return [Spec((), np.dtype(np.bool_)), *params["bodies"][0].takes]

    def gives(self, params: dict[str, Any]) -> list[Spec]:
        """What either body gives."""
        return list(params["bodies"][0].gives)

    def kernel(self, machine: Machine, predicate: Any, *operands: Any, bodies: tuple[Body, Body]) -> Any:
        """Only the chosen body runs."""
        return one_or_all(machine.bound(bodies[0] if bool(predicate) else bodies[1], operands)(0, []))


class Call(Region):
    """A body, once. What it computes on the way is not kept for the derivative, but computed again."""

    def takes(self, params: dict[str, Any]) -> list[Spec]:
        """What the body takes."""
        return list(params["body"].takes)

    def gives(self, params: dict[str, Any]) -> list[Spec]:
        """What the body gives."""
        return list(params["body"].gives)

    def kernel(self, machine: Machine, *operands: Any, body: Body) -> Any:
        """The body's outputs."""
        return one_or_all(machine.bound(body, operands)(0, []))


# Of each form one op that only computes, and one that does something beside, such as showing a value.
SCAN, SCAN_ACTING = Scan("scan"), Scan("scan", pure=False)
WHILE, WHILE_ACTING = While("while_loop"), While("while_loop", pure=False)
COND, COND_ACTING = Cond("cond"), Cond("cond", pure=False)
CALL, CALL_ACTING = Call("checkpoint"), Call("checkpoint", pure=False)
