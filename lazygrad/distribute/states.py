"""How the workers have a value between them: all of it on each, its rows shared out, or parts that add up to it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lazygrad.graph.spec import Shape
from lazygrad.graph.tensor import Tensor
from lazygrad.values.rows import part_of

__all__ = ["PART", "WHOLE", "Split", "State", "Value"]


class _Word:
    def __init__(self, word: str) -> None:
        self.word = word

    def __repr__(self) -> str:
        return self.word


WHOLE = _Word("whole")  # the same on all workers
PART = _Word("part")  # the value is the sum of what the workers have


class Split(NamedTuple):
    """An axis along which each worker has some of the places: those of its rows of the batch.

    The axis runs over ``before`` × ``rows`` × ``unit`` places in this order, as an axis does that was made of several.
    """

    axis: int
    before: int
    rows: int
    unit: int

    def local(self, shape: Shape, size: int, rank: int) -> Shape:
        """The shape of what a worker has of an array of this shape."""
        part = part_of(self.rows, size, rank)
        count = self.before * (part.stop - part.start) * self.unit
        return (*shape[: self.axis], count, *shape[self.axis + 1 :])

    def at(self, axis: int) -> Split:
        """The same places of another axis."""
        return self._replace(axis=axis)

    def same_places(self, other: Any) -> bool:
        """Whether another value has the same places on each worker, of whichever axis."""
        return isinstance(other, Split) and self[1:] == other[1:]

    def reshaped(self, before: Shape, after: Shape) -> Split | None:
        """The state of an array of shape ``before`` that is laid out as ``after``; None if rows do not stay apart."""
        front, back = self.before, self.unit
        for size in before[: self.axis]:
            front *= size
        for size in before[self.axis + 1 :]:
            back *= size
        lead = 1
        for axis, size in enumerate(after):
            if lead and front and front % lead == 0 and size % (front // lead * self.rows) == 0:
                unit, rest = size // (front // lead * self.rows), 1
                for other in after[axis + 1 :]:
                    rest *= other
                if unit * rest == back:
                    return Split(axis, front // lead, self.rows, unit)
            lead *= size
        return None


State = Any  # WHOLE, PART or a Split


class Value(NamedTuple):
    """A value of the step: what this worker has of it, how, and the shape of the whole."""

    local: Tensor
    state: State
    shape: Shape

    @property
    def split(self) -> Split | None:
        """How it is split; None if it is not."""
        return self.state if isinstance(self.state, Split) else None

    @property
    def is_whole(self) -> bool:
        """Whether every worker has all of it."""
        return self.state is WHOLE
