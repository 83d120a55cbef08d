"""What makes a step compute in a wider dtype than its variables have: said once, as it costs time and memory."""

from __future__ import annotations

import warnings

from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import level
from lazygrad.graph.spec import Spec
from lazygrad.ops.movement import _astype
from lazygrad.ops.source import variable

__all__ = ["warn_if_wider"]


def warn_if_wider(graph: Graph, name: str) -> bool:
    """Warn if data of a wider dtype meet what is computed of variables of the environment's dtype; whether they do.

    Only what is cast without being asked for counts: ``w.astype("float64")`` is meant.
    """
    found = _first(graph)
    if found is None:
        return False
    narrow, wide = found
    own, dtype = graph.dtype, _spec(graph, wide).dtype
    warnings.warn(
        f"{name} computes in {dtype}: {graph.describe(wide)} is {dtype}, and {graph.describe(narrow)} is {own}, as "
        "the environment is. That takes twice the memory, and more time. Cast the data: "
        f"x.astype('{own}'); or make the environment lg.VariableEnvironment(dtype='{dtype}').",
        RuntimeWarning,
        stacklevel=level(),
    )
    return True


def _spec(graph: Graph, index: int) -> Spec:
    """The spec of a node; that of a number for one with several results, which no op takes as an operand."""
    spec = graph.nodes[index].spec
    return spec if isinstance(spec, Spec) else Spec((), graph.dtype)


def _first(graph: Graph) -> tuple[int, int] | None:
    """The first number computed of variables that is cast because of an operand beside it, and that operand."""
    nodes, of_variables = graph.nodes, set[int]()
    for i, node in enumerate(nodes):
        if node.of(variable) or not of_variables.isdisjoint(node.inputs):
            of_variables.add(i)
            wide = [j for j in node.inputs if not _is_cast(graph, j, i) and _is_wider(graph, j)]
            cast = [nodes[j].inputs[0] for j in node.inputs if j in of_variables and _is_cast(graph, j, i)]
            narrow = [j for j in cast if _spec(graph, j).dtype == graph.dtype]
            if wide and narrow:
                return narrow[0], wide[0]
    return None


def _is_cast(graph: Graph, j: int, user: int) -> bool:
    """Whether a node is a cast that nobody wrote: it comes of the same call as its user."""
    return graph.nodes[j].of(_astype) and graph.origins[j] == graph.origins[user]


def _is_wider(graph: Graph, index: int) -> bool:
    """Whether a node is an array of floats of more bytes than the environment's."""
    shape, dtype = _spec(graph, index)
    return shape != () and dtype.kind == "f" and dtype.itemsize > graph.dtype.itemsize
