"""Batches that come one by one, from whatever Python can go through: a generator, a loader, a function of the epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain, count, islice
from typing import Any, NamedTuple

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.training.ahead import ahead
from lazygrad.training.data import Table, as_given
from lazygrad.training.rows import words
from lazygrad.values.rows import marked, rows_of_batch, whole_rows
from lazygrad.workers.among import ALONE, Among

__all__ = ["Stream", "is_stream"]

_ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "__arrow_c_stream__", "__arrow_c_array__", "to_numpy")
_END = object()  # what a source that has ended gives


def is_stream(data: Any) -> bool:
    """Whether ``data`` are batches that come one by one, and not arrays with one row an example."""
    if isinstance(data, (Mapping, tuple, list, str, bytes, range, type)) or any(
        hasattr(data, name) for name in _ARRAYS
    ):
        return False
    return callable(data) or hasattr(data, "__iter__") or _has_places(data)


def _has_places(data: Any) -> bool:
    """Whether the batches can be asked for by their numbers, and so in any order by several threads."""
    return hasattr(data, "__getitem__") and hasattr(data, "__len__")


class _Unfit(NamedTuple):
    """A batch that was refused in another thread: it is looked at again where the user's line is known."""

    item: Any
    reason: DataError


class Stream:
    """The batches of every epoch, as they come.

    Args:
        data: an iterable of batches, an iterator, or a function that returns one of these for every epoch.
        arranged: makes of a batch, and of words that say which it is, the arrays in the order of the step.
        check: raises DataError for a batch that the step has no room for.
        size: batches of an epoch; all that there are, if None.
        epochs: how often it will be gone through.
        seed: kept for a checkpoint.
        workers, prefetch: see :func:`lazygrad.fit`.
        what: what messages call it.
        among: the processes, each of which is given its rows of every batch; all go through the same batches.

    Raises:
        DataError: there is no batch, or it can be gone through only once and shall be more often.
    """

    def __init__(
        self,
        data: Any,
        arranged: Callable[[Any, str], Sequence[Table]],
        check: Callable[[Sequence[Table], str], None],
        size: int | None,
        epochs: int,
        seed: int,
        workers: int = 0,
        prefetch: int = 0,
        what: str = "the data",
        among: Among = ALONE,
    ) -> None:
        self._among = among
        self.data, self.arranged, self.check, self.what = data, arranged, check, what
        self.seed, self.workers, self.prefetch = seed, workers, prefetch
        self.size = size
        self.is_once = hasattr(data, "__next__")
        if self.is_once and epochs > 1 and size is None:
            facts = [f"{what}:  {data!r:.60}", f"epochs:{' ' * (len(what) - 5)}  {epochs}"]
            cure = (
                "Give the function that makes it, as fit(step, batches) and not fit(step, batches()); or, if it never "
                "ends, batches_per_epoch=."
            )
            raise DataError(report(f"{what} can be gone through only once", at=here(), facts=facts, cure=cure))
        self._takes_epoch = _takes_epoch(data, what) if self._is_function() else False
        self._going: Iterator[Any] | None = self._begun(0)
        self._asked = 0  # the epoch of it
        first = next(self._going, _END)
        if first is _END:
            cure = "At least one batch is needed."
            raise DataError(report(f"{what} have no batches", at=here(), cure=cure))
        self._going = chain([first], self._going)
        self.tables = list(arranged(first, " (epoch 1, batch 1)"))
        self._shapes = [(table.name, table.array.ndim) for table in self.tables]

    def _is_function(self) -> bool:
        return callable(self.data) and not hasattr(self.data, "__iter__") and not _has_places(self.data)

    @property
    def count(self) -> int | None:
        """How many batches an epoch has, if that is known."""
        if self.size is not None or self.is_once or self._is_function() or not hasattr(self.data, "__len__"):
            return self.size
        return len(self.data)

    def samples(self) -> list[tuple[Any, ...]]:
        """The first batch."""
        return [self._given(self.tables)]

    def settings(self) -> dict[str, Any]:
        """What a checkpoint compares: the batches of an epoch, 0 if it is not known."""
        return {"batches": self.size or 0, "seed": words(self.seed)}

    def chosen(self, number: int, batch: int) -> Sequence[int]:
        """The rows of a batch, which nobody knows here."""
        return ()

    def epoch(self, number: int) -> Generator[tuple[Any, ...]]:
        """The batches of an epoch, counted from 0.

        Raises:
            DataError: a batch is unlike the first, has a number that is not finite, or there are too few.
        """
        wanted, done = self.count, 0
        with closing(ahead(self._jobs(number), self._threads(), self.prefetch)) as going:
            for prepared in going:
                if prepared is _END:
                    break
                if isinstance(prepared, _Unfit):
                    self._fitted(prepared.item, number, done)
                    raise prepared.reason  # it has been changed since
                yield prepared
                done += 1
        if not done or (wanted is not None and done < wanted):
            facts = [f"batches:  {done}" + ("" if wanted is None else f", of {wanted}")]
            cure = "Give as many batches in every epoch, or another batches_per_epoch=."
            what = f"{self.what} ended early, in epoch {number + 1} after batch {done}"
            raise DataError(report(what, at=here(), facts=facts, cure=cure))

    def _threads(self) -> int:
        """One, unless the batches can be asked for in any order: an iterator goes on in one thread at a time."""
        return self.workers if self._by_place() else min(self.workers, 1)

    def _by_place(self) -> bool:
        """Whether the batches are asked for by their numbers, rather than gone through."""
        return _has_places(self.data) and not self.is_once and (self.workers > 1 or not hasattr(self.data, "__iter__"))

    def _jobs(self, number: int) -> Iterator[Callable[[], Any]]:
        """What each batch of an epoch is prepared by."""
        if self._by_place():
            self._going = None
            places = range(len(self.data) if self.size is None else min(self.size, len(self.data)))
            return (partial(self._prepared, partial(self.data.__getitem__, k), number, k) for k in places)
        going, self._going = self._going, None
        if going is None or (self._asked != number and not self.is_once):
            going = self._begun(number)
        if self.is_once:
            self._going = going
        jobs = (partial(self._prepared, partial(next, going, _END), number, k) for k in count())
        return islice(jobs, self.size)

    def _begun(self, number: int) -> Iterator[Any]:
        if self.is_once:
            return iter(self.data)
        if self._by_place():
            return (self.data[k] for k in range(len(self.data)))
        given = self.data
        if self._is_function():
            given = self.data(epoch=number) if self._takes_epoch else self.data()
        if not hasattr(given, "__iter__"):
            facts = [f"returned:  {given!r:.60}"]
            cure = "A function that is given as data returns an iterable of batches, as a generator function does."
            raise DataError(report(f"{self.what} are no batches", at=here(), facts=facts, cure=cure))
        return iter(given)

    def _prepared(self, take: Callable[[], Any], number: int, place: int) -> Any:
        """The next batch, as the step is given it."""
        item = take()
        try:
            return item if item is _END else self._fitted(item, number, place)
        except DataError as reason:
            return _Unfit(item, reason)

    def _fitted(self, item: Any, number: int, place: int) -> tuple[Any, ...]:
        where = f" (epoch {number + 1}, batch {place + 1})"
        found = self.arranged(item, where)
        shapes = [(table.name, table.array.ndim) for table in found]
        if shapes != self._shapes:
            facts = [f"first batch:  {_listed(self._shapes)}", f"this one:     {_listed(shapes)}"]
            cure = "All batches have the same arrays, with as many axes."
            what = f"batch {place + 1} of epoch {number + 1} is unlike the first one"
            raise DataError(report(what, at=here(), facts=facts, cure=cure))
        self.check(found, where)
        return self._given(found)

    def _given(self, found: Sequence[Table]) -> tuple[Any, ...]:
        batch = tuple(as_given(table, table.array) for table in found)
        if self._among.size > 1:
            batch = tuple(rows_of_batch(array, self._among.size, self._among.rank) for array in batch)
        # A source may fill the same arrays again and again: what waits for its turn has memory of its own.
        return tuple(_copied(array) for array in batch) if self.workers else batch


def _copied(array: Any) -> Any:
    count = whole_rows(array)
    return array.copy() if count is None else marked(array.copy(), count)


def _listed(shapes: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{name} of {axes} axes" for name, axes in shapes)


def _takes_epoch(function: Any, what: str) -> bool:
    """Whether a function is told the number of the epoch."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    wanted = [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    others = [name for name in wanted if name != "epoch"]
    if others:
        facts = [f"arguments:  {', '.join(wanted)}"]
        cure = "A function that is given as data takes nothing, or `epoch`, the number of the epoch from 0 on."
        raise DataError(report(f"{what} cannot be asked for", at=here(), facts=facts, cure=cure))
    return any(p.name == "epoch" for p in parameters)
