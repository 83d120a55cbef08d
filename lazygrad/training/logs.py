"""Callbacks that write down what is measured: as CSV, as lines of JSON, and for TensorBoard."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazygrad.errors import BackendError, DataError, SaveError, report
from lazygrad.files.content import checked_path
from lazygrad.files.replacing import replace, target_of
from lazygrad.graph.registry import here
from lazygrad.training.callbacks import Callback
from lazygrad.training.history import PREFIX
from lazygrad.training.progress import Training

__all__ = ["CSVLog", "JSONLog", "TensorBoard"]

Values = Mapping[str, Any]


class _Log(Callback):
    """A file with a line for every epoch, or for every batch.

    Args:
        path: the file. What a training before it wrote there is replaced; one that goes on from a checkpoint goes on in
            the file as well, after the epochs that the checkpoint has.
        every: ``"epoch"`` or ``"batch"``.

    Raises:
        DataError: ``every`` is neither.
        SaveError: it is no path; before the first epoch, if the file cannot be written, or is something else.
    """

    def __init__(self, path: str | Path, every: str = "epoch") -> None:
        if every not in ("epoch", "batch"):
            cure = 'It is "epoch" or "batch".'
            raise DataError(report(f"cannot write a line every {every!r:.40}", at=here(), cure=cure))
        self.path, self.every = checked_path(path, "write to"), every
        self._writes = self.path
        self._begun = False

    def before_training(self, metrics: Sequence[str]) -> None:
        """See that the file can be written, and that it is none of something else."""
        self._begun = False
        try:
            target = target_of(os.fspath(self.path))
            if not target.exists() and not (target.parent.is_dir() and os.access(target.parent, os.W_OK)):
                raise FileNotFoundError(2, "there is no such folder, or it is read-only")
            text = target.read_text(encoding="utf-8") if target.exists() else ""
        except UnicodeDecodeError:
            raise self._failure("it is a file of something else") from None
        except (OSError, ValueError) as reason:
            raise self._failure(getattr(reason, "strerror", None) or str(reason)) from None
        if text.strip() and not self._is_own(text.splitlines()[0]):
            raise self._failure("it is a file of something else")

    def after_batch(self, training: Training) -> None:
        """A line, if every batch has one."""
        if self.every == "batch":
            self._saved(training, training.epoch + 1, {"batch": training.batch}, training.batch_metrics)

    def after_epoch(self, training: Training) -> None:
        """A line, unless every batch had one."""
        if self.every == "epoch":
            values = dict(training.metrics) | _rates(training)
            self._saved(training, training.epoch, {"seconds": training.history.seconds[-1]}, values)

    def _saved(self, training: Training, epoch: int, more: Values, values: Values) -> None:
        """Write a row; of several workers one does so."""
        row = {"epoch": epoch, **more, **values}
        with training.env._store.lock:
            training.env._store.saved(f"write {os.fspath(self.path)!r}", lambda: self._add(epoch, row))

    def _add(self, epoch: int, row: Values) -> None:
        try:
            if not self._begun:
                kept = self._kept(epoch)
                self._written("".join(kept))
                self._goes_on(kept)
                self._begun = True
            self._prepare(row)
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(self._line(row))
        except OSError as reason:
            raise self._failure(reason.strerror or str(reason)) from None

    def _kept(self, epoch: int) -> list[str]:
        """The lines of epochs before this one, with the head, if the training goes on."""
        if epoch == 1 or not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [line for line in lines if line.endswith("\n") and self._epoch_of(line) < epoch]

    def _written(self, text: str) -> None:
        """Write the file as a whole."""
        replace(target_of(os.fspath(self.path)), [text.encode()])

    def _failure(self, why: str) -> SaveError:
        cure = "Give another path, in a folder that is there."
        return SaveError(report(f"cannot write {os.fspath(self.path)!r}: {why}", at=here(), cure=cure))

    # What a subclass says.

    def _is_own(self, line: str) -> bool:
        """Whether a file with this first line is such a file."""
        raise NotImplementedError

    def _goes_on(self, kept: Sequence[str]) -> None:
        """Told the lines that the file begins with."""

    def _prepare(self, row: Values) -> None:
        """See that the file can have the line of a row."""

    def _line(self, row: Values) -> str:
        """The line of a row."""
        raise NotImplementedError

    def _epoch_of(self, line: str) -> float:
        """The epoch of a line; 0 of a head."""
        raise NotImplementedError


class CSVLog(_Log):
    """Writes a line of a CSV file for every epoch, or for every batch: what is measured, seconds, the learning rate.

    The first line has the names. What is measured for the first time later on gets a column of its own, which is empty
    in the lines above; what is not measured any more is empty from there on.

    Args:
        path, every: see :class:`JSONLog`.

    Raises:
        DataError, SaveError: likewise.
    """

    def _is_own(self, line: str) -> bool:
        return line.split(",")[0] == "epoch"

    def _goes_on(self, kept: Sequence[str]) -> None:
        self._columns = next(csv.reader(kept), [])

    def _prepare(self, row: Values) -> None:
        """Have a column for everything in the row."""
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            with open(self.path, encoding="utf-8", newline="") as file:
                rows = [one + [""] * (len(self._columns) - len(one)) for one in list(csv.reader(file))[1:]]
            self._written("".join(map(_csv, [self._columns, *rows])))

    def _line(self, row: Values) -> str:
        return _csv([row.get(name, "") for name in self._columns])

    def _epoch_of(self, line: str) -> float:
        first = line.split(",")[0]
        return int(first) if first.isdecimal() else 0


class JSONLog(_Log):
    """Writes an object of JSON, on a line of its own, for every epoch, or for every batch.

    It has the epoch, the seconds or the number of the batch, what is measured, and the learning rate by optimizer. What
    is not finite is null, as JSON has no such numbers.

    Args:
        path: the file. What a training before it wrote there is replaced; one that goes on from a checkpoint goes on in
            the file as well, after the epochs that the checkpoint has.
        every: ``"epoch"`` or ``"batch"``.

    Raises:
        DataError: ``every`` is neither.
        SaveError: before the first epoch, if the file cannot be written, or is something else.
    """

    def _is_own(self, line: str) -> bool:
        return self._epoch_of(line) > 0

    def _line(self, row: Values) -> str:
        told = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
        return json.dumps(told, ensure_ascii=False) + "\n"

    def _epoch_of(self, line: str) -> float:
        try:
            found = json.loads(line)
        except ValueError:
            return 0
        epoch = found.get("epoch") if isinstance(found, dict) else None
        return epoch if isinstance(epoch, int) else 0


class TensorBoard(Callback):
    """Writes what is measured into event files of TensorBoard, by its own writer.

    The curves of the training are in ``folder/train``, those of the validation set, under the same names, in
    ``folder/validation``; the learning rate stands as ``rate`` beside the first. ``tensorboard --logdir folder`` shows
    them.

    Args:
        folder: where the files lie; a name of its own for every training.
        every: ``"epoch"``, or ``"batch"`` for what the step returned for every batch as well, as ``batch/...``.

    Raises:
        BackendError: TensorBoard is not installed.
        DataError: ``every`` is neither.
        SaveError: before the first epoch, if the folder cannot be written.
    """

    def __init__(self, folder: str | Path, every: str = "epoch") -> None:
        try:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            cure = "Install it: pip install 'lazygrad[tensorboard]'. lg.CSVLog and lg.JSONLog need nothing."
            raise BackendError(report("cannot write for TensorBoard: it is not there", at=here(), cure=cure)) from None
        if every not in ("epoch", "batch"):
            cure = 'It is "epoch" or "batch".'
            raise DataError(report(f"cannot write every {every!r:.40}", at=here(), cure=cure))
        self.folder, self.every = checked_path(folder, "write to"), every
        self._writes = self.folder
        self._made = EventFileWriter
        self._writers: dict[str, Any] = {}
        self._count = 0  # batches so far

    def before_training(self, metrics: Sequence[str]) -> None:
        """See that there is a folder."""
        self._close()
        self._count = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK):
                raise PermissionError(13, "it is read-only")
        except (OSError, ValueError) as reason:
            raise self._failure(reason) from None

    def after_batch(self, training: Training) -> None:
        """What the step returned, if that is wanted."""
        if self.every == "batch":
            done = training.epoch * training.batches if training.batches is not None else None
            self._count = self._count + 1 if done is None else done + training.batch
            self._saved(training, self._count, {f"batch/{k}": v for k, v in training.batch_metrics.items()}, {})

    def after_epoch(self, training: Training) -> None:
        """The means, and the rate."""
        own = {name: v for name, v in training.metrics.items() if not name.startswith(PREFIX)}
        others = {name.removeprefix(PREFIX): v for name, v in training.metrics.items() if name.startswith(PREFIX)}
        self._saved(training, training.epoch, own | _rates(training), others)

    def after_training(self, training: Training) -> None:
        """Close the files."""
        self._close()

    def _saved(self, training: Training, step: int, own: Mapping[str, float], others: Mapping[str, float]) -> None:
        """Write what there is of the training, and of the validation set; of several workers one does so."""

        def write() -> None:
            gone = [which for which in self._writers if not (self.folder / which).is_dir()]
            try:
                if gone:  # the writer's own thread would fail
                    raise FileNotFoundError(2, f"its folder {gone[0]!r} is not there any more")
                self._add("train", step, own)
                if others:
                    self._add("validation", step, others)
                for writer in self._writers.values():
                    writer.flush()
            except OSError as reason:
                self._writers = {}
                raise self._failure(reason) from None

        with training.env._store.lock:
            training.env._store.saved(f"write to {os.fspath(self.folder)!r}", write)

    def _failure(self, reason: OSError | ValueError) -> SaveError:
        cure = "Give a folder that you may write to."
        what = f"cannot write to {os.fspath(self.folder)!r}: {getattr(reason, 'strerror', None) or reason}"
        return SaveError(report(what, at=here(), cure=cure))

    def _add(self, which: str, step: int, values: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary

        if which not in self._writers:
            self._writers[which] = self._made(os.fspath(self.folder / which))
            begun = SessionLog(status=SessionLog.START)  # what an interrupted training wrote from here on is dropped
            self._writers[which].add_event(Event(wall_time=time.time(), step=step, session_log=begun))
        told = [Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        self._writers[which].add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=told)))

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _rates(training: Training) -> dict[str, float]:
    """The learning rates by ``rate``, or, of several optimizers, by ``rate/name``."""
    rates = {name: values[-1] for name, values in training.history.rates.items()}
    return {"rate" if len(rates) == 1 else f"rate/{name}": value for name, value in rates.items()}


def _csv(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
