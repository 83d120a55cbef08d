"""The pass that packs what workers exchange, and lets it travel while the rest is computed."""

from __future__ import annotations

from lazygrad.graph.graph import Graph
from lazygrad.workers.among import Among

__all__ = ["exchanged"]


def exchanged(graph: Graph, among: Among) -> Graph:
    """The same step."""
    return graph
