"""Rows: in which order children stand beside each other, so that few arrows cross.

An arrow that passes rows has a place in each of them, so that no child stands in its way. All arrows from one child
share such places, a trunk that goes down from it until the last of them has branched off; and what leaves the box goes
on to its last row. What comes from outside has a trunk from the first row down to its child. Where these would be many,
all that leaves the box shares one, and all that enters it another; so places grow with nodes and not with their square,
as they would for a loop of a thousand turns that is written out. The order is that of barycentres, row by row, down
and up (Sugiyama, Tagawa and Toda 1981); the best that was met is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lazygrad.visualize.page.scenes import Scene

__all__ = ["Stop", "crossings", "rows"]

SWEEPS = 8
SHARED = 200  # places of trunks that leave a box, or enter it, from which they share one: a screen has room for no more
MOST = 5000  # places of trunks in a box, from which all long arrows share one


class Stop(NamedTuple):
    """A place in a row: a child, or where arrows pass.

    Attributes:
        child: the child that stands here, or whose arrows pass.
        passing: "" for the child itself, "down" for what comes from it, "up" for what comes to it from outside; "out"
            and "in" for what leaves the box and enters it, where that is shared; the child is then 0.
    """

    child: int
    passing: str = ""


IN, OUT = Stop(0, "in"), Stop(0, "out")


def rows(scene: Scene, rank: Mapping[int, int]) -> list[list[Stop]]:
    """The order of what stands in each row.

    Args:
        scene: the children of a box.
        rank: the row of each.

    Returns:
        Every row from left to right.
    """
    lines: list[list[Stop]] = [[] for _ in range(1 + max(rank.values(), default=-1))]
    joins = _filled(scene, rank, lines)
    best, least = [list(line) for line in lines], _crossed(lines, joins)
    for sweep in range(SWEEPS):
        if least == 0:
            break
        _swept(lines, joins, downwards=sweep % 2 == 0)
        crossed = _crossed(lines, joins)
        if crossed < least:
            best, least = [list(line) for line in lines], crossed
    return best


def _filled(scene: Scene, rank: Mapping[int, int], lines: list[list[Stop]]) -> list[list[tuple[Stop, Stop]]]:
    """Put everything into its row, in program order; for each gap between rows, what is joined across it."""
    joins: list[dict[tuple[Stop, Stop], None]] = [{} for _ in lines[1:]]
    last = len(lines) - 1
    together_out = sum(last - rank[child] for child in scene.left) > SHARED
    together_in = sum(rank[child] for child in scene.entered) > SHARED
    reach = {child: last if child in scene.left and not together_out else rank[child] for child in scene.children}
    for source, target in scene.arrows:
        reach[source] = max(reach[source], rank[target] - 1)
    shared = dict.fromkeys(scene.left) if together_out else {}
    end = last if together_out else 0
    if sum(reach[child] - rank[child] for child in scene.children) > MOST:
        long = [(source, target) for source, target in scene.arrows if rank[target] > rank[source] + 1]
        shared |= dict.fromkeys(source for source, _ in long)
        end, reach = max([end, *(rank[target] - 1 for _, target in long)]), dict(rank)
    for child in scene.children:
        row, begin = rank[child], 0 if child in scene.entered and not together_in else rank[child]
        for passed in range(begin, reach[child] + 1):
            lines[passed].append(_passing(child, passed, row))
        for gap in range(begin, reach[child]):
            joins[gap][_passing(child, gap, row), _passing(child, gap + 1, row)] = None
    for source, target in scene.arrows:
        above = _passing(source, rank[target] - 1, rank[source]) if reach[source] >= rank[target] - 1 else OUT
        joins[rank[target] - 1][above, Stop(target)] = None
    if shared:
        for row in range(min(rank[child] for child in shared) + 1, end + 1):
            lines[row].append(OUT)
            joins[row - 1] |= dict.fromkeys((Stop(c), OUT) for c in shared if rank[c] == row - 1)
    if together_in:
        for row in range(max(rank[child] for child in scene.entered)):
            lines[row].insert(0, IN)
            joins[row] |= dict.fromkeys((IN, Stop(c)) for c in scene.entered if rank[c] == row + 1)
    for row in range(last):
        joins[row] |= {(stop, stop): None for stop in (IN, OUT) if stop in lines[row] and stop in lines[row + 1]}
    return [list(joined) for joined in joins]


def _passing(child: int, row: int, own: int) -> Stop:
    """What stands in a row for a child: itself in its own, its trunks below and above it."""
    return Stop(child) if row == own else Stop(child, "down" if row > own else "up")


def _swept(lines: list[list[Stop]], joins: Sequence[Sequence[tuple[Stop, Stop]]], downwards: bool) -> None:
    """Order each row by the mean place of what its members are joined to in the row before it."""
    order = range(1, len(lines)) if downwards else range(len(lines) - 2, -1, -1)
    for row in order:
        before = {stop: i for i, stop in enumerate(lines[row - 1 if downwards else row + 1])}
        near: dict[Stop, list[int]] = {}
        for upper, lower in joins[row - 1 if downwards else row]:
            mine, other = (lower, upper) if downwards else (upper, lower)
            near.setdefault(mine, []).append(before[other])
        scale = max(1, len(before)) / max(1, len(lines[row]))
        # What is joined to nothing stays about where it is.
        mean = {stop: i * scale for i, stop in enumerate(lines[row])}
        mean |= {stop: sum(places) / len(places) for stop, places in near.items()}
        # What all share stays at its side.
        lines[row].sort(key=lambda stop: (-1, 0) if stop == IN else (1, 0) if stop == OUT else (0, mean[stop]))


def _crossed(lines: Sequence[Sequence[Stop]], joins: Sequence[Sequence[tuple[Stop, Stop]]]) -> int:
    total = 0
    for row, gap in enumerate(joins):
        upper = {stop: i for i, stop in enumerate(lines[row])}
        lower = {stop: i for i, stop in enumerate(lines[row + 1])}
        total += crossings([(upper[a], lower[b]) for a, b in gap])
    return total


def crossings(pairs: Sequence[tuple[int, int]]) -> int:
    """How many pairs of arrows between two rows cross."""
    if len(pairs) < 2:
        return 0
    ends = np.array(pairs)
    left = ends[:, None, 0] < ends[None, :, 0]
    right = ends[:, None, 1] > ends[None, :, 1]
    return int(np.count_nonzero(left & right))
