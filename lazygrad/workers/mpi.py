"""Workers that are processes, which mpiexec has started: MPI carries what they exchange.

Every wait looks now and then whether another worker has failed, ended or died, which MPI itself does not tell.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.workers.failures import ENDED, Agreement, Failure, Telling, Told
from lazygrad.workers.parts import counts, on_card

__all__ = ["Processes"]

PIECE = 2**20  # bytes that travel at once: 10.5 ms for 40 MB in such pieces, between two processes of one machine
CARRIED = "fdFDbBhHiIlLqQ"  # dtypes that MPI adds up; others travel as float32
QUIET = 0.002  # seconds of waiting after which it sleeps between looks, and leaves its core to others
LOOK = 0.5  # seconds between two looks whether the other processes live
DRAINED = 0.3  # seconds in which mpiexec passes on what was printed; when a process aborts it passes on nothing more
FAREWELL = 15.0  # seconds that a worker that has failed gives the others to say what they have to say


class Processes(Telling):
    """The processes of a communicator of MPI.

    Attributes:
        rank, size: as for a Communicator.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._sums, self._words = comm.Dup(), comm.Dup()
        self.rank, self.size = comm.rank, comm.size
        self._others = Told(self.rank, self.size)
        self._begun: list[Any] = []  # sums that nobody has waited for
        self._told: list[Any] = []
        self._cards: Any = None
        self._looked = time.monotonic()
        self._where: list[tuple[str, int]] = []
        self._where = self.gather((socket.gethostname(), os.getpid()))

    @classmethod
    def of(cls, comm: Any) -> Processes:
        """The workers of a communicator: the same ones for the same."""
        for known, found in _known:
            if known == comm:
                return found
        found = cls(comm)
        if not _known:
            atexit.register(_ended)
            _hook()
        _known.append((comm, found))
        return found

    # What a Communicator does.

    def sum(self, array: Any) -> None:
        """The sum over all workers, in place."""
        self.begin(array).wait()

    def begin(self, array: Any) -> Any:
        """Begin a sum: in pieces, or, of an array on a GPU, by NCCL."""
        self._ready()
        if on_card(array):
            return self._on_cards().begin(array)
        sent = _carried(array)
        flat = sent.reshape(-1)
        step = max(1, PIECE // flat.itemsize)
        pieces = [
            self._sums.Iallreduce(self._mpi.IN_PLACE, flat[start : start + step]) for start in range(0, flat.size, step)
        ]
        found = Sum(self, pieces, None if sent is array else (array, sent))
        self._begun.append(found)
        return found

    def broadcast(self, array: Any, root: int = 0) -> None:
        """The array of worker ``root``, on all."""
        self._ready()
        if on_card(array):
            self._on_cards().broadcast(array, root)
            return
        sent = np.ascontiguousarray(array)
        self._finish(self._sums.Ibcast(sent.reshape(-1).view(np.uint8), root))
        if sent is not array:
            array[...] = sent

    def gather(self, value: Any) -> list[Any]:
        """A value of each, on all."""
        self._ready()
        mine = np.frombuffer(pickle.dumps(value), np.uint8)
        lengths = np.zeros(self.size, np.int64)
        self._finish(self._sums.Iallgather(np.array([mine.size]), lengths))
        everyone = np.empty(lengths.sum(), np.uint8)
        self._finish(self._sums.Iallgatherv(mine, (everyone, lengths)))
        ends = np.cumsum(lengths)
        return [pickle.loads(everyone[end - length : end].tobytes()) for end, length in zip(ends, lengths, strict=True)]

    def scatter_sum(self, array: Any, out: Any) -> None:
        """This worker's part of the sum."""
        self._ready()
        if on_card(array):
            self._on_cards().scatter_sum(array, out)
            return
        sent, kept = _carried(array), _carried(out)
        self._finish(self._sums.Ireduce_scatter(sent, kept, counts(sent.size, self.size)))
        if kept is not out:
            out[...] = kept

    def gather_into(self, array: Any, out: Any) -> None:
        """The parts of all."""
        self._ready()
        if on_card(array):
            self._on_cards().gather_into(array, out)
            return
        sent, kept = np.ascontiguousarray(array), np.ascontiguousarray(out)
        size = [count * kept.itemsize for count in counts(kept.size, self.size)]
        self._finish(self._sums.Iallgatherv(sent.view(np.uint8), (kept.view(np.uint8), size)))
        if kept is not out:
            out[...] = kept

    def __repr__(self) -> str:
        return f"<worker {self.rank} of {self.size}, by MPI>"

    def _on_cards(self) -> Any:
        """NCCL, which is asked for when the first array on a GPU is to be exchanged."""
        if self._cards is None:
            from lazygrad.workers.nccl import Cards

            self._cards = Cards(self.gather, self.rank, self.size, self._wait)
        return self._cards

    # Waiting.

    def _finish(self, request: Any) -> None:
        self._wait(request.Test)

    def _wait(self, is_done: Callable[[], bool]) -> None:
        """Return when it is done; raise WorkerError if it never will be."""
        looks, began = 0, 0.0
        while not is_done():
            looks += 1
            if looks % 64:
                _give_way()
                continue
            self._others.check()
            self._listen()
            now = time.monotonic()
            began = began or now
            if now - began > QUIET:
                time.sleep(1e-4)
            if now - self._looked > LOOK:
                self._looked = now
                self._look_for_the_dead()

    def _tell(self, word: Failure | Agreement) -> None:
        for rank in set(range(self.size)) - {self.rank}:
            self._told.append(self._words.isend(word, rank))

    def _listen(self) -> None:
        while self._words.iprobe():
            self._others.heard(self._words.recv())

    def _look_for_the_dead(self) -> None:
        """Raise WorkerError if a process of this machine is no more. For those of others mpiexec sees to it."""
        host = self._where[self.rank][0] if self._where else None
        for rank, (where, process) in enumerate(self._where):
            if where == host and rank != self.rank and not _lives(process):
                text = f"process {process} on {where} is no more: it was killed, or has run out of memory"
                self._others.died(rank, text)
        self._others.check()

    # The end.

    def _leave(self) -> None:
        """Say farewell, so that nobody waits for this worker; MPI itself lets nobody leave before all do."""
        self._tell(Failure(self.rank, self._others.step, self._others.exchanges, True, ENDED))
        done = self._words.Ibarrier()
        end = time.monotonic() + FAREWELL
        while not done.Test():
            self._listen()
            if (self._others.broken or _failed) and time.monotonic() > end:
                break
            time.sleep(1e-3)
            if any(where == self._where[self.rank][0] and not _lives(process) for where, process in self._where):
                break
        else:
            self._listen()
            if not any(sum_.is_pending() for sum_ in self._begun):
                return
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(DRAINED)
        self._mpi.COMM_WORLD.Abort(1)


class Sum:
    """A sum that has begun."""

    def __init__(self, workers: Processes, pieces: list[Any], copied: tuple[Any, Any] | None) -> None:
        self._workers, self._pieces, self._copied = workers, pieces, copied

    def test(self) -> bool:
        """Whether it is there."""
        while self._pieces and self._pieces[-1].Test():
            self._pieces.pop()
        if self._pieces:
            return False
        if self._copied is not None:
            array, sent = self._copied
            array[...] = sent
            self._copied = None
        with contextlib.suppress(ValueError):
            self._workers._begun.remove(self)
        return True

    def is_pending(self) -> bool:
        """Whether MPI still works on it."""
        return not self.test()

    def wait(self) -> None:
        """Return when it is there."""
        self._workers._wait(self.test)


def _carried(array: Any) -> Any:
    """The array, if MPI can add it up as it lies; else a copy that it can."""
    array = np.asarray(array)
    kind = array.dtype if array.dtype.char in CARRIED else np.dtype(np.float32)
    return np.ascontiguousarray(array, kind)


def _lives(process: int) -> bool:
    """Whether a process of this machine is running; one that has ended and is not yet taken note of is not."""
    try:
        os.kill(process, 0)
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except ProcessLookupError:
        return False
    except OSError:
        return True


_give_way = getattr(os, "sched_yield", lambda: time.sleep(0))
_known: list[tuple[Any, Processes]] = []
_failed: list[BaseException] = []


def _hook() -> None:
    """Have an exception that nobody catches told to the others, before Python shows it."""
    before = sys.excepthook

    def hook(kind: Any, reason: Any, trace: Any) -> None:
        _failed.append(reason)
        for _, workers in _known:
            with contextlib.suppress(Exception):
                if workers._others.own is None:
                    workers.fail(reason)
        before(kind, reason, trace)

    sys.excepthook = hook


def _ended() -> None:
    for _, workers in _known:
        workers._leave()
