"""Loops of a kernel over elements: each goes on until it wants no other turn, and those that have done are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["repeated"]

BLOCK = 1 << 12  # elements that are looped over together, so that they stay in the nearest cache


def repeated(
    xp: Any,
    most: int,
    state: Sequence[Any],
    turn: Callable[[list[Any]], tuple[list[Any], Any]],
    block: int = BLOCK,
) -> tuple[list[Any], Any]:
    """``state`` after at most so many turns, and where another one was wanted last.

    Args:
        xp: the array namespace.
        most: turns of an element.
        state: arrays that broadcast to one shape, as they are at first.
        turn: what they become, and where another turn is wanted. It is given those elements that want one.
        block: elements that are looped over together.
    """
    arrays = xp.broadcast_arrays(*state)
    shape = arrays[0].shape
    whole = [x.reshape(-1).copy() for x in arrays]
    wanted = xp.zeros(whole[0].size, bool)
    for begin in range(0, whole[0].size, block):
        part = [x[begin : begin + block] for x in whole]
        going = xp.arange(part[0].size)
        for _ in range(most):
            if not going.size:
                break
            after, again = turn([x[going] for x in part])
            for x, new in zip(part, after, strict=True):
                x[going] = new
            going = going[again]
        wanted[begin + going] = True
    return [x.reshape(shape) for x in whole], wanted.reshape(shape)
