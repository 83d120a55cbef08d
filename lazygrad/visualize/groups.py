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
        self._below: list[int] = []  # as bits, the groups that each depends on
        self._above: list[int] = []  # and those that depend on it
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
        self._below.append(0)
        self._above.append(0)
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
        new = 0
        for other in others - {group}:
            new |= self._below[other] | 1 << other
        new &= ~self._below[group]
        if not new:
            return
        after = self._above[group] | 1 << group
        for k in _bits(after):
            self._below[k] |= new
        for k in _bits(new):
            self._above[k] |= after

    def ordered(self) -> list[int]:
        """The groups, each behind those that it depends on, and otherwise as they were begun."""
        left = [below.bit_count() for below in self._below]
        ready = [(min(self.nodes[k], default=0), k) for k, count in enumerate(left) if not count]
        heapq.heapify(ready)
        found = []
        while ready:
            _, k = heapq.heappop(ready)
            found.append(k)
            for other in _bits(self._above[k]):
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(ready, (min(self.nodes[other], default=0), other))
        return found


def _bits(number: int) -> list[int]:
    """The places of the ones of a number."""
    found = []
    while number:
        low = number & -number
        found.append(low.bit_length() - 1)
        number ^= low
    return found
