"""What a group of workers can do together: add arrays up, and tell each other values.

A worker is one process of several that run the same program (or, in tests, one thread). Everything here is done by all
workers, in the same order; nobody returns before what it asked for is there.
"""

from __future__ import annotations

import sys
from typing import Any, Protocol, runtime_checkable

from lazygrad.errors import BackendError, report
from lazygrad.graph.registry import here
from lazygrad.workers.alone import Alone

__all__ = ["Communicator", "Request", "communicator"]


class Request(Protocol):
    """A sum that has begun."""

    def wait(self) -> None:
        """Return when the array holds the sum.

        Raises:
            WorkerError: another worker has failed or ended.
        """

    def test(self) -> bool:
        """Whether the array holds the sum; asking lets it travel on."""


@runtime_checkable
class Communicator(Protocol):
    """The workers, and which of them this is.

    Attributes:
        rank: the number of this worker, from 0 on.
        size: how many there are.
    """

    rank: int
    size: int

    def sum(self, array: Any) -> None:
        """Put the sum over all workers in place of ``array``: the same bits on all."""

    def begin(self, array: Any) -> Request:
        """Begin such a sum; the array belongs to it until it is waited for."""

    def broadcast(self, array: Any, root: int = 0) -> None:
        """Put the array of worker ``root`` in place of every other's."""

    def gather(self, value: Any) -> list[Any]:
        """A small Python value of each worker, in their order, on all of them."""

    def scatter_sum(self, array: Any, out: Any) -> None:
        """Put into ``out`` this worker's part of the sum: see :func:`~lazygrad.workers.parts.part`.

        Both have one axis; ``array`` is left as it is.
        """

    def gather_into(self, array: Any, out: Any) -> None:
        """Put the parts of all workers, which are their ``array``, one after the other into ``out``: the way back."""

    def agree(self, what: str, value: bytes) -> list[bytes]:
        """The values of all, each a few bytes, where it must be certain that all are about to do ``what``.

        Raises:
            WorkerError: another worker does something else.
        """

    def begin_step(self) -> None:
        """A step begins, on all workers: what another worker said of an earlier one is old.

        Raises:
            WorkerError: another worker has failed where this one has not.
        """

    def fail(self, reason: BaseException) -> None:
        """Tell the others that this worker's step has failed, so that they fail instead of waiting for it."""


_METHODS = ("sum", "begin", "broadcast", "gather", "scatter_sum", "gather_into", "agree", "begin_step", "fail")
_said: set[str] = set()


def communicator(workers: Any = None) -> Communicator:
    """The communicator that ``workers`` stands for.

    Args:
        workers: None for one worker alone; ``"mpi"`` for all processes that ``mpiexec`` has started; a communicator of
            mpi4py for some of them; or an object with the methods of a :class:`Communicator`.

    Raises:
        BackendError: mpi4py is not installed, or ``workers`` is none of these.
    """
    if workers is None:
        return Alone()
    if isinstance(workers, str) and workers == "mpi":
        return _mpi()
    if all(callable(getattr(workers, name, None)) for name in _METHODS):
        found: Communicator = workers
        return found
    mpi4py = sys.modules.get("mpi4py.MPI")  # who has a communicator of its own has imported it
    if mpi4py is not None and isinstance(workers, mpi4py.Comm):
        from lazygrad.workers.mpi import Processes

        return Processes.of(workers)
    cure = 'Say workers="mpi", or give a communicator of mpi4py; leave it out for one process alone.'
    raise BackendError(report(f"cannot use {workers!r:.60} as workers", at=here(), cure=cure))


def _mpi() -> Communicator:
    try:
        from mpi4py import MPI

        from lazygrad.workers.mpi import Processes
    except (ImportError, RuntimeError) as reason:  # RuntimeError: mpi4py finds no library of MPI
        facts = [f"{type(reason).__name__}: {str(reason).splitlines()[0] if str(reason) else ''}"]
        cure = "Install the extra: pip install 'lazygrad[mpi]'; and start the program with mpiexec -n K."
        raise BackendError(
            report("there is no MPI to find other workers with", at=here(), facts=facts, cure=cure)
        ) from None
    if MPI.COMM_WORLD.size == 1 and "alone" not in _said:
        _said.add("alone")
        print("lazygrad: one worker. Start the program with mpiexec -n K for more.", file=sys.stderr, flush=True)
    return Processes.of(MPI.COMM_WORLD)
