"""Derivatives of loops: each is a loop again.

A body is differentiated once, as a graph: cotangents (or tangents) become inputs of it, and the ordinary reverse (or
forward) pass goes through its nodes. What that wrote falls into two parts. One depends on no cotangent: it can be
computed while the loop itself runs. The other, which is linear in the cotangents, becomes the body of the derivative's
loop; it reads only a few nodes of the first part, and only these are kept, turn by turn. What is cheap, or the same in
every turn, is computed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from lazygrad.derivative.branches import pull_branches, push_branches
from lazygrad.derivative.joint import Passes, floats
from lazygrad.derivative.loops import Course, pull_scan, push_scan, push_while
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.control import Scan, While
from lazygrad.ops.strong import plain

__all__ = ["pull", "push"]


def pull(
    graph: Graph, index: int, node: Node, g: Any, depends: set[int], passes: Passes
) -> Iterator[tuple[int, Tensor]]:
    """The cotangents of the operands that are in ``depends``, from that of the result, or a dict of those of some."""
    given = {k: cast(Tensor, plain(part)) for k, part in ({0: g} if isinstance(node.spec, Spec) else g).items()}
    wanted = [k for k, j in enumerate(node.inputs) if j in depends and floats(graph.nodes[j].spec)]
    if not wanted:
        return
    if isinstance(node.op, (Scan, While)):
        loop = Course.of(graph, node, index)
        places = loop.places(node)
        inside = [places.index(k) for k in wanted if k in places]
        pulled = [(places[k], t) for k, t in pull_scan(graph, loop, given, inside, passes)]
    else:
        pulled = list(pull_branches(graph, node, given, wanted, passes))
    for k, cotangent in pulled:
        yield node.inputs[k], cotangent


def push(graph: Graph, index: int, node: Node, tangents: dict[int, Any], passes: Passes) -> Any:
    """The tangent of the result, or a dict of those of several that are not zero, from the tangents of operands."""
    inputs = [(k, j) for k, j in enumerate(node.inputs) if j in tangents and floats(graph.nodes[j].spec)]
    moved = {k: cast(Tensor, plain(tangents[j])) for k, j in inputs}
    if not moved:
        return None if isinstance(node.spec, Spec) else {}
    if isinstance(node.op, Scan):
        loop = Course.of(graph, node, index)
        pushed = push_scan(graph, loop, {k - len(loop.turns): t for k, t in moved.items()}, passes)
    else:
        pushed = (push_while if isinstance(node.op, While) else push_branches)(graph, node, moved, passes)
    return pushed.get(0) if isinstance(node.spec, Spec) else pushed
