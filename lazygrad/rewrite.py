"""Passes: from a graph to an equal graph that is cheaper to run.

A pass walks the list once and writes a new one; roots move with it. Passes change neither the value of
a root nor what the user sees happen (hooks, random draws).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.graph import Graph, Node, freeze
from lazygrad.kinds import Elementwise
from lazygrad.ops.source import _literal
from lazygrad.spec import Spec

__all__ = ["fold", "merge", "optimized", "prune"]

Replace = Callable[[Graph, Node], "int | None"]


def _rewritten(graph: Graph, replace: Replace) -> Graph:
    """The graph written anew. ``replace`` gives the new node that stands for one, or None to copy it."""
    new = Graph(graph.dtype)
    new.constants = graph.constants
    moved: list[int] = []
    for node, origin in zip(graph.nodes, graph.origins, strict=True):
        inputs = tuple([moved[i] for i in node.inputs])
        if inputs != node.inputs:
            node = Node(node.op, inputs, node.params, node.key, node.spec)
        place = replace(new, node)
        if place is None:
            place = len(new.nodes)
            new.nodes.append(node)
        if place == len(new.origins):
            new.origins.append(origin)
        moved.append(place)
    new.roots = tuple([moved[i] for i in graph.roots])
    return new


def prune(graph: Graph) -> Graph:
    """Only the nodes that a root needs."""
    needed = bytearray(len(graph.nodes))
    for i in graph.roots:
        needed[i] = 1
    for i in range(len(graph.nodes) - 1, -1, -1):
        if needed[i]:
            for j in graph.nodes[i].inputs:
                needed[j] = 1
    new = Graph(graph.dtype)
    new.constants = graph.constants
    moved = [-1] * len(graph.nodes)
    for i, node in enumerate(graph.nodes):
        if needed[i]:
            moved[i] = len(new.nodes)
            inputs = tuple([moved[j] for j in node.inputs])
            new.nodes.append(node if inputs == node.inputs else Node(node.op, inputs, node.params, node.key, node.spec))
            new.origins.append(graph.origins[i])
    new.roots = tuple([moved[i] for i in graph.roots])
    return new


def merge(graph: Graph) -> Graph:
    """One node in place of several that compute the same. Draws differ by their number, hooks are kept apart."""
    seen: dict[Any, int] = {}

    def replace(new: Graph, node: Node) -> int | None:
        if not node.op.pure:
            return None
        place = seen.setdefault((node.op, node.inputs, node.key), len(new.nodes))
        return None if place == len(new.nodes) else place

    return _rewritten(graph, replace)


def fold(graph: Graph) -> Graph:
    """Arithmetic on literals done now: a literal in place of an elementwise op of literals."""

    def replace(new: Graph, node: Node) -> int | None:
        op = node.op
        if not isinstance(op, Elementwise) or op.random or not op.pure or not node.inputs:
            return None
        operands = [new.nodes[i] for i in node.inputs]
        if any(not operand.of(_literal) for operand in operands):
            return None
        with np.errstate(all="ignore"):
            try:
                value = np.asarray(op.kernel(np, *[np.asarray(o.params["value"]) for o in operands], **node.params))
            except Exception:  # a function that NumPy has not, or numbers it refuses: the run says where
                return None
        if Spec(value.shape, value.dtype) != node.spec:
            return None
        number = value[()]
        params = {"value": number, "shape": (), "dtype": number.dtype}
        key = tuple([freeze(v) for v in params.values()])
        new.nodes.append(Node(_literal, (), params, key, node.spec))
        return len(new.nodes) - 1

    return _rewritten(graph, replace)


def optimized(graph: Graph) -> Graph:
    """All passes, in the order that lets each profit from the one before."""
    return prune(merge(fold(prune(graph))))
