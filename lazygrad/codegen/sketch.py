"""Which kernels are the same but for the arrays they work on, seen before their code is written.

A sketch is all that the code of a kernel depends on: its statements, with every node that lies in memory
replaced by its number in the order of first mention. The thousand layers of a network have few sketches, so
code is written few times.
"""

from __future__ import annotations

from typing import Any

from lazygrad.codegen.fuse import ZEROS, Part, Rows, Statement, taken
from lazygrad.codegen.index import Index, identity
from lazygrad.codegen.ways import Ways

__all__ = ["Sketch"]


class Sketch:
    """A kernel's sketch.

    Attributes:
        key: equal for kernels that are the same but for the arrays.
        nodes: the nodes that stand for the numbers.
        targets: what the kernel writes beside nodes, in order.
    """

    def __init__(self, kernel: Rows, ways: Ways, external: set[int]) -> None:
        self._ways = ways
        self._numbers: dict[int, int] = {}
        self._seen: dict[Any, int] = {}
        self.nodes: list[int] = []
        self.targets: list[Any] = []
        parts = [self._statement(s, external) for s in kernel.statements]
        self.key = (kernel.rank, tuple(parts))

    def _number(self, node: int) -> int:
        found = self._numbers.get(node)
        if found is None:
            found = self._numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return found

    def _statement(self, s: Statement, external: set[int]) -> Any:
        ways = self._ways
        loops = identity(s.shape, range(len(s.shape)))
        reading = ways.reading.get(s.node)
        target: Any = None
        if isinstance(s.target, Part):
            target = (self._number(s.target.node), s.target.place)
        elif s.target is not None:
            self.targets.append(s.target)
            target = len(self.targets)
        if s.source == ZEROS:
            source: Any = None
        elif s.source == s.node and s.target is None:
            source = self._definition(s.node, loops)
        else:
            source = self._element(s.source, loops)
        segments = None
        if s.segments is not None:
            start = ways.view(ways.nodes[s.node].inputs[0])
            begin = None if start is None else (self._number(start.buffer), start[1:])
            segments = (self._element(s.segments, loops[:1]), begin)
        op = ways.nodes[s.node].op if s.axes else None
        how = getattr(reading, "how", None)
        spec = ways.spec(s.node)
        return (
            *(self._number(s.node), s.node in external, spec, s.shape, s.axes, s.cost),
            *(op, how, target, source, segments),
        )

    def _element(self, i: int, index: tuple[Index, ...]) -> Any:
        """What the element at ``index`` of a node is, as far as code depends on it."""
        ways = self._ways
        known = self._seen.get((i, index))
        if known is not None:
            return known
        self._seen[i, index] = len(self._seen)
        if i in ways.stored or ways.way[i] in ("leaf", "callback"):
            return (self._number(i), index, ways.spec(i))
        return self._definition(i, index)

    def _definition(self, i: int, index: tuple[Index, ...]) -> Any:
        ways, node = self._ways, self._ways.nodes[i]
        if ways.way[i] == "number":
            return (node.key, node.spec)
        if i in ways.reading:
            view = ways.view(node.inputs[0])
            source = node.inputs[0] if view is None else (self._number(view.buffer), view[1:])
            named = tuple([self._element(j, at) for j, at in taken(ways, i, index)])
            return (node.op, node.key, node.spec, index, source, ways.spec(node.inputs[0]), named)
        if ways.is_split(i):
            (j,) = node.inputs
            if ways.way[j] != "number":
                view = ways.split(i)
                return (self._number(view.buffer), view.place(index), node.spec)
        operands = tuple([self._element(j, at) for j, at in ways.operands(i, index)])
        return (node.op, node.key, node.spec, operands)
