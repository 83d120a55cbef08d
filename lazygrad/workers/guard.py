"""What keeps the workers of an environment together: what differs between them is an error on all, and nobody waits.

The first time that a step is run, the workers compare what they are about to do; what only one of them does, such as
writing a file, the others hear the end of; and whatever is raised is told to all.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from lazygrad import errors
from lazygrad.errors import GraphError, LazygradError, WorkerError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.pickled import version
from lazygrad.workers.among import Among
from lazygrad.workers.communicator import Communicator

__all__ = ["Guard"]

T = TypeVar("T")

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of a function of the user's, which is elsewhere in every process
_MOST_SHOWN = 160  # characters of a line that differs


class _Running(threading.local):
    """The guards whose steps this thread is running, innermost last."""

    def __init__(self) -> None:
        self.guards: list[Guard] = []


_running = _Running()


class Guard:
    """The workers of one environment, of which there are several.

    Attributes:
        workers: what carries the exchanges.
    """

    def __init__(self, workers: Communicator) -> None:
        self.workers = workers
        self._given: set[str] = set()  # variables that are

    @classmethod
    def of(cls, among: Among) -> Guard | None:
        """That of some workers, if they are several."""
        return cls(among.communicator) if among.size > 1 else None

    def again(self) -> Guard:
        """That of the same workers, for another environment."""
        return Guard(self.workers)

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that writes files and prints."""
        return self.workers.rank == 0

    def step(self, body: Callable[..., T], *given: Any, **settings: Any) -> T:
        """``body(*given, **settings)``, a step: what it raises makes all workers raise."""
        running = _running.guards
        if running and running[-1].workers is not self.workers:
            facts = [f"outer:  {running[-1].workers!r}", f"inner:  {self.workers!r}"]
            cure = "Run the one after the other, or give both environments the same workers."
            what = "a step of an environment runs a step of another one, which has other workers"
            raise GraphError(report(what, at=here(), facts=facts, cure=cure))
        if running:
            return body(*given, **settings)
        running.append(self)
        try:
            self.workers.begin_step()
            return body(*given, **settings)
        except BaseException as reason:
            self.workers.fail(reason)
            raise
        finally:
            running.pop()

    # What all must have alike.

    def meet(self, graph: Graph, constants: Sequence[Any], store: Any, own: bool) -> None:
        """Before a plan is run for the first time: it is the same on all workers, and so are the variables.

        Args:
            graph: what the user wrote, after all passes.
            constants: the arrays that its nodes refer to by number.
            store: of the environment.
            own: whether the step reads the number of its worker, and so may write something else on each.

        Raises:
            WorkerError: something differs; names the first difference, by line and worker.
        """
        variables = {path: v.spec for path, v in store.variables.items()}
        lines = [("lazygrad", version()), ("numpy", np.__version__), ("python", platform.python_version())]
        lines += [("backend", store.backend.name), ("seed", str(store.draws.seed))]
        lines += [("draws so far", str(store.state.runs))]
        lines += [(f"variable {path!r}", str(spec)) for path, spec in variables.items()]
        if not own:
            lines += [("", _ADDRESS.sub("", line)) for line in str(graph).splitlines()]
            lines += [(f"constant {k}", _digest_of(array)) for k, array in enumerate(constants)]
        self.same(
            "run a step for the first time",
            lines,
            "All workers must run the same step; what is one's own comes "
            "in as an argument of the same shape, or by ctx.worker.",
        )
        self._give(store, [p for p in variables if p not in self._given and p not in store.shared])

    def same(self, what: str, lines: Iterable[tuple[str, str]], cure: str) -> None:
        """Raise WorkerError on all workers if these lines, names and values, are not the same on all.

        Only if they differ does more than a hash travel.

        Args:
            what: all workers are about to do.
            lines: what must be the same.
            cure: what to do if they differ.
        """
        mine = [f"{name}:  {value}" if name else value for name, value in lines]
        digest = hashlib.sha256("\n".join(mine).encode()).digest()
        digests = self.workers.agree(what, digest)
        if len(set(digests)) == 1:
            return
        everyone = self.workers.gather(mine)
        rank = next(rank for rank, other in enumerate(digests) if other != digests[0])
        one, other = everyone[0], everyone[rank]
        place = next((k for k in range(min(len(one), len(other))) if one[k] != other[k]), min(len(one), len(other)))
        facts = [f"worker {r}:  {_line(found, place)}" for r, found in ((0, one), (rank, other))]
        alike = [r for r, found in enumerate(digests) if found == digests[rank] and r != rank]
        if alike:
            facts.append(f"Workers {', '.join(map(str, alike))} are as worker {rank}.")
        what = f"workers differ where they {what}"
        raise WorkerError(report(what, at=here(), facts=facts, cure=cure))

    def _give(self, store: Any, paths: Sequence[str]) -> None:
        """Give the variables of worker 0 to all."""
        if not paths:
            return
        parity, size = store.state.parity, 0
        for path in paths:
            array = store.variables[path].live(parity)
            host = store.backend.to_numpy(array)
            sent = host if host.flags.writeable and host.flags.c_contiguous else np.array(host)
            self.workers.broadcast(sent)
            if sent is not array and not self.is_first:
                array[...] = store.backend.asarray(sent)
            size += sent.nbytes
        if not self._given and self.is_first:
            count = f"{len(paths)} variable{'s' * (len(paths) > 1)}, {_bytes(size)}"
            others = self.workers.size - 1
            to = "the other worker" if others == 1 else f"the {others} other workers"
            print(f"lazygrad: worker 0 has given its {count}, to {to}.", file=sys.stderr, flush=True)
        self._given.update(paths)

    # What one does for all.

    def once(self, what: str, body: Callable[[], None]) -> None:
        """``body()``, done by worker 0 while the others wait; what it raises, all raise."""
        raised: Exception | None = None
        if self.is_first:
            try:
                body()
            except Exception as reason:
                raised = reason
        told = "" if raised is None else f"{type(raised).__name__}\n{raised}"
        self.workers.agree(what, b"")
        found = self.workers.gather(told)[0]
        if raised is not None:
            raise raised
        if found:
            kind, _, text = found.partition("\n")
            error = getattr(errors, kind, None)
            own = isinstance(error, type) and issubclass(error, LazygradError)
            raise (error if own else WorkerError)(text)  # type: ignore[misc]

    def first(self, value: Any) -> Any:
        """The value of worker 0, on all."""
        return self.workers.gather(value if self.is_first else None)[0]


def _line(lines: Sequence[str], place: int) -> str:
    text = " ".join(lines[place].split()) if place < len(lines) else f"ends after {len(lines)} lines"
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 1] + "…"


def _digest_of(array: Any) -> str:
    found = np.ascontiguousarray(array.get() if hasattr(array, "get") else array)
    return f"{found.dtype}{list(found.shape)} {hashlib.sha256(found.tobytes()).hexdigest()[:12]}"


def _bytes(size: int) -> str:
    return f"{size:,} bytes" if size < 1e5 else f"{size / 1e6:.1f} MB"
