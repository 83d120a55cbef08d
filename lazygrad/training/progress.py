"""Where a training stands, and what shows it: a bar, and lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazygrad.errors import BackendError, DataError, report
from lazygrad.graph.registry import here
from lazygrad.training.history import History

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Shown", "Training", "lines"]


class Training:
    """A training under way.

    Attributes:
        env: the environment that is trained.
        epochs: how many epochs were asked for.
        epoch: how many are done.
        metrics: the means of the last one, by name.
        history: those of all.
        batch: the number of the batch in its epoch, from 1 on.
        batches: how many an epoch has; None if that is not known.
        batch_metrics: what the step returned for the last batch, by name.
    """

    def __init__(self, env: VariableEnvironment, epochs: int, history: History, batches: int | None = None) -> None:
        self.env = env
        self.epochs = epochs
        self.history = history
        self.metrics: Mapping[str, float] = {}
        self.batch = 0
        self.batches = batches
        self.batch_metrics: Mapping[str, float] = {}

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return self.history.epochs

    def stop(self, reason: str) -> None:
        """End the training after this epoch; ``history.stopped`` then says why."""
        self.history.stopped = reason


class Shown:
    """What is shown of a training: a bar that counts batches, and a line an epoch.

    Args:
        progress: whether there is a bar: always, never, or, if None, on a terminal and in a notebook.
        every: after how many epochs there is a line, and after the last one; 0 for none.
        training: what is shown; its batches may not be known.

    Raises:
        BackendError: a bar is asked for, and tqdm is not installed.
    """

    def __init__(self, progress: bool | None, every: int, training: Training) -> None:
        self.every, self.training = every, training
        count = training.batches
        done = 0 if count is None else training.epoch * count
        self.bar = _bar(progress, None if count is None else training.epochs * count, done)

    def batch(self) -> None:
        """A batch is done."""
        if self.bar is not None:
            self.bar.update()

    def epoch(self, seconds: float) -> None:
        """An epoch is done."""
        training = self.training
        values = {name: f"{value:.4g}" for name, value in training.metrics.items()}
        if self.bar is not None:
            self.bar.set_postfix(values, refresh=False)
        last = training.epoch == training.epochs or bool(training.history.stopped)
        if self.every and (last or training.epoch % self.every == 0):
            told = [f"epoch {training.epoch}/{training.epochs}", *(f"{name} {value}" for name, value in values.items())]
            self._write("  ".join([*told, f"{seconds:.2g} s"]))

    def _write(self, line: str) -> None:
        if self.bar is not None:
            self.bar.write(line, file=sys.stdout)  # above the bar, which stays one line
        else:
            print(line, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()


def lines(verbose: Any) -> int:
    """After how many epochs a line is printed; raises DataError if ``verbose`` does not say it."""
    if not hasattr(verbose, "__index__") or verbose.__index__() < 0:
        cure = "It is True, False, or a whole number n: a line every n epochs."
        raise DataError(report(f"cannot use {verbose!r:.60} as verbose", at=here(), cure=cure))
    return int(verbose)


def _bar(progress: bool | None, total: int | None, done: int) -> Any:
    if progress is False or (progress is None and not (sys.stderr.isatty() or _in_notebook())):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress is None:
            return None
        cure = "Install it: pip install tqdm; or leave progress out."
        raise BackendError(report("cannot show progress: tqdm is not installed", at=here(), cure=cure)) from None
    return tqdm(total=total, initial=done, unit="batch", leave=False, mininterval=0.2, dynamic_ncols=True)


def _in_notebook() -> bool:
    """Whether a kernel of Jupyter runs the program."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})
