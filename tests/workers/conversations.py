"""What workers say to each other: written once, for workers that are threads and for those that are processes."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.workers import part

__all__ = ["adds_up", "fails_alike", "fails_unlike", "overlaps", "shares_out", "tells"]


def adds_up(c: Any) -> None:
    """Sums of long, short, strided, half and whole-number arrays, and of none."""
    everyone = c.size * (c.size + 1) // 2
    for dtype in ("float32", "float64", "float16", "int64", "complex64"):
        long = (np.arange(300_000) % 7).astype(dtype)
        mine = long * (c.rank + 1)
        c.sum(mine)
        assert (mine == long * everyone).all()
        assert mine.dtype == dtype
    strided = np.zeros((4, 6))[:, ::2]
    strided[...] = c.rank + 1
    c.sum(strided)
    assert (strided == everyone).all()
    c.sum(np.zeros((0, 3)))
    rounded = np.random.default_rng(c.rank).normal(size=1000).astype("float32")
    c.sum(rounded)
    assert len({bytes(found) for found in c.gather(rounded.tobytes())}) == 1, "not the same bits on all"


def overlaps(c: Any) -> None:
    """Several sums are under way; they are waited for in another order."""
    arrays = [np.full(n, c.rank + 1.0) for n in (3, 400_000, 7)]
    begun = [c.begin(array) for array in arrays]
    for request in reversed(begun):
        request.wait()
        request.wait()
        assert request.test()
    assert all((array == c.size * (c.size + 1) / 2).all() for array in arrays)


def tells(c: Any) -> None:
    """Values of all, and the array of one."""
    assert c.gather({"rank": c.rank}) == [{"rank": rank} for rank in range(c.size)]
    for root in range(c.size):
        for array in (np.full((2, 3), c.rank), np.full((3, 2), c.rank, "float32").T):
            c.broadcast(array, root)
            assert (array == root).all()


def shares_out(c: Any) -> None:
    """Each has its part of a sum, and all have the whole again, also where parts differ in length or are empty."""
    for length in (1, 2, 7, 300_001):
        own = part(length, c.size, c.rank)
        mine, whole = np.zeros(own.stop - own.start, "float32"), np.zeros(length, "float32")
        given = np.arange(length, dtype="float32") % 5
        c.scatter_sum(given, mine)
        assert (mine == c.size * given[own]).all()
        c.gather_into(mine, whole)
        assert (whole == c.size * given).all()
        assert (given == np.arange(length) % 5).all()


def fails_alike(c: Any) -> None:
    """Steps that fail on all workers in the same way, one after the other; the next one is run."""
    for _ in range(3):
        c.begin_step()
        c.fail(lg.SpecError("on all"))
    c.begin_step()
    array = np.ones(2)
    c.sum(array)
    assert array[0] == c.size


def fails_unlike(c: Any) -> list[str]:
    """A step that fails on the last worker: what all raise in it, and afterwards."""
    said = []
    for _ in range(3):
        try:
            c.begin_step()
            if c.rank == c.size - 1 and not said:
                raise ArithmeticError("bad day")
            c.sum(np.ones(3))
        except (ArithmeticError, lg.WorkerError) as reason:
            said.append(f"{type(reason).__name__}: {reason}")
            c.fail(reason)
    return said
