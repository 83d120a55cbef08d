"""A body with its derivative behind it, as one graph; and which part of it is computed when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from lazygrad.define.kinds import Declared, Movement, Source
from lazygrad.define.region import BodyGraph, Region
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.passing import _after, speaks

__all__ = ["Joint", "Passes", "acts", "floats", "reached"]

# From a graph, results, what they are differentiated for, and seeds: the derivatives.
Pass = Callable[[Graph, list[Tensor], list[Tensor], Any], list[Tensor]]
Path = Callable[[Graph, Iterable[int], Iterable[int]], tuple[set[int], list[int]]]


class Passes(NamedTuple):
    """What the walks over graphs supply: both modes, and the nodes between what is varied and what is wanted."""

    reverse: Pass
    forward: Pass
    path: Path


def floats(spec: Any) -> bool:
    """Whether what a spec says has derivatives."""
    return isinstance(spec, Spec) and spec.dtype.kind == "f"


class Joint:
    """A body with its derivative behind it, as one graph.

    Attributes:
        graph: the nodes; those of the body come first, with their numbers.
        size: how many nodes the body has.
        seeds: the parameters that stand for cotangents or tangents.
    """

    def __init__(self, body: Body, outer: Graph) -> None:
        self.body = body
        self.graph = made = BodyGraph(outer, (), "a loop that is differentiated")
        made.nodes = list(body.graph.nodes)
        made.origins = list(body.graph.origins)
        made.rules = dict(body.graph.rules)
        made.same = {**body.graph.same, id(body.graph): (body.graph, range(len(made.nodes)))}
        made.impure = list(body.graph.impure)
        made.numbered = len(body.inputs)
        self.size = len(made.nodes)
        self.seeds: list[int] = []

    def seed(self, spec: Spec) -> Tensor:
        """A new parameter that stands for a cotangent, a tangent, or a sum of them."""
        made = self.graph.parameter(spec)
        self.seeds.append(made.index)
        return made

    def captured(self) -> list[tuple[int, int]]:
        """What the derivative captured beside what the body did: nodes outside, and the parameters here."""
        return list(self.graph.captures.items())

    def split(self, outputs: Iterable[int], given: Sequence[int], invariant: Sequence[int]) -> list[int]:
        """The nodes of the body's own part that ``outputs`` read and that have to be kept.

        Args:
            outputs: nodes, most of which depend on seeds.
            given: parameters that the derivative's loop is given too, turn by turn.
            invariant: parameters that are the same in every turn.
        """
        nodes = self.graph.nodes
        linear, same = set(self.seeds), set(invariant)
        for i, node in enumerate(nodes):
            if not linear.isdisjoint(node.inputs):
                linear.add(i)
            if i not in same and _is_same(node, same):
                same.add(i)
        known = set(given) | same
        kept: dict[int, None] = {}
        seen: set[int] = set()
        stack = list(outputs)
        while stack:
            i = stack.pop()
            if i in seen or (i in known and i not in same):
                continue
            seen.add(i)
            node = nodes[i]
            if i in linear or i in same or _is_cheap(node):
                stack += node.inputs
            else:
                kept[i] = None
        return sorted(kept)


def _is_same(node: Node, same: set[int]) -> bool:
    """Whether a node has the same value in every turn."""
    op = node.op
    if isinstance(op, Source):
        return not op.given and not op.random
    return bool(node.inputs) and op.pure and not _draws(node) and same.issuperset(node.inputs)


def _draws(node: Node) -> bool:
    return (isinstance(node.op, Declared) and node.op.random) or isinstance(node.op, Region)


def _is_cheap(node: Node) -> bool:
    """Whether computing a node again costs less than keeping it."""
    return isinstance(node.op, Movement) and bool(node.inputs) and node.op.view is not None


def acts(node: Node) -> bool:
    """Whether a node only hands its operand on, and was heard when the loop ran."""
    return speaks(node) or node.of(_after)


def reached(joint: Joint, ends: Iterable[int], path: set[int]) -> set[int]:
    """The nodes on the path that the ends are computed from."""
    seen = {i for i in ends if i in path}
    stack = list(seen)
    while stack:
        for j in joint.graph.nodes[stack.pop()].inputs:
            if j in path and j not in seen:
                seen.add(j)
                stack.append(j)
    return seen
