"""What this machine can do: bytes and floating operations a second, measured once a process."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Limits", "limits"]

FAR, NEAR = 1 << 25, 1 << 17  # bytes of an array that lies in memory, and of one that lies in a core's cache
SIDE = 512  # of a product of matrices
TRIES = 20  # the quickest counts, as other programs may be running


class Limits(NamedTuple):
    """Of this machine, a second.

    Attributes:
        memory: bytes read and written in memory.
        cache: the same where the arrays fit into caches.
        flops, wide: floating operations in float32 and in float64.
    """

    memory: float
    cache: float
    flops: float
    wide: float

    def seconds(self, nbytes: int, flops: int, is_wide: bool) -> float:
        """The least that so much can take: as long as the slower one of moving and computing."""
        rate = self.memory if nbytes > FAR // 8 else self.cache
        return max(nbytes / rate, flops / (self.wide if is_wide else self.flops))


@functools.cache
def limits(threads: int) -> Limits:
    """Those of ``threads`` threads: of copies of arrays, and of NumPy's products of matrices."""
    wide = _multiplied(np.float64)
    return Limits(_copied(FAR, threads), _copied(NEAR, threads), max(_multiplied(np.float32), wide), wide)


def _copied(nbytes: int, threads: int) -> float:
    """Bytes a second, those read and those written, of copies that all threads make at once."""
    pairs = [(np.ones(nbytes, np.uint8), np.ones(nbytes, np.uint8)) for _ in range(threads)]
    again = max(1, FAR // nbytes)

    def copy(pair: tuple[Any, Any]) -> None:
        for _ in range(again):
            np.copyto(pair[0], pair[1])

    with ThreadPoolExecutor(threads) as pool:
        return 2 * nbytes * again * threads / _least(lambda: list(pool.map(copy, pairs)))


def _multiplied(dtype: Any) -> float:
    a = np.ones((SIDE, SIDE), dtype)
    made = np.empty_like(a)
    return float(2 * SIDE**3 / _least(lambda: np.matmul(a, a, out=made)))


def _least(work: Callable[[], Any]) -> float:
    """Seconds of the quickest of a few tries."""
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
