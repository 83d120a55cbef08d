"""Launches that follow one another, launched as one: a CUDA graph of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lazygrad import settings
from lazygrad.backends.base import Device
from lazygrad.errors import BackendError, report

__all__ = ["Captured", "are_wanted"]

PLAIN = 2  # runs before launches are captured: what runs once or twice does not pay for it


def are_wanted() -> bool:
    """What ``LAZYGRAD_GRAPHS`` says: ``auto`` (if not set) or ``off``.

    Raises:
        BackendError: it says something else.
    """
    said = settings.graphs()
    if said not in ("auto", "off"):
        cure = "It is 'auto' (launches that follow one another are one graph) or 'off' (each is launched)."
        raise BackendError(report(f"cannot use LAZYGRAD_GRAPHS={said!r}", cure=cure))
    return said == "auto"


class Captured:
    """Launches between two calls back or products, of which none waits, allocates or sends anything.

    What they work on stands in a row of addresses on the device, and what changes from run to run (addresses of
    arguments, learning rates, counts, the place of draws) is read from memory there. So the graph is captured once, and
    each time it is launched it computes with what lies there then. Where CuPy does not capture, they are launched one
    by one.

    Args:
        backend: CuPy's.
        launches: in order.
    """

    def __init__(self, backend: Device, launches: Sequence[Callable[[], None]]) -> None:
        self._backend, self._launches = backend, tuple(launches)
        self._graph: Any = None
        self._left = PLAIN if len(launches) > 1 and are_wanted() else -1  # runs before it is captured; -1: it is not

    def run(self) -> None:
        """Launch them."""
        if self._graph is not None:
            self._graph.launch()
            return
        if self._left == 0:
            self._left = -1  # also if it is interrupted; what was captured has not been run
            self._graph = self._backend.captured(self._launch)
            if self._graph is not None:
                self._graph.launch()
                return
        self._left -= self._left > 0
        self._launch()

    def _launch(self) -> None:
        for launch in self._launches:
            launch()
