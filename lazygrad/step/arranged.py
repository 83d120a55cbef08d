"""What a worker runs of a step: the pass that a plan is given where there are several workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    """

    rows: tuple[tuple[str, int], ...]
    among: Among

    def __call__(self, graph: Graph) -> Graph:
        """The graph of this worker."""
        return exchanged(of_one_worker(graph, dict(self.rows), self.among) if self.rows else graph, self.among)


def of_worker(context: Context) -> Callable[[Graph], Graph]:
    """What makes of the graph of a step that of this worker, one of several."""
    return OfWorker(tuple(context.rows.items()), context.among)
