"""Which rows of a batch make a step bad: those without which it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lazygrad.plan import Plan
from lazygrad.searching.computed import Computed
from lazygrad.searching.finding import Rows, is_bad

__all__ = ["rows_of"]

TRIES = 200  # of parts of a batch


class _Batch(NamedTuple):
    """A size, and along which axis the arguments have it, by their nodes."""

    size: int
    axes: dict[int, int]


def rows_of(computed: Computed, kind: str, root: int, i: int, mask: Any) -> tuple[Rows, ...]:
    """The rows of the batch by way of which a node makes a root bad.

    A batch is along the first axis of the arguments; or along another one, if several arguments share its size. If it
    may be more than one of these, there are rows of the two that are likeliest.

    Args:
        computed: the step.
        kind: what is bad.
        root: what becomes bad.
        i: the node where that begins.
        mask: which elements of the node are bad.

    Returns:
        Parts of batches; if there are none, a whole batch, whose rows are all bad; nothing, if there is no batch, or if
        it is bad whatever is in it but none of its rows is so alone.
    """
    given = {j: x for j in computed.plan.placeholders.values() if (x := computed.arrays[j]).ndim}
    sources = _sources(computed.plan, i) & set(given)
    found = []
    for batch in _batches(given)[: 1 if i in given else 2]:
        if not sources & set(batch.axes):
            continue
        rows = _Search(computed, root, batch).found(kind, _guess(batch, i, mask), is_argument=i in given)
        if rows is not None:
            names = {j: str(computed.plan.graph.nodes[j].params["name"]) for j in batch.axes}
            found.append(Rows(rows, batch.size, tuple([(names[j], axis) for j, axis in batch.axes.items()])))
    return tuple([one for one in found if len(one.rows) < one.size] or found[:1])


def _sources(plan: Plan, i: int) -> set[int]:
    """What a node is computed from, and the node."""
    nodes, seen, stack = plan.graph.nodes, {i}, [i]
    while stack:
        fresh = [j for j in nodes[stack.pop()].inputs if j not in seen]
        stack += fresh
        seen.update(fresh)
    return seen


def _batches(given: Mapping[int, Any]) -> list[_Batch]:
    """What may be the batch, the likeliest first."""
    sizes = dict.fromkeys(size for x in given.values() for size in x.shape if size > 1)
    batches = [_Batch(s, {j: x.shape.index(s) for j, x in given.items() if s in x.shape}) for s in sizes]

    def likely(batch: _Batch) -> tuple[bool, int, bool]:
        axes = list(batch.axes.values())
        of_all = len(axes) == len(given) > 1 and len(set(axes)) == 1
        return of_all, axes.count(0), batch.axes.get(min(given)) == 0

    wanted = [b for b in batches if 0 in b.axes.values() or len(b.axes) > 1]
    return sorted(wanted, key=likely, reverse=True)


def _guess(batch: _Batch, i: int, mask: Any) -> Any:
    """The rows that bad elements of a node lie in, if it has the batch for an axis."""
    axis = batch.axes.get(i, max(set(batch.axes.values()), key=list(batch.axes.values()).count))
    if isinstance(mask, tuple) or mask.ndim <= axis or mask.shape[axis] != batch.size:
        return np.zeros(0, int)
    return np.unique(np.argwhere(mask)[:, axis])


class _Search:
    """A batch, filled with other rows of its own."""

    def __init__(self, computed: Computed, root: int, batch: _Batch) -> None:
        self.computed, self.root, self.batch = computed, root, batch
        self.tries = 0

    def found(self, kind: str, guess: Any, is_argument: bool) -> tuple[int, ...] | None:
        """The rows, in order; None if it is bad whatever the rows, or if none is to blame alone."""
        if is_argument:
            return tuple(map(int, guess))
        is_part = 0 < guess.size < self.batch.size
        found = list(map(int, guess)) if is_part and self._is_fine(kind, guess) else self._halved(kind, self.every)
        if not found or not self._is_fine(kind, found):
            return None
        for row in list(found):  # one may be bad beside others alone, as a mean is taken of all
            fewer = [one for one in found if one != row]
            if fewer and self.tries <= TRIES and len(found) < self.batch.size and self._is_fine(kind, fewer):
                found = fewer
        return tuple(found)

    @property
    def every(self) -> Any:
        """All rows."""
        return np.arange(self.batch.size)

    def _is_fine(self, kind: str, rows: Any) -> bool:
        """Whether the root is not bad in a batch without these rows; if there are no others, too."""
        others = np.setdiff1d(self.every, rows)
        return not others.size or not self._makes_bad(kind, others)

    def _makes_bad(self, kind: str, rows: Any) -> bool:
        """Whether the root is bad in a batch of these rows alone, over and over."""
        self.tries += 1
        chosen = np.resize(rows, self.batch.size)
        changed = {j: np.take(self.computed.arrays[j], chosen, axis) for j, axis in self.batch.axes.items()}
        try:
            return is_bad(kind, self.computed.again(changed, self.root))
        except Exception:  # a kernel of the user's, with a batch that it never had
            return False

    def _halved(self, kind: str, rows: Any) -> list[int]:
        if self.tries > TRIES or not self._makes_bad(kind, rows):
            return []
        if rows.size == 1:
            return [int(rows[0])]
        half = rows.size // 2
        parts = self._halved(kind, rows[:half]) + self._halved(kind, rows[half:])
        return parts or [int(r) for r in rows]
