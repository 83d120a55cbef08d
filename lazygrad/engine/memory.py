"""Laying out the arrays of a plan in one block of memory, by when each lives."""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.graph.spec import Spec

__all__ = ["ALIGNMENT", "Buffer", "aligned", "lay_out"]

ALIGNMENT = 64  # a cache line, and the widest vector


@dataclass(eq=False)
class Buffer:
    """Room for one array, from the instruction that writes it to the last that reads it."""

    spec: Spec
    first: int
    last: int
    offset: int = -1

    @property
    def nbytes(self) -> int:
        """Bytes it takes, rounded up so that the next one is aligned."""
        return -(-max(self.spec.nbytes, 1) // ALIGNMENT) * ALIGNMENT


def lay_out(buffers: list[Buffer]) -> int:
    """Give every buffer an offset so that no two that live at once overlap; return the bytes needed.

    In order of time, each buffer takes the smallest free gap that holds it, or else grows the block.
    """
    gaps: list[tuple[int, int]] = []  # (offset, size), by offset; no two touch
    living: list[tuple[int, int, int]] = []  # a heap of (last, offset, size)
    total = 0
    for buffer in sorted(buffers, key=lambda b: b.first):
        while living and living[0][0] < buffer.first:
            _, offset, size = heapq.heappop(living)
            _release(gaps, offset, size)
        size = buffer.nbytes
        fitting = [gap for gap in gaps if gap[1] >= size]
        if fitting:
            gap = min(fitting, key=lambda g: g[1])
            gaps.remove(gap)
            buffer.offset = gap[0]
            if gap[1] > size:
                bisect.insort(gaps, (gap[0] + size, gap[1] - size))
        else:
            # A gap at the very end grows; otherwise the block does.
            buffer.offset = gaps.pop()[0] if gaps and sum(gaps[-1]) == total else total
            total = buffer.offset + size
        heapq.heappush(living, (buffer.last, buffer.offset, size))
    return total


def _release(gaps: list[tuple[int, int]], offset: int, size: int) -> None:
    """Add a gap, and make it one with those it touches."""
    place = bisect.bisect(gaps, (offset, size))
    if place < len(gaps) and offset + size == gaps[place][0]:
        size += gaps.pop(place)[1]
    if place and sum(gaps[place - 1]) == offset:
        offset, before = gaps.pop(place - 1)
        size += before
        place -= 1
    gaps.insert(place, (offset, size))


def aligned(nbytes: int) -> Any:
    """A block of bytes that begins at a multiple of :data:`ALIGNMENT`."""
    block = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + nbytes]
