"""What the environment of the process says to lazygrad: ``LAZYGRAD_*``, and a word to all, read here and nowhere else.

Each variable is read when it is asked for, so a program may set it before. What a value means, and what is refused, is
said where it is used; ``docs/native.md`` lists them.
"""

from __future__ import annotations

import os

__all__ = ["cache", "compiler", "graphs", "is_checked", "native", "openmp", "threads"]


def native() -> str:
    """``LAZYGRAD_NATIVE``: when steps are compiled; ``auto`` if it is not set."""
    return os.environ.get("LAZYGRAD_NATIVE", "") or "auto"


def threads() -> str:
    """``LAZYGRAD_THREADS``: how many threads share large loops; empty if it is not set."""
    return os.environ.get("LAZYGRAD_THREADS", "")


def openmp() -> str:
    """``OMP_NUM_THREADS``: how many threads each library shall have, as joblib says to its processes; empty if not set.

    That of the outermost level, where it has several.
    """
    return os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()


def cache() -> str | None:
    """``LAZYGRAD_CACHE``: the folder of object code; None if it is not set."""
    return os.environ.get("LAZYGRAD_CACHE")


def compiler() -> str:
    """``LAZYGRAD_COMPILER``: where LLVM works; ``process`` if it is not set."""
    return os.environ.get("LAZYGRAD_COMPILER", "") or "process"


def is_checked() -> bool:
    """``LAZYGRAD_CHECK=1``: whether passes and native code are compared with what they stand for."""
    return os.environ.get("LAZYGRAD_CHECK") == "1"


def graphs() -> str:
    """``LAZYGRAD_GRAPHS``: whether launches on a GPU become graphs; ``auto`` if it is not set."""
    return os.environ.get("LAZYGRAD_GRAPHS", "") or "auto"
