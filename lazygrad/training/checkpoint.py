"""Checkpoints: a file of all variables, with what a training must know to go on as if it had not been interrupted.

It is a file as ``env.save`` writes it, with one member more (``docs/format.md``), and just as safe: it is
replaced as a whole, and reading one runs no code. Nothing is changed before all of it has been checked.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lazygrad.environment import VariableEnvironment
from lazygrad.errors import SaveError, report
from lazygrad.files import serialize
from lazygrad.files.document import Document, Record, is_checkpoint
from lazygrad.files.jsontext import MOST_DIGITS
from lazygrad.files.replacing import generation
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.pickled import version
from lazygrad.training.callbacks import Callback
from lazygrad.training.fingerprint import Fingerprint
from lazygrad.training.history import History
from lazygrad.training.rows import words

__all__ = ["Checkpoint"]

_DAMAGED = "The file was damaged or edited: use another copy."
_MOST_SHOWN = 4  # of what differs
_LONGEST = 10_000  # letters of a text


class _Read(NamedTuple):
    """A checkpoint that has been read and found right."""

    document: Document
    history: History
    states: list[dict[str, Any]]
    seed: int


class Checkpoint:
    """The file of a training.

    Args:
        path: where it lies; one that is relative is below the folder that is the current one now.
        env: the environment that is trained.
        fingerprint: what the training is of.
        callbacks: whose state is kept.
        keep: how many files stay, the older ones under numbers.

    Raises:
        SaveError: there is no such place.
    """

    def __init__(
        self,
        path: str | Path,
        env: VariableEnvironment,
        fingerprint: Fingerprint,
        callbacks: Sequence[Callback],
        keep: int,
    ) -> None:
        self.shown = repr(os.fspath(path) if isinstance(path, os.PathLike) else path)
        self.env, self.fingerprint, self.callbacks, self.keep = env, fingerprint, callbacks, keep
        try:
            self.path = Path(os.path.abspath(path))
            target = Path(os.path.realpath(self.path))
        except (OSError, TypeError, ValueError) as reason:
            facts = [f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"]
            cure = "Give a path, absolute if the current folder has been removed."
            what = f"cannot use {self.shown} as a checkpoint"
            raise SaveError(report(what, at=here(), facts=facts, cure=cure)) from reason
        for number in range(1, keep):
            self._check_free(generation(target, number))

    def _check_free(self, older: Path) -> None:
        """Raise SaveError if a file of the user's has the name that an older checkpoint is to get."""
        try:
            with open(older, "rb") as file:
                ours = is_checkpoint(file.read(2 * MOST_DIGITS))
        except FileNotFoundError:
            return
        except OSError:
            ours = False
        if not ours:
            what = f"cannot keep older checkpoints beside {self.shown}: {str(older)!r} is in the way"
            facts = ["It is no checkpoint, and would be replaced by one."]
            cure = "Move it elsewhere, choose another name for the checkpoint, or say keep=1."
            raise SaveError(report(what, at=here(), facts=facts, cure=cure))

    def write(self, history: History) -> None:
        """Write the file.

        Raises:
            SaveError: it cannot be written.
        """
        told = self.fingerprint
        columns = {name: history.get(name, []) for name in told.metrics} | dict(history)
        arrays: dict[str, Any] = {f"settings/{key}": value for key, value in told.settings.items()}
        arrays["settings/chosen"] = told.chosen
        arrays |= {f"fingerprint/{key}": _coded(text) for key, text in told.texts.items()}
        arrays |= {f"fingerprint/{key}": numbers for key, numbers in told.steps.items()}
        arrays["fingerprint/lazygrad"] = _coded(version())
        arrays |= {f"history/{name}": np.array(values, np.float64) for name, values in columns.items()}
        arrays |= {f"rates/{name}": np.array(values, np.float64) for name, values in history.rates.items()}
        arrays["seconds"] = np.array(history.seconds, np.float64)
        arrays["stopped"] = _coded(history.stopped)
        for number, callback in enumerate(self.callbacks):
            arrays |= {f"callback/{number}/{key}": value for key, value in callback.state().items()}
        training = [Record(key, self.env._store.backend.to_numpy(value), False) for key, value in arrays.items()]
        with self.env._store.lock:
            store = self.env._store
            store.written(f"write the checkpoint {self.shown}", lambda: self._made(training), self._write)

    def _made(self, training: list[Record]) -> Document:
        return self.env._document()._replace(training=training)

    def _write(self, document: Document) -> None:
        serialize.write(self.path, document, self.keep)

    def read(self) -> tuple[History, int]:
        """Give the environment and the callbacks what the file holds; the history until then, and the seed.

        Raises:
            SaveError: the file is damaged, no checkpoint, of another model, of a training of other data,
                settings or steps. Environment and callbacks are then as before.
        """
        try:
            document = serialize.read(self.path)
        except SaveError as reason:
            raise self._older(reason) from None
        found = self._checked(self.shown, document)
        with _undone(self.callbacks):
            for number, (callback, state) in enumerate(zip(self.callbacks, found.states, strict=True)):
                try:
                    callback.restore(state)
                except Exception as reason:
                    raise self._refused(self.shown, number, f"{type(reason).__name__}: {reason}") from reason
            self.env._take_up(self.path, found.document)
        settings = {**self.fingerprint.settings, "seed": words(found.seed)}
        self.fingerprint = self.fingerprint._replace(settings=settings)
        return found.history, found.seed

    def _older(self, reason: SaveError) -> SaveError:
        """What is said of a file that cannot be read, if there is an older one that can."""
        for number in range(1, 100):
            older = generation(Path(os.path.realpath(self.path)), number)
            if not older.exists():
                continue
            try:
                found = self._checked(repr(str(older)), serialize.read(older), quiet=True)
            except SaveError:
                continue
            facts = [line.strip() for line in str(reason).split("\n\n")[-1].split("\n")[:1]]
            facts.append(f"{str(older)!r} is whole, of after epoch {found.history.epochs}.")
            cure = f"To go on from that one, rename it to {self.path.name!r}. Nothing has been changed."
            return SaveError(report(f"cannot go on from {self.shown}", at=here(), facts=facts, cure=cure))
        return reason

    def _checked(self, shown: str, document: Document, quiet: bool = False) -> _Read:
        """All that is to be taken up; raises SaveError at the first thing that does not fit."""
        if document.training is None:
            cure = "Choose another file for the checkpoint: this one would be overwritten."
            raise SaveError(report(f"{shown} is not a checkpoint but a file of variables", at=here(), cure=cure))
        arrays = {entry.path: entry.array for entry in document.training}
        seed = self._same_settings(shown, arrays)
        history = self._history(shown, arrays, document.version)
        self._fits(shown, document, history)
        if document.version > 1:
            self._same_fingerprint(shown, arrays, quiet)
        return _Read(document, history, self._states(shown, arrays, document, history), seed)

    def _same_settings(self, shown: str, arrays: Mapping[str, Any]) -> int:
        """The seed, if all settings are those of this training."""
        for key, mine in self.fingerprint.settings.items():
            theirs = arrays.get(f"settings/{key}")
            if key == "seed" and not self.fingerprint.chosen and _is_words(theirs):
                continue
            wanted = np.asarray(mine)
            if theirs is None or theirs.dtype.kind != wanted.dtype.kind or not np.array_equal(theirs, wanted):
                found = None if theirs is None else theirs.tolist()
                facts = [f"{key}, now:          {mine}", f"{key}, in the file:  {found}"]
                raise _other(shown, "training", "settings", facts)
        return _number(arrays["settings/seed"])

    def _same_fingerprint(self, shown: str, arrays: Mapping[str, Any], quiet: bool) -> None:
        told = self.fingerprint
        theirs = _below(arrays, "fingerprint/")
        for key, mine in told.texts.items():
            found = _text(theirs.pop(key, None))
            if found != mine:
                facts = [f"{key}, now:          {mine}", f"{key}, in the file:  {found}"]
                raise _other(shown, "training", "data", facts)
        made_by = _text(theirs.pop("lazygrad", None))
        if made_by is None or theirs.keys() - told.steps.keys():
            odd = sorted(theirs.keys() - told.steps.keys())
            facts = [f"Only the file has:  {', '.join(odd)}."] if odd else []
            raise _other(shown, "training", "data", facts)
        for key, numbers in told.steps.items():
            found = theirs.get(key, np.zeros(0, np.uint32))
            if found.dtype == numbers.dtype and np.array_equal(found, numbers):
                continue
            if made_by != version():
                if not quiet:
                    facts = [f"now:          lazygrad {version()}", f"in the file:  lazygrad {made_by}"]
                    cure = "If it is the same, training goes on as it should."
                    what = f"cannot tell whether {shown} is of the same {key}"
                    warnings.warn(report(what, at=here(), facts=facts, cure=cure), RuntimeWarning, stacklevel=2)
                continue
            least = min(found.size, numbers.size) if found.ndim == 1 else 0
            place = next((k for k in range(least) if found[k] != numbers[k]), least)
            facts = [
                f"nodes, now:          {len(told.graphs[key])}",
                f"nodes, in the file:  {max(found.size - 1, 0)}",
                f"first that differs:  {told.node(key, place)}",
            ]
            raise _other(shown, key, "step", facts)

    def _history(self, shown: str, arrays: Mapping[str, Any], layout: int) -> History:
        """The history, with a number an epoch for each metric of this training."""
        rates = _below(arrays, "rates/")
        columns, seconds = _below(arrays, "history/"), arrays.get("seconds", np.zeros(()))
        stopped = _text(arrays.get("stopped"))
        wanted = [] if layout == 1 and not columns else list(self.fingerprint.metrics)
        if columns.keys() != set(wanted) and (columns or layout > 1):
            facts = [f"metrics, now:          {', '.join(wanted)}", f"metrics, in the file:  {', '.join(columns)}"]
            raise _other(shown, "training", "metrics", facts)
        whole = stopped is not None and seconds.ndim == 1 and (bool(wanted) or not seconds.size)
        every = [seconds, *columns.values(), *rates.values()]
        alike = all(c.dtype == np.float64 and c.shape == seconds.shape for c in every)
        if not whole or not alike or not (np.isfinite(seconds) & (seconds >= 0)).all():
            raise SaveError(report(f"cannot go on from {shown}: its history is not whole", at=here(), cure=_DAMAGED))
        known = ("settings/", "fingerprint/", "history/", "rates/", "callback/")
        odd = [key for key in arrays if not key.startswith(known) and key not in ("seconds", "stopped")]
        if odd:
            what = f"cannot go on from {shown}: it has the state {odd[0]!r}, which is none of a training"
            raise SaveError(report(what, at=here(), cure=_DAMAGED))
        history = History({name: columns[name].tolist() for name in wanted}, seconds.tolist())
        assert stopped is not None
        history.stopped, history.rates = stopped, {name: values.tolist() for name, values in rates.items()}
        return history

    def _fits(self, shown: str, document: Document, history: History) -> None:
        """Raise SaveError unless the variables are those that the training has, or will have."""
        theirs = {record.path for record in document.records}
        begun = history.epochs > 0
        now = self.env._store.variables
        mine = {p: spec for p, spec in self.fingerprint.variables.items() if begun or p in now or p in theirs}
        try:
            serialize.check_fits(self.path, document, mine, strict=True)
        except SaveError as reason:
            facts = [str(reason).splitlines()[0], *_facts(reason)]
            cure = "Make the model as it was then, or choose another file."
            what = f"cannot go on from {shown}: it is a checkpoint of another model"
            raise SaveError(report(what, at=here(), facts=facts, cure=cure)) from None

    def _states(
        self, shown: str, arrays: Mapping[str, Any], document: Document, history: History
    ) -> list[dict[str, Any]]:
        """The state of every callback, found right by it."""
        variables = {record.path: Spec(record.array.shape, record.array.dtype) for record in document.records}
        numbers = {key.split("/")[1] for key in arrays if key.startswith("callback/")}
        odd = numbers - {str(number) for number in range(len(self.callbacks))}
        cure = "Train with the callbacks of the checkpoint, in the same order, or choose another file."
        if odd:
            what = f"cannot go on from {shown}: it has a state for callback {min(odd)}, which there is not"
            raise SaveError(report(what, at=here(), cure=cure))
        found = []
        for number, callback in enumerate(self.callbacks):
            state = _below(arrays, f"callback/{number}/")
            if callback.state().keys() and not state:
                kind = type(callback).__name__
                what = f"cannot go on from {shown}: it has no state for callback {number}, a {kind}"
                raise SaveError(report(what, at=here(), cure=cure))
            try:
                callback.check(state, history, variables)
            except ValueError as reason:
                raise self._refused(shown, number, str(reason)) from None
            found.append(state)
        return found

    def _refused(self, shown: str, number: int, reason: str) -> SaveError:
        kind = type(self.callbacks[number]).__name__
        what = f"cannot go on from {shown}: callback {number}, a {kind}, cannot take up its state"
        cure = (
            "Train with the callbacks of the checkpoint, in the same order; or the file was damaged: use another copy."
        )
        return SaveError(report(what, at=here(), facts=[f"{reason[:1].upper()}{reason[1:]}."], cure=cure))


