"""Whose turn it is: which calls of this thread, in each other, have a lock that one thread at a time has."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any, Protocol

__all__ = ["depth", "renewed_at_forks"]


def depth(lock: Any) -> int:
    """How many times the thread that has a reentrant lock has taken it."""
    count = getattr(lock, "_recursion_count", None)
    if count is not None:
        return int(count())
    taken = lock._release_save()  # as threading.Condition does; Python before 3.11.9 lacks the other
    lock._acquire_restore(taken)
    return int(taken[0])


class _Owner(Protocol):
    lock: Any
    executing: str


_owners: weakref.WeakSet[Any] = weakref.WeakSet()


def renewed_at_forks(owner: _Owner) -> None:
    """Let a forked process have the lock ``owner.lock`` free, if it was another thread's, which is not there."""
    _owners.add(owner)


def _renew() -> None:
    for owner in list(_owners):
        if not owner.lock._is_owned():
            owner.lock = threading.RLock()
            owner.executing = ""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
