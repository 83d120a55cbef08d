"""Cotangents where several workers run a step, each with its own arrays: which are parts of a sum, which are whole.

The cotangent of a value is *whole*, the same on all workers, where the value reaches the loss on a way without
``lg.total``; and a *part*, to be added up over the workers, where it reaches it through a total. What feeds a total may
do both: then what comes on the way without one is divided by the number of workers, so that all of it are parts. A
variable is replicated where it is read, and there parts are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lazygrad.errors import GradientError, report
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import divide
from lazygrad.ops.source import _constant, _replicated, placeholder, variable, workers_of
from lazygrad.ops.workers import _total, among

__all__ = ["Sides", "sides_of"]


Pulled = Iterable[tuple[int, Any]]


def sides_of(graph: Graph, order: Sequence[int], ys: Sequence[Tensor]) -> Sides | None:
    """The sides of the nodes of a graph of several workers; None where there is nothing that they add up."""
    if not any(graph.nodes[i].of(_replicated) or graph.nodes[i].of(_total) for i in order):
        return None
    return Sides(graph, order, ys, workers_of(graph))


class Sides:
    """What feeds the totals of a graph, and what does not.

    Args:
        graph: what is differentiated.
        order: the nodes on the way, in order.
        ys: what is differentiated, the same on all workers.
        size: how many workers there are.

    Raises:
        GradientError: a variable is differentiated for, and a y depends on arrays of this worker's own but through no
            total: the workers would go different ways.
    """

    def __init__(self, graph: Graph, order: Sequence[int], ys: Sequence[Tensor], size: int) -> None:
        self.graph, self.size = graph, size
        self.feeds: set[int] = set()
        for i in range(len(graph.nodes) - 1, -1, -1):
            if i in self.feeds or graph.nodes[i].of(_total):
                self.feeds.update(graph.nodes[i].inputs)
        own = self._own([y.index for y in ys])
        if own is not None and any(graph.nodes[i].of(_replicated) for i in order):
            cure = (
                "Add it up over the workers, lg.total(lg.sum(losses)) / lg.total(count); or give the step rows of a "
                "batch, of lg.batches or env.rows. An array that is the same on all workers can be a variable."
            )
            what = "cannot differentiate what each worker has of its own for a variable, which all have in common"
            facts = [f"its own:  {graph.describe(own)}", f"workers:  {size}"]
            raise GradientError(report(what, at=here(), facts=facts, cure=cure))

    def _own(self, starts: Iterable[int]) -> int | None:
        """An array of this worker's own that nodes depend on, but through a total; None if there is none."""
        # Constants are compared by the workers, but where a step has asked which worker it is.
        given = (placeholder, _constant) if self.graph.outermost.context.is_own else (placeholder,)
        nodes, seen, stack = self.graph.nodes, set[int](), list(starts)
        while stack:
            i = stack.pop()
            if i in seen or nodes[i].of(_total):
                continue
            seen.add(i)
            if any(nodes[i].of(op) for op in given):
                return i
            stack += nodes[i].inputs
        return None

    def seed(self, y: Tensor, g: Tensor) -> Tensor:
        """The cotangent that a y starts from."""
        return divide(g, self.size) if y.index in self.feeds else g

    def pull(self, i: int, g: Any, rule: Callable[[], Pulled]) -> Pulled:
        """The cotangents of the operands of a node, of which ``rule`` says what its own rule gives."""
        node = self.graph.nodes[i]
        if node.of(_total):
            return [(node.inputs[0], _total(g, **node.params) if i in self.feeds else g)]
        if node.of(_replicated) and i not in self.feeds:
            return [(node.inputs[0], g)]
        if i in self.feeds:
            return rule()
        return [(j, self._part(pulled) if j in self.feeds else pulled) for j, pulled in rule()]

    def _part(self, g: Any) -> Any:
        """What is whole as a part: the workers' parts add up to it."""
        return {k: divide(x, self.size) for k, x in g.items()} if isinstance(g, dict) else divide(g, self.size)

    def last(self, x: Tensor, g: Tensor) -> Tensor:
        """The cotangent that an x ends with: parts of what all workers have in common are added up."""
        node = self.graph.nodes[x.index]
        if x.index not in self.feeds or node.of(variable) or self._own([x.index]) is not None:
            return g
        return _total(g, among=among(x))
