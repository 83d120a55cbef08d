"""What is said where no derivative is known."""

from __future__ import annotations

from lazygrad.errors import report
from lazygrad.graph.graph import Graph, Node

__all__ = ["no_derivative"]


def no_derivative(graph: Graph, index: int, node: Node, k: int) -> str:
    """The message for operand ``k`` of a node."""
    labels = node.op.labels(len(node.inputs))
    j = node.inputs[k]
    return report(
        f"cannot differentiate {node.op.name} with respect to {labels[k]!r}: no derivative is known",
        at=graph.origins[index],
        facts=[f"{labels[k]}:  {graph.nodes[j].spec}   {graph.describe(j)}"],
        cure="Put lg.stop_gradient around that operand to hold it constant, or give the derivative "
        "with lg.custom_gradient.",
    )
