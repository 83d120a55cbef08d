"""Which part of an array is whose, where an array is shared out; and whether it lies on a GPU."""

from __future__ import annotations

from typing import Any

__all__ = ["counts", "on_card", "part"]


def part(length: int, size: int, rank: int) -> slice:
    """The part of ``length`` elements that is worker ``rank``'s: parts differ by one element at most."""
    return slice(length * rank // size, length * (rank + 1) // size)


def counts(length: int, size: int) -> list[int]:
    """How many elements each worker has."""
    return [(lambda s: s.stop - s.start)(part(length, size, rank)) for rank in range(size)]


def on_card(array: Any) -> bool:
    """Whether an array lies on a GPU."""
    return hasattr(array, "__cuda_array_interface__")
