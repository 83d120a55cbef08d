"""How a kernel is run on a target: which statements share loops, which loop is wide, how the rows are cut into chunks.

A row is computed group by group: a group is one nest of loops over the inner axes, in which several statements
share what they read. One loop of the kernel is wide, and counts as many elements at once as a register has
lanes. It is the last inner axis, or, where that is short or there is none, the last axis of the rows: then a
register holds the same element of as many rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lazygrad.engine.lanes.target import Target
from lazygrad.engine.lower.fuse import SHORT
from lazygrad.engine.lower.index import Index, identity, in_order
from lazygrad.engine.lower.kernels import Kernel, Part, Statement
from lazygrad.graph.spec import Shape, Spec

__all__ = ["Chunks", "Group", "Schedule", "folds_rows", "is_total", "scheduled", "split_of"]

UNROLLED = 4  # turns; a loop of as many is written out, where that does not become too long
LONG = 1000  # instructions; a kernel of as many calls long functions


@dataclass(frozen=True, eq=False)
class Group:
    """Statements of one nest of loops over ``inner`` sizes, of which the last ``split`` are folded in registers."""

    inner: Shape
    statements: tuple[Statement, ...]
    split: int | None


class Chunks(NamedTuple):
    """How the loops over rows are cut into parts that workers share.

    Attributes:
        total: how many there are.
        per: turns of the loop that is cut that are in each.
        outer: how many loops there are around that one; each of their turns has parts of its own.
    """

    total: int
    per: int
    outer: int = 0


@dataclass(frozen=True, eq=False)
class Schedule:
    """How a kernel is run.

    Attributes:
        groups: nests of loops of a row, in order.
        by_rows: whether lanes are rows.
        runs: axes of the rows that have a loop; those of a run are counted by one.
        chunks: how the loops over rows are cut.
        rooms: numbers that a row keeps of a node in memory of its own, for all lanes.
        stored: nodes of its statements that lie in memory, also because a row of them would take too much room.
        unrolled: turns; a loop of as many is written out.
        calls: whether long functions are called rather than written out.
        masked: whether one loop asks in every turn which lanes count, so that its body stands there once.
        slid: whether its last turn begins earlier instead, so that all lanes count.
        lanes: of a wide register.
    """

    groups: tuple[Group, ...]
    by_rows: bool
    runs: tuple[tuple[int, ...], ...]
    chunks: Chunks
    rooms: Mapping[int, int]
    stored: frozenset[int]
    unrolled: int
    calls: bool
    masked: bool
    slid: bool
    lanes: int


def scheduled(kernel: Kernel, target: Target) -> Schedule:
    """The schedule of a kernel."""
    groups = _grouped(kernel)
    runs = _runs(kernel)
    if kernel.small:
        return _of_matrices(kernel, groups, runs, target)
    by_rows = _goes_by_rows(kernel, target) and bool(runs)
    rooms, stored = _rooms(kernel, groups, by_rows, target)
    calls = target.calls and kernel.length >= LONG
    statements = kernel.statements
    is_long = sum(map(_written_out, statements)) > target.longest and all(s.segments is None for s in statements)
    masked = calls and all(map(takes_masks, statements))
    chunks = _chunks(kernel, runs, by_rows, target)
    unrolled = 1 if is_long else UNROLLED
    return Schedule(groups, by_rows, runs, chunks, rooms, stored, unrolled, calls, masked, False, target.lanes)


def _of_matrices(
    kernel: Kernel, groups: tuple[Group, ...], runs: tuple[tuple[int, ...], ...], target: Target
) -> Schedule:
    """The schedule of a kernel whose rows are small matrices: a lane is a row, and all else is written out.

    Where the target lets it, a register has no more lanes than there are rows; so every turn of the wide loop can be a
    whole one, if the last begins where the rows end less its lanes.
    """
    chunks = _chunks(kernel, runs, True, target)
    if not target.narrows:
        return Schedule(groups, True, runs, chunks, {}, kernel.stored, SHORT, False, True, False, target.lanes)
    size = max(dtype.itemsize for s in kernel.statements for dtype in s.memory)
    most = max(1, 4 * target.lanes // size)
    rows = math.prod(kernel.rows[a] for a in runs[-1]) if runs else 1
    lanes = min(most, 1 << (rows.bit_length() - 1))
    return Schedule(groups, True, runs, chunks, {}, kernel.stored, SHORT, False, False, True, lanes)


def _written_out(s: Statement) -> int:
    """About how many instructions a statement becomes if all its short loops are written out."""
    return s.length * math.prod(n for n in s.shape if n <= UNROLLED)


def takes_masks(s: Statement) -> bool:
    """Whether a mask costs little: a map of numbers of the size of lanes. A fold would be rounded otherwise."""
    return not s.axes and all(dtype.itemsize >= 4 for dtype in s.memory)


# What a statement is.


def folds_rows(kernel: Kernel, s: Statement) -> bool:
    """Whether rows are folded, so that the result is there after all of them."""
    return bool(kernel.rank) and s.leading > 0


def split_of(kernel: Kernel, s: Statement) -> int | None:
    """How many of the last inner axes are folded in registers; None where the statement does not mind."""
    if not s.axes or folds_rows(kernel, s):
        return None
    first = min(a for a in s.axes if a >= kernel.rank)
    trailing = all(a in s.axes or s.shape[a] == 1 for a in range(first, len(s.shape)))
    return len(s.shape) - first if trailing else None


def is_total(kernel: Kernel, s: Statement) -> bool:
    """Whether it is totalled in memory, row by row."""
    return bool(s.axes) and not folds_rows(kernel, s) and split_of(kernel, s) is None


# Groups.


def _grouped(kernel: Kernel) -> tuple[Group, ...]:
    groups: list[Group] = []
    for s in kernel.statements:
        inner, split = s.shape[kernel.rank :], split_of(kernel, s)
        if groups and _shares(groups[-1], inner, s, split):
            group = groups[-1]
            split = split if group.split is None else group.split
            groups[-1] = Group(inner, (*group.statements, s), split)
        else:
            groups.append(Group(inner, (s,), split))
    return tuple(groups)


def _shares(group: Group, inner: Shape, s: Statement, split: int | None) -> bool:
    """Whether a statement can stand in the loops of a group: what it reads of the group is at the same element."""
    if group.inner != inner or (None not in (group.split, split) and group.split != split):
        return False
    own = {t.node: t for t in group.statements}
    for node, index, _ in s.reads:
        if node in own and (own[node].axes or index is None or index != identity(s.shape, range(len(s.shape)))):
            return False
    return True


# The wide loop, and the loops over rows.


def few(table: Spec) -> bool:
    """Whether a table of segments is small enough for registers."""
    return table.size <= 32 and math.prod(table.shape[1:]) <= UNROLLED


def _goes_by_rows(kernel: Kernel, target: Target) -> bool:
    """Whether the wide loop is one over rows."""
    sizes, rows = [s.shape[kernel.rank :] for s in kernel.statements], kernel.rows
    longest = max(math.prod(inner) for inner in sizes)
    if any(s.segments is not None and not few(s.spec) for s in kernel.statements):
        return False
    if longest == 1:
        return True
    last = max([n for inner in sizes for n in inner[-1:]] or [1])
    lanes_bytes = 8 * target.lanes * longest
    is_short = last < target.lanes and lanes_bytes <= target.room
    return is_short and math.prod(rows) >= 4 * target.lanes and rows[-1] >= target.lanes


def _runs(kernel: Kernel) -> tuple[tuple[int, ...], ...]:
    """The axes of rows that have a loop, in runs that are counted by one: all that is read and written lies so."""
    runs: list[tuple[int, ...]] = []
    places = _places(kernel)
    for a in (a for a in range(kernel.rank) if kernel.rows[a] != 1):
        if runs and places is not None and all(_continues(p, runs[-1][-1], a, kernel.rows[a]) for p in places):
            runs[-1] = (*runs[-1], a)
        else:
            runs.append((a,))
    return tuple(runs)


def _continues(place: Index, before: int, axis: int, size: int) -> bool:
    """Whether a step along an axis is that of all elements of the next one."""
    steps = dict(place.terms)
    return steps.get(before, 0) == steps.get(axis, 0) * size


def _places(kernel: Kernel) -> list[Index] | None:
    """Where everything that is read lies, and what is written; None where indices are computed."""
    places = []
    for s in kernel.statements:
        for _, _, place in s.reads:
            if place is None:
                return None
            places.append(place)
        places += s.counted
        loops = identity(s.shape, range(len(s.shape)))
        if isinstance(s.target, Part):
            places += s.target.place.of(loops)
        elif not folds_rows(kernel, s):
            places.append(in_order(s.shape).place(loops))
    return places


def _chunks(kernel: Kernel, runs: tuple[tuple[int, ...], ...], by_rows: bool, target: Target) -> Chunks:
    """How the first loop over rows is cut; where lanes are many, one further in if that has too few turns."""
    if not runs:
        return Chunks(1, 1)
    sizes = [math.prod([kernel.rows[a] for a in run]) for run in runs]
    whole = math.prod(sizes) if target.hosted else sizes[0]
    work = sum(s.size * (s.cost + 4) for s in kernel.statements)
    count = min(target.chunks, work // target.instructions, whole)
    heaviest = max((s.spec.size for s in kernel.statements if folds_rows(kernel, s)), default=0)
    if heaviest:
        count = min(count, work // (8 * heaviest), target.totals * (4 if heaviest < target.lanes else 1))
    if count < 2:
        return Chunks(1, sizes[0])
    outer, around = 0, 1
    while around * sizes[outer] < count:
        around *= sizes[outer]
        outer += 1
    n = sizes[outer]
    per = -(-n // -(-count // around))
    if by_rows and outer == len(runs) - 1:
        per = -(-per // target.lanes) * target.lanes
    return Chunks(around * -(-n // per), per, outer)


# Memory of a row.


def _rooms(
    kernel: Kernel, groups: tuple[Group, ...], by_rows: bool, target: Target
) -> tuple[dict[int, int], frozenset[int]]:
    """How many numbers of what a later group reads of a row are kept, and what then lies in memory."""
    rooms, stored = dict[int, int](), set(kernel.stored)
    for g, group in enumerate(groups):
        later = {read.node for other in groups[g + 1 :] for t in other.statements for read in t.reads}
        for s in group.statements:
            if s.node in stored or folds_rows(kernel, s) or s.target is not None:
                continue
            size = math.prod(s.spec.shape[kernel.rank :]) * (target.lanes if by_rows else 1)
            kept = s.node in later and math.prod(s.spec.shape[kernel.rank :]) > 1
            if kept or is_total(kernel, s):
                if size * s.spec.dtype.itemsize > target.room:
                    stored.add(s.node)
                else:
                    rooms[s.node] = size
    return rooms, frozenset(stored)
