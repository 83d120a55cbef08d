"""The names that the user's program gives to tensors, and to lines."""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.graph.graph import Graph
from lazygrad.ops.source import placeholder, variable
from lazygrad.origin import Origin

__all__ = ["assigned_names", "line_name", "line_of"]


def assigned_names(graph: Graph) -> dict[int, str]:
    """The names that the user's program gives to tensors, by node: ``loss`` for what ``loss = ...`` wrote.

    The instruction after the call that wrote a node says so, where it stores into a name. A call that
    wrote several tensors of which none uses the others, such as a split, has given none of them the name.
    """
    names = {}
    nodes, origins = graph.nodes, graph.origins
    start = 0
    for i, origin in enumerate(origins):
        if i + 1 < len(origins) and origins[i + 1][:3] == origin[:3]:  # one call, of whatever layers
            continue
        first, start = start, i + 1
        if origin.part != "forward" or nodes[i].op in (variable, placeholder):
            continue
        name = origin.assigned
        if name:
            used = {j for node in nodes[first : i + 1] for j in node.inputs}
            if all(j in used for j in range(first, i)):
                names[i] = name
    return names


def line_name(origins: Iterable[Origin]) -> str:
    """What the user's statement assigns, of which these are the origins; empty, if that is nothing or unknown."""
    every = list(origins)
    if any(origin.statement.several for origin in every):
        return ""
    found = dict.fromkeys(name for origin in every if (name := origin.assigned))
    if len(found) == 1:
        return next(iter(found))
    told = dict.fromkeys(origin.statement.name for origin in every)
    return next(iter(told)) if len(told) == 1 else ""


def line_of(origin: Origin) -> tuple[str, str, int]:
    """What tells one statement of the user's from another: file, function and the number of its first line."""
    return ("", "", 0) if origin.code is None else (origin.code.co_filename, origin.function, origin.statement.first)
