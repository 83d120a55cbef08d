"""Mini-batches of arrays with one row an example."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from lazygrad.graph.registry import here
from lazygrad.training.ahead import ahead
from lazygrad.training.data import Table, as_given, checked, order, rows_of, tables
from lazygrad.values.rows import check_count, marked, part_of
from lazygrad.workers.among import ALONE, Among

__all__ = ["Rows", "batches", "words"]


class Rows:
    """The batches of every epoch, cut from arrays in memory or in a mapped file.

    Args:
        tables: the arrays.
        batch_size: rows of a batch; the last one may have fewer.
        seed, shuffle: of their order.
        workers, prefetch: see :func:`lazygrad.fit`.
        among: the processes, each of which is given its rows of every batch.
    """

    def __init__(
        self,
        tables: Sequence[Table],
        batch_size: int,
        seed: int,
        shuffle: bool,
        workers: int = 0,
        prefetch: int = 0,
        among: Among = ALONE,
    ) -> None:
        self.tables = tables
        self._among = among
        self._arrays = [table.array for table in tables]
        self._is_cast = any(table.array.dtype != table.dtype for table in tables)  # in a file they have another dtype
        self.rows = rows_of(tables)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self.workers, self.prefetch = workers, prefetch
        for size in self._sizes():
            check_count(size, among.size, here())

    @property
    def count(self) -> int:
        """How many batches an epoch has."""
        return math.ceil(self.rows / self.batch_size)

    def samples(self) -> list[tuple[Any, ...]]:
        """A batch of each size that there will be."""
        return [self._batch(None, 0, count) for count in self._sizes()]

    def _sizes(self) -> list[int]:
        return [size for size in (self.batch_size, self.rows % self.batch_size) if size]

    def epoch(self, number: int) -> Generator[tuple[Any, ...]]:
        """The batches of an epoch, counted from 0."""
        places = order(self.rows, self.seed, number, self.shuffle)
        starts = range(0, self.rows, self.batch_size)
        if not self.workers:
            return (self._batch(places, start) for start in starts)
        return ahead((partial(self._batch, places, start) for start in starts), self.workers, self.prefetch)

    def _batch(self, places: Any, start: int, size: int | None = None) -> tuple[Any, ...]:
        count = min(self.batch_size if size is None else size, self.rows - start)
        own = part_of(count, self._among.size, self._among.rank)
        start, stop = start + own.start, start + own.stop
        if places is None:
            parts = [array[start:stop] for array in self._arrays]
        else:
            chosen = places[start:stop]
            parts = [array.take(chosen, axis=0) for array in self._arrays]
        parts = list(map(as_given, self.tables, parts)) if self._is_cast else parts
        return tuple(parts if self._among.size == 1 else [marked(part, count) for part in parts])

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
    env: Any = None,
) -> Iterator[tuple[Any, ...]]:
    """One epoch of mini-batches, for a loop of your own; the last one holds what is left over.

    Args:
        data: an array or a data frame, or several in a tuple, a list or a dict, with as many rows each. Arrays that
            lie in a file (``np.memmap``) are read batch by batch.
        batch_size: examples in a batch.
        shuffle: whether the examples come in another order in every epoch.
        seed, epoch: decide on the order. The same numbers give the same order.
        workers, prefetch: see :func:`lazygrad.fit`.
        env: an environment with ``workers``: each of them is then given its rows of every batch, for its steps.

    Yields:
        Tuples of arrays, in the order of ``data``.

    Raises:
        DataError: the data cannot be trained with, see :func:`lazygrad.fit`; before the first batch.
    """
    found = tables(data)
    return Rows(
        found,
        checked(batch_size, rows_of(found)),
        seed,
        shuffle,
        workers,
        prefetch,
        ALONE if env is None else env._store.among,
    ).epoch(epoch)
