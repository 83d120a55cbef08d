"""A worker's rows of a batch: an array that knows of how many rows, of all workers together, its own are some."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Rows", "part_of", "rows_of_batch", "whole_rows"]


def part_of(count: int, size: int, rank: int) -> slice:
    """The rows of ``count`` that are worker ``rank``'s: in order, and as many for each as for the next, or one less."""
    return slice(count * rank // size, count * (rank + 1) // size)


class Rows(np.ndarray[Any, Any]):
    """The rows that one worker has of a batch.

    What is computed of them is an ordinary array: only what :func:`rows_of_batch` made is part of a batch.

    Attributes:
        whole: how many rows the batch has, those of all workers together; None for what is no part of one.
    """

    whole: int | None = None

    def __array_finalize__(self, obj: Any) -> None:
        self.whole = None


def rows_of_batch(batch: Any, size: int, rank: int) -> Any:
    """The rows of a batch, an array whose first axis counts them, that are worker ``rank``'s, as a view."""
    count = len(batch)
    found = np.asarray(batch)[part_of(count, size, rank)].view(Rows)
    found.whole = count
    return found


def whole_rows(x: Any) -> int | None:
    """How many rows the batch has that ``x`` is a worker's part of; None if it is no such part."""
    return x.whole if type(x) is Rows else None
