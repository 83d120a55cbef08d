"""What a fork and the end of the process wait for: modules that are imported beside the program, and LLVM at work.

A fork leaves a lock that another thread holds locked for ever: that of a module, or one within LLVM. And where the
program dies of an interrupt, CPython forgets that as soon as any thread runs text, as the definition of a named tuple
does (run_eval_code_obj in Python/pythonrun.c): it is reminded at the end.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

__all__ = ["await_from_now_on", "end_imports", "importing", "llvm", "remember"]

PATIENCE = 10.0  # seconds that a fork waits for an import; far more than any takes
RECENT = 1.0  # seconds after an import in which an interrupt of the program may have been forgotten

llvm = threading.RLock()  # who is in LLVM holds it, for some milliseconds
_imports = threading.RLock()  # a handler of a signal may fork in the middle of an import
_held: list[Any] = []  # by a fork
_last = float("-inf")  # when an import ended


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Modules may be imported in here, by a thread beside the program."""
    global _last
    with _imports:
        try:
            yield
        finally:
            _last = time.monotonic()


def end_imports() -> None:
    """Wait until nothing is imported beside the program, at most :data:`PATIENCE` seconds."""
    if _imports.acquire(timeout=PATIENCE):
        _imports.release()


@functools.cache
def await_from_now_on() -> None:
    """Let forks wait.

    Said by the program's thread before anything is imported beside it. What is registered last is called first, so a
    fork that waits holds no lock of others, which the import may need; and a fork that waits for the import of what
    uses LLVM waits for LLVM too.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_renew)


def remember() -> None:
    """Let the process die of the interrupt that ended its program, if an import beside may have made CPython forget."""
    error = getattr(sys, "last_value", None)
    is_recent = time.monotonic() - _last < RECENT
    if is_recent and isinstance(error, KeyboardInterrupt) and not hasattr(sys, "ps1"):
        with contextlib.suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # text that an interrupt leaves is what it looks at


def _hold() -> None:
    if _imports.acquire(timeout=PATIENCE):
        _held.append(_imports)
    llvm.acquire()
    _held.append(llvm)


def _let_go() -> None:
    while _held:
        _held.pop().release()


def _renew() -> None:
    global _imports
    _let_go()
    _imports = threading.RLock()  # another one, should the fork have run out of patience
