"""What is known of a compilation while it goes on, and the word in the log that it takes long."""

from __future__ import annotations

import logging
import time

from lazygrad.engine.progress import Progress

__all__ = ["Meter"]

LONG = 2.0  # seconds after which it is said

log = logging.getLogger("lazygrad")


class Meter:
    """What is known of a compilation while it goes on."""

    def __init__(self, name: str, nodes: int) -> None:
        self._name, self._nodes = name, nodes
        self._began = self._compiling = time.monotonic()
        self._kernels = self._done = 0
        self._share = 0.0  # of the text
        self._is_said = False

    def known(self, kernels: int) -> None:
        """The number of kernels is known; from now on they are compiled."""
        self._kernels, self._compiling = kernels, time.monotonic()

    def step(self, kernels: int, share: float) -> None:
        """So many kernels more are compiled, which are this share of the text."""
        self._done += kernels
        self._share += share
        self.look()

    def look(self) -> None:
        """Say once in the log that it takes long, if it does."""
        if not self._is_said and time.monotonic() - self._began > LONG:
            self._is_said = True
            now = self.progress()
            left = "" if now.seconds_left is None else f", about {now.seconds_left:.0f} s left"
            log.info(
                "%s is still being compiled after %.0f s: %d nodes, %d of %d kernels done%s; step.cancel() stops it",
                self._name, time.monotonic() - self._began, now.nodes, now.done, now.kernels, left,
            )  # fmt: skip

    def progress(self) -> Progress:
        """How far it is."""
        spent = time.monotonic() - self._compiling
        left = spent * (1 - self._share) / self._share if self._share > 0 else None
        return Progress(self._nodes, self._kernels, self._done, 0.0 if self._done == self._kernels > 0 else left)
