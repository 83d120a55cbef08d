"""The loop: epochs of mini-batches, validation, callbacks, checkpoints."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.step.comparing import compare
from lazygrad.step.looking import said
from lazygrad.training.alike import check_checkpoint, check_workers, is_there
from lazygrad.training.callbacks import Callback, check_apart
from lazygrad.training.checkpoint import Checkpoint
from lazygrad.training.data import check_alike, count_of, counted
from lazygrad.training.fingerprint import Fingerprint
from lazygrad.training.finite import NotFiniteError, Watch
from lazygrad.training.history import PREFIX, History
from lazygrad.training.progress import Shown, Training, lines
from lazygrad.training.rows import Rows
from lazygrad.training.scores import Scores
from lazygrad.training.sources import Asked, Source, source
from lazygrad.training.steps import Step, environment_of
from lazygrad.training.weights import NAME, Weights

__all__ = ["fit"]

Done = Callback | Callable[[Training], Any]


def fit(
    step: Callable[..., Any],
    data: Any,
    *,
    epochs: int,
    batch_size: int = 32,
    validation: Any = None,
    evaluate: Callable[..., Any] | None = None,
    callbacks: Done | Iterable[Done] = (),
    shuffle: bool = True,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    keep: int = 3,
    class_weight: Any = None,
    sample_weight: Any = None,
    metrics: Any = None,
    batches_per_epoch: int | None = None,
    workers: int = 0,
    prefetch: int = 2,
    on_nonfinite: str = "stop",
    check: Any = None,
    progress: bool | None = None,
    verbose: bool | int = False,
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
            arguments, in any order. Floating numbers are cast to the environment's dtype. Arrays that lie in a file
            (``np.memmap``) are read batch by batch. Or batches that come one by one, each of these forms: an iterable
            such as a loader, a function that returns an iterable for every epoch (it may take its number, ``epoch``,
            from 0 on), or a generator, if one epoch or ``batches_per_epoch`` is asked for.
        epochs: how many there are in all, those of a checkpoint included.
        batch_size: examples in a batch; the last batch of an epoch holds what is left over. Batches that come one by
            one stay as they are, in their order. In an environment with ``workers`` they are those of all processes
            together: each is given its rows of every batch, and the step means the whole batch.
        validation: data like ``data`` on which the metrics are taken after every epoch, as ``validation_...``.
        evaluate: the step for validation, if it is another one. It changes nothing.
        callbacks: one or several: :class:`EarlyStopping`, :class:`BestWeights`, another :class:`Callback`, or functions
            of a :class:`~lazygrad.training.Training`, which are called after every epoch.
        shuffle: whether the examples come in another order in every epoch.
        seed: of the order; the environment's, if not given. If nobody chose that one either, a training that goes
            on from a checkpoint takes the checkpoint's.
        checkpoint: a file, written after every epoch. If it exists, training goes on from it, and ends with the
            same variables as if it had never been interrupted. It must be of the same data, settings and steps.
        keep: how many checkpoints are kept: ``c.json``, and the ones before it as ``c.json.1``, ``c.json.2``, ....
        class_weight: what examples weigh by their labels, the array ``y`` or else the last one: a dict such as
            ``{0: 1.0, 1: 5.0}``, one number a class, or ``"balanced"``, which is n / (k·nᵢ). The step gets it in its
            argument ``sample_weight``, one number a label, and weighs its losses with it.
        sample_weight: what every example weighs, one number a row; times the weight of its class, if both are given.
            In validation every example weighs 1.
        metrics: what is computed of the predictions for the whole validation set after every epoch: functions of
            targets and predictions, such as scikit-learn's, or their names there (``"accuracy"``, ``"f1_score"``), or a
            dict of them by names of your own. The step returns ``predictions`` with its numbers in a dict, and may
            return ``targets``, which are the labels if it does not.
        batches_per_epoch: how many, of batches that come one by one; all there are, if not given.
        workers: how many threads prepare batches while others are trained with: same order, same bits. Batches of a
            generator are made by one thread, those that can be asked for by number (``__getitem__``) by all.
        prefetch: how many batches may be ready ahead, where there are workers.
        on_nonfinite: ``"stop"`` the training at a loss that is not finite: the variables are then those of before that
            epoch, and ``history.stopped`` names the epoch, the batch and its rows. Or only ``"warn"``. In neither
            case is a checkpoint written of such an epoch.
        check: ``"finite"`` looks at the variables after every batch too, and says where what is not finite begins: the
            line, forward, in the gradient or in the update, the layer, the operands, the rows. ``"gradient"`` compares
            the gradient of the loss for the first batch with differences, with respect to the first trainable variable;
            ``("gradient", path)`` with respect to another.
        progress: whether a bar is shown; on a terminal or in a notebook where tqdm is installed, if not given.
        verbose: whether a line is printed after every epoch; a number n says every n-th one, and the last.
        env: the environment, if ``step`` is a plain function.

    Returns:
        The means of every epoch.

    Raises:
        DataError: the data or a setting cannot be trained with: no row, a NaN (the message names row and
            column), other columns in the validation set, a label out of range, a batch size above the data. Of
            batches that come one by one: when it is found, with the number of the epoch and the batch; the variables
            are then those of before that epoch, as after any error in one; an interrupt leaves them as they are.
        GraphError: the step returns no update, or an array where a number is wanted.
        GradientError: ``check="gradient"`` found another number.
        SaveError: the checkpoint cannot be written, is damaged, or is of another model or other settings.
        LazygradError: the step is wrong. All of these but what is said above come before anything is changed.
    """
    env = environment_of(step, env)
    epochs = counted(epochs, "epochs")
    trained = Step(step, env, train=True)
    trained.collects = metrics is not None
    weights = None
    if class_weight is not None or sample_weight is not None:
        weights = Weights(sample_weight, class_weight)
    size = None if batches_per_epoch is None else counted(batches_per_epoch, "batches_per_epoch", 1)
    threads, ready = counted(workers, "workers", 0), counted(prefetch, "prefetch", 1)
    every = lines(verbose)
    chosen = env._store.draws.seed if seed is None else counted(seed, "seed")
    asked = Asked(batch_size, chosen, shuffle, size, epochs, threads, ready)
    batches = source(trained, data, weights, asked)
    for batch in batches.samples():
        trained.check(batches.tables, batch)
    held_out = _validation(step, evaluate, validation, weights, metrics, env, batches, asked)
    check_workers(env, [batches] if held_out is None else [batches, held_out.batches], epochs)
    checks = said(check, env)
    watch = Watch(env, trained, on_nonfinite, searches=checks == ("finite", None))
    if checks is not None and checks[0] == "gradient":
        args, named = trained.given(next(iter(batches.samples())))
        compare(env, trained.function, tuple(args), named, None, checks[1])

    given = [callbacks] if isinstance(callbacks, Callback) or callable(callbacks) else callbacks
    done = [callback if isinstance(callback, Callback) else _Function(callback) for callback in given]
    measured = [PREFIX + name for name in (held_out.names if held_out else ())]
    check_apart(done)
    for callback in done:
        callback.before_training([*trained.metrics, *measured])
    history, file = History(), None
    if checkpoint is not None:
        second = None if held_out is None else (held_out.step, held_out.batches, measured)
        of = Fingerprint.of(trained, batches, second, class_weight, seed is not None or env._seed_chosen)
        file = Checkpoint(checkpoint, env, of, done, counted(keep, "keep", 1))
        if is_there(env, file.path):
            history, batches.seed = file.read()
        else:
            file.write(history)  # a place that cannot be written to is found now
        check_checkpoint(env, history)
    for batch in batches.samples():
        trained.prepare(batch)

    training, warned = Training(env, epochs, history, batches.count), False
    is_first = env._store.guard is None or env._store.guard.is_first  # of several workers one shows how it goes
    with closing(Shown(progress if is_first else False, every if is_first else 0, training)) as shown:
        while training.epoch < epochs and not history.stopped:
            began = time.perf_counter()
            for callback in done:
                callback.before_epoch(training)
            watch.begin(training.epoch + 1, batches.chosen)
            try:
                means = _epoch(trained, batches, training, watch, shown, done)
                watch.end()
                if held_out is not None:
                    means |= {PREFIX + name: value for name, value in held_out.measured().items()}
            except NotFiniteError as reason:
                watch.go_back()
                history.stopped = str(reason)
                break
            except Exception:
                watch.go_back()
                raise
            history.add(means, time.perf_counter() - began, trained.rates())
            training.metrics = means
            if not warned:
                warned = _warn_of_nan(watch, means, training.epoch)
            for callback in done:
                callback.after_epoch(training)
            shown.epoch(history.seconds[-1])
            if file is not None and watch.is_finite:
                file.write(history)
    for callback in done:
        callback.after_training(training)
    if watch.said and not warned:
        warnings.warn(watch.said, RuntimeWarning, stacklevel=2)
    return history


