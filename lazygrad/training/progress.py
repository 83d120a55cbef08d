"""The training that is under way, as callbacks see it, and the bar that shows it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazygrad.errors import BackendError, report
from lazygrad.registry import here
from lazygrad.training.history import History

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Training", "bar"]


class Training:
    """A training under way.

    Attributes:
        env: the environment that is trained.
        epochs: how many epochs were asked for.
        epoch: how many are done.
        metrics: the means of the last one, by name.
        history: those of all.
    """

    def __init__(self, env: VariableEnvironment, epochs: int, history: History) -> None:
        self.env = env
        self.epochs = epochs
        self.history = history
        self.metrics: Mapping[str, float] = {}

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return self.history.epochs

    def stop(self, reason: str) -> None:
        """End the training after this epoch; ``history.stopped`` then says why."""
        self.history.stopped = reason


class _Silent:
    """A bar that is not shown."""

    def update(self, count: int = 1) -> None:
        """Nothing."""

    def set_postfix(self, metrics: Mapping[str, str], refresh: bool = True) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def bar(progress: bool | None, total: int, done: int) -> Any:
    """A bar that counts batches: always, never, or, if ``progress`` is None, on a terminal.

    Raises:
        BackendError: it is asked for, and tqdm is not installed.
    """
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return _Silent()
    try:
        from tqdm import tqdm
    except ImportError:
        if progress is None:
            return _Silent()
        cure = "Install it: pip install tqdm; or leave progress out."
        raise BackendError(report("cannot show progress: tqdm is not installed", at=here(), cure=cure)) from None
    return tqdm(total=total, initial=done, unit="batch", leave=False, mininterval=0.2)
