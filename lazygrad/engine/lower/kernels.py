"""What a kernel is: one immutable description, of which the code, its key, its cost and its meaning are readings.

A kernel is a loop over rows. In every row its statements run one after the other, each a loop over the elements of an
array (a map), or over those that are folded away (a fold). What a statement computes at an element is a list of
*elements of nodes*, each of which refers only to earlier ones of the list. Indices are affine in the counters of the
statement's loops: loop *k* counts axis *k* of its shape.

A description names nodes of the plan, and depends on no target: neither on lanes nor on memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.lower.index import Affine, Index, View
from lazygrad.engine.lower.once import Once
from lazygrad.engine.lower.small import Small
from lazygrad.graph.spec import Shape, Spec

__all__ = [
    "ZEROS",
    "Anywhere",
    "Apply",
    "Element",
    "Fold",
    "Indices",
    "Kernel",
    "Load",
    "Moved",
    "Number",
    "OverRows",
    "Part",
    "Access",
    "Counter",
    "Small",
    "Spare",
    "Statement",
    "Taken",
    "Viewed",
]

ZEROS = -1  # the source of a statement that reads nothing

NUMBER = Spec((), np.dtype(np.float32))
COUNTED = np.dtype(np.uint64)

Indices = tuple[Index, ...]
T = TypeVar("T")


class Number(NamedTuple):
    """A number that is the same everywhere; ``key`` holds its bits, by which zeros of two signs differ."""

    node: int
    value: Any
    key: Any
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return str(self.value)


class Load(NamedTuple):
    """The element ``at`` an index, and at ``place``, of a node that lies in memory, or that was made before."""

    node: int
    at: Indices
    place: Index
    spec: Spec

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the number."""
        return self.spec.dtype

    @property
    def length(self) -> int:
        """About how many instructions it is."""
        return 2

    def __str__(self) -> str:
        return f"n{self.node}[{', '.join(map(str, self.at))}]"


class Viewed(NamedTuple):
    """The element ``at`` an index of a node that is another look at the memory of ``array``, at ``place`` of that."""

    node: int
    at: Indices
    array: int
    place: Index
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"n{self.array} at {self.place}"


class Anywhere(NamedTuple):
    """Memory of which any element may be read: ``view.buffer`` is the node that lies there."""

    view: View
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"n{self.view.buffer}"


class Apply(NamedTuple):
    """What the kernel of an elementwise op makes of earlier elements; ``length`` is about how many instructions."""

    node: int
    at: Indices
    op: Declared
    params: dict[str, Any]
    key: Any
    operands: tuple[int, ...]
    dtype: np.dtype[Any]
    length: int

    def __str__(self) -> str:
        return f"{self.op.name}({', '.join(f'%{k}' for k in self.operands)})"


class Counter(NamedTuple):
    """The number of the element ``at`` an index of a node, in order: ``place``, as uint64."""

    node: int
    at: Indices
    place: Index
    dtype: np.dtype[Any] = COUNTED

    def __str__(self) -> str:
        return f"place {self.place}"


class Moved(NamedTuple):
    """An earlier element, which is the one ``at`` an index of another node too."""

    node: int
    at: Indices
    operand: int
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"%{self.operand}"


class Taken(NamedTuple):
    """An element that is named by indices.

    Attributes:
        source: the memory it is taken from, or a number.
        place: where it would lie if all indices were 0.
        named: of every index the element that it is, the size of the axis it counts, and the step along that. One below
            0 counts from the end; one out of range fails the step.
    """

    node: int
    at: Indices
    source: int
    place: Index
    named: tuple[tuple[int, int, int], ...]
    dtype: np.dtype[Any]
    length: int

    def __str__(self) -> str:
        return f"%{self.source} at {' + '.join([str(self.place), *(f'{step}·%{k}' for k, _, step in self.named)])}"


Element = Number | Load | Viewed | Anywhere | Apply | Counter | Moved | Taken | Small


class Part(NamedTuple):
    """Where elements go that are part of a node's result: ``place`` is where the result's elements lie in order."""

    node: int
    place: Affine


class Spare(NamedTuple):
    """The array of a variable that is given its new value, by its name; or that of a body's output, by its number."""

    name: str | int


@dataclass(frozen=True)
class Fold:
    """How elements are combined.

    Attributes:
        op: the op of which this is the kernel.
        how: ``sum prod max min all any argmax argmin``, or None for a sum by segments.
        combine: the elementwise op that combines two; None where numbers are added, or places are found.
        neutral: the number that changes nothing.
        dtype: of the result.
    """

    op: Any
    how: str | None
    combine: Declared | None
    neutral: Any
    dtype: np.dtype[Any]

    def combined(self, xp: Any, a: Any, b: Any) -> Any:
        """``a`` and ``b`` combined by functions of ``xp``."""
        if self.combine is None:
            return xp.add(a, b)
        return self.combine.kernel(xp, a, b).astype(self.dtype)


class Access(NamedTuple):
    """An element that is read of what is stored: its index, if it has one, and its place, if that is affine."""

    node: int
    at: Indices | None
    place: Index | None