def _epoch(
    step: Step, batches: Source, training: Training, watch: Watch, shown: Shown, callbacks: Sequence[Callback]
) -> dict[str, float]:
    """Train with all batches of an epoch; the means of what the step returned."""
    before = [
        c.before_batch for c in callbacks if getattr(c.before_batch, "__func__", None) is not Callback.before_batch
    ]
    after = [c.after_batch for c in callbacks if getattr(c.after_batch, "__func__", None) is not Callback.after_batch]
    means = _Means()
    with closing(batches.epoch(training.epoch)) as going:
        for number, batch in enumerate(going):
            training.batch = number + 1
            for callback in before:
                callback(training)
            found = step(batch)
            watch.look(found, number, batch)
            means.add(found, count_of(batch))
            shown.batch()
            training.batch_metrics = found
            for callback in after:
                callback(training)
    return means.values()


class _Means:
    """The metrics' means over all examples: each batch counts by its size."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.rows = 0

    def add(self, found: dict[str, float], rows: int) -> None:
        """Count what was found for so many rows."""
        for name, value in found.items():
            self.totals[name] = self.totals.get(name, 0.0) + rows * value
        self.rows += rows

    def values(self) -> dict[str, float]:
        """The means."""
        return {name: total / self.rows for name, total in self.totals.items()}


class _Validation(NamedTuple):
    """What is done after every epoch to measure, with data that are not trained on."""

    step: Step
    batches: Source
    scores: Scores | None

    @property
    def names(self) -> list[str]:
        """What is measured."""
        return [*self.step.metrics, *(self.scores.functions if self.scores else ())]

    def measured(self) -> dict[str, float]:
        """The means and the metrics over all of it."""
        means = _Means()
        with closing(self.batches.epoch(0)) as going:
            for batch in going:
                means.add(self.step(batch), count_of(batch))
                if self.scores is not None:
                    self.scores.add(self.step.arrays, batch)
        return means.values() | (self.scores.values() if self.scores else {})


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
    step: Any,
    evaluate: Any,
    validation: Any,
    weights: Weights | None,
    metrics: Any,
    env: VariableEnvironment,
    trained_on: Source,
    asked: Asked,
) -> _Validation | None:
    """The step and the data for validation, checked and compiled; None without them."""
    if validation is None:
        wanted = "are metrics" if metrics is not None else "is a step for validation" if evaluate is not None else ""
        if wanted:
            it, cure = "them" if metrics is not None else "it", "Give validation=data as well."
            raise DataError(report(f"there {wanted}, but no data for {it}", at=here(), cure=cure))
        return None
    validated = Step(step if evaluate is None else evaluate, env, train=False)
    validated.collects = metrics is not None
    own = None if weights is None or not validated.takes(NAME) else weights.even(trained_on.tables)
    given = len(validation) if isinstance(validation, (tuple, list)) else 1
    is_beside = weights is not None and given < len(trained_on.tables)  # the weights are not among what was given
    names = [table.name for table in trained_on.tables if table.name != NAME or not is_beside]
    asked = asked._replace(seed=0, shuffle=False, size=None, clipped=True)
    batches = source(validated, validation, own, asked, names, "the validation data")
    if isinstance(batches, Rows) and isinstance(trained_on, Rows):
        by_name = {table.name: table for table in batches.tables}
        mine = [table for table in trained_on.tables if table.name in by_name or table.name != NAME or weights is None]
        check_alike(
            mine, [by_name[t.name] for t in mine] if by_name.keys() == {t.name for t in mine} else batches.tables
        )
    for batch in batches.samples():
        validated.check(batches.tables, batch)
    for batch in batches.samples():
        validated.prepare(batch)
    if metrics is None:
        return _Validation(validated, batches, None)
    to_numpy = env._store.backend.to_numpy
    return _Validation(
        validated, batches, Scores(metrics, validated.metrics, batches.tables, to_numpy, env._store.among)
    )


def _warn_of_nan(watch: Watch, metrics: dict[str, float], epoch: int) -> bool:
    """Warn of the loss, as it was found, or else of another metric."""
    bad = [name for name, value in metrics.items() if not math.isfinite(value)]
    if watch.said:
        warnings.warn(watch.said, RuntimeWarning, stacklevel=3)
    elif bad:
        what = f"{', '.join(bad)} is not finite in epoch {epoch}: is the learning rate too large?"
        warnings.warn(what, RuntimeWarning, stacklevel=3)
    return bool(bad or watch.said)
