"""Callbacks: what is done between the epochs and the batches of a training.

A callback is a function of a :class:`~lazygrad.training.Training`, or an object with the methods of
:class:`Callback`. What such an object must know to go on after an interruption is in its ``state``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.errors import DataError, DefinitionError, nearest, report
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.training.history import PREFIX, History, worse
from lazygrad.training.progress import Training

__all__ = ["BestWeights", "Callback", "EarlyStopping", "check_apart"]


def check_apart(callbacks: Sequence[Callback]) -> None:
    """Raise DataError if two of them write the same file."""
    known: dict[str, Callback] = {}
    for callback in callbacks:
        path = callback._writes
        if path is None or "\0" in os.fspath(path):  # which the callback itself refuses
            continue
        other = known.setdefault(os.path.realpath(path), callback)
        if other is not callback:
            facts = [f"callbacks:  {type(other).__name__} and {type(callback).__name__}"]
            what = f"two callbacks write to {os.fspath(path)!r}"
            raise DataError(report(what, at=here(), facts=facts, cure="Give each a path of its own."))


class Callback:
    """Something that is done before or after every epoch or batch; a subclass overrides what it needs.

    Methods of its own may have any name that is not taken for one of these: that is told when the class is defined,
    as a method that is spelt wrongly would never be called.

    Raises:
        DefinitionError: a subclass has a method such as ``after_epochs`` or ``on_epoch_end``, which nothing calls.
    """

    _writes: Path | None = None  # a file or folder that no other one may write

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.startswith("lazygrad."):
            return
        from difflib import get_close_matches

        hooks = [name for name in vars(Callback) if not name.startswith("_")]
        own = [kind for kind in cls.__mro__ if not issubclass(Callback, kind)]
        for name, member in [pair for kind in own for pair in vars(kind).items()]:
            named_so = name.startswith(("before_", "after_", "on_")) or get_close_matches(name, hooks, cutoff=0.8)
            if callable(member) and name not in hooks and not name.startswith("_") and named_so:
                what = f"{cls.__name__} has a method {name!r}, which nothing calls"
                cure = f"{nearest(name, hooks)} The name of a method of your own may begin with an underscore."
                raise DefinitionError(report(what, at=here(), cure=cure))

    def before_training(self, metrics: Sequence[str]) -> None:
        """Told the names of the metrics that there will be, it may refuse to begin."""

    def before_epoch(self, training: Training) -> None:
        """What is done before an epoch, the one after ``training.epoch``."""

    def before_batch(self, training: Training) -> None:
        """What is done before a batch, the ``training.batch``-th of its epoch."""

    def after_batch(self, training: Training) -> None:
        """What is done after a batch; ``training.batch_metrics`` are what the step returned for it."""

    def after_epoch(self, training: Training) -> None:
        """What is done after an epoch."""

    def after_training(self, training: Training) -> None:
        """What is done after the last one."""

    def state(self) -> dict[str, Any]:
        """Arrays by name that a checkpoint keeps."""
        return {}

    def check(self, state: Mapping[str, Any], history: History, variables: Mapping[str, Spec]) -> None:
        """Whether :meth:`restore` may be given a state from a checkpoint; asked before anything is changed.

        Unless a subclass knows better: it has all keys that :meth:`state` has now, with arrays of as many axes, whose
        sizes are the same or now 0, and of a dtype that is the same or holds more.

        Args:
            state: NumPy arrays by name.
            history: that of the checkpoint.
            variables: what it has, by path.

        Raises:
            ValueError: it may not; says why.
        """
        for key, value in self.state().items():
            mine = np.asarray(value)
            if key not in state:
                raise ValueError(f"it has no {key!r}")
            theirs = state[key]
            fits = mine.ndim == theirs.ndim and all(a in (0, b) for a, b in zip(mine.shape, theirs.shape, strict=True))
            if not fits or (mine.size and not np.can_cast(mine.dtype, theirs.dtype)):
                found = Spec(theirs.shape, theirs.dtype)
                raise ValueError(f"its {key!r} is {found}, where {Spec(mine.shape, mine.dtype)} is wanted")

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave, if :meth:`check` finds nothing wrong; it may raise too."""


def chosen_metric(callback: Callback, metric: str | None, metrics: Sequence[str]) -> str:
    """The metric that was named, or the loss, of the validation set if it is measured; raises DataError without it."""
    metric = metric or (PREFIX + "loss" if PREFIX + "loss" in metrics else "loss")
    if metric not in metrics:
        what = f"{type(callback).__name__}: there is no metric {metric!r}"
        raise DataError(report(what, at=here(), cure=nearest(metric, metrics)))
    return metric