@dataclass(frozen=True, eq=False)
class Statement:
    """A loop over ``shape`` that computes node ``node``.

    Attributes:
        source: the node of which an element is computed at every turn: ``node`` itself (by its definition), the operand
            of a fold, or what is copied to the target.
        axes: axes that are folded away, in order; none for a map.
        target: what is written in place of the node: a part of another one, a variable's new value.
        elements: what is computed at every turn, in order.
        result: the number of the element that is the source's.
        spec: of the node.
        fold: how elements are combined, if axes are folded.
        segments: the number of the element that says to which row of the result each row is added.
        start: the number of the memory that such a sum begins with; None if with 0.
        whole: whether a row is folded at once, as places are found.
    """

    node: int
    shape: Shape
    source: int
    axes: tuple[int, ...] = ()
    target: Part | Spare | None = None
    elements: tuple[Element, ...] = ()
    result: int = -1
    spec: Spec = NUMBER
    fold: Fold | None = None
    segments: int | None = None
    start: int | None = None
    whole: bool = False

    @property
    def leading(self) -> int:
        """How many leading axes are all folded away."""
        if self.whole:
            return 0
        if self.segments is not None:
            return 1
        count = 0
        while count in self.axes:
            count += 1
        return count

    @property
    def size(self) -> int:
        """Elements it goes over."""
        return math.prod(self.shape)

    @property
    def rank(self) -> int:
        """How many axes its rows may have at most."""
        if self.small is not None:
            return self.small.rows
        if not self.axes:
            return len(self.shape)
        return self.leading or self.axes[0]

    @property
    def small(self) -> Small | None:
        """What it computes, if that is linear algebra of small matrices."""
        result = self.elements[self.result] if self.elements else None
        return result if isinstance(result, Small) else None

    @Once
    def reads(self) -> list[Access]:
        """What is read of what is stored, and where."""
        found: list[Access] = []
        for e in self.elements:
            if isinstance(e, Load):
                found.append(Access(e.node, e.at, e.place))
            elif isinstance(e, Viewed):
                found.append(Access(e.array, None, e.place))
            elif isinstance(e, Anywhere):
                found.append(Access(e.view.buffer, None, None))
        return found

    @Once
    def counted(self) -> list[Index]:
        """The numbers of elements that are computed with."""
        return [e.place for e in self.elements if isinstance(e, Counter)]

    @Once
    def cost(self) -> int:
        """A measure of the work for one element."""
        if self.small is not None:
            return max(1, self.length // math.prod(self.small.inner[self.small.result]))
        return 1 + 2 * len([e for e in self.elements if isinstance(e, (Apply, Moved, Taken, Viewed))])

    @Once
    def length(self) -> int:
        """About how many instructions are written for one element."""
        return 4 + sum([e.length for e in self.elements if isinstance(e, (Load, Apply, Taken, Small))])

    @Once
    def memory(self) -> set[np.dtype[Any]]:
        """The dtypes of all that it reads from memory and of what it makes."""
        return {self.spec.dtype, *(e.dtype for e in self.elements if isinstance(e, (Load, Viewed, Anywhere)))}

    def _written(self) -> str:
        """What it writes, in words."""
        if self.target is None:
            return f"n{self.node}"
        if isinstance(self.target, Part):
            return f"n{self.node} as a part of n{self.target.node}"
        name = self.target.name
        return f"n{self.node} as " + (f"variable {name!r}" if isinstance(name, str) else f"output {name}")

    @property
    def begins_with(self) -> View | None:
        """The memory that a sum by segments begins with."""
        if self.start is None:
            return None
        start = self.elements[self.start]
        assert isinstance(start, Anywhere)
        return start.view

    def __str__(self) -> str:
        """What it computes, then how, an element a line: ``%2`` is the one of number 2, ``i2`` the loop over axis 2."""
        sizes = " × ".join(map(str, self.shape)) or "1"
        result = "0" if self.source == ZEROS else f"%{self.result}"
        if self.fold is not None:
            result = f"{self.fold.how or 'add'} of {result} over {', '.join(f'i{axis}' for axis in self.axes)}"
        if self.segments is not None:
            result += f", to row %{self.segments}"
        lines = [f"{self._written()}, {self.spec.dtype}, over {sizes}: {result}"]
        return "\n".join([*lines, *(f"    %{k} = {e}" for k, e in enumerate(self.elements))])


class OverRows:
    """Statements over the same rows: the leading ``rank`` axes of each."""

    rank: int
    statements: Sequence[Statement]

    @property
    def rows(self) -> Shape:
        """Sizes of the axes of its rows."""
        return self.statements[0].shape[: self.rank]

    @property
    def length(self) -> int:
        """About how many instructions are written for an element of each statement."""
        return sum(s.length for s in self.statements)


@dataclass(frozen=True, eq=False)
class Kernel(OverRows):
    """A loop over rows: the leading ``rank`` axes of all its statements.

    Attributes:
        stored: nodes of its statements whose results another kernel reads, or that are returned: they lie in memory.
            The others are kept in a row as long as that is computed.
    """

    rank: int
    statements: tuple[Statement, ...]
    stored: frozenset[int]

    @property
    def small(self) -> bool:
        """Whether its rows are small matrices, whose elements are all written out."""
        return any(s.small is not None for s in self.statements)

    @property
    def made(self) -> dict[int, Statement]:
        """Its statements by the nodes whose arrays they compute."""
        return {s.node: s for s in self.statements if s.target is None}

    def __str__(self) -> str:
        """Its rows, then its statements; what is not said to be in memory is kept in a row."""
        rows = " × ".join(map(str, self.rows)) or "1"
        stored = [f"n{node}" for node in sorted(self.stored)]
        lines = [f"{rows} rows" + (f", {', '.join(stored)} in memory" if stored else "")]
        return "\n".join([*lines, *("  " + str(s).replace("\n", "\n  ") for s in self.statements)])
