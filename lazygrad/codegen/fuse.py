"""Which nodes become one kernel.

Everything that is stored is computed by a *statement*: a loop over the elements of an array (a map), or over
those that are folded away (a fold). Three principles decide which statements share a kernel:

1. A kernel goes over *rows*: elements of the leading axes that all its statements have in common. What a
   statement makes of a row, later ones may read in the same row; so softmax, normalisation, or distances and
   their argmin need no array that is larger than a row.
2. A fold over the rows themselves (a bias' gradient, a loss) is totalled on the way; whoever reads it comes in a
   later kernel.
3. A statement joins a kernel that computes what it reads, or reads what it reads, if everything it depends on
   comes no later. Kernels run in the order in which they began, so nothing needs to be sorted again.

What only its own kernel reads is never written to memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lazygrad.codegen.index import Affine, Index, contiguous, identity
from lazygrad.codegen.ways import Ways
from lazygrad.spec import Shape

__all__ = ["Entry", "Part", "Rows", "Statement", "fused", "joint_axes", "taken"]

ZEROS = -1  # the source of a statement that reads nothing
SMALL = 2048  # elements; kernels that do no more in all may be one, with a single row
MOST = 24  # statements of a kernel
LONGEST = 4000  # instructions of a kernel, unless one statement has more; LLVM takes over-long for longer ones
FEW = 64  # rows; a kernel of much work is not made to have fewer, as rows are what threads share


class Part(NamedTuple):
    """Where elements go that are part of a node's result: ``place`` is where the result's elements lie in order."""

    node: int
    place: Affine


class Read(NamedTuple):
    """An element that is read of what is stored: its index, if it has one, and its place, if that is affine."""

    node: int
    at: tuple[Index, ...] | None
    place: Index | None


@dataclass(eq=False)
class Statement:
    """A loop over ``shape`` that computes node ``node``.

    Attributes:
        source: what is read at every element: the node itself (its definition), or the operand of a fold.
        axes: axes that are folded away, in order; none for a map.
        target: what is written in place of the node: a part of another one, a variable's new value.
        reads: what is read of what is stored, and where, with axis *k* counted by loop *k*.
        cost: a measure of the work for one element.
        length: about how many instructions are written for one element.
    """

    node: int
    shape: Shape
    source: int
    axes: tuple[int, ...] = ()
    target: Any = None
    reads: list[Read] = field(default_factory=list)
    cost: int = 1
    length: int = 4
    segments: int | None = None  # the node that says to which row of the result each row is added
    whole: bool = False  # whether a row is folded at once, as places are found

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
        if not self.axes:
            return len(self.shape)
        return self.leading or self.axes[0]


@dataclass(eq=False)
class Entry:
    """Something that is run: a kernel, a product, a copy, or a call back to NumPy."""

    kind: str
    node: int


class Rows(Entry):
    """A kernel over rows: the leading ``rank`` axes of all its statements."""

    def __init__(self, statement: Statement) -> None:
        super().__init__("rows", statement.node)
        self.statements = [statement]
        self.rank = statement.rank
        self.made = {} if statement.target is not None else {statement.node: statement}

    @property
    def rows(self) -> Shape:
        """Sizes of the axes of its rows."""
        return self.statements[0].shape[: self.rank]

    @property
    def length(self) -> int:
        """About how many instructions are written for an element of each statement."""
        return sum(s.length for s in self.statements)

    def fits(self, statement: Statement) -> int | None:
        """The rank with which ``statement`` can join, or None."""
        if len(self.statements) >= MOST or self.length + statement.length > LONGEST:
            return None
        if self.statements[0].segments is not None and statement.segments is None:
            return None
        rank = min(self.rank, statement.rank)
        while self.rows[:rank] != statement.shape[:rank]:
            rank -= 1
        parts = {s.target.node for s in self.statements if isinstance(s.target, Part)}
        for node, index, _ in statement.reads:
            if node in parts:
                return None
            maker = self.made.get(node)
            if maker is not None:
                apart = (maker.leading and rank) or index is None
                rank = 0 if apart else min(rank, _aligned(index or (), statement.shape, rank))
        if rank == 0 and any(s.segments is not None for s in (*self.statements, statement)):
            return None
        work = sum(s.size for s in self.statements) + statement.size
        if work <= SMALL:
            return rank
        if rank == 0 or (rank < self.rank and math.prod(self.rows[:rank]) < FEW):
            return None
        return rank

    def join(self, statement: Statement, rank: int) -> None:
        """Add a statement."""
        self.rank = rank
        self.statements.append(statement)
        if statement.target is None:
            self.made[statement.node] = statement


def _aligned(index: tuple[Index, ...], shape: Shape, rank: int) -> int:
    """How many leading axes of an index just count the rows."""
    count = 0
    while count < min(rank, len(index)) and index[count] == identity(shape, range(len(shape)))[count]:
        count += 1
    return count


def fused(ways: Ways) -> list[Entry]:
    """The entries that compute a plan, in an order in which they can run."""
    return _Fusion(ways).entries


class _Fusion:
    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self.entries: list[Entry] = []
        self.place: dict[int, int] = {}  # the entry that makes each stored node
        self._readers: dict[int, int] = {}  # the last kernel that reads a node
        for i, node in enumerate(ways.nodes):
            way = ways.way[i]
            if way in ("product", "callback"):
                self._append(Entry(way, i))
            elif way == "scatter":
                _, values, segments = node.inputs
                self._add(Statement(i, ways.spec(values).shape, values, (0,), segments=segments))
            elif way == "copies":
                self._copies(i)
            elif way == "fold":
                (j,) = node.inputs
                whole = ways.reading[i].how.startswith("arg")
                self._add(Statement(i, ways.spec(j).shape, j, tuple(node.params["axis"]), whole=whole))
            elif i in ways.stored:
                self._add(Statement(i, ways.spec(i).shape, i))

    def _copies(self, i: int) -> None:
        """A movement that is no view: zeros where no operand goes, and every operand where it goes."""
        ways = self.ways
        shape = ways.spec(i).shape
        inputs = ways.nodes[i].inputs
        earliest = -1
        if sum(ways.spec(j).size for j in inputs) < ways.spec(i).size:
            everywhere = Affine((0,), (contiguous(shape),))
            self._append(Rows(Statement(i, shape, ZEROS, target=Part(i, everywhere))))
            earliest = len(self.entries)
        last = 0
        for j, place in zip(inputs, ways.reading[i], strict=True):
            statement = Statement(j, ways.spec(j).shape, j, target=Part(i, place))
            last = max(last, self._add(statement, earliest))
        self.place[i] = last

    def _append(self, entry: Entry) -> None:
        self.place[entry.node] = len(self.entries)
        self.entries.append(entry)

    def _add(self, statement: Statement, earliest: int = -1) -> int:
        """Let a statement join a kernel that comes no earlier than ``earliest``, or begin one; where it is."""
        ways, seen = self.ways, set[Any]()
        loops = identity(statement.shape, range(len(statement.shape)))
        if statement.source == statement.node and statement.target is None:
            self._define(statement, statement.node, loops, seen)
        else:
            self._collect(statement, statement.source, loops, seen)
        if statement.segments is not None:
            self._collect(statement, statement.segments, loops[:1], seen)
            start = ways.view(ways.nodes[statement.node].inputs[0])
            if start is not None:
                statement.reads.append(Read(start.buffer, None, None))
        earliest = max([earliest, *(self.place[node] for node, _, _ in statement.reads if node in self.place)])
        alone = statement.segments is not None and ways.spec(statement.node).size > 32
        for place in [] if alone else self._candidates(statement, earliest):
            kernel = self.entries[place]
            if isinstance(kernel, Rows):
                rank = kernel.fits(statement)
                if rank is not None:
                    kernel.join(statement, rank)
                    return self._placed(statement, place)
        self.entries.append(Rows(statement))
        return self._placed(statement, len(self.entries) - 1)

    def _placed(self, statement: Statement, place: int) -> int:
        if statement.target is None:
            self.place[statement.node] = place
        for node, _, _ in statement.reads:
            if self.ways.spec(node).size > 1:
                self._readers[node] = place
        return place

    def _candidates(self, statement: Statement, earliest: int) -> list[int]:
        """Kernels it may join, best first: one that makes what it reads, then those that read the same."""
        found = [earliest] if 0 <= earliest < len(self.entries) else []
        for node, _, _ in statement.reads:
            place = self._readers.get(node, -1)
            if place >= max(earliest, 0) and self.ways.spec(node).size >= statement.size:
                found.append(place)
        if statement.size <= SMALL and len(self.entries) > max(earliest, 0):
            found.append(len(self.entries) - 1)
        return list(dict.fromkeys(found))

    def _collect(self, statement: Statement, i: int, index: tuple[Index, ...], seen: set[Any]) -> None:
        """What is read of what is stored to compute the element at ``index`` of node ``i``."""
        if (i, index) in seen:
            return
        seen.add((i, index))
        ways = self.ways
        if i in ways.stored or ways.way[i] in ("leaf", "callback"):
            view = ways.view(i)
            assert view is not None
            statement.length += 2
            statement.reads.append(Read(i, index, view.place(index)))
        elif ways.way[i] == "lazy":
            self._define(statement, i, index, seen)

    def _define(self, statement: Statement, i: int, index: tuple[Index, ...], seen: set[Any]) -> None:
        """What is read to compute the element at ``index`` of a lazy node by its definition."""
        ways = self.ways
        statement.cost += 2
        statement.length += ways.own[i]
        if i in ways.reading:  # elements that are named by indices: any of the array
            view = ways.view(ways.nodes[i].inputs[0])
            if view is not None:
                statement.reads.append(Read(view.buffer, None, None))
            for j, at in taken(ways, i, index):
                self._collect(statement, j, at, seen)
        elif ways.is_split(i):
            (j,) = ways.nodes[i].inputs
            if ways.way[j] != "number":
                view = ways.split(i)
                statement.reads.append(Read(view.buffer, None, view.place(index)))
        else:
            for j, at in ways.operands(i, index):
                self._collect(statement, j, at, seen)


def taken(ways: Ways, i: int, index: tuple[Index, ...]) -> list[tuple[int, tuple[Index, ...]]]:
    """The index operands of a node that takes elements, with the index at which each is read."""
    node = ways.nodes[i]
    joint, _ = joint_axes(ways, i)
    own = index[joint.start : joint.stop]
    return [(j, ways.broadcast(j, own)) for j in node.inputs[1:]]


def joint_axes(ways: Ways, i: int) -> tuple[slice, list[tuple[Any, int | None]]]:
    """Of a node that takes elements: which axes of the result the indices make, and what each part of the
    pattern stands for: (part, axis of the result) for slices, (part, None) for index arrays.
    """
    node = ways.nodes[i]
    pattern = ways.reading[i].pattern
    arrays = [k for k, part in enumerate(pattern) if not (part is None or isinstance(part, slice))]
    together = arrays == list(range(arrays[0], arrays[0] + len(arrays)))
    rank = max(ways.spec(j).ndim for j in node.inputs[1:])
    first = arrays[0] if together else 0
    axis, parts = 0 if first else rank, list[tuple[Any, int | None]]()
    for k, part in enumerate(pattern):
        if k in arrays:
            parts.append((part, None))
            if together and k == arrays[0] and first:
                axis += rank
        else:
            parts.append((part, axis))
            axis += 1
    return slice(first, first + rank), parts