class BestWeights(Callback):
    """Keeps the variables of the epoch in which a metric was best, and gives them back at the end.

    Args:
        metric: its name; ``validation_loss`` if it is measured, else ``loss``, if not given.
        mode: ``"min"`` or ``"max"``, whichever is best.

    Raises:
        DataError: ``mode`` is neither; or, before the first epoch, there is no such metric.
    """

    def __init__(self, metric: str | None = None, mode: str = "min") -> None:
        worse(0.0, mode)
        self.metric = metric
        self.mode = mode
        self.epoch = 0  # the best one so far, counted from 1
        self.value = float("nan")
        self._arrays: dict[str, Any] = {}

    def before_training(self, metrics: Sequence[str]) -> None:
        """Choose the metric, if none was named; what was best in another training is forgotten."""
        self.epoch, self.value, self._arrays = 0, float("nan"), {}
        self.metric = chosen_metric(self, self.metric, metrics)

    def after_epoch(self, training: Training) -> None:
        """Keep the variables if they are the best so far."""
        assert self.metric is not None
        value = training.metrics[self.metric]
        if not self.epoch or self._is_better(value):
            self.epoch, self.value = training.epoch, value
            self._arrays = {v.path: v.value for v in training.env}

    def _is_better(self, value: float) -> bool:
        return worse(value, self.mode) < worse(self.value, self.mode)

    def after_training(self, training: Training) -> None:
        """Give the best variables back."""
        for path, array in self._arrays.items():
            training.env[path] = array

    def state(self) -> dict[str, Any]:
        """The best epoch, its value and its variables."""
        return {
            "epoch": np.int64(self.epoch),
            "value": np.float64(self.value),
            **{f"variables/{k}": v for k, v in self._arrays.items()},
        }

    def check(self, state: Mapping[str, Any], history: History, variables: Mapping[str, Spec]) -> None:
        """The epoch is the best of the history, and the variables are those of the checkpoint."""
        super().check(state, history, variables)
        for key, wanted in {"epoch": Spec((), np.dtype(np.int64)), "value": Spec((), np.dtype(np.float64))}.items():
            found = Spec(state[key].shape, state[key].dtype)
            if found != wanted:
                raise ValueError(f"its {key!r} is {found}, where {wanted} is wanted")
        epoch = int(state["epoch"])
        if type(self).after_epoch in (BestWeights.after_epoch, EarlyStopping.after_epoch):
            assert self.metric is not None
            best, value = self._best_of(history[self.metric] if history.epochs else [])
            if epoch != best or not np.array_equal(state["value"], value, equal_nan=True):
                said = f"epoch {epoch} with {state['value']}"
                raise ValueError(f"the best {self.metric} of the history is epoch {best} with {value}, not {said}")
        elif not 0 <= epoch <= history.epochs:
            raise ValueError(f"its 'epoch' is {epoch}, of {history.epochs}")
        specs = {f"variables/{path}": spec for path, spec in variables.items()} if epoch else {}
        theirs = {key: Spec(array.shape, array.dtype) for key, array in state.items() if key.startswith("variables/")}
        odd = [key for key in [*specs, *theirs] if specs.get(key) != theirs.get(key)]
        if odd:
            raise ValueError(f"its {odd[0]!r} is {theirs.get(odd[0])}, where {specs.get(odd[0])} is wanted")

    def _best_of(self, values: Sequence[float]) -> tuple[int, float]:
        """The best epoch, counted from 1, and its value, as if these had been seen one after the other."""
        kept = self.epoch, self.value
        try:
            self.epoch, self.value = 0, float("nan")
            for epoch, value in enumerate(values, 1):
                if not self.epoch or self._is_better(value):
                    self.epoch, self.value = epoch, value
            return self.epoch, self.value
        finally:
            self.epoch, self.value = kept

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.epoch, self.value = int(state["epoch"]), float(state["value"])
        kept = {key: array for key, array in state.items() if key.startswith("variables/")}
        self._arrays = {key.removeprefix("variables/"): array for key, array in kept.items()}


class EarlyStopping(BestWeights):
    """Stops when a metric has not become better for ``patience`` epochs; gives back the best variables.

    Args:
        patience: how many epochs to wait, 1 or more.
        metric, mode: as for :class:`BestWeights`.
        min_delta: by how much a value must be better to count.

    Raises:
        DataError: a setting is out of range; or, before the first epoch, there is no such metric.
    """

    def __init__(
        self, patience: int = 10, metric: str | None = None, mode: str = "min", min_delta: float = 0.0
    ) -> None:
        super().__init__(metric, mode)
        if isinstance(patience, bool) or not hasattr(patience, "__index__") or patience < 1 or not min_delta >= 0:
            cure = "patience is a whole number, 1 or more; min_delta is 0 or more."
            what = f"cannot stop early with patience {patience!r:.40} and min_delta {min_delta!r:.40}"
            raise DataError(report(what, at=here(), cure=cure))
        self.patience = patience
        self.min_delta = min_delta

    def _is_better(self, value: float) -> bool:
        return worse(value, self.mode) < worse(self.value, self.mode) - self.min_delta

    def after_epoch(self, training: Training) -> None:
        """Keep the variables if they are the best so far; stop if they have not been for too long."""
        super().after_epoch(training)
        if training.epoch - self.epoch >= self.patience:
            training.stop(f"no better value than {self.value:.6g} since epoch {self.epoch}")
