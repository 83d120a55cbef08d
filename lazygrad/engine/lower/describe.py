"""What the elements of a node are computed of: the one reading of a plan's nodes, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lazygrad.define.counted import Counted
from lazygrad.define.kinds import Declared, Movement, Reduction, item
from lazygrad.engine.lanes.registers import BOOL
from lazygrad.engine.lower.index import Index, View, identity, in_order
from lazygrad.engine.lower.kernels import (
    ZEROS,
    Anywhere,
    Apply,
    Counter,
    Element,
    Fold,
    Indices,
    Load,
    Moved,
    Number,
    Part,
    Small,
    Spare,
    Statement,
    Taken,
    Viewed,
)
from lazygrad.engine.lower.ways import Way, Ways
from lazygrad.engine.trace.reading import Folded, Gathered
from lazygrad.graph.spec import Shape

__all__ = ["copy", "definition", "folded", "joint_axes", "limits", "segmented", "zeros"]


def definition(ways: Ways, i: int) -> Statement:
    """The statement that computes a node by its definition."""
    shape = ways.spec(i).shape
    described = _Described(ways)
    described.add((i, ()), described.defined(i, _loops(shape)))
    return _statement(ways, i, i, described)


FEW, MANY = 64, 4096  # elements that are folded to one at most, and of the whole at least, for another order
NEUTRAL = {"sum": 0, "prod": 1, "any": 0, "all": 1}


def zeros(ways: Ways, i: int, target: Part) -> Statement:
    """The statement that fills a node with zeros."""
    return Statement(i, ways.spec(i).shape, ZEROS, target=target, spec=ways.spec(i))


def copy(ways: Ways, i: int, target: Part | Spare) -> Statement:
    """The statement that copies a node to a target."""
    described = _Described(ways)
    described.element(i, _loops(ways.spec(i).shape))
    return _statement(ways, i, i, described, target=target)


def folded(ways: Ways, i: int) -> Statement:
    """The statement of a reduction."""
    node, how = ways.nodes[i], ways.reading[i]
    assert isinstance(how, Folded)
    (j,) = node.inputs
    whole = how.how.startswith("arg")
    axes, dtype, source = tuple(node.params["axis"]), ways.spec(i).dtype, ways.spec(j).shape
    order = _last(axes, source) if ways.hosted and not whole and not node.params["keepdims"] else range(len(source))
    described, loops = _Described(ways), identity(tuple([source[a] for a in order]), range(len(source)))
    described.element(j, tuple([loops[order.index(a)] for a in range(len(source))]))
    axes = tuple(sorted(order.index(a) for a in axes))
    if whole:
        fold = Fold(node.op, how.how, None, None, dtype)
    else:
        assert isinstance(node.op, Reduction)
        combine = node.op.combine
        assert isinstance(combine, Declared)
        fold = Fold(node.op, how.how, combine, _neutral(how.how, node.op, dtype), dtype)
    found = _statement(ways, i, j, described, axes=axes, fold=fold, whole=whole)
    return replace(found, shape=tuple([source[a] for a in order]))


def _last(axes: Sequence[int], shape: Shape) -> Sequence[int]:
    """The axes in an order in which those of a few elements that are folded, and would be rows, come last.

    What is folded then stays in registers, and rows are many: lanes and workers share them.
    """
    few = math.prod(shape[a] for a in axes) <= FEW and math.prod(shape) >= MANY
    if not few or 0 not in axes:
        return range(len(shape))
    return [*[a for a in range(len(shape)) if a not in axes], *sorted(axes)]


def segmented(ways: Ways, i: int) -> Statement:
    """The statement of a sum by segments."""
    start, values, segments = ways.nodes[i].inputs
    described = _Described(ways)
    loops = _loops(ways.spec(values).shape)
    result = described.element(values, loops)
    which, begin = described.element(segments, loops[:1]), None
    if ways.way[start] is Way.NUMBER:
        assert not ways.nodes[start].params["value"]
    else:
        view = ways.view(start)
        assert view is not None
        begin = described.add((start, None), Anywhere(view, ways.spec(i).dtype))
    fold = Fold(ways.nodes[i].op, None, None, 0, ways.spec(i).dtype)
    return _statement(ways, i, values, described, result, axes=(0,), fold=fold, segments=which, start=begin)


def _loops(shape: tuple[int, ...]) -> Indices:
    return identity(shape, range(len(shape)))


def _statement(ways: Ways, i: int, j: int, described: _Described, result: int | None = None, **more: Any) -> Statement:
    """A statement of node ``i`` whose source is node ``j``: by default, the last element described."""
    elements = tuple(described.elements)
    result = len(elements) - 1 if result is None else result
    return Statement(i, ways.spec(j).shape, j, elements=elements, result=result, spec=ways.spec(i), **more)


class _Described:
    """A list of elements being written, each once."""

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self.elements: list[Element] = []
        self._numbers: dict[Any, int] = {}

    def add(self, key: Any, element: Element) -> int:
        """Append an element; its number."""
        number = self._numbers[key] = len(self.elements)
        self.elements.append(element)
        return number

    def element(self, i: int, index: Indices) -> int:
        """The number of the element at ``index`` of node ``i``."""
        known = self._numbers.get((i, index))
        if known is not None:
            return known
        ways = self.ways
        if i in ways.stored or ways.way[i] in (Way.LEAF, Way.CALLBACK):
            view = ways.view(i)
            assert view is not None
            return self.add((i, index), Load(i, index, view.place(index), ways.spec(i)))
        return self.add((i, index), self._number(i) if ways.way[i] is Way.NUMBER else self.defined(i, index))

    def defined(self, i: int, index: Indices) -> Element:
        """The element at ``index`` of a node by its definition; what it is computed of is appended."""
        ways, node, dtype = self.ways, self.ways.nodes[i], self.ways.spec(i).dtype
        if i in ways.small:
            return self._small(i, index)
        if i in ways.reading:
            return self._taken(i, index)
        if ways.is_split(i):
            (j,) = node.inputs
            if ways.way[j] is Way.NUMBER:
                return Moved(i, index, self.element(j, ()), dtype)
            view = ways.split(i)
            return Viewed(i, index, view.buffer, view.place(index), dtype)
        if isinstance(node.op, Counted):
            return self._counted(i, index)
        operands = tuple([self.element(j, at) for j, at in ways.operands(i, index)])
        if isinstance(node.op, Movement):
            return Moved(i, index, operands[0], dtype)
        assert isinstance(node.op, Declared)
        return Apply(i, index, node.op, node.params, node.key, operands, dtype, ways.own[i])

    def _small(self, i: int, index: Indices) -> Small:
        ways, how = self.ways, self.ways.small[i]
        base, result = i, 0
        if ways.nodes[i].op is item:
            (base,), result = ways.nodes[i].inputs, ways.nodes[i].params["index"]
        node = ways.nodes[base]
        operands, shapes = list[tuple[int, ...]](), list[Shape]()
        for j in node.inputs:
            shape = ways.spec(j).shape
            batch, inner = shape[:-2], shape[-2:]
            row = index[how.rows - len(batch) : how.rows]
            row = tuple([Index() if n == 1 else at for n, at in zip(batch, row, strict=True)])
            places = [(*row, Index(k), Index(m)) for k in range(inner[0]) for m in range(inner[1])]
            operands.append(tuple([self.element(j, at) for at in places]))
            shapes.append(inner)
        assert isinstance(node.op, Declared)
        return Small(
            i, index, how.rows, base, node.op, node.params, node.key, tuple(operands), tuple(shapes), result,
            how.inner, ways.spec(i).dtype, how.length,
        )  # fmt: skip

    def _counted(self, i: int, index: Indices) -> Apply:
        """An element that is made of its number, and of all elements of the operands."""
        ways, node = self.ways, self.ways.nodes[i]
        assert isinstance(node.op, Counted)
        place = in_order(ways.spec(i).shape).place(index)
        operands = [self.add((i, "place", index), Counter(i, index, place))]
        for j in node.inputs:
            operands += [self.element(j, tuple(map(Index, at))) for at in np.ndindex(*ways.spec(j).shape)]
        return Apply(i, index, node.op.formula, node.params, node.key, tuple(operands), ways.spec(i).dtype, ways.own[i])

    def _number(self, i: int) -> Number:
        node = self.ways.nodes[i]
        return Number(i, node.params["value"], node.key, self.ways.spec(i).dtype)

    def _taken(self, i: int, index: Indices) -> Taken:
        ways, node = self.ways, self.ways.nodes[i]
        source = node.inputs[0]
        spec = ways.spec(source)
        if ways.way[source] is Way.NUMBER:
            view: View | None = View(None, 0, (0,) * spec.ndim, spec.shape)
            taken_from = self.element(source, ())
        else:
            view = ways.view(source)
            assert view is not None
            taken_from = self.add((source, None, index), Anywhere(view, spec.dtype))
        assert view is not None
        reading = ways.reading[i]
        assert isinstance(reading, Gathered)
        joint, parts = joint_axes(reading.pattern, max(ways.spec(j).ndim for j in node.inputs[1:]))
        own = index[joint.start : joint.stop]
        named = iter([self.element(j, ways.broadcast(j, own)) for j in node.inputs[1:]])
        place, indices, axis = Index(view.start), list[tuple[int, int, int]](), 0
        for part, of in parts:
            if part is None:
                continue
            n, step = spec.shape[axis], view.steps[axis]
            if of is None:
                indices.append((next(named), n, step))
            else:
                start, _, stride = part.indices(n)
                place = place.plus(Index(start), step).plus(index[of], stride * step)
            axis += 1
        return Taken(i, index, taken_from, place, tuple(indices), ways.spec(i).dtype, ways.own[i])


def joint_axes(pattern: tuple[Any, ...], rank: int) -> tuple[slice, list[tuple[Any, int | None]]]:
    """Which axes of elements that are named the indices make, which broadcast to ``rank`` axes, and what each part of
    the pattern stands for: (part, axis of the elements) for slices, (part, None) for index arrays.
    """
    arrays = [k for k, part in enumerate(pattern) if not (part is None or isinstance(part, slice))]
    together = arrays == list(range(arrays[0], arrays[0] + len(arrays)))
    first = arrays[0] if together else 0
    axis, parts = 0 if first else rank, list[tuple[Any, int | None]]()
    for k, part in enumerate(pattern):
        if k in arrays:
            parts.append((part, None))
            if together and k == arrays[0] and first:
                axis += rank
        else:
            parts.append((part, axis))
            axis += 1
    return slice(first, first + rank), parts


def _neutral(how: str, op: Reduction, dtype: np.dtype[Any]) -> Any:
    """The number that changes nothing when it is combined, whatever identity is declared, or an end of the range."""
    if how in NEUTRAL:
        return NEUTRAL[how]
    ends = (-np.inf, np.inf) if dtype.kind == "f" else (0, 1) if dtype == BOOL else limits(dtype)
    probe = np.asarray(1, dtype)
    assert isinstance(op.combine, Declared)
    return next(end for end in ends if op.combine.kernel(np, np.asarray(end, dtype), probe) == probe)


def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The ends of the range of whole numbers."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
