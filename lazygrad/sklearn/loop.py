"""The loop of an estimator: epochs of mini-batches, a part of the data kept back, a loss that is watched."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import closing
from typing import Any

import numpy as np

from lazygrad.errors import report
from lazygrad.graph.registry import here
from lazygrad.sklearn.session import Batches, Session
from lazygrad.training import EarlyStopping, History, Training
from lazygrad.training.data import order
from lazygrad.training.progress import Shown

__all__ = ["train"]


_CURE = "Is the learning rate too large?"


def train(
    session: Session,
    data: Batches,
    held_out: Batches | None,
    *,
    epochs: int,
    batch_size: int,
    patience: int,
    progress: bool | None,
) -> History:
    """Go through the data ``epochs`` times, in an order that is a function of the seed and the number of the epoch.

    With data held out, the training ends when the loss on them has not fallen for ``patience`` epochs, and the best
    variables are kept. At a loss or a variable that is not finite it ends with a warning, as before that epoch.
    """
    rows, history = len(data.rows), History()
    training = Training(session.env, epochs, history, math.ceil(rows / batch_size))
    stopping = None if held_out is None else EarlyStopping(patience)
    if stopping is not None:
        stopping.before_training(["loss", "validation_loss"])
    # Compiled before the first batch, so that every epoch is computed by the same code.
    _prepare(session.train, data, batch_size)
    if held_out is not None:
        _prepare(session.measure, held_out, batch_size)
    with closing(Shown(progress, False, training)) as shown:
        while history.epochs < epochs and not history.stopped:
            before, began = session.values(), time.perf_counter()
            places = order(rows, session.seed, session.epochs, shuffle=True)
            loss = _mean(session.train, data, places, batch_size, shown)
            session.epochs += 1
            if not (math.isfinite(loss) and session.is_finite()):
                session.go_back(before)
                history.stopped = f"{'a variable' if math.isfinite(loss) else 'the loss'} is not finite"
                facts = [f"The training was stopped. The variables are those of after epoch {history.epochs}."]
                what = f"{history.stopped} in epoch {history.epochs + 1}"
                warnings.warn(report(what, at=here(), facts=facts, cure=_CURE), RuntimeWarning, stacklevel=4)
                break
            means = {"loss": loss}
            if held_out is not None:
                means["validation_loss"] = _mean(session.measure, held_out, np.arange(len(held_out.rows)), batch_size)
            history.add(means, time.perf_counter() - began)
            training.metrics = means
            shown.epoch(history.seconds[-1])
            if stopping is not None:
                stopping.after_epoch(training)
    if stopping is not None:
        stopping.after_training(training)
    return history


def _prepare(step: Any, data: Batches, batch_size: int) -> None:
    """Compile for a batch of each size that there will be."""
    rows = len(data.rows)
    for size in [min(batch_size, rows), rows % batch_size if rows > batch_size else 0]:
        if size:
            step.prepare(*data.take(np.arange(size)))


def _mean(step: Any, data: Batches, places: Any, batch_size: int, shown: Shown | None = None) -> float:
    """The mean loss of the rows at these places, batch by batch; it ends at one that is not finite, and is that."""
    total = 0.0
    for start in range(0, len(places), batch_size):
        chosen = places[start : start + batch_size]
        found = step(*data.take(chosen))
        loss = float(found[0] if type(found) is tuple else found)
        if not math.isfinite(loss):
            return loss
        total += loss * len(chosen)
        if shown is not None:
            shown.batch()
    return total / len(places)
