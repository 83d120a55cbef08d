"""Laying out the arrays of a plan in one block of memory, by when each lives."""

from __future__ import annotations

from dataclasses import dataclass

from lazygrad.spec import Spec

__all__ = ["ALIGNMENT", "Buffer", "lay_out"]

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
    free: list[tuple[int, int]] = []  # (offset, size), by offset
    living: list[Buffer] = []
    total = 0
    for buffer in sorted(buffers, key=lambda b: b.first):
        for dead in [b for b in living if b.last < buffer.first]:
            living.remove(dead)
            free = _joined(free, (dead.offset, dead.nbytes))
        gaps = [gap for gap in free if gap[1] >= buffer.nbytes]
        if gaps:
            offset, size = gap = min(gaps, key=lambda g: g[1])
            free.remove(gap)
            if size > buffer.nbytes:
                free = _joined(free, (offset + buffer.nbytes, size - buffer.nbytes))
        elif free and sum(free[-1]) == total:  # the last gap touches the end: grow it
            offset = free.pop()[0]
            total = offset + buffer.nbytes
        else:
            offset = total
            total += buffer.nbytes
        buffer.offset = offset
        living.append(buffer)
    return total


def _joined(free: list[tuple[int, int]], block: tuple[int, int]) -> list[tuple[int, int]]:
    """The gaps with one more, neighbours made one."""
    result: list[tuple[int, int]] = []
    for offset, size in sorted([*free, block]):
        if result and sum(result[-1]) == offset:
            result[-1] = (result[-1][0], result[-1][1] + size)
        else:
            result.append((offset, size))
    return result
