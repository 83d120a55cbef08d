"""What workers have told each other, so that nobody waits for who will not come: failures, and what they agree on.

Steps are counted, by all workers alike. A step that fails on all of them in the same way, after as many exchanges (a
message about shapes, say), is no reason to end: the next one can be run. One that fails on some of them is the end for
all: the exchanges of the others wait for what will never be sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lazygrad.errors import WorkerError, report
from lazygrad.graph.registry import here

__all__ = ["ENDED", "Agreement", "Failure", "Telling", "Told"]

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


class Agreement(NamedTuple):
    """What one worker tells the others before it goes on, where all must tell the same kind of thing."""

    rank: int
    step: int
    exchanges: int
    what: str  # what it is about to do, in words
    value: bytes


class Told:
    """What one worker knows of the others.

    Where a worker stands is a pair of numbers: its step, and how many exchanges have begun in it.

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
        self._agreed: dict[int, list[Agreement]] = {other: [] for other in self._told}
        self._agrees = False  # whether this worker is agreeing on something

    def failed(self, reason: BaseException) -> Failure:
        """Note a failure of this worker; what to tell the others."""
        cause: Failure | None = getattr(reason, "failure", None)
        text = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
        told = text if cause is None else cause.text
        self.own = Failure(self.rank, self.step, self.exchanges, cause is None, told[:LONGEST])
        self.broken = self.broken or cause
        return self.own

    def heard(self, word: Failure | Agreement) -> None:
        """Note what another worker has told."""
        if isinstance(word, Agreement):
            self._agreed[word.rank].append(word)
        else:
            self._told[word.rank].append(word)

    def arrive(self, agrees: bool = False) -> None:
        """Count an exchange, which begins."""
        self.exchanges += 1
        self._agrees = agrees
        self.check()

    def asks(self, what: str, value: bytes) -> Agreement:
        """Begin to agree on something; what to tell the others."""
        self._mine = Agreement(self.rank, self.step, self.exchanges, what, value)
        return self._mine

    def has_answers(self) -> bool:
        """Whether all others have told theirs."""
        return all(self._agreed.values())

    def answers(self) -> list[bytes]:
        """What each worker has told, in their order."""
        mine = self._mine
        words = {rank: found.pop(0) for rank, found in self._agreed.items()} | {self.rank: mine}
        odd = [word for word in words.values() if word[1:4] != mine[1:4]]
        if odd:
            raise self._apart(mine.what, odd[0])
        return [words[rank].value for rank in range(self.size)]

    def died(self, rank: int, text: str) -> None:
        """Note that another worker is no more."""
        self.broken = self.broken or Failure(rank, self.step, self.exchanges, True, text)

    def check(self) -> None:
        """Raise WorkerError if a worker that this one may wait for will not come.

        One that has failed or ended after as many exchanges as this one has begun has sent what is waited for.
        """
        if self.broken is None and self.own is None:
            place, told = (self.step, self.exchanges), []
            for rank, found in self._told.items():
                has_come = not self._agrees or self._agreed[rank]
                if found and (found[0][1:3] < place or not has_come):
                    told.append(found[0])
            self.broken = self._first(told) if told else None
            if self.broken is None and not self._agrees:
                # Who agrees at a place that this worker has reached with another exchange waits for it in vain.
                for words in self._agreed.values():
                    if words and words[0][1:3] <= place:
                        raise self._apart("it waits for a sum", words[0])
        if self.broken is not None:
            raise self.broken.error(self.rank)

    def _apart(self, mine: str, word: Agreement) -> WorkerError:
        facts = [f"worker {self.rank}:  {mine}", f"worker {word.rank}:  {word.what}"]
        cure = "All workers must do the same, in the same order, with data of the same shapes and dtypes."
        return WorkerError(report("workers do different things", at=here(), facts=facts, cure=cure))

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


class Telling(ABC):
    """What workers of any kind do by telling each other words."""

    _others: Told

    @abstractmethod
    def _tell(self, word: Failure | Agreement) -> None:
        """Tell all others."""

    @abstractmethod
    def _wait(self, is_done: Callable[[], bool]) -> None:
        """Return when it is done; raise WorkerError if it never will be."""

    def _ready(self, agrees: bool = False) -> None:
        """Raise WorkerError unless all workers are there; count an exchange."""
        others = self._others
        if others.own is not None:
            self._wait(lambda: not others.missing())
            others.settle()
        others.arrive(agrees)

    def agree(self, what: str, value: bytes) -> list[bytes]:
        """The values of all."""
        self._ready(agrees=True)
        self._tell(self._others.asks(what, value))
        self._wait(self._others.has_answers)
        return self._others.answers()

    def begin_step(self) -> None:
        """A step begins."""
        self._ready()
        self._others.begin_step()

    def fail(self, reason: BaseException) -> None:
        """Tell the others."""
        self._tell(self._others.failed(reason))
