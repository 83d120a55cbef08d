"""What all workers must be given alike, before they train together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import DataError, report
from lazygrad.graph.registry import here
from lazygrad.training.fingerprint import of_data, of_stream
from lazygrad.training.history import History
from lazygrad.training.sources import Source
from lazygrad.training.streams import Stream

__all__ = ["check_checkpoint", "check_workers", "is_there"]

_SHARED = "All workers must find the same file: let it lie on a disk that they share."
MOST_READ = 2**28  # bytes of an array whose numbers are compared; of a longer one dtype and shape are


def check_workers(env: VariableEnvironment, sources: Sequence[Source], epochs: int) -> None:
    """Raise an error on all workers if they would not train with the same, or a batch has fewer rows than workers.

    Args:
        env: what is trained.
        sources: of batches: those of the training, and those of validation if there are any.
        epochs: how many are asked for.

    Raises:
        DataError: a batch is too small for so many workers.
        WorkerError: they differ in data or settings.
    """
    guard = env._store.guard
    if guard is None:
        return
    for source in sources:
        if not isinstance(source, Stream):
            _check_size(len(source.tables[0].array), source.batch_size, guard.workers.size)
    lines = [("epochs", str(epochs))]
    for name, source in zip(("data", "validation"), sources, strict=False):
        lines += [(f"{name}, {key}", str(value)) for key, value in source.settings().items()]
        lines += [(name, _told(source, table)) for table in source.tables]
    cure = "Give all workers the same data and settings: each is given its rows of every batch."
    guard.same("begin to train", lines, cure)


def is_there(env: VariableEnvironment, path: Path) -> bool:
    """Whether there is a checkpoint, for all workers; they look before one of them writes it."""
    found, guard = os.path.exists(path), env._store.guard
    if env._store.is_sharded:
        what = "cannot keep checkpoints of a training whose optimizers share their state out"
        cure = "Call env.save(path) in a callback, on all workers, and env.restore(path) to go on."
        raise DataError(report(what, at=here(), cure=cure))
    if guard is not None:
        lines = [(f"the checkpoint {str(path)!r}", "is there" if found else "is not there")]
        guard.same("look for a checkpoint", lines, _SHARED)
    return found


def check_checkpoint(env: VariableEnvironment, history: History) -> None:
    """Raise WorkerError on all workers if they have read different checkpoints."""
    guard = env._store.guard
    if guard is not None:
        lines = [("epochs done", str(history.epochs))]
        lines += [(name, ", ".join(map(repr, values))) for name, values in history.items()]
        guard.same("go on from a checkpoint", lines, _SHARED)


def _told(source: Source, table: Any) -> str:
    if isinstance(source, Stream):
        return of_stream(table)
    if table.array.nbytes > MOST_READ:
        return f"{table.name}: {table.array.dtype}{list(table.array.shape)}"
    return of_data(table)


def _check_size(rows: int, size: int, workers: int) -> None:
    last = rows % size or size
    if min(size, last) >= workers:
        return
    facts = [f"batch_size:  {size}", f"workers:     {workers}"]
    what, cure = "a batch has fewer rows than there are workers", f"Choose a batch_size of {workers} or more."
    if size >= workers:
        facts.insert(1, f"last batch:  {last}, of {rows} rows")
        cure = f"Choose another batch_size, so that {workers} rows or more are left over, or none."
    raise DataError(report(what, at=here(), facts=facts, cure=cure))
