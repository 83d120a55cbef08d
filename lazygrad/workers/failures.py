"""What workers know of each other's failures, so that nobody waits for who will not come.

Steps are counted, by all workers alike. A step that fails on all of them in the same way, after as many exchanges (a
message about shapes, say), is no reason to end: the next one can be run. One that fails on some of them is the end for
all: the exchanges of the others wait for what will never be sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lazygrad.errors import WorkerError, report
from lazygrad.graph.registry import here

__all__ = ["ENDED", "Failure", "Failures"]

LONGEST = 10_000  # characters of a message: it must travel without the other's help
ENDED = "it has come to its end"


class Failure(NamedTuple):
    """What one worker tells the others."""

    rank: int
    step: int  # the number of the step
    exchanges: int  # how many exchanges the step had begun
    is_own: bool  # whether it failed by itself, and not because another had
    text: str

    def error(self, rank: int) -> WorkerError:
        """The exception that worker ``rank`` raises."""
        first, *others = self.text.splitlines() or [""]
        facts = [f"worker {self.rank}:  {first}", *(f"           {line}".rstrip() for line in others)]
        what = f"worker {self.rank} has failed, so worker {rank} cannot go on"
        cure = f"Mend what worker {self.rank} says. A training goes on from its last checkpoint."
        if self.text == ENDED:
            what = f"worker {self.rank} has ended, and worker {rank} waits for it"
            cure = "All workers must run the same steps: look for what differs by rank."
        found = WorkerError(report(what, at=here(), facts=facts, cure=cure))
        found.failure = self
        return found


class Failures:
    """The failures that one worker knows of.

    Attributes:
        step, exchanges: how many steps have begun, and how many exchanges in this one.
        own: this worker's failure, until it is clear whether the others have failed alike.
        broken: why nothing can be exchanged any more.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.step = self.exchanges = 0
        self.own: Failure | None = None
        self.broken: Failure | None = None
        self._told: dict[int, list[Failure]] = {other: [] for other in range(size) if other != rank}

    def failed(self, reason: BaseException) -> Failure:
        """Note a failure of this worker; what to tell the others."""
        cause: Failure | None = getattr(reason, "failure", None)
        text = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
        told = text if cause is None else cause.text
        self.own = Failure(self.rank, self.step, self.exchanges, cause is None, told[:LONGEST])
        self.broken = self.broken or cause
        return self.own

    def heard(self, failure: Failure) -> None:
        """Note what another worker has told."""
        self._told[failure.rank].append(failure)

    def died(self, rank: int, text: str) -> None:
        """Note that another worker is no more."""
        self.broken = self.broken or Failure(rank, self.step, self.exchanges, True, text)

    def check(self) -> None:
        """Raise WorkerError if a worker that this one may wait for will not come.

        One that has failed or ended after as many exchanges as this one has begun has sent what is waited for.
        """
        if self.broken is None and self.own is None:
            told = [found[0] for found in self._told.values() if found and found[0][1:3] < (self.step, self.exchanges)]
            self.broken = self._first(told) if told else None
        if self.broken is not None:
            raise self.broken.error(self.rank)

    def missing(self) -> bool:
        """After a failure of this worker: whether a word of another is wanted before anything is exchanged again."""
        return self.own is not None and self.broken is None and not all(self._told.values())

    def settle(self) -> None:
        """When nobody's word is missing: go on, if all have failed alike; else this is the end."""
        mine = self.own
        if mine is not None and self.broken is None:
            told = [found.pop(0) for found in self._told.values()]
            unlike = [f for f in told if not f.is_own or f.text == ENDED or f[1:3] != mine[1:3]]
            if unlike:
                self.broken = self._first([mine, *unlike])
            self.own = None
        self.check()

    def begin_step(self) -> None:
        """Count a step."""
        self.step += 1
        self.exchanges = 0

    @staticmethod
    def _first(told: Sequence[Failure]) -> Failure:
        """The failure that the others followed from."""
        return min(told, key=lambda f: (not f.is_own, f.text == ENDED, f.step, f.rank))
