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

    Attributes:
        keys: of each group.
        nodes: of each group.
        of: the number of the group of each node.
    """

    def __init__(self, members: Sequence[int], inputs: Sequence[Sequence[int]], key: Callable[[int], Hashable]) -> None:
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
            if group is None or not self.may_read(group, reads):
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

    def ordered(self) -> list[int]:
        """The groups, each behind those that it depends on, and otherwise as they were begun."""
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
            found.append(k)
            for other in readers[k]:
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(ready, (first[other], other))
        return found