def _other(shown: str, kind: str, of: str, facts: Sequence[str]) -> SaveError:
    what = f"cannot go on from {shown}: it is a checkpoint of another {kind}"
    cure = f"Train with the {of} of the checkpoint, or choose another file; env.restore takes the variables alone."
    return SaveError(report(what, at=here(), facts=facts, cure=cure))


def _facts(reason: SaveError) -> list[str]:
    """The values that clashed, from the third part of a message, without its cure."""
    parts = str(reason).split("\n\n")
    return [line.strip() for line in parts[-1].split("\n")[:-1]][:_MOST_SHOWN] if len(parts) > 2 else []


@contextmanager
def _undone(callbacks: Sequence[Callback]) -> Iterator[None]:
    """If it fails, the callbacks are given back the attributes that they had."""
    before = [dict(vars(callback)) for callback in callbacks]
    try:
        yield
    except BaseException:
        for callback, attributes in zip(callbacks, before, strict=True):
            vars(callback).clear()
            vars(callback).update(attributes)
        raise


def _coded(text: str) -> Any:
    return np.frombuffer(text.encode(), np.uint8)


def _text(codes: Any) -> str | None:
    """The text that :func:`_coded` made an array of; None of another array."""
    if codes is None or codes.dtype != np.uint8 or codes.ndim != 1 or codes.size > _LONGEST:
        return None
    try:
        return str(codes.tobytes().decode())
    except UnicodeDecodeError:
        return None


def _is_words(array: Any) -> bool:
    """Whether an array is a seed in words of 32 bits."""
    if array is None or array.dtype.kind not in "iu" or array.ndim != 1 or not 0 < array.size < 1000:
        return False
    return bool(((array >= 0) & (array < 2**32)).all())


def _number(words: Any) -> int:
    return sum(int(word) << 32 * place for place, word in enumerate(words))


def _below(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
