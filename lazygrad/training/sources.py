"""Where batches come from: arrays with one row an example, or whatever gives one batch after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.training.data import Table, checked, rows_of, tables
from lazygrad.training.rows import Rows
from lazygrad.training.steps import Step
from lazygrad.training.streams import Stream, is_stream
from lazygrad.training.weights import NAME, Weights

__all__ = ["Asked", "Source", "source"]

Source = Rows | Stream


class Asked(NamedTuple):
    """How the batches are asked for; see :func:`lazygrad.fit`."""

    batch_size: Any
    seed: int
    shuffle: bool
    size: int | None  # batches of an epoch, if they come one by one
    epochs: int
    workers: int
    prefetch: int
    clipped: bool = False  # whether a batch size above the data is made as small as these


def source(
    step: Step, data: Any, weights: Weights | None, asked: Asked, names: Sequence[str] = (), what: str = "the data"
) -> Source:
    """The source of the batches that the step is given.

    Args:
        step: what takes them.
        data: what the user gave.
        weights: what is put beside the data, if anything.
        asked: how.
        names: what arrays without names are called; as the step calls them, if not given.
        what: what messages call it.

    Raises:
        DataError: the data cannot be trained with, or the step takes no weights.
    """
    if weights is not None and not step.takes(NAME):
        cure = (
            f"Give it an argument of this name, def {step.name}(ctx, x, y, {NAME}), and weigh the losses: "
            f"lg.sum({NAME} * losses) / lg.sum({NAME})."
        )
        raise DataError(report(f"{step.name} takes no {NAME}", at=here(), cure=cure))
    if is_stream(data):
        if weights is not None and weights.sample_weight is not None:
            cure = f'Give them with each batch, as {{"x": x, "y": y, "{NAME}": w}}.'
            raise DataError(report(f"{NAME} does not fit data that come batch by batch", at=here(), cure=cure))
        arranged = partial(_arranged, step, weights, names, False)
        settings = asked.size, asked.epochs, asked.seed, asked.workers, asked.prefetch
        return Stream(data, arranged, step.check_labels, *settings, what, step.env._store.among)
    if asked.size is not None:
        cure = "Arrays are cut into batches of batch_size rows: leave batches_per_epoch out."
        raise DataError(report("batches_per_epoch is for data that come batch by batch", at=here(), cure=cure))
    found = _arranged(step, weights, names, True, data, "")
    rows = rows_of(found)
    size = min(rows, asked.batch_size) if asked.clipped else checked(asked.batch_size, rows)
    return Rows(found, size, asked.seed, asked.shuffle, asked.workers, asked.prefetch, step.env._store.among)


def _arranged(
    step: Step, weights: Weights | None, names: Sequence[str], whole: bool, data: Any, where: str
) -> Sequence[Table]:
    """The arrays of a data set, or of a batch, in the order in which the step takes them, the weights among them."""
    later = () if weights is None else (NAME,)
    data = step.matched(data, later) if isinstance(data, Mapping) else data
    found = tables(data, names or step.names(99), step.env.dtype, where)
    if weights is None:
        return found
    by_name = {table.name: table for table in found} | {NAME: weights.table(found, whole)}
    return list(step.matched(by_name).values())
