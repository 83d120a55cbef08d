"""The workers of an environment: who else runs the same program."""

from __future__ import annotations

from typing import Any

from lazygrad.graph.registry import here
from lazygrad.store.draws import Draws
from lazygrad.store.store import Store
from lazygrad.values.rows import rows_of_batch
from lazygrad.workers.among import Among
from lazygrad.workers.communicator import communicator
from lazygrad.workers.guard import Guard

__all__ = ["Working"]


class Working:
    """What may be one of several workers."""

    _store: Store

    def _join(self, workers: Any, is_seed_chosen: bool, is_sharded: bool) -> None:
        """Become one of some workers; without a seed of one's own, with that of worker 0."""
        self._store.among = Among(communicator(workers))
        self._store.guard = guard = Guard.of(self._store.among)
        self._store.is_sharded = is_sharded and guard is not None
        if guard is not None and not is_seed_chosen:
            self._store.draws = Draws(guard.first(self._store.draws.seed))

    @property
    def worker(self) -> int:
        """The number of this worker, from 0 on; 0 where there is one alone."""
        return self._store.among.rank

    @property
    def workers(self) -> int:
        """How many workers run the same program."""
        return self._store.among.size

    def rows(self, *batch: Any) -> Any:
        """This worker's rows of a batch, for a step: of one array, or of several a tuple.

        A step that is given them means the whole batch: its losses, statistics and draws are those of all rows,
        whichever worker has them. What is computed of them outside of a step is an ordinary array.
        """
        found = tuple(rows_of_batch(x, self.workers, self.worker, here()) if self.workers > 1 else x for x in batch)
        return found[0] if len(found) == 1 else found
