"""In which way each node of a plan is computed natively, as its op, its settings and its operands' specs say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.define.counted import Counted
from lazygrad.define.kinds import Declared, Elementwise, Movement, Opaque, Reduction, Source, item
from lazygrad.define.region import Region
from lazygrad.engine.lanes.registers import Register
from lazygrad.engine.lanes.scalar import Scalars
from lazygrad.engine.lanes.writer import Writer
from lazygrad.engine.lower import index as indexing
from lazygrad.engine.lower.regions import looped, native_plan
from lazygrad.engine.lower.small import FEW, VOLUME, Settings, Unrolled, is_small, written
from lazygrad.engine.lower.way import Way
from lazygrad.engine.trace.calls import calls_of, play
from lazygrad.engine.trace.reading import (
    Decomposed,
    Folded,
    Gathered,
    Multiplied,
    Scattered,
    Searched,
    Sorted,
    Summed,
    Windowed,
    read,
)
from lazygrad.engine.trace.tracing import NotTraced
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Mismatch, Shape, Spec, broadcast
from lazygrad.ops.indexing import _gathered, _sliced
from lazygrad.ops.source import _full, _literal, assign
from lazygrad.plan import Plan

__all__ = ["NATIVE", "Classified", "Way", "decomposes"]

PLACE = Spec((), np.dtype(np.uint64))  # of the number of an element
NUMBER = (bool, int, float, np.generic)  # what a kernel may return that is the same everywhere
NATIVE = frozenset(np.dtype(name) for name in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"))
Fits = Callable[[Any, int], bool]


class Classified:
    """The way of every node, decided once.

    Attributes:
        way: by node.
        small: of linear algebra of small matrices, how it is written out.
        reading: what the kernel was seen to do, of nodes whose kernel takes whole arrays; for ``COPIES``, where in the
            result each operand goes.
        inside: of every region that is a repeat how the nodes of its bodies are computed, that of a condition first.
        refused: of other regions why they are called back.
        unrepeated: regions that are native as small loops only.
        results: of every such region or call of LAPACK with several results the nodes that they are, by number.
    """

    def __init__(
        self,
        plan: Plan,
        lapack: bool = False,
        fits: Fits | None = None,
        hosted: bool = False,
        windows: bool = False,
    ) -> None:
        self.plan = plan
        self.hosted = hosted  # whether the body of a region may call back
        self._windows = windows  # whether lanes may be windows
        self._fits = fits  # whether a region can be one kernel, which may do what else is called back
        self._lapack = lapack  # whether it can be called
        self.nodes = plan.graph.nodes
        self._specs: list[Spec] = [cast(Spec, node.spec) for node in self.nodes]
        self._costs: dict[Any, int | None] = {}
        self.reading: dict[int, Any] = {}
        self.inside: dict[int, tuple[Any, ...]] = {}
        self.refused: dict[int, str] = {}
        self.unrepeated: set[int] = set()
        self.results: dict[int, dict[int, int]] = {}
        self.small: dict[int, Unrolled] = {}
        self._many: set[int] = set()  # products of small matrices
        way = [self._way(i, node) for i, node in enumerate(self.nodes)]
        for i in self._alone(way):
            way[i] = Way.PRODUCT
            del self.small[i]
        for i in self._numbers_in_memory(way):
            way[i] = Way.LEAF
        self.way: tuple[Way, ...] = tuple(way)

    def spec(self, i: int) -> Spec:
        """The spec of node ``i``."""
        return self._specs[i]

    def _numbers_in_memory(self, way: list[Way]) -> list[int]:
        """Numbers that must lie in memory after all: operands of products, and what rows are added to, unless 0."""
        found: list[int] = []
        for i, node in enumerate(self.nodes):
            if way[i] in (Way.PRODUCT, Way.LAPACK, Way.ORDER, Way.REPEAT):
                found += node.inputs
            elif way[i] is Way.SCATTER and self.nodes[node.inputs[0]].params.get("value"):
                found.append(node.inputs[0])
            elif way[i] is Way.PUT:
                found += node.inputs[2:]
        return [j for j in found if way[j] is Way.NUMBER]

    def _way(self, i: int, node: Node) -> Way:
        op = node.op
        if node.of(_literal) or node.of(_full):
            return Way.NUMBER
        if (isinstance(op, Source) and op.given) or self.plan.static[i]:
            return Way.LEAF
        if node.of(assign):
            return Way.LAZY
        if op is item:
            return self._result(i, node)
        if isinstance(op, Region):
            return self._region(i, node)
        if not isinstance(op, Declared) or op.random or not op.pure:
            return Way.CALLBACK
        if self._is_small(i, node):
            return Way.SMALL if isinstance(node.spec, Spec) else Way.SEVERAL
        if self._lapack and self._is_decomposition(i, node):
            return Way.LAPACK
        if not isinstance(node.spec, Spec):
            return Way.CALLBACK
        specs = [self.nodes[j].spec for j in node.inputs]
        if any(not isinstance(s, Spec) or s.dtype not in NATIVE for s in (*specs, node.spec)):
            return Way.CALLBACK
        if not node.spec.size or any(not s.size for s in specs):  # type: ignore[union-attr]
            return Way.CALLBACK  # every loop runs at least once
        return self._kind(i, node, op, cast("list[Spec]", specs))

    def _kind(self, i: int, node: Node, op: Declared, specs: list[Spec]) -> Way:
        """The way of a node whose operands and result are arrays of native dtypes, not empty."""
        assert isinstance(node.spec, Spec)
        if isinstance(op, (Elementwise, Counted)):
            return Way.LAZY if self.instructions(node, specs) is not None else Way.CALLBACK
        if isinstance(op, Movement):
            return self._moved(i, node, specs)
        if not (op.own or op.recorded):
            return Way.CALLBACK  # never looked into
        what = self.reading[i] = read(op, specs, node.params, node.key)
        if isinstance(op, Reduction) and isinstance(what, Folded):
            return self._fold(node, what, specs[0])
        if isinstance(op, Opaque) and isinstance(what, Multiplied) and self._is_product(node):
            return Way.PRODUCT
        if not op.own:
            return Way.CALLBACK
        if self._windows and isinstance(what, Windowed) and what.is_small and node.spec.dtype != np.bool_:
            return Way.FOLD
        if isinstance(what, Gathered):
            return Way.LAZY
        if isinstance(what, (Searched, Sorted)) and not self.hosted and max(s.size for s in specs) < 2**32:
            return Way.ORDER
        if isinstance(what, Summed) and not self.hosted and specs[0].dtype == node.spec.dtype != np.bool_:
            return Way.ORDER
        if isinstance(what, Scattered) and what.adds and self._is_segments(node, what):
            return Way.SCATTER
        if isinstance(what, Scattered) and not self.hosted and what.is_named(node) and _is_whole(node, specs):
            return Way.PUT
        return Way.CALLBACK

    def _region(self, i: int, node: Node) -> Way:
        """A region is a repeat if nothing in its bodies must be called back, or a small loop can do that."""
        loop = looped(node)
        specs = [*(self.nodes[j].spec for j in node.inputs), *self.plan.specs(i)]
        if loop is None or not node.op.pure or any(not isinstance(s, Spec) or s.dtype not in NATIVE for s in specs):
            return Way.CALLBACK
        if any(not s.size for s in specs):  # type: ignore[union-attr]
            return Way.CALLBACK
        self.inside[i] = tuple(
            [
                self.__class__(native_plan(use.body), self._lapack, self._fits, self.hosted, self._windows)
                for use in loop.uses
            ]
        )
        called = [(ways, k) for ways in self.inside[i] for k in range(len(ways.way)) if ways.stops(k)]
        if not called:
            return Way.REPEAT
        if self._fits is not None and self._fits(self, i):
            self.unrepeated.add(i)
            return Way.REPEAT
        ways, which = called[0]
        self.refused[i] = ways.refused.get(which, f"calls back {ways.nodes[which].op.name}")
        del self.inside[i]
        return Way.CALLBACK

    def stops(self, i: int) -> bool:
        """Whether a node of a body is called back, and the body may not do that."""
        return self.way[i] is Way.CALLBACK and not (self.hosted and self._is_plain(i))

    def _is_plain(self, i: int) -> bool:
        """Whether what is called back depends on its operands alone, which are arrays of native dtypes, not empty."""
        node = self.nodes[i]
        if node.op is item:
            return self._is_plain(node.inputs[0])
        specs = [*(self.nodes[j].spec for j in node.inputs), *self.plan.specs(i)]
        plain = isinstance(node.op, Declared) and not node.op.random and node.op.pure
        return plain and all(isinstance(s, Spec) and s.dtype in NATIVE and s.size for s in specs)

    def _result(self, i: int, node: Node) -> Way:
        (source,) = node.inputs
        if source in self.small:
            self.small[i] = self.small[source]
            return Way.SMALL
        if source not in self.inside and not isinstance(self.reading.get(source), Decomposed):
            return Way.CALLBACK
        of = self.results.setdefault(source, {})
        assert of.setdefault(node.params["index"], i) == i, "equal nodes are one"
        return Way.RESULT

    def _moved(self, i: int, node: Node, specs: Any) -> Way:
        op, spec = node.op, cast(Spec, node.spec)
        assert isinstance(op, Movement)
        if op.looks(node.key, tuple(specs), spec):
            return Way.LAZY
        shapes = tuple(s.shape for s in specs)
        found = indexing.placed(op, shapes, node.params, node.key)
        if found is not None and not op.own and not indexing.within(found, shapes, spec.size):
            found = None
        self.reading[i] = found
        return Way.COPIES if found is not None else Way.CALLBACK

    def _fold(self, node: Node, what: Folded, spec: Spec) -> Way:
        op = node.op
        assert isinstance(op, Reduction)
        if not what.how.startswith("arg") and not (isinstance(op.combine, Elementwise) and _holds(spec, op.identity)):
            return Way.CALLBACK
        if what.how.startswith("arg"):
            axes = node.params["axis"]
            trailing = axes == (spec.ndim - 1,)
            return Way.FOLD if trailing and spec.dtype != np.bool_ and spec.shape[-1] < 2**31 else Way.CALLBACK
        return Way.FOLD if what.how in ("all", "any") or spec.dtype != np.bool_ or what.how == "sum" else Way.CALLBACK

    def _is_small(self, i: int, node: Node) -> bool:
        """Whether a node is linear algebra of small matrices; of products, one of each of many."""
        op = node.op
        specs = [self.nodes[j].spec for j in node.inputs]
        results = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
        if not (isinstance(op, Opaque) and op.own) or any(not is_small(s) for s in specs):
            return False
        multiplies = isinstance(read(op, cast(list[Spec], specs), node.params, node.key), Multiplied)
        if multiplies:
            b = cast(Spec, specs[1])
            if not self._is_product(node) or math.prod(b.shape[:-2]) < FEW:
                return False
        found = written(op, tuple(specs), tuple(results), Settings(node.params), node.key)
        if found is not None:
            self.small[i] = found
            if multiplies:
                self._many.add(i)
        return found is not None

    def _alone(self, way: list[Way]) -> list[int]:
        """Products of small matrices that are faster by themselves: larger ones, with no linear algebra beside them.

        What stands beside is reached by what can be computed where it is wanted, of the same batch.
        """
        large = [i for i in self._many if self._volume(i) > VOLUME]
        if not large:
            return []
        users: list[list[int]] = [[] for _ in self.nodes]
        for i, node in enumerate(self.nodes):
            for j in node.inputs:
                users[j].append(i)
        near = set[tuple[int, Shape]]()
        todo = [(i, self._batch(i)) for i in self.small if i not in self._many]
        while todo:
            i, batch = todo.pop()
            for j in (*self.nodes[i].inputs, *users[i]):
                passes = j in self.small or (way[j] is Way.LAZY and self.spec(j).shape[: len(batch)] == batch)
                if passes and (j, batch) not in near:
                    near.add((j, batch))
                    todo.append((j, batch))
        return [i for i in large if (i, self._batch(i)) not in near]

    def _batch(self, i: int) -> Shape:
        """How many small matrices there are along each axis."""
        return self.plan.specs(i)[0].shape[: self.small[i].rows]

    def _volume(self, i: int) -> int:
        """Multiplications of a product of two matrices."""
        a, b = (self.spec(j).shape for j in self.nodes[i].inputs)
        return a[-2] * a[-1] * b[-1]

    def _is_product(self, node: Node) -> bool:
        """Whether both operands are matrices, of floats of the result's dtype."""
        a, b = (self.spec(j) for j in node.inputs)
        spec = cast(Spec, node.spec)
        if spec.dtype.kind != "f" or a.dtype != spec.dtype or b.dtype != spec.dtype or min(a.ndim, b.ndim) < 2:
            return False
        return a.shape[-1] == b.shape[-2] and spec.shape == _multiplied(a, b)

    def _is_decomposition(self, i: int, node: Node) -> bool:
        """Whether a node is linear algebra of matrices that are not empty."""
        results = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
        specs = [self.nodes[j].spec for j in node.inputs]
        if any(not isinstance(s, Spec) or s.dtype not in (np.float32, np.float64) or not s.size for s in specs):
            return False
        if not is_decomposition(self.nodes, node) or not all(spec.size for spec in results):
            return False
        self.reading[i] = read(cast(Opaque, node.op), cast(list[Spec], specs), node.params, node.key)
        return True

    def _is_segments(self, node: Node, what: Scattered) -> bool:
        """Whether whole rows are added, named by one array of indices."""
        ranks = self.spec(node.inputs[0]).ndim
        return (
            len(node.inputs) == 3
            and len(what.pattern) == ranks
            and not isinstance(what.pattern[0], slice)
            and all(p == slice(None) for p in what.pattern[1:])
            and self.spec(node.inputs[2]).ndim == 1
            and self.spec(node.inputs[1]).shape[1:] == self.spec(node.inputs[0]).shape[1:]
            and self.spec(node.inputs[1]).shape[0] == self.spec(node.inputs[2]).shape[0]
            and node.spec.dtype != np.bool_  # type: ignore[union-attr]
        )

    def instructions(self, node: Node, specs: Any) -> int | None:
        """How many instructions the kernel writes for one element; None if it has no native form."""
        op = node.op
        if isinstance(op, Counted):
            op, specs = op.formula, [PLACE, *[spec for spec in specs for _ in range(spec.size)]]
        key = (op, tuple(s.dtype for s in specs), node.key)
        if key not in self._costs:
            writer = Writer(4)
            scalars = Scalars(writer, lambda wrong: None)
            registers = []
            for number, spec in enumerate(specs):
                one = writer.argument(number)
                registers.append(writer.load(one, 0, spec.dtype))
            before = writer.count
            try:
                assert isinstance(op, Declared)
                result = play(op, calls_of(op, specs, node.params, node.key), scalars, registers)
                wanted = cast(Spec, node.spec).dtype
                native = result.dtype == wanted if isinstance(result, Register) else isinstance(result, NUMBER)
                self._costs[key] = writer.count - before if native else None
            except NotTraced:
                self._costs[key] = None
        return self._costs[key]


