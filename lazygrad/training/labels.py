"""What a step asks of the whole numbers it is fed: read off its graph, before it is run."""

from __future__ import annotations

from lazygrad.define.kinds import Movement
from lazygrad.graph.graph import Graph, Node
from lazygrad.nn.embedding import _label
from lazygrad.ops.indexing import ARRAY, _gather, _segment
from lazygrad.ops.movement import _astype
from lazygrad.ops.source import placeholder

__all__ = ["argument_of", "ranges"]


def ranges(graph: Graph) -> dict[str, tuple[int, int]]:
    """For every placeholder that holds labels or indices: from where, and up to but not including which, they go."""
    found: dict[str, tuple[int, int]] = {}
    for node in graph.nodes:
        if node.of(_label) or node.of(_segment):
            _narrow(found, graph, node.inputs[0], 0, node.params["count"])
        elif node.of(_gather):
            table, *indices = node.inputs
            shape, axis = graph.tensor(table).shape, 0
            for part in node.params["pattern"]:
                if part == ARRAY:
                    _narrow(found, graph, indices.pop(0), -shape[axis], shape[axis])
                axis += part is not None
    return found


def _narrow(found: dict[str, tuple[int, int]], graph: Graph, place: int, low: int, high: int) -> None:
    """Record the range if the elements at ``place`` are those of a placeholder, moved or cast."""
    node = argument_of(graph, place)
    if node is not None and node.params["dtype"].kind in "iu":
        name = node.params["name"]
        before = found.get(name, (low, high))
        found[name] = max(low, before[0]), min(high, before[1])


def argument_of(graph: Graph, place: int) -> Node | None:
    """The placeholder whose elements, moved or cast, are those of the node at ``place``; None if they are computed."""
    node = graph.nodes[place]
    while isinstance(node.op, Movement) or node.of(_astype):
        node = graph.nodes[node.inputs[0]]
    return node if node.of(placeholder) else None
