"""A slip that broadcasting hides: predictions of shape (n, 1) beside targets of shape (n,)."""

from __future__ import annotations

from lazygrad.define.kinds import Elementwise
from lazygrad.graph.graph import Graph
from lazygrad.training.labels import argument_of

__all__ = ["crossed"]


def crossed(graph: Graph, rows: int) -> int | None:
    """The first node that pairs every row of the data with every row of something else, as (n, 1) with (n,) does.

    One operand is an argument of shape ``(rows,)``, just as it was given. The other has the shape ``(rows, 1)``
    and is no argument: pairs of the rows of one argument are what somebody may want.
    """
    for number, node in enumerate(graph.nodes):
        if isinstance(node.op, Elementwise) and rows > 1 and graph.tensor(number).shape == (rows, rows):
            operands = [(graph.tensor(i).shape, argument_of(graph, i) is not None) for i in node.inputs]
            if ((rows,), True) in operands and ((rows, 1), False) in operands:
                return number
    return None
