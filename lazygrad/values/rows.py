"""A worker's rows of a batch: an array that knows of how many rows, of all workers together, its own are some."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import DataError, report

__all__ = ["Rows", "check_count", "marked", "part_of", "rows_of_batch", "whole_rows"]


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


def marked(own: Any, count: int) -> Any:
    """A worker's own rows, known as part of a batch of ``count`` rows."""
    found = np.asarray(own).view(Rows)
    found.whole = count
    return found


def rows_of_batch(batch: Any, size: int, rank: int, at: Any = None) -> Any:
    """The rows of a batch, an array whose first axis counts them, that are worker ``rank``'s, as a view.

    Raises:
        DataError: there are fewer rows than workers; ``at`` is the user's line.
    """
    array = np.asarray(batch)
    if not array.ndim:
        cure = "Give arrays whose first axis counts the examples."
        raise DataError(report("cannot share out a single number among workers", at=at, cure=cure))
    check_count(len(array), size, at)
    return marked(array[part_of(len(array), size, rank)], len(array))


def check_count(count: int, size: int, at: Any = None) -> None:
    """Raise DataError for a batch of fewer rows than there are workers."""
    if count < size:
        facts = [f"rows:     {count}", f"workers:  {size}"]
        cure = "Every worker needs a row: choose another batch size, for the last batch too, or fewer workers."
        raise DataError(report("a batch has fewer rows than there are workers", at=at, facts=facts, cure=cure))


def whole_rows(x: Any) -> int | None:
    """How many rows the batch has that ``x`` is a worker's part of; None if it is no such part."""
    return x.whole if type(x) is Rows else None
