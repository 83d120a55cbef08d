"""Workers that are threads of one process: for tests, and to try a program before it is given to mpiexec."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from lazygrad.errors import WorkerError, report
from lazygrad.graph.registry import here
from lazygrad.workers.failures import ENDED, Agreement, Failure, Telling, Told
from lazygrad.workers.parts import part

__all__ = ["Thread", "side_by_side", "together"]

T = TypeVar("T")

PATIENCE = 60.0  # seconds after which a worker that does not come is waited for no more


class Meeting:
    """Where the workers put what they exchange: one table for every exchange, by its number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.changed = threading.Condition()
        self.tables: dict[int, dict[int, tuple[Any, Any]]] = {}
        self.found: dict[int, tuple[Any, int]] = {}
        self.told: dict[int, list[Failure | Agreement]] = {rank: [] for rank in range(size)}

    def put(self, number: int, rank: int, kind: Any, value: Any) -> None:
        """Put down what one worker brings to an exchange."""
        with self.changed:
            self.tables.setdefault(number, {})[rank] = kind, value
            self.changed.notify_all()

    def is_full(self, number: int) -> bool:
        """Whether all workers have come."""
        with self.changed:
            return number in self.found or len(self.tables.get(number, ())) == self.size

    def take(self, number: int, what: Callable[[list[Any]], Any]) -> Any:
        """What the exchange gives: made once, of what the workers brought in their order, so that all have the same."""
        with self.changed:
            if number not in self.found:
                table = self.tables[number]
                kinds = [table[rank][0] for rank in range(self.size)]
                odd = [rank for rank in range(self.size) if kinds[rank] != kinds[0]]
                if odd:
                    raise _unlike(kinds, odd[0])
                self.found[number] = what([table[rank][1] for rank in range(self.size)]), 0
            result, readers = self.found[number]
            self.found[number] = result, readers + 1
            if readers + 1 == self.size:
                del self.found[number], self.tables[number]
            return result


class Thread(Telling):
    """A worker that is a thread; the others are threads of the same process.

    Attributes:
        rank, size: as for a Communicator.
    """

    def __init__(self, meeting: Meeting, rank: int) -> None:
        self.rank, self.size = rank, meeting.size
        self._meeting, self._number = meeting, 0
        self._others = Told(rank, meeting.size)

    def sum(self, array: Any) -> None:
        """The sum over all workers, in place."""
        self.begin(array).wait()

    def begin(self, array: Any) -> Sum:
        """Begin a sum."""
        return Sum(self, self._bring(("sum", array.shape, str(array.dtype)), array.copy()), array)

    def broadcast(self, array: Any, root: int = 0) -> None:
        """The array of worker ``root``, on all."""
        number = self._bring(("broadcast", root, array.shape, str(array.dtype)), array.copy())
        array[...] = self._fetch(number, lambda values: values[root])

    def gather(self, value: Any) -> list[Any]:
        """A value of each, on all."""
        return list(self._fetch(self._bring("gather", value), lambda values: values))

    def scatter_sum(self, array: Any, out: Any) -> None:
        """This worker's part of the sum."""
        number = self._bring(("scatter_sum", array.shape, str(array.dtype)), array.copy())
        out[...] = self._fetch(number, _total)[part(array.size, self.size, self.rank)]

    def gather_into(self, array: Any, out: Any) -> None:
        """The parts of all."""
        number = self._bring(("gather_into", out.shape, str(out.dtype)), array.copy())
        out[...] = self._fetch(number, np.concatenate)

    def end(self, reason: BaseException | None) -> None:
        """The function of this worker has returned, or raised."""
        if reason is not None and self._others.own is None:
            self.fail(reason)
        self._tell(Failure(self.rank, self._others.step, self._others.exchanges, True, ENDED))

    def __repr__(self) -> str:
        return f"<worker {self.rank} of {self.size}, a thread>"

    def _tell(self, word: Failure | Agreement) -> None:
        with self._meeting.changed:
            for rank in set(range(self.size)) - {self.rank}:
                self._meeting.told[rank].append(word)
            self._meeting.changed.notify_all()

    def _bring(self, kind: Any, value: Any) -> int:
        self._ready()
        self._number += 1
        self._meeting.put(self._number, self.rank, kind, value)
        return self._number

    def _fetch(self, number: int, what: Callable[[list[Any]], Any]) -> Any:
        self._wait(lambda: self._meeting.is_full(number))
        return self._meeting.take(number, what)

    def _wait(self, is_done: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        with self._meeting.changed:
            told = self._meeting.told[self.rank]
            while not is_done():
                while told:
                    self._others.heard(told.pop(0))
                if is_done():
                    return
                self._others.check()
                if not self._meeting.changed.wait(end - time.monotonic()):
                    raise WorkerError(f"worker {self.rank} has waited for the others for {PATIENCE:.0f} s")


class Sum:
    """A sum that has begun."""

    def __init__(self, worker: Thread, number: int, array: Any) -> None:
        self._worker, self._number, self._array, self._is_there = worker, number, array, False

    def test(self) -> bool:
        """Whether it is there."""
        if not self._is_there and self._worker._meeting.is_full(self._number):
            self.wait()
        return self._is_there

    def wait(self) -> None:
        """Return when it is there."""
        if not self._is_there:
            self._array[...] = self._worker._fetch(self._number, _total)
            self._is_there = True


def together(size: int) -> list[Thread]:
    """Communicators of so many workers of one process; each is for a thread of its own."""
    meeting = Meeting(size)
    return [Thread(meeting, rank) for rank in range(size)]


def side_by_side(size: int, function: Callable[[Thread], T]) -> list[T]:
    """What ``function(communicator)`` returns for each of so many workers, each in a thread.

    Raises:
        Exception: the first that a worker has raised by itself, when all have ended.
    """
    results: list[Any] = [None] * size
    raised: list[BaseException | None] = [None] * size

    def work(worker: Thread) -> None:
        try:
            results[worker.rank] = function(worker)
        except BaseException as reason:
            raised[worker.rank] = reason
        finally:
            worker.end(raised[worker.rank])

    threads = [threading.Thread(target=work, args=(w,), daemon=True) for w in together(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [reason for reason in raised if reason is not None]
    for reason in sorted(found, key=lambda r: isinstance(r, WorkerError)):
        raise reason
    return results


def _total(arrays: Sequence[Any]) -> Any:
    result = arrays[0].copy()
    for array in arrays[1:]:
        result += array
    return result


def _unlike(kinds: Sequence[Any], odd: int) -> WorkerError:
    facts = [f"worker 0:  {kinds[0]}", f"worker {odd}:  {kinds[odd]}"]
    cure = "All workers exchange the same, in the same order."
    return WorkerError(report("workers exchange different things", at=here(), facts=facts, cure=cure))
