"""A learning rate that is made smaller when a metric does not become better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.optim.schedules import Schedule
from lazygrad.training.callbacks import Callback, chosen_metric
from lazygrad.training.history import worse
from lazygrad.training.progress import Training

__all__ = ["ReduceOnPlateau"]


class ReduceOnPlateau(Callback):
    """Multiplies a learning rate by ``factor`` when a metric has not become better for ``patience`` epochs.

    It then waits as long again. Nothing is compiled anew, and a checkpoint goes on in the middle of the wait. The rates
    of parts of a network, ``optimizer.rates``, are multiplied too; one that is a schedule is left as it is.

    Args:
        optimizer: whose learning rate is a number.
        factor: between 0 and 1.
        patience: how many epochs to wait, 1 or more.
        metric: its name; ``validation_loss`` if it is measured, else ``loss``, if not given.
        mode: ``"min"`` or ``"max"``, whichever is best.
        min_delta: by how much a value must be better to count.
        min_rate: no rate is made smaller than this.

    Raises:
        DataError: a setting is out of range, or what it is given has no learning rate; or, before the first epoch,
            the rate is a schedule, or there is no such metric.
    """

    def __init__(
        self,
        optimizer: Any,
        factor: float = 0.1,
        patience: int = 10,
        metric: str | None = None,
        mode: str = "min",
        min_delta: float = 0.0,
        min_rate: float = 0.0,
    ) -> None:
        worse(0.0, mode)
        whole = hasattr(patience, "__index__") and not isinstance(patience, bool) and patience >= 1
        if not whole or not 0 < factor < 1 or not min_delta >= 0 or not min_rate >= 0:
            cure = "factor lies between 0 and 1; patience is 1 or more; min_delta and min_rate are 0 or more."
            what = f"cannot reduce a rate by factor {factor!r:.20} with patience {patience!r:.20}"
            facts = [f"min_delta:  {min_delta!r:.40}", f"min_rate:   {min_rate!r:.40}"]
            raise DataError(report(what, at=here(), facts=facts, cure=cure))
        if not hasattr(optimizer, "learning_rate"):
            cure = "Give the optimizer of the step, such as lg.ReduceOnPlateau(adam)."
            raise DataError(report(f"{optimizer!r:.60} has no learning rate", at=here(), cure=cure))
        self.optimizer = optimizer
        self.factor, self.patience, self.metric, self.mode = factor, patience, metric, mode
        self.min_delta, self.min_rate = min_delta, min_rate
        self.best = float("nan")
        self.waited = 0  # epochs since the best one, or since the rate was reduced

    def before_training(self, metrics: Sequence[str]) -> None:
        """Choose the metric, if none was named; what was best in another training is forgotten."""
        self.best, self.waited = float("nan"), 0
        if isinstance(self.optimizer.learning_rate, Schedule):
            cure = "Set optimizer.learning_rate to a number, or leave the callback out."
            facts = [f"learning rate:  {self.optimizer.learning_rate!r}"]
            what = "cannot reduce a learning rate that is a schedule"
            raise DataError(report(what, at=here(), facts=facts, cure=cure))
        self.metric = chosen_metric(self, self.metric, metrics)

    def after_epoch(self, training: Training) -> None:
        """Reduce the rate if there has been no better value for too long."""
        assert self.metric is not None
        value = training.metrics[self.metric]
        if np.isnan(self.best) or worse(value, self.mode) < worse(self.best, self.mode) - self.min_delta:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.waited = 0
            self._reduce()

    def _reduce(self) -> None:
        self.optimizer.learning_rate = self._reduced(self.optimizer.learning_rate)
        for name, rate in self.optimizer.rates.items():
            if not isinstance(rate, Schedule):
                self.optimizer.rates[name] = self._reduced(rate)

    def _reduced(self, rate: float) -> float:
        return min(rate, max(rate * self.factor, self.min_rate))

    def state(self) -> dict[str, Any]:
        """The best value, and how long it has been waited for a better one."""
        return {"best": np.float64(self.best), "waited": np.int64(self.waited)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
