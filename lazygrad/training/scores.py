"""Metrics of the whole validation set at once, such as scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.nn.metrics import named
from lazygrad.training.data import Table
from lazygrad.training.history import PREFIX
from lazygrad.training.steps import PREDICTIONS
from lazygrad.training.weights import labels_of
from lazygrad.values.rows import whole_rows
from lazygrad.workers.among import ALONE, Among

__all__ = ["Scores"]


class Scores:
    """Metrics, and what they are computed of.

    Args:
        metrics: functions of targets and predictions, or scikit-learn's names of them; or a dict from names to these.
        taken: the names of what the step measures itself.
        tables: the data, with targets among them.
        to_numpy: brings an array of the environment to NumPy's memory, where metrics are computed.
        among: the processes that have rows of each batch.

    Raises:
        DataError: one is no function, or has the name of another.
        AttributeError: scikit-learn has no such metric.
        BackendError: scikit-learn is not installed.
    """

    def __init__(
        self,
        metrics: Any,
        taken: Sequence[str],
        tables: Sequence[Table],
        to_numpy: Callable[[Any], Any],
        among: Among = ALONE,
    ) -> None:
        given = metrics.items() if isinstance(metrics, Mapping) else [(None, m) for m in _listed(metrics)]
        self.functions: dict[str, Callable[[Any, Any], Any]] = {}
        for name, metric in given:
            key = str(name if name is not None else metric if isinstance(metric, str) else _name(metric))
            function = named(metric) if isinstance(metric, str) else metric
            if not callable(function) or key in self.functions or key in taken:
                cure = "Metrics are functions such as sklearn.metrics.f1_score, or their names, each of another name."
                raise DataError(report(f"cannot use {metric!r:.60} as the metric {key!r}", at=here(), cure=cure))
            self.functions[key] = function
        self._place = [table.name for table in tables].index(labels_of(tables).name)
        self._found: list[tuple[Any, Any]] = []
        self._to_numpy, self._among = to_numpy, among

    def add(self, arrays: Mapping[str, Any], batch: Sequence[Any]) -> None:
        """Keep the predictions for a batch, and what they ought to be."""
        targets = arrays.get("targets")
        if targets is None:
            targets = self._whole(batch[self._place])
        targets = self._to_numpy(targets)
        # A copy: whoever gave it may fill it anew.
        self._found.append((np.array(targets), self._to_numpy(arrays[PREDICTIONS])))

    def _whole(self, labels: Any) -> Any:
        """The labels of all workers; predictions that a step returns are of all already."""
        if whole_rows(labels) is None:
            return labels
        return np.concatenate(self._among.communicator.gather(np.array(labels)))

    def values(self) -> dict[str, float]:
        """What the metrics are of all that was kept, which is forgotten.

        Raises:
            DataError: a metric cannot be computed, or is no number.
        """
        targets, predictions = (np.concatenate([np.atleast_1d(a) for a in arrays]) for arrays in zip(*self._found))
        self._found = []
        return {name: self._value(name, targets, predictions) for name, function in self.functions.items()}

    def _value(self, name: str, targets: Any, predictions: Any) -> float:
        facts = [f"targets:      {targets.dtype}{list(targets.shape)}"]
        facts += [f"predictions:  {predictions.dtype}{list(predictions.shape)}"]
        try:
            found = self.functions[name](targets, predictions)
        except (ValueError, TypeError) as reason:
            facts.append(f"{type(reason).__name__}: {' '.join(str(reason).split())[:200]}")
            cure = "Return the predictions that it wants: lg.argmax(logits, axis=1) for classes, or probabilities."
            raise DataError(report(f"cannot compute {PREFIX}{name}", at=here(), facts=facts, cure=cure)) from reason
        if np.ndim(found) or not isinstance(found, (int, float, np.number)):
            cure = "A metric is one number an epoch; compute others from the predictions after training."
            raise DataError(report(f"{PREFIX}{name} is {found!r:.60}", at=here(), facts=facts, cure=cure))
        return float(found)


def _listed(metrics: Any) -> Sequence[Any]:
    return [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)


def _name(metric: Any) -> str:
    function = getattr(metric, "func", metric)  # of a functools.partial
    return str(getattr(function, "__name__", type(metric).__name__))
