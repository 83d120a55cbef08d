"""The loop: epochs of mini-batches, validation, callbacks, checkpoints."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.registry import here
from lazygrad.training.callbacks import Callback
from lazygrad.training.checkpoint import Checkpoint
from lazygrad.training.data import Table, check_alike, checked, cut, order, rows_of, tables
from lazygrad.training.fingerprint import Fingerprint, words
from lazygrad.training.finite import NotFiniteError, Watch
from lazygrad.training.history import PREFIX, History
from lazygrad.training.progress import Training, bar
from lazygrad.training.steps import Step, environment_of

__all__ = ["fit"]


def fit(
    step: Callable[..., Any],
    data: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    validation: Any = None,
    evaluate: Callable[..., Any] | None = None,
    callbacks: Iterable[Callback | Callable[[Training], Any]] = (),
    shuffle: bool = True,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    keep: int = 3,
    on_nonfinite: str = "stop",
    progress: bool | None = None,
    env: VariableEnvironment | None = None,
) -> History:
    """Train: call ``step`` with every batch of ``data``, ``epochs`` times over.

    The step takes a batch, and returns its loss with the optimizer's update. It may return more numbers to be
    averaged over the examples, in a dict with their names::

        @env.compile
        def step(ctx, x, y, train):
            logits = model(x)
            loss = lg.mean(lg.nn.cross_entropy(logits, y))
            metrics = {"loss": loss, "accuracy": lg.mean(lg.equal(lg.argmax(logits, axis=1), y))}
            if train:
                metrics["update"] = adam.minimize(loss)
            return metrics

    The same data, seed and settings give the same variables, bit for bit: a compiled step is compiled before
    the first batch, and the order of the examples is a function of the seed and the number of the epoch.

    Args:
        step: ``env.compile(step)``; or a function, which is then run by ``env.run``. If it has an argument
            ``train``, that is True here and False in validation.
        data: an array or a data frame, or several in a tuple or a list, with one row an example; they are the step's
            first arguments, in that order. Or a dict of them, ``{"x": x, "y": y}``, by the names of the step's
            arguments, in any order. Floating numbers are cast to the environment's dtype.
        epochs: how many there are in all, those of a checkpoint included.
        batch_size: examples in a batch; the last batch of an epoch holds what is left over.
        validation: data like ``data`` on which the metrics are taken after every epoch, as ``validation_...``.
        evaluate: the step for validation, if it is another one. It changes nothing.
        callbacks: done after every epoch: :class:`EarlyStopping`, :class:`BestWeights`, or functions of a
            :class:`~lazygrad.training.Training`.
        shuffle: whether the examples come in another order in every epoch.
        seed: of the order; the environment's, if not given. If nobody chose that one either, a training that goes
            on from a checkpoint takes the checkpoint's.
        checkpoint: a file, written after every epoch. If it exists, training goes on from it, and ends with the
            same variables as if it had never been interrupted. It must be of the same data, settings and steps.
        keep: how many checkpoints are kept: ``c.json``, and the ones before it as ``c.json.1``, ``c.json.2``, ....
        on_nonfinite: ``"stop"`` the training at a loss that is not finite: the variables are then those of before that
            epoch, and ``history.stopped`` names the epoch, the batch and its rows. Or only ``"warn"``. In neither
            case is a checkpoint written of such an epoch.
        progress: whether a bar is shown; on a terminal where tqdm is installed, if not given.
        env: the environment, if ``step`` is a plain function.

    Returns:
        The means of every epoch.

    Raises:
        DataError: the data or a setting cannot be trained with: no row, a NaN (the message names row and
            column), other columns in the validation set, a label out of range, a batch size above the data.
        GraphError: the step returns no update, or an array where a number is wanted.
        SaveError: the checkpoint cannot be written, is damaged, or is of another model or other settings.
        LazygradError: the step is wrong. All of these come before anything is changed.
    """
    env = environment_of(step, env)
    epochs = _count(epochs)
    trained = Step(step, env, train=True)
    data = tables(trained.matched(data) if isinstance(data, Mapping) else data, trained.names(99), env.dtype)
    size = checked(batch_size, rows_of(data))
    batch_order = _Order(data, size, env._draws.seed if seed is None else _count(seed, "seed"), shuffle)
    for batch in batch_order.shapes():
        trained.check(data, batch)
    held_out = _validation(step, evaluate, validation, env, data, size)
    watch = Watch(env, trained, on_nonfinite)

    done = [callback if isinstance(callback, Callback) else _Function(callback) for callback in callbacks]
    metrics = [*trained.metrics, *(PREFIX + name for name in (held_out.step.metrics if held_out else ()))]
    for callback in done:
        callback.before_training(metrics)
    history, file = History(), None
    if checkpoint is not None:
        of = Fingerprint.of(trained, data, held_out, batch_order.settings(), seed is not None or env._seed_chosen)
        file = Checkpoint(checkpoint, env, of, done, _count(keep, "keep", 1))
        if os.path.exists(file.path):
            history, batch_order.seed = file.read()
        else:
            file.write(history)  # a place that cannot be written to is found now
    for batch in batch_order.shapes():
        trained.prepare(batch)

    training, warned = Training(env, epochs, history), False
    count = math.ceil(batch_order.rows / size)
    with closing(bar(progress, epochs * count, training.epoch * count)) as shown:
        while training.epoch < epochs and not history.stopped:
            began = time.perf_counter()
            watch.begin(training.epoch + 1, batch_order.chosen)
            try:
                means = _means(trained, batch_order.epoch(training.epoch), shown, watch.look)
                watch.end()
            except NotFiniteError as reason:
                watch.go_back()
                history.stopped = str(reason)
                break
            if held_out is not None:
                measured = _means(held_out.step, held_out.batches.epoch(0))
                means |= {PREFIX + name: value for name, value in measured.items()}
            history.add(means, time.perf_counter() - began)
            training.metrics = means
            shown.set_postfix({name: f"{value:.4g}" for name, value in means.items()}, refresh=False)
            if not warned:
                warned = _warn_of_nan(watch, means, training.epoch)
            for callback in done:
                callback.after_epoch(training)
            if file is not None and watch.is_finite:
                file.write(history)
    for callback in done:
        callback.after_training(training)
    if watch.said and not warned:
        warnings.warn(watch.said, RuntimeWarning, stacklevel=2)
    return history


def _means(
    step: Step,
    batches: Iterator[tuple[Any, ...]],
    shown: Any = None,
    look: Callable[[dict[str, float], int], None] | None = None,
) -> dict[str, float]:
    """The metrics' means over all examples: each batch counts by its size."""
    totals: dict[str, float] = {}
    rows = 0
    for number, batch in enumerate(batches):
        size = len(batch[0])
        found = step(batch)
        if look is not None:
            look(found, number)
        for name, value in found.items():
            totals[name] = totals.get(name, 0.0) + size * value
        rows += size
        if shown is not None:
            shown.update()
    return {name: total / rows for name, total in totals.items()}


