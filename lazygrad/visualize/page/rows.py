"""Rows: in which order children stand beside each other, so that few arrows cross.

An arrow that passes rows has a place in each of them, so that no child stands in its way. All arrows from one child
share such places, a trunk that goes down from it until the last of them has branched off; and what leaves the box goes
on to its last row. What comes from outside has a trunk from the first row down to its child. The order is that of
barycentres, row by row, down and up (Sugiyama, Tagawa and Toda 1981); the best that was met is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lazygrad.visualize.page.scenes import Scene

__all__ = ["Stop", "crossings", "rows"]

SWEEPS = 8


class Stop(NamedTuple):
    """A place in a row: a child, or where arrows pass.

    Attributes:
        child: the child that stands here, or whose arrows pass.
        passing: "" for the child itself, "down" for what comes from it, "up" for what comes to it from outside.
    """

    child: int
    passing: str = ""


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
    reach = {child: last if child in scene.left else rank[child] for child in scene.children}
    for source, target in scene.arrows:
        reach[source] = max(reach[source], rank[target] - 1)
    for child in scene.children:
        row = rank[child]
        if child in scene.entered:
            for above in range(row):
                lines[above].append(Stop(child, "up"))
        lines[row].append(Stop(child))
        for below in range(row + 1, reach[child] + 1):
            lines[below].append(Stop(child, "down"))
    for source, target in scene.arrows:
        joins[rank[target] - 1][_passing(source, rank[target] - 1, rank, "down"), Stop(target)] = None
    for child in scene.children:
        for gap in range(rank[child], reach[child]):
            joins[gap][_passing(child, gap, rank, "down"), Stop(child, "down")] = None
        for gap in range(rank[child] if child in scene.entered else 0):
            joins[gap][Stop(child, "up"), _passing(child, gap + 1, rank, "up")] = None
    return [list(gap) for gap in joins]


def _passing(child: int, row: int, rank: Mapping[int, int], passing: str) -> Stop:
    """What stands in a row for a child: itself in its own, its trunk in others."""
    return Stop(child) if row == rank[child] else Stop(child, passing)


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
        lines[row].sort(key=mean.__getitem__)


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
