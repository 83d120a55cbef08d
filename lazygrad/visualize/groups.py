"""Nodes that belong together, cut so that groups never wait for each other in a circle.

A picture in which every group is one box has to be readable from its beginning to its end. So a node does not join a
group if it depends, by way of other groups, on that group: it begins another one of the same key. A layer that is
called twice is two boxes.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Sequence
from typing import Any

__all__ = ["Groups"]


class Groups:
    """Nodes of a graph in groups, of which none depends on itself by way of another.

    Args:
        members: nodes, in order.
        inputs: for each node of the graph its operands.
        key: nodes of the same key shall lie together.
        absorbs: whether groups of a key take up those that stand between their nodes.
        loose: whether groups of a key can be taken up.

    Attributes:
        keys: of each group.
        nodes: of each group.
        of: the number of the group of each node.
    """

    def __init__(
        self,
        members: Sequence[int],
        inputs: Sequence[Sequence[int]],
        key: Callable[[int], Hashable],
        absorbs: Callable[[Any], bool] = lambda key: False,
        loose: Callable[[Any], bool] = lambda key: True,
    ) -> None:
        self.keys: list[Any] = []
        self.nodes: list[list[int]] = []
        self.of: dict[int, int] = {}
        self._reads: list[set[int]] = []  # the groups that each reads
        self._below: list[int] = []  # as bits, those that it depends on
        self._needed = 0  # and those that any depends on
        latest: dict[Hashable, int] = {}
        for i in members:
            reads = {self.of[j] for j in inputs[i] if j in self.of}
            own = key(i)
            group = latest.get(own)
            if group is not None and not self.may_read(group, reads):
                between = self._between(group, reads) if absorbs(own) else set()
                if between and all(loose(self.keys[k]) for k in between):
                    self._merge(group, between)
                    latest = {one: k for one, k in latest.items() if k not in between}
                    reads = {self.of[j] for j in inputs[i] if j in self.of}
                else:
                    group = None
            if group is None:
                group = latest[own] = self.begin(own)
            self.join(i, group)
            self.depend(group, reads)

    def begin(self, key: Hashable) -> int:
        """The number of a new group, without nodes."""
        self.keys.append(key)
        self.nodes.append([])
        self._reads.append(set())
        self._below.append(0)
        return len(self.keys) - 1

    def join(self, i: int, group: int) -> None:
        """Add a node to a group."""
        self.nodes[group].append(i)
        self.of[i] = group

    def may_read(self, group: int, others: set[int]) -> bool:
        """Whether a group can depend on others without depending on itself."""
        return not any(self._below[other] >> group & 1 for other in others if other != group)

    def depend(self, group: int, others: set[int]) -> None:
        """A group reads what others compute."""
        others = others - {group} - self._reads[group]
        self._reads[group] |= others
        new = 0
        for other in others:
            new |= self._below[other] | 1 << other
        new &= ~self._below[group]
        if not new:
            return
        self._below[group] |= new
        self._needed |= new
        if self._needed >> group & 1:  # which is rare: most groups are complete when they are read
            for k, below in enumerate(self._below):
                if below >> group & 1:
                    self._below[k] |= new

    def _between(self, group: int, others: set[int]) -> set[int]:
        """The groups that depend on a group, and on which others depend, or which are among these."""
        needed = 0
        for other in others - {group}:
            needed |= self._below[other] | 1 << other
        return {k for k in _bits(needed) if self._below[k] >> group & 1}

    def _merge(self, group: int, taken: set[int]) -> None:
        """Let a group take up others; together they must not depend on themselves."""
        gone = sum(1 << k for k in taken)
        for k in taken:
            self.nodes[group] += self.nodes[k]
            self.of.update(dict.fromkeys(self.nodes[k], group))
            self.nodes[k] = []
            self._reads[group] |= self._reads[k]
            self._below[group] |= self._below[k]
            self._reads[k], self._below[k] = set(), 0
        self._reads[group] -= taken | {group}
        self._below[group] &= ~(gone | 1 << group)
        for k, below in enumerate(self._below):
            if k != group and below & (gone | 1 << group):
                self._below[k] = (below & ~gone) | 1 << group | self._below[group]
                if self._reads[k] & taken:
                    self._reads[k] = (self._reads[k] - taken) | {group}
        self._needed |= 1 << group | self._below[group]

    def ordered(self) -> list[int]:
        """The groups that have nodes, each behind those that it depends on, and otherwise as they were begun."""
        first = [min(nodes, default=0) for nodes in self.nodes]
        left = [len(reads) for reads in self._reads]
        readers: list[list[int]] = [[] for _ in left]
        for k, reads in enumerate(self._reads):
            for other in reads:
                readers[other].append(k)
        ready = [(first[k], k) for k, count in enumerate(left) if not count]
        heapq.heapify(ready)
        found = []
        while ready:
            _, k = heapq.heappop(ready)
            if self.nodes[k]:
                found.append(k)
            for other in readers[k]:
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(ready, (first[other], other))
        return found


def _bits(number: int) -> list[int]:
    """The places of the ones of a number."""
    found = []
    while number:
        low = number & -number
        found.append(low.bit_length() - 1)
        number ^= low
    return found
