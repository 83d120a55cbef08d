"""Checkpoints: a file of all variables, with what a training must know to go on as if it had not been interrupted.

It is a file as ``env.save`` writes it, with one member more (``docs/format.md``), and just as safe: it is
replaced as a whole, and reading one runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad import serialize
from lazygrad.document import Entry
from lazygrad.environment import VariableEnvironment
from lazygrad.errors import SaveError, report
from lazygrad.registry import here
from lazygrad.training.callbacks import Callback
from lazygrad.training.history import History

__all__ = ["read", "write"]


def write(
    path: str | Path,
    env: VariableEnvironment,
    history: History,
    settings: Mapping[str, Any],
    callbacks: Sequence[Callback],
) -> None:
    """Write a checkpoint.

    Raises:
        SaveError: the file cannot be written.
    """
    arrays: dict[str, Any] = {f"settings/{key}": value for key, value in settings.items()}
    arrays |= {f"history/{name}": values for name, values in history.items()}
    arrays["seconds"] = np.array(history.seconds, np.float64)
    arrays["stopped"] = np.frombuffer(history.stopped.encode(), np.uint8)
    for number, callback in enumerate(callbacks):
        arrays |= {f"callback/{number}/{key}": value for key, value in callback.state().items()}
    training = [Entry(key, env._backend.to_numpy(value), False) for key, value in arrays.items()]
    serialize.write(path, env._document()._replace(training=training))


def read(
    path: str | Path, env: VariableEnvironment, settings: Mapping[str, Any], callbacks: Sequence[Callback]
) -> History:
    """Give the environment and the callbacks what a checkpoint holds; the history until then.

    Raises:
        SaveError: the file is missing, damaged, no checkpoint, of another model, or of a training with other
            settings. The environment is then as before.
    """
    document = serialize.read(path)
    shown = repr(str(path))
    if document.training is None:
        cure = "Choose another file for the checkpoint: this one would be overwritten."
        what = f"{shown} is not a checkpoint but a file of variables"
        raise SaveError(report(what, at=here(), cure=cure))
    arrays = {entry.path: entry.array for entry in document.training}
    for key, mine in settings.items():
        theirs = arrays.get(f"settings/{key}")
        if theirs is None or not np.array_equal(theirs, np.asarray(mine)):
            found = None if theirs is None else theirs.tolist()
            facts = [f"{key}, now:          {mine}", f"{key}, in the file:  {found}"]
            cure = "Train with the settings of the checkpoint, or choose another file."
            what = f"cannot go on from {shown}: it is a checkpoint of another training"
            raise SaveError(report(what, at=here(), facts=facts, cure=cure))
    history = _history(shown, arrays)
    states = [_below(arrays, f"callback/{number}/") for number in range(len(callbacks))]
    for number, (callback, state) in enumerate(zip(callbacks, states, strict=True)):
        if callback.state().keys() - state.keys():
            cure = "Train with the callbacks of the checkpoint, in the same order, or choose another file."
            what = f"cannot go on from {shown}: it has no state for callback {number}, a {type(callback).__name__}"
            raise SaveError(report(what, at=here(), cure=cure))
    try:
        env._take_up(path, document)
    except SaveError as reason:
        facts = [str(reason).splitlines()[0]]
        cure = "Make the model as it was then, or choose another file."
        what = f"cannot go on from {shown}: it is a checkpoint of another model"
        raise SaveError(report(what, at=here(), facts=facts, cure=cure)) from None
    for callback, state in zip(callbacks, states, strict=True):
        callback.restore(state)
    return history


def _history(shown: str, arrays: Mapping[str, Any]) -> History:
    """The history in a checkpoint, all columns of which have as many epochs."""
    columns = _below(arrays, "history/")
    lengths = {array.shape for array in [arrays.get("seconds", np.zeros(())), *columns.values()]}
    if len(lengths) != 1 or "seconds" not in arrays or "stopped" not in arrays or arrays["stopped"].dtype != np.uint8:
        cure = "The file was damaged or edited: use another copy."
        raise SaveError(report(f"cannot go on from {shown}: its history is not whole", at=here(), cure=cure))
    history = History({name: array.tolist() for name, array in columns.items()}, arrays["seconds"].tolist())
    history.stopped = arrays["stopped"].tobytes().decode(errors="replace")
    return history


def _below(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