class _Order:
    """The batches of every epoch."""

    def __init__(self, data: Sequence[Table], batch_size: int, seed: int, shuffle: bool) -> None:
        self.arrays = [table.array for table in data]
        self.rows = rows_of(data)
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle

    def shapes(self) -> list[tuple[Any, ...]]:
        """A batch of each size that there will be."""
        sizes = [self.batch_size, self.rows % self.batch_size]
        return [tuple(array[:count] for array in self.arrays) for count in sizes if count]

    def epoch(self, number: int) -> Iterator[tuple[Any, ...]]:
        """The batches of an epoch, counted from 0."""
        return cut(self.arrays, self.batch_size, order(self.rows, self.seed, number, self.shuffle))

    def chosen(self, number: int, batch: int) -> Any:
        """The rows of a batch in an epoch, both counted from 0."""
        places = order(self.rows, self.seed, number, self.shuffle)
        places = np.arange(self.rows) if places is None else places
        return places[batch * self.batch_size : (batch + 1) * self.batch_size]

    def settings(self) -> dict[str, Any]:
        """What the order depends on."""
        return {"rows": self.rows, "batch_size": self.batch_size, "shuffle": self.shuffle, "seed": words(self.seed)}


class _Validation(NamedTuple):
    """What is done after every epoch to measure, with data that are not trained on."""

    step: Step
    batches: _Order
    data: Sequence[Table]


class _Function(Callback):
    """A plain function as a callback."""

    def __init__(self, function: Callable[[Training], Any]) -> None:
        if not callable(function):
            cure = "Give a function of the training, or a lg.Callback."
            raise DataError(report(f"cannot use {function!r:.60} as a callback", at=here(), cure=cure))
        self.function = function

    def after_epoch(self, training: Training) -> None:
        self.function(training)


def _validation(
    step: Any, evaluate: Any, validation: Any, env: VariableEnvironment, data: Sequence[Table], size: int
) -> _Validation | None:
    """The step and the data for validation, checked and compiled; None without them."""
    if validation is None:
        if evaluate is not None:
            cure = "Give validation=data as well."
            raise DataError(report("there is a step for validation, but no data for it", at=here(), cure=cure))
        return None
    validated = Step(step if evaluate is None else evaluate, env, train=False)
    validation = validated.matched(validation) if isinstance(validation, Mapping) else validation
    held_out = tables(validation, [table.name for table in data], env.dtype)
    by_name = {table.name: table for table in held_out}
    check_alike(data, [by_name[t.name] for t in data] if by_name.keys() == {t.name for t in data} else held_out)
    batches = _Order(held_out, min(size, rows_of(held_out)), 0, shuffle=False)
    for batch in batches.shapes():
        validated.check(held_out, batch)
    for batch in batches.shapes():
        validated.prepare(batch)
    return _Validation(validated, batches, held_out)


def _count(value: Any, name: str = "epochs", least: int = 0) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        cure = f"It is a whole number, {least} or more."
        raise DataError(report(f"cannot use {value!r:.60} as {name}", at=here(), cure=cure))
    return int(value)


def _warn_of_nan(watch: Watch, metrics: dict[str, float], epoch: int) -> bool:
    """Warn of the loss, as it was found, or else of another metric."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if watch.said:
        warnings.warn(watch.said, RuntimeWarning, stacklevel=3)
    elif bad:
        what = f"{', '.join(bad)} is not finite in epoch {epoch}: is the learning rate too large?"
        warnings.warn(what, RuntimeWarning, stacklevel=3)
    return bool(bad or watch.said)
