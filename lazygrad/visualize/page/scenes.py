"""Scenes: what stands in each box of a picture, and what flows between it.

A box shows its own children, nodes and boxes, and nothing else: what flows from a node deep in one child to a node deep
in another is, here, an arrow from child to child. So where things stand in a box does not depend on which of its
children are unfolded, and is worked out once, when the page is written.

A node is called by its number, and the box ``b`` by ``-b``: the root, which is nobody's child, is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Scene", "flows", "scenes"]


@dataclass
class Scene:
    """The children of one box.

    Attributes:
        children: nodes and boxes, in program order.
        arrows: from child to child, each pair once.
        entered: children into which something flows from outside of the box.
        left: children from which something flows out of the box.
        top: children that stand on top: the arguments of the step.
    """

    children: list[int] = field(default_factory=list)
    arrows: dict[tuple[int, int], None] = field(default_factory=dict)
    entered: dict[int, None] = field(default_factory=dict)
    left: dict[int, None] = field(default_factory=dict)
    top: set[int] = field(default_factory=set)


def scenes(picture: Mapping[str, Any]) -> list[Scene]:
    """The scene of every box, in the order of the boxes.

    Args:
        picture: what :meth:`Picture.to_dict` gives.

    Returns:
        One scene for each box.
    """
    boxes, nodes = picture["boxes"], picture["nodes"]
    ways = [_way(boxes, node["box"]) for node in nodes]
    found = [Scene() for _ in boxes]
    placed: set[int] = set()
    for i, node in enumerate(nodes):
        if node["hidden"]:
            continue
        chain = [*(-box for box in ways[i][1:]), i]
        for box, child in zip(ways[i], chain):
            if child not in placed:
                placed.add(child)
                found[box].children.append(child)
        if node["shape"] == "argument":
            found[node["box"]].top.add(i)
    for source, target in flows(picture):
        _lift(found, ways, source, target)
    return found


def flows(picture: Mapping[str, Any]) -> list[tuple[int, int]]:
    """From where to where arrows go, between nodes that are drawn: operands, and the results of a loop's body."""
    nodes = picture["nodes"]
    silent = [node["hidden"] or node["quiet"] for node in nodes]
    operands = [(j, i) for i, node in enumerate(nodes) for j in dict.fromkeys(node["inputs"])]
    results = [(j, box["node"]) for box in picture["boxes"] for j in dict.fromkeys(box["outputs"])]
    return [(j, i) for j, i in operands + results if not silent[j] and not nodes[i]["hidden"]]


def _lift(found: list[Scene], ways: list[list[int]], source: int, target: int) -> None:
    """Add an arrow to the innermost box that has both its ends, and its ends to the boxes that it crosses."""
    out, into = ways[source], ways[target]
    common = 0
    while common < min(len(out), len(into)) and out[common] == into[common]:
        common += 1
    above = [*(-box for box in out[1:]), source]  # the child of each of those boxes that the source is, or is in
    below = [*(-box for box in into[1:]), target]
    for box, child in zip(out[common:], above[common:]):
        found[box].left[child] = None
    for box, child in zip(into[common:], below[common:]):
        found[box].entered[child] = None
    found[out[common - 1]].arrows[above[common - 1], below[common - 1]] = None


def _way(boxes: list[Any], box: int) -> list[int]:
    """The boxes from the root down to one."""
    way = [box]
    while boxes[way[-1]]["parent"] >= 0:
        way.append(boxes[way[-1]]["parent"])
    return way[::-1]
