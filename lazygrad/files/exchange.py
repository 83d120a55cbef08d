"""The variables of an environment as a document, and a document as the variables of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.files.document import Document, Record
from lazygrad.store.draws import Draws
from lazygrad.store.store import State, Store

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["document_of", "fill", "take_up"]


def document_of(store: Store, dtype: Any) -> Document:
    """All that a file has of a store; ``dtype`` is the environment's default."""
    parity, runs, *_ = store.state
    records = [Record(v.path, store.backend.to_numpy(store.whole_array(v, parity)), v.trainable) for v in store]
    return Document(records, np.dtype(dtype), store.draws.seed, runs)


def fill(env: VariableEnvironment, document: Document) -> None:
    """Register all variables of a document in an environment that has none."""
    store = env._store
    for record in document.records:
        store.add(env, record.path, store.backend.asarray(record.array), record.trainable)
    store.state = State(0, document.runs, len(store.variables))


def take_up(env: VariableEnvironment, document: Document) -> None:
    """Give the variables of an environment the numbers of a document that fits, and the draws its place; in one commit.

    What the document has beyond them is registered, if it is not trainable.
    """
    store, arrays = env._store, []
    for record in document.records:
        variable = store.variables.get(record.path)
        if variable is not None:
            arrays.append((variable, store.own_array(variable, store.backend.asarray(record.array))))
        elif not record.trainable:
            store.add(env, record.path, store.backend.asarray(np.array(record.array)), False)
    before = store.draws
    try:
        store.draws = before if document.seed is None else Draws(document.seed)
        store.put(arrays, None if document.seed is None else document.runs)
    except BaseException:
        store.draws = before
        raise
