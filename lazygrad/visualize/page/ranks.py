"""Ranks: in which row of its box each child stands, so that arrows go down and are short.

Rows are whole numbers r with r(b) ≥ r(a) + 1 for each arrow a → b, and of all those the ones with the least
Σ r(b) − r(a). There are some, as no arrows make a circle, whatever is folded. This is a linear programme whose matrix
is that of a network, totally unimodular; so the corner that the simplex method finds is whole (Gansner, Koutsofios,
North and Vo, A technique for drawing directed graphs, 1993, who solve it by a simplex method of their own). The
programmes of all boxes are solved as one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from lazygrad.visualize.page.scenes import Scene

__all__ = ["WIDEST", "ranks"]

WIDEST = 8  # children in a row, from which it becomes several: a screen shows about as many
NARROW = 5  # of few children, which are to be read without coming closer
FEW = 15


def ranks(found: Sequence[Scene]) -> list[dict[int, int]]:
    """The row of every child, for every scene; 0 is the upmost.

    Args:
        found: the scenes.

    Returns:
        For each scene, the row of each child.
    """
    places: dict[tuple[int, int], int] = {}  # for each child of each scene its variable in the programme
    for b, scene in enumerate(found):
        for child in scene.children:
            places[b, child] = len(places)
    down = [(places[b, source], places[b, target]) for b, scene in enumerate(found) for source, target in scene.arrows]
    fixed = {places[b, child] for b, scene in enumerate(found) for child in scene.top}
    rows = _solved(len(places), down, fixed)
    return [
        _wrapped(scene, {child: int(rows[places[b, child]]) for child in scene.children})
        for b, scene in enumerate(found)
    ]


def _solved(count: int, down: Sequence[tuple[int, int]], fixed: set[int]) -> np.ndarray:
    """The shortest rows; each part that hangs together begins at 0, and what is fixed stands there."""
    if not down:
        return np.zeros(count, int)
    from scipy.optimize import linprog
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(down)
    sources, targets = ends[:, 0], ends[:, 1]
    number = np.arange(len(ends))
    signs = np.concatenate([np.ones(len(ends)), -np.ones(len(ends))])
    matrix = coo_array((signs, (np.tile(number, 2), ends.T.ravel())), shape=(len(ends), count)).tocsr()
    costs = np.bincount(targets, minlength=count) - np.bincount(sources, minlength=count)
    bounds = [(0, 0) if i in fixed else (0, None) for i in range(count)]
    solution = linprog(costs, A_ub=matrix, b_ub=-np.ones(len(ends)), bounds=bounds, method="highs-ds")
    rows = np.rint(solution.x).astype(int)
    square = coo_array((np.ones(len(ends)), (sources, targets)), shape=(count, count)).tocsr()
    parts, part = connected_components(square, directed=False)
    first = np.full(parts, rows.max(), int)
    np.minimum.at(first, part, rows)
    return np.asarray(rows - first[part])


def _wrapped(scene: Scene, row: dict[int, int]) -> dict[int, int]:
    """The rows, of which each that is too wide has become several; children in program order."""
    members: dict[int, list[int]] = defaultdict(list)
    for child in scene.children:
        members[row[child]].append(child)
    result, following = {}, 0
    widest = NARROW if len(scene.children) <= FEW else WIDEST
    for number in sorted(members):
        lines = -(-len(members[number]) // widest)
        width = -(-len(members[number]) // lines)  # of equal length, not one full and one with what is left
        for place, child in enumerate(members[number]):
            result[child] = following + place // width
        following += lines
    return result
