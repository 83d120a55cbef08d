"""Which nodes of a graph of ONNX something needs, and what graphs within nodes read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["needed", "read_within"]


def needed(nodes: Sequence[Any], outputs: Iterable[str]) -> list[Any]:
    """Only the nodes that an output needs."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if not wanted.isdisjoint(node.output):
            kept.append(node)
            wanted.update(node.input)
            wanted |= read_within([node])
    return kept[::-1]


def read_within(nodes: Iterable[Any]) -> set[str]:
    """The names that graphs within nodes read."""
    found: set[str] = set()
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= {name for inner in attribute.g.node for name in inner.input} | read_within(attribute.g.node)
                found |= {one.name for one in attribute.g.output}
    return found
