"""A slip that broadcasting hides: predictions of shape (n, 1) beside targets of shape (n,)."""

from __future__ import annotations

from lazygrad.graph import Graph, Node
from lazygrad.kinds import Elementwise, Movement
from lazygrad.ops.movement import _astype
from lazygrad.ops.source import placeholder

__all__ = ["crossed"]


def crossed(graph: Graph, rows: int) -> int | None:
    """The first node that pairs every row of the data with every row of something else, as (n, 1) with (n,) does.

    One operand is an argument of shape ``(rows,)``, just as it was given. The other has the shape ``(rows, 1)``
    and is no argument: pairs of the rows of one argument are what somebody may want.
    """
    for number, node in enumerate(graph.nodes):
        if isinstance(node.op, Elementwise) and rows > 1 and graph.tensor(number).shape == (rows, rows):
            operands = [(graph.tensor(i).shape, _is_given(graph, graph.nodes[i])) for i in node.inputs]
            if ((rows,), True) in operands and ((rows, 1), False) in operands:
                return number
    return None


def _is_given(graph: Graph, node: Node) -> bool:
    """Whether these are the elements of an argument, moved or cast."""
    while isinstance(node.op, Movement) or node.of(_astype):
        node = graph.nodes[node.inputs[0]]
    return node.of(placeholder)
