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
from collections.abc import Sequence
from dataclasses import dataclass

from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower import describe
from lazygrad.engine.lower.index import Affine, Index, contiguous, identity
from lazygrad.engine.lower.kernels import Kernel, OverRows, Part, Statement
from lazygrad.engine.lower.ways import Way, Ways
from lazygrad.engine.trace.reading import Windowed
from lazygrad.graph.spec import Shape

__all__ = ["Draft", "Entry", "fused"]

SHORT = 64  # elements of a row that are written out beside small matrices
MOST = 24  # statements of a kernel


@dataclass(eq=False)
class Entry:
    """Something that is run: a kernel, a product, a repeat, or a call back to NumPy."""

    kind: Way
    node: int


class Draft(Entry, OverRows):
    """A kernel that statements may still join; see :class:`lazygrad.engine.lower.kernels.Kernel`."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(Way.LAZY, statement.node)
        self.statements: list[Statement] = [statement]
        self.rank = statement.rank
        self.small = statement.small is not None
        self.made = {} if statement.target is not None else {statement.node: statement}

    def fits(self, statement: Statement, target: Target) -> int | None:
        """The rank with which ``statement`` can join, or None."""
        if self.small or statement.small is not None:
            return self._fits_small(statement, target)
        if len(self.statements) >= MOST or self.length + statement.length > target.longest:
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
        if work <= target.small:
            return rank
        if rank == 0 or (rank < self.rank and math.prod(self.rows[:rank]) < target.rows):
            return None
        return rank

    def _fits_small(self, statement: Statement, target: Target) -> int | None:
        """The rank with which a statement can join one whose rows are small matrices, or one of these another."""
        everything = [*self.statements, statement]
        ranks = {s.small.rows for s in everything if s.small is not None}
        (rank, *others) = ranks
        if others or self.rank < rank or statement.rank < rank or self.rows[:rank] != statement.shape[:rank]:
            return None
        if any(s.segments is not None or math.prod(s.shape[rank:]) > SHORT for s in everything):
            return None
        if _written_out(everything, rank) > target.longest and not self._shares(statement):
            return None
        parts = {s.target.node for s in self.statements if isinstance(s.target, Part)}
        for node, index, _ in statement.reads:
            maker = self.made.get(node)
            apart = maker is not None and ((maker.leading and rank) or index is None)
            if node in parts or apart or (maker is not None and _aligned(index or (), statement.shape, rank) < rank):
                return None
        return rank

    def _shares(self, statement: Statement) -> bool:
        """Whether a statement is another result of what one of these computes."""
        bases = {s.small.base for s in self.statements if s.small is not None}
        return statement.small is not None and statement.small.base in bases

    def join(self, statement: Statement, rank: int) -> None:
        """Add a statement."""
        self.rank = rank
        self.statements.append(statement)
        self.small |= statement.small is not None
        if statement.target is None:
            self.made[statement.node] = statement

    def kernel(self, stored: frozenset[int]) -> Kernel:
        """The description, once it is known which nodes must lie in memory."""
        return Kernel(self.rank, tuple(self.statements), stored & {s.node for s in self.statements})


def _written_out(statements: Sequence[Statement], rank: int) -> int:
    """About how many instructions are written for a row of small matrices; what makes several results stands once."""
    total, bases = 0, set[int]()
    for s in statements:
        if s.small is None:
            total += s.length * math.prod(s.shape[rank:])
        else:
            total += s.length - (s.small.length if s.small.base in bases else 0)
            bases.add(s.small.base)
    return total


def _aligned(index: tuple[Index, ...], shape: Shape, rank: int) -> int:
    """How many leading axes of an index just count the rows."""
    count = 0
    while count < min(rank, len(index)) and index[count] == identity(shape, range(len(shape)))[count]:
        count += 1
    return count


def fused(ways: Ways, target: Target) -> list[Entry]:
    """The entries that compute a plan on a target, in an order in which they can run."""
    return _Fusion(ways, target).entries


class _Fusion:
    def __init__(self, ways: Ways, target: Target) -> None:
        self.ways, self.target = ways, target
        self.entries: list[Entry] = []
        self.place: dict[int, int] = {}  # the entry that makes each stored node
        self._readers: dict[int, int] = {}  # the last kernel that reads a node
        self._bases: dict[int, int] = {}  # the last kernel that computes what has several results
        for i in range(len(ways.nodes)):
            way = ways.way[i]
            if way is Way.SEVERAL:
                pass
            elif way in (Way.PRODUCT, Way.LAPACK, Way.ORDER, Way.PUT, Way.CALLBACK, Way.REPEAT):
                self._append(Entry(way, i))
            elif way is Way.RESULT:
                self.place[i] = self.place[ways.nodes[i].inputs[0]]
            elif way is Way.SCATTER:
                self._add(describe.segmented(ways, i))
            elif way is Way.COPIES:
                self._copies(i)
            elif way is Way.FOLD and isinstance(ways.reading.get(i), Windowed):
                from lazygrad.engine.lower.windows import windowed  # not for a CPU

                self.place[i] = self._add(windowed(ways, i))
            elif way is Way.FOLD:
                self._add(describe.folded(ways, i))
            elif i in ways.stored:
                self._add(describe.definition(ways, i))

    def _copies(self, i: int) -> None:
        """A movement that is no view: zeros where no operand goes, and every operand where it goes."""
        ways = self.ways
        shape = ways.spec(i).shape
        inputs = ways.nodes[i].inputs
        earliest = -1
        if sum(ways.spec(j).size for j in inputs) < ways.spec(i).size:
            everywhere = Affine((0,), (contiguous(shape),))
            self._append(Draft(describe.zeros(ways, i, Part(i, everywhere))))
            earliest = len(self.entries)
        last = 0
        for j, place in zip(inputs, ways.reading[i], strict=True):
            last = max(last, self._add(describe.copy(ways, j, Part(i, place)), earliest))
        self.place[i] = last

    def _append(self, entry: Entry) -> None:
        self.place[entry.node] = len(self.entries)
        self.entries.append(entry)

    def _add(self, statement: Statement, earliest: int = -1) -> int:
        """Let a statement join a kernel that comes no earlier than ``earliest``, or begin one; where it is."""
        earliest = max([earliest, *(self.place[node] for node, _, _ in statement.reads if node in self.place)])
        alone = statement.segments is not None and statement.spec.size > 32
        for place in [] if alone else self._candidates(statement, earliest):
            kernel = self.entries[place]
            if isinstance(kernel, Draft):
                rank = kernel.fits(statement, self.target)
                if rank is not None:
                    kernel.join(statement, rank)
                    return self._placed(statement, place)
        self.entries.append(Draft(statement))
        return self._placed(statement, len(self.entries) - 1)

    def _placed(self, statement: Statement, place: int) -> int:
        if statement.target is None:
            self.place[statement.node] = place
        if statement.small is not None:
            self._bases[statement.small.base] = place
        for node, _, _ in statement.reads:
            if self.ways.spec(node).size > 1:
                self._readers[node] = place
        return place

    def _candidates(self, statement: Statement, earliest: int) -> list[int]:
        """Kernels it may join, best first: one that makes what it reads, then those that read the same."""
        found = [earliest] if 0 <= earliest < len(self.entries) else []
        if statement.small is not None and self._bases.get(statement.small.base, -1) >= max(earliest, 0):
            found.insert(0, self._bases[statement.small.base])
        for node, _, _ in statement.reads:
            place = self._readers.get(node, -1)
            if place >= max(earliest, 0) and self.ways.spec(node).size >= statement.size:
                found.append(place)
        if statement.size <= self.target.small and len(self.entries) > max(earliest, 0):
            found.append(len(self.entries) - 1)
        return list(dict.fromkeys(found))
