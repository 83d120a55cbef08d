"""Mini-batches of arrays with one row an example."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from lazygrad.training.ahead import ahead
from lazygrad.training.data import Table, as_given, checked, order, rows_of, tables

__all__ = ["Rows", "batches", "words"]


class Rows:
    """The batches of every epoch, cut from arrays in memory or in a mapped file.

    Args:
        tables: the arrays.
        batch_size: rows of a batch; the last one may have fewer.
        seed, shuffle: of their order.
        workers, prefetch: see :func:`lazygrad.fit`.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        batch_size: int,
        seed: int,
        shuffle: bool,
        workers: int = 0,
        prefetch: int = 0,
    ) -> None:
        self.tables = tables
        self._arrays = [table.array for table in tables]
        self._is_cast = any(table.array.dtype != table.dtype for table in tables)  # in a file they have another dtype
        self.rows = rows_of(tables)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.workers, self.prefetch = workers, prefetch

    @property
    def count(self) -> int:
        """How many batches an epoch has."""
        return math.ceil(self.rows / self.batch_size)

    def samples(self) -> list[tuple[Any, ...]]:
        """A batch of each size that there will be."""
        sizes = [self.batch_size, self.rows % self.batch_size]
        return [tuple(as_given(table, table.array[:count]) for table in self.tables) for count in sizes if count]

    def epoch(self, number: int) -> Generator[tuple[Any, ...]]:
        """The batches of an epoch, counted from 0."""
        places = order(self.rows, self.seed, number, self.shuffle)
        starts = range(0, self.rows, self.batch_size)
        if not self.workers:
            return (self._batch(places, start) for start in starts)
        return ahead((partial(self._batch, places, start) for start in starts), self.workers, self.prefetch)

    def _batch(self, places: Any, start: int) -> tuple[Any, ...]:
        stop = start + self.batch_size
        if places is None:
            parts = [array[start:stop] for array in self._arrays]
        else:
            chosen = places[start:stop]
            parts = [array.take(chosen, axis=0) for array in self._arrays]
        return tuple(map(as_given, self.tables, parts) if self._is_cast else parts)

    def chosen(self, number: int, batch: int) -> Sequence[int]:
        """The rows of a batch in an epoch, both counted from 0."""
        places = order(self.rows, self.seed, number, self.shuffle)
        found: Any = np.arange(self.rows) if places is None else places
        chosen: Sequence[int] = found[batch * self.batch_size : (batch + 1) * self.batch_size]
        return chosen

    def settings(self) -> dict[str, Any]:
        """What the order depends on."""
        return {"rows": self.rows, "batch_size": self.batch_size, "shuffle": self.shuffle, "seed": words(self.seed)}


def words(seed: int) -> list[int]:
    """A seed of any size as 32-bit words, the least significant first."""
    return [seed >> shift & 0xFFFFFFFF for shift in range(0, max(seed.bit_length(), 1), 32)]


def batches(
    data: Any,
    batch_size: int,
    *,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
    workers: int = 0,
    prefetch: int = 2,
) -> Iterator[tuple[Any, ...]]:
    """One epoch of mini-batches, for a loop of your own; the last one holds what is left over.

    Args:
        data: an array or a data frame, or several in a tuple, a list or a dict, with as many rows each. Arrays that
            lie in a file (``np.memmap``) are read batch by batch.
        batch_size: examples in a batch.
        shuffle: whether the examples come in another order in every epoch.
        seed, epoch: decide on the order. The same numbers give the same order.
        workers, prefetch: see :func:`lazygrad.fit`.

    Yields:
        Tuples of arrays, in the order of ``data``.

    Raises:
        DataError: the data cannot be trained with, see :func:`lazygrad.fit`; before the first batch.
    """
    found = tables(data)
    return Rows(found, checked(batch_size, rows_of(found)), seed, shuffle, workers, prefetch).epoch(epoch)
