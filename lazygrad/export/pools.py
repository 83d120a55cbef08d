"""Pooling as folds of windows, for which there are kernels: where steps are run, NumPy has faster functions for it."""

from __future__ import annotations

from dataclasses import replace

from lazygrad.export.source import Source
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.windows import _window_max, _window_sum, _windows
from lazygrad.ops.reduction import max, sum
from lazygrad.plan import Plan
from lazygrad.rewrite.rewriting import rewritten
from lazygrad.rewrite.rules import Rule

__all__ = ["with_folds"]


def _maxima(node: Node, x: Tensor) -> Tensor:
    """The maxima of windows are those of a view of them along its first two axes, to the bit."""
    return max(_viewed(node, x), axis=(0, 1))


def _sums(node: Node, x: Tensor) -> Tensor:
    """So are the sums, but for the order in which they are added up."""
    return sum(_viewed(node, x), axis=(0, 1))


def _viewed(node: Node, x: Tensor) -> Tensor:
    return _windows(x, **{name: node.params[name] for name in ("size", "stride", "dilation")})


_RULES = [
    Rule(match.__name__, match.__doc__ or "", "export", match, (op,), (), (), 0.0, False)
    for op, match in ((_window_max, _maxima), (_window_sum, _sums))
]
_POOLS = {op for rule in _RULES for op in rule.ops}


def with_folds(source: Source) -> Source:
    """The same step, with no pooling in it."""
    before = source.plan
    if not any(node.op in _POOLS for node in before.graph.nodes):
        return source
    graph: Graph = rewritten(before.graph, _RULES)
    plan = Plan(graph, graph.roots, shared=False)
    nodes: dict[object, int] = {number: i for i, number in plan.constants.items()} | dict(plan.variables)
    keys = {i: name for name, i in before.variables.items()} | before.constants
    arrays = {nodes[keys[i]]: array for i, array in source.arrays.items() if keys[i] in nodes}
    inputs = tuple([replace(one, node=plan.placeholders.get(one.said)) for one in source.inputs])
    return replace(source, plan=plan, inputs=inputs, arrays=arrays)
