"""How many threads share large loops and products: by code, by ``LAZYGRAD_THREADS``, or as many as may run here.

threadpoolctl, which limits the threads of libraries, finds ours as ``lazygrad``, if it has been imported by the time
that this package is, or the first step is compiled. It looks for shared libraries that are loaded; our workers are in
none, so they are registered with NumPy's, which always is.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from lazygrad import settings
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here, level
from lazygrad.pickled import version

__all__ = ["get_threads", "heard", "introduce", "set_threads"]

MOST = 1024  # threads; each has a stack of its own

_chosen: list[int] = []  # what set_threads was told, if anything
_listeners: list[Callable[[int], None]] = []
_introduced: list[bool] = []


def get_threads() -> int:
    """How many threads share a large loop or a product, the caller included."""
    introduce()
    return _chosen[0] if _chosen else _default()


def set_threads(count: int | None) -> None:
    """Let so many threads share large loops and products from now on, in all steps of this process.

    They give the same bits whatever their number. Workers that have been started stay, and sleep.

    Args:
        count: the caller included, so 1 is no other; None for as many as ``LAZYGRAD_THREADS`` says, or as may
            run here, or as ``OMP_NUM_THREADS`` says if these are fewer.

    Raises:
        SpecError: it is no whole number from 1 to 1,024.
    """
    if count is not None and (isinstance(count, bool) or not hasattr(count, "__index__") or not 1 <= count <= MOST):
        cure = f"It is a whole number from 1 to {MOST:,}, or None for as many as there are cores."
        raise SpecError(report(f"cannot use {count!r:.40} threads", at=here(), cure=cure))
    _chosen[:] = [] if count is None else [int(count)]
    for listener in _listeners:
        listener(get_threads())


def heard(listener: Callable[[int], None]) -> None:
    """Call a function whenever the number changes."""
    _listeners.append(listener)


@functools.cache
def _default() -> int:
    """What ``LAZYGRAD_THREADS`` says, or as many as may run here, or fewer if ``OMP_NUM_THREADS`` says so."""
    wanted, all_libraries = settings.threads().strip(), settings.openmp()
    if _is_number(wanted):
        return int(wanted)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(cores, int(all_libraries) if _is_number(all_libraries) else MOST)
    if wanted:
        what = f"LAZYGRAD_THREADS is {wanted!r:.40}, which is no whole number from 1 to {MOST:,}: {count} are used"
        warnings.warn(what, RuntimeWarning, stacklevel=level())
    return count


def _is_number(text: str) -> bool:
    """Whether it is a number of threads."""
    return text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST


# threadpoolctl.


def introduce(imports: bool = False) -> None:
    """Tell threadpoolctl of our threads, if it is there.

    Args:
        imports: whether it may be imported for that.
    """
    if _introduced:
        return
    if "threadpoolctl" not in sys.modules and not (imports and importlib.util.find_spec("threadpoolctl")):
        return
    _introduced.append(True)
    import threadpoolctl

    if hasattr(threadpoolctl, "register"):  # from 3.2 on
        threadpoolctl.register(_controller(threadpoolctl.LibController))


def _controller(base: Any) -> Any:
    """The class by which threadpoolctl sets and reads the number."""

    class ThreadsController(base):  # type: ignore[misc]
        """Our threads."""

        user_api = internal_api = "lazygrad"
        filename_prefixes = ("_multiarray_umath",)

        def get_num_threads(self) -> int:
            """How many there are."""
            return get_threads()

        def set_num_threads(self, num_threads: int) -> None:
            """Let there be so many."""
            set_threads(max(1, min(int(num_threads), MOST)))

        def get_version(self) -> str:
            """That of lazygrad."""
            return version()

    return ThreadsController