def is_decomposition(nodes: Sequence[Node], node: Node) -> bool:
    """Whether a node, one of these, is one of lazygrad's own of linear algebra."""
    op = node.op
    specs = [nodes[j].spec for j in node.inputs]
    if not (isinstance(op, Opaque) and op.own and op.pure) or any(not isinstance(spec, Spec) for spec in specs):
        return False
    if op not in _decomposing:  # its settings say how, not whether
        found = read(op, cast(list[Spec], specs), node.params, node.key)
        _decomposing[op] = isinstance(found, Decomposed)
    return _decomposing[op]


_decomposing: dict[Opaque, bool] = {}


def decomposes(graph: Graph) -> bool:
    """Whether there is linear algebra in a graph, or in the body of a region."""
    return any(
        is_decomposition(graph.nodes, node) or any(decomposes(body.graph) for body in bodies(node))
        for node in graph.nodes
    )


def _holds(spec: Spec, identity: Any) -> bool:
    """Whether the dtype of a spec has an identity among its numbers."""
    if identity is None:
        return True
    with np.errstate(all="ignore"):
        try:
            return bool(np.asarray(identity).astype(spec.dtype) == identity)
        except (TypeError, ValueError, OverflowError):
            return False


def _is_whole(node: Node, specs: Sequence[Spec]) -> bool:
    """Whether values that are put where indices name them are of the dtype and the shape of what lies there."""
    (x, values, *indices), pattern = [spec.shape for spec in specs], node.params["pattern"]
    there = _gathered(x, *indices, pattern=pattern) if indices else _sliced(x, pattern)
    return specs[0].dtype == specs[1].dtype and there == values


def _multiplied(a: Spec, b: Spec) -> Any:
    """The shape of a product of matrices; None if there is none."""
    try:
        return (*broadcast([a.shape[:-2], b.shape[:-2]]), a.shape[-2], b.shape[-1])
    except Mismatch:
        return None
