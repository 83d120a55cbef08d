"""What has no kernel, as ops that have one: where steps are run, NumPy has a function for it.

A rule stands for a node only where it must: where the node itself is native it says None. Bodies of loops are written
anew as well.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np

from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define.kinds import Declared
from lazygrad.engine.trace.reading import Windowed
from lazygrad.export.source import Source
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.windows import _fold, _window_max, _window_sum, _windows
from lazygrad.ops.comparison import greater, where
from lazygrad.ops.editing import _convolve
from lazygrad.ops.indexing import _scatter_add, _scatter_set
from lazygrad.ops.movement import _concat, _pad, astype, expand_dims, flip, moveaxis, reshape
from lazygrad.ops.reduction import _argmax, _argmin, max, sum
from lazygrad.ops.solving import _pinv
from lazygrad.ops.source import _full
from lazygrad.ops.spectral import _svd
from lazygrad.plan import Plan
from lazygrad.rewrite.regions import has_regions, rewritten_bodies
from lazygrad.rewrite.rewriting import rewritten
from lazygrad.rewrite.rules import Rule

__all__ = ["in_other_words"]


# Pools.


def _maxima(node: Node, x: Tensor) -> Tensor:
    """The maxima of windows are those of a view of them along its first two axes, to the bit."""
    return max(_viewed(node, x), axis=(0, 1))


def _sums(node: Node, x: Tensor) -> Tensor:
    """So are the sums, but for the order in which they are added up."""
    return sum(_viewed(node, x), axis=(0, 1))


def _viewed(node: Node, x: Tensor) -> Tensor:
    return _windows(x, **{name: node.params[name] for name in ("size", "stride", "dilation")})


def _laid_in_parts(node: Node, columns: Tensor) -> Tensor | None:
    """Large windows are laid back in parts, each where it stands in the window, which are then added up."""
    (high, wide), shape, dilation = columns.shape[:2], node.params["shape"], node.params["dilation"]
    if Windowed("back", high * wide).is_small:
        return None
    across = next(n for n in range(wide, 0, -1) if Windowed("back", n).is_small)
    down = next(n for n in range(high, 0, -1) if Windowed("back", n * across).is_small)
    total: Tensor | None = None
    for i in range(0, high, down):
        for j in range(0, wide, across):
            part = columns[i : i + down, j : j + across]
            missing = (high - part.shape[0]) * dilation[0], (wide - part.shape[1]) * dilation[1]
            own = (shape[0] - missing[0], shape[1] - missing[1])
            laid = _fold(part, shape=own, stride=node.params["stride"], dilation=dilation)
            before = (*(0,) * (laid.ndim - 2), i * dilation[0], j * dilation[1])
            around = [size - at - n for size, at, n in zip((*laid.shape[:-2], *shape), before, laid.shape, strict=True)]
            laid = _pad(laid, before=before, after=tuple(around))
            total = laid if total is None else total + laid
    return total


def _slid(node: Node, a: Tensor, v: Tensor) -> Tensor:
    """A convolution of vectors is a sum over windows of one, in which there is 0 beyond its ends whatever the other is.

    It is added up from the end of the shorter one to its beginning.
    """
    if a.size < v.size:
        a, v = v, a
    n = v.size

    def windows(x: Tensor) -> Tensor:
        padded = _pad(x, before=(n - 1,), after=(n - 1,))
        return _windows(reshape(padded, (1, padded.size)), size=(1, n), stride=(1, 1), dilation=(1, 1))

    there = windows(_of(a, _full, value=True, shape=a.shape, dtype=np.dtype(np.bool_)))
    weights = reshape(flip(v), (1, n, 1, 1))
    return reshape(sum(where(there, windows(a) * weights, 0), axis=(0, 1)), (a.size + n - 1,))


# Places of extremes.


def _last_axis(node: Node, x: Tensor) -> Tensor | None:
    """The place of an extreme along an axis is that along the last one, if that axis becomes it."""
    (axis,) = node.params["axis"]
    if axis == x.ndim - 1 and x.dtype != np.bool_:
        return None
    x = astype(x, np.int8) if x.dtype == np.bool_ else x
    found = cast(Any, node.op)(moveaxis(x, axis, -1), axis=(x.ndim - 1,))
    return expand_dims(found, axis) if node.params["keepdims"] else found


# Linear algebra.


def _by_singular_values(node: Node, a: Tensor, rtol: Tensor) -> Tensor:
    """A⁺ = V·S⁺·Uᵀ, where S⁺ has the inverse of each singular value above rtol times the largest one, else 0."""
    u, s, vt = cast(tuple[Tensor, ...], _svd(a))
    above = greater(s, expand_dims(rtol, -1) * max(s, axis=-1, keepdims=True))
    inverse = where(above, 1 / where(above, s, 1), 0)
    return (vt.mT * expand_dims(inverse, -2)) @ u.mT


# What is empty.


def _unwritten(node: Node, x: Tensor, values: Tensor, *indices: Tensor) -> Tensor | None:
    """Nothing that is written, or added, changes nothing."""
    return None if values.size and x.size else x


def _of_nothing(node: Node, *xs: Tensor) -> Tensor | None:
    """What is computed of empty arrays alone is always the same; if all its numbers are, it is one number."""
    op, spec = node.op, node.spec
    if not xs or any(x.size for x in xs) or not isinstance(op, Declared) or op.random or not op.pure:
        return None
    if not isinstance(spec, Spec) or not spec.size:
        return None
    with np.errstate(all="ignore"):
        found = np.asarray(op.kernel(NumpyBackend().xp, *[np.empty(x.shape, x.dtype) for x in xs], **node.params))
    first = found.ravel()[0]
    alike = found.tobytes() == first.tobytes() * found.size
    return _of(xs[0], _full, value=first.item(), shape=spec.shape, dtype=spec.dtype) if alike else None


def _without_empty(node: Node, *xs: Tensor) -> Tensor | None:
    """What is empty adds nothing to what it is joined with."""
    kept = [astype(x, cast(Spec, node.spec).dtype) for x in xs if x.size]
    if not kept or len(kept) == len(xs):
        return None
    return kept[0] if len(kept) == 1 else _concat(*kept, axis=node.params["axis"])


def _of(x: Tensor, op: Any, **params: Any) -> Tensor:
    """What takes no operands, in the graph of a tensor."""
    return x.graph.apply(op, (), params)


def _rule(match: Any, *ops: object) -> Rule:
    return Rule(match.__name__, match.__doc__ or "", "export", match, ops, (), (), math.inf, False)


_RULES = [
    _rule(_maxima, _window_max),
    _rule(_sums, _window_sum),
    _rule(_laid_in_parts, _fold),
    _rule(_slid, _convolve),
    _rule(_last_axis, _argmax, _argmin),
    _rule(_by_singular_values, _pinv),
    _rule(_unwritten, _scatter_add, _scatter_set),
    _rule(_without_empty, _concat),
    _rule(_of_nothing, Declared),
]
_OPS = {op for rule in _RULES for op in rule.ops}


def in_other_words(source: Source) -> Source:
    """The same step, with ops in it that have kernels."""
    before = source.plan
    graph = _rewritten(before.graph)
    if graph is before.graph:
        return source
    plan = Plan(graph, graph.roots, shared=False)
    nodes: dict[object, int] = {number: i for i, number in plan.constants.items()} | dict(plan.variables)
    keys = {i: name for name, i in before.variables.items()} | before.constants
    arrays = {nodes[keys[i]]: array for i, array in source.arrays.items() if keys[i] in nodes}
    inputs = tuple([replace(one, node=plan.placeholders.get(one.said)) for one in source.inputs])
    return replace(source, plan=plan, inputs=inputs, arrays=arrays)


def _rewritten(graph: Graph) -> Graph:
    """A graph by the rules; itself where none of them can apply."""
    if has_regions(graph):
        inner = rewritten_bodies(graph, _body)
        graph = graph if all(a is b for a, b in zip(inner.nodes, graph.nodes, strict=True)) else inner
    wanted = any(node.op in _OPS or _is_empty(graph, node) for node in graph.nodes)
    return rewritten(graph, _RULES) if wanted else graph


def _is_empty(graph: Graph, node: Node) -> bool:
    specs = [graph.nodes[i].spec for i in node.inputs]
    return any(isinstance(spec, Spec) and not spec.size for spec in specs)


def _body(body: Body) -> Body:
    within = Graph(body.graph.dtype)
    within.nodes, within.origins = body.graph.nodes, body.graph.origins
    within.roots = (*body.inputs, *body.outputs, *body.effects)
    new = _rewritten(within)
    if new is within:
        return body
    first, last = len(body.inputs), len(body.inputs) + len(body.outputs)
    return Body(new, new.roots[:first], new.roots[first:last], new.roots[last:])
