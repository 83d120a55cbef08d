"""What a worker runs of a step: the pass that a plan is given where there are several workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lazygrad.distribute.exchange import exchanged
from lazygrad.distribute.walk import of_one_worker
from lazygrad.graph.graph import Graph
from lazygrad.step.context import Context
from lazygrad.workers.among import Among

__all__ = ["OfWorker", "of_worker"]


@dataclass(frozen=True)
class OfWorker:
    """A pass, equal to another one if both do the same.

    Attributes:
        rows: of every placeholder of a worker's rows its name, and how many rows the batch has.
        among: the workers.
        meet: makes certain that all of them run the same plan; it is called with the graph.
    """

    rows: tuple[tuple[str, int], ...]
    among: Among
    meet: Callable[[Graph], None] = field(compare=False)

    def __call__(self, graph: Graph) -> Graph:
        """The graph of this worker."""
        self.meet(graph)
        return exchanged(of_one_worker(graph, dict(self.rows), self.among) if self.rows else graph, self.among)


def of_worker(context: Context) -> Callable[[Graph], Graph]:
    """What makes of the graph of a step that of this worker, one of several."""
    store, constants = context.env._store, list(context.graph.constants)

    def meet(graph: Graph) -> None:
        if store.guard is not None:
            store.guard.meet(graph, constants, store, context.is_own)

    return OfWorker(tuple(context.rows.items()), context.among, meet)
