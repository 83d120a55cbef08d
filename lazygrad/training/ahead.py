"""Threads that prepare batches while the one before is trained with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")


def ahead(jobs: Iterable[Callable[[], T]], workers: int, prefetch: int) -> Generator[T]:
    """What the jobs return, in their order; what one raises is raised in its place, with its traceback.

    Args:
        jobs: functions, each called once.
        workers: how many threads call them; with 0 they are called here, each when it is its turn.
        prefetch: how many results may wait for their turn.
    """
    if not workers:
        for job in jobs:
            yield job()
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="lazygrad-batches")
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > max(prefetch, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also when nobody wants the rest
        pool.shutdown(wait=True, cancel_futures=True)
