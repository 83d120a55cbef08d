"""Workers that have a GPU each: NCCL carries arrays between them, through CuPy. What is said in words, MPI carries.

An exchange is queued on the current stream, behind what computes the array. It is waited for by looking whether it is
over, so that a worker that fails meanwhile is heard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.errors import BackendError, report
from lazygrad.graph.registry import here
from lazygrad.workers.parts import part

__all__ = ["Cards"]

KINDS = {
    "b": "INT8",
    "B": "UINT8",
    "i": "INT32",
    "I": "UINT32",
    "l": "INT64",
    "L": "UINT64",
    "q": "INT64",
    "Q": "UINT64",
}
KINDS |= {"e": "FLOAT16", "f": "FLOAT32", "d": "FLOAT64"}
HALVES = {"F": np.float32, "D": np.float64}  # of a complex number, which NCCL does not know


class Cards:
    """The GPUs of some workers, the current one of each.

    Args:
        gather: gives a value of each worker to all.
        rank: which worker this is.
        size: how many there are.
        wait: returns when a function says that something is over; raises if it never will be.

    Raises:
        BackendError: this CuPy has no NCCL.
    """

    def __init__(
        self, gather: Callable[[Any], list[Any]], rank: int, size: int, wait: Callable[[Callable[[], bool]], None]
    ) -> None:
        import cupy

        self._cupy = cupy
        nccl = getattr(cupy.cuda, "nccl", None)
        if nccl is None or not nccl.available:
            cure = "Install it beside CuPy, with nvidia-nccl-cu12 or -cu13; or use one worker a machine."
            raise BackendError(report("CuPy has no NCCL to exchange arrays with", at=here(), cure=cure))
        self._nccl, self.rank, self.size, self._wait = nccl, rank, size, wait
        identity = gather(nccl.get_unique_id() if rank == 0 else None)[0]
        self._cards = nccl.NcclCommunicator(size, identity, rank)

    def begin(self, array: Any) -> OnCards:
        """Begin a sum, in place."""
        return self._queued(array, lambda x, n, kind, at: self._cards.allReduce(x, x, n, kind, 0, at))

    def broadcast(self, array: Any, root: int) -> None:
        """The array of worker ``root``, on all."""
        self._queued(array, lambda x, n, kind, at: self._cards.bcast(x, n, kind, root, at)).wait()

    def scatter_sum(self, array: Any, out: Any) -> None:
        """This worker's part of the sum. NCCL's own asks for parts of one length, so it is cut from the whole."""
        whole = array.copy()
        self.begin(whole).wait()
        out[...] = whole[part(whole.size, self.size, self.rank)]

    def gather_into(self, array: Any, out: Any) -> None:
        """The parts of all: each is given by its worker."""
        out[part(out.size, self.size, self.rank)] = array
        for root in range(self.size):
            own = out[part(out.size, self.size, root)]
            if own.size:
                self.broadcast(own, root)

    def _queued(self, array: Any, exchange: Callable[..., None]) -> OnCards:
        sent = array if array.flags.c_contiguous else self._cupy.ascontiguousarray(array)
        flat = sent.reshape(-1)
        if flat.dtype.char == "?":
            sent = flat = flat.astype(np.int8)
        flat = flat.view(HALVES[flat.dtype.char]) if flat.dtype.char in HALVES else flat
        stream = self._cupy.cuda.get_current_stream()
        kind = getattr(self._nccl, f"NCCL_{KINDS[flat.dtype.char]}")
        if flat.size:
            exchange(flat.data.ptr, flat.size, kind, stream.ptr)
        if sent is not array:
            array[...] = sent.reshape(array.shape)
        over = self._cupy.cuda.Event(disable_timing=True)
        over.record(stream)
        return OnCards(self._wait, over, sent)


class OnCards:
    """An exchange that is queued on a GPU."""

    def __init__(self, wait: Callable[[Callable[[], bool]], None], over: Any, kept: Any) -> None:
        self._wait, self._over, self._kept = wait, over, kept

    def test(self) -> bool:
        """Whether it is over."""
        return bool(self._over.done)

    def wait(self) -> None:
        """Return when it is over."""
        self._wait(self.test)
        self._kept = None
