"""Corners: values with a derivative said apart from them, and squares that are smooth where their root is not.

|x|, √x, hypot and the norms have corners, where the derivative is 0 by convention. Their squares have none: the square
of a norm is a sum of squares, whose second derivative at 0 is 2, and no convention made for the norm says so. So an op
that has corners tells its square (:func:`lazygrad.define.squared`), and a square, an even power or a product of equal
tensors, when it is written, takes its derivatives, of every order, from there. Its value stays what it is.

The length of vectors is such a root. It is computed in a way that neither overflows nor underflows, and differentiated
in another: its derivative is x / |x|, divided before anything is multiplied.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise, opaque, squared
from lazygrad.define.kinds import Movement, flat
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Axes, Shape, kept, normalize_axes
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.arithmetic import (
    abs,
    add_n,
    divide,
    multiply,
    negative,
    power,
    sign,
    sqrt,
    square,
)
from lazygrad.ops.comparison import equal, greater, isfinite, less, logical_and, where
from lazygrad.ops.movement import _astype, astype, reshape
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.reduction import _kept, max, min, spread, sum
from lazygrad.ops.source import _literal
from lazygrad.ops.strong import cotangent

__all__ = ["length", "length_of_all"]

DEPTH = 8  # ops that are looked through for a corner, one below the other


@elementwise(vjp=(flat, lambda g, y, value, like: g), dtype=kept)
def _derived(xp: Any, value: Array, like: Array) -> Any:
    """The value, with the derivatives of ``like``, another formula for it."""
    return value


@function
def _smooth(y: Tensor) -> Tensor:
    """A square, power or product that was just written, with the derivatives of the smooth formula if it has one."""
    graph = y.graph
    if y.dtype.kind != "f" or type(graph) is not Graph or not _is_even(y):  # what passes write is not differentiated
        return y
    node = graph.nodes[y.index]
    like = _square_of(graph.tensor(node.inputs[0]))
    if like is None or like.shape != y.shape:
        return y
    if node.of(power):
        like = power(like, graph.tensor(node.inputs[1]) * 0.5)
    return _derived(y, astype(like, y.dtype))


def _is_even(y: Tensor) -> bool:
    """Whether ``y`` is the square, or an even power, of its first operand."""
    nodes = y.graph.nodes
    node = nodes[y.index]
    if node.of(multiply):
        a, b = node.inputs
        return a == b or _same_corner(y.graph.tensor(a), y.graph.tensor(b))
    if not node.of(power):
        return node.of(square)
    exponent = nodes[node.inputs[1]]
    return exponent.of(_literal) and exponent.params["value"] >= 2 and exponent.params["value"] % 2 == 0


def _same_corner(a: Tensor, b: Tensor) -> bool:
    """Whether two nodes with a corner compute the same."""
    one, other = a.graph.nodes[a.index], b.graph.nodes[b.index]
    if one.op is not other.op or getattr(one.op, "squared", None) is None or one.key != other.key:
        return False
    first = 1 if one.of(_length) else 0  # what it was computed as need not be the same node
    return one.inputs[first:] == other.inputs[first:]


def _square_of(t: Tensor) -> Tensor | None:
    """The square of ``t`` as a formula that is smooth where ``t`` has a corner; None if it has none that is known."""
    path = []
    for _ in range(DEPTH):
        node = t.graph.nodes[t.index]
        path.append(node)
        smooth = getattr(node.op, "squared", None)
        if smooth is not None:
            found = smooth(*[t.graph.tensor(i) for i in node.inputs], **node.params)
            break
        if not _keeps_corners(t):
            return None
        place = 1 if node.of(multiply) and t.graph.nodes[node.inputs[0]].of(_literal) else 0
        t = t.graph.tensor(node.inputs[place])
    else:
        return None
    if found is None:
        return None
    for node in reversed(path[:-1]):  # what was done with the root, done with the square
        factors = [t.graph.tensor(i) for i in node.inputs if t.graph.nodes[i].of(_literal)]
        if isinstance(node.op, Movement) or node.of(_astype):
            found = node.op(found, **node.params)  # type: ignore[operator]
        elif factors:
            change = multiply if node.of(multiply) else divide
            found = change(change(found, factors[0]), factors[0])
    assert isinstance(found, Tensor)
    return found


def _keeps_corners(t: Tensor) -> bool:
    """Whether ``t`` is its one operand moved, cast, or times a number: then its square is that of the operand so."""
    node = t.graph.nodes[t.index]
    specs = [t.graph.nodes[i].spec for i in node.inputs]
    if isinstance(node.op, Movement) or node.of(_astype) or node.of(negative):
        return len(node.inputs) == 1 and specs[0].dtype.kind == "f"  # type: ignore[union-attr]
    known = [t.graph.nodes[i].of(_literal) for i in node.inputs]
    if node.of(divide):
        return known == [False, True]
    return node.of(multiply) and known in ([False, True], [True, False])


# The length of vectors.


def length(x: Tensor, axis: Axes, keepdims: bool, p: float = 2.0, count: float = 1.0) -> Tensor:
    """(Σ|x|ᵖ)^(1/p) along ``axis`` of a floating ``x``, for a number p other than 0, and finite.

    For p = 2 the squares may be divided by a ``count``, for a mean. The result is right wherever it can be
    represented; its derivatives at zeros are 0.
    """
    axes = normalize_axes(axis, x.ndim)
    value = _root_of_squares([x], axes, keepdims, count) if p == 2 else _root_of_powers(x, axes, keepdims, p)
    return _length(stop_gradient(value), x, axis=axes, p=p, count=count)


def length_of_all(xs: list[Tensor]) -> Tensor:
    """The length of several floating tensors taken as one vector, in the widest of their dtypes."""
    value = _root_of_squares(xs, None, False, 1.0)
    return _length(stop_gradient(value), *xs, axis=None, p=2.0, count=1.0)


def _root_of_squares(xs: list[Tensor], axes: Any, keepdims: bool, count: float) -> Tensor:
    """√(Σx² / count), with nothing lost to overflow or underflow.

    Squares of halves fit float32, and those of float32 fit float64. In float64 there are two more sums, of numbers
    scaled by a power of two, for where the plain one is out of range (Blue 1978; Anderson 2017, algorithm 978).
    """
    dtype = np.result_type(*[x.dtype for x in xs])
    wide = np.dtype(np.float32 if dtype == np.float16 else np.float64)
    xs = [astype(x, wide) for x in xs]

    def total(scale: float | None) -> Tensor:
        squares = [sum(square(x if scale is None else x * scale), axis=axes, keepdims=keepdims) for x in xs]
        return add_n(squares) if count == 1 else add_n(squares) / count

    plain = total(None)
    if dtype != wide:
        return astype(sqrt(plain), dtype)
    small, large = 2.0**-600, 2.0**600
    high, low = sqrt(total(small)) * large, sqrt(total(large)) * small
    return where(greater(plain, 2.0**1000), high, where(less(plain, 2.0**-900), low, sqrt(plain)))


def _root_of_powers(x: Tensor, axes: tuple[int, ...], keepdims: bool, p: float) -> Tensor:
    """(Σ|x|ᵖ)^(1/p), the numbers scaled so that the power that counts most is 1."""
    if not all(x.shape[a] for a in axes):
        return power(sum(x, axis=axes, keepdims=keepdims), 1 / p)  # of nothing
    size = abs(x)
    extreme = (max if p > 0 else min)(size, axis=axes, keepdims=True)
    scale = where(logical_and(isfinite(extreme), greater(extreme, 0)), extreme, 1)
    root = power(sum(power(size / scale, p), axis=axes, keepdims=True), 1 / p) * scale
    return root if keepdims else reshape(root, tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _direction(x: Tensor, y: Tensor, p: float, count: float) -> Tensor:
    """The derivative of the length y for x, sign(x)·(|x| / y)ᵖ⁻¹; 0 at zeros, where there is a corner or no slope."""
    x = astype(x, y.dtype)
    zero = equal(y, 0)
    share = x / where(zero, 1, y)
    if p == 2:
        return where(zero, 0, share if count == 1 else share / count)
    if p % 2 == 0:
        return where(zero, 0, power(share, p - 1))
    zero = zero | equal(x, 0)
    return where(zero, 0, sign(x) * power(abs(where(zero, 1, share)), p - 1))


def _pulled(g: Tensor, y: Tensor, x: Tensor, axis: Any, p: float, count: float) -> Tensor:
    return cotangent(spread(g, over=x, axis=axis)) * _direction(x, _kept(y, x, axis), p, count)


def _mean_of_squares(n: Tensor, *xs: Tensor, axis: Any, p: float, count: float) -> Tensor | None:
    if p != 2:
        return None
    total = add_n([sum(square(astype(x, n.dtype)), axis=axis) for x in xs])
    return reshape(total if count == 1 else total / count, n.shape)


@squared(_mean_of_squares)
@opaque(
    shape=lambda n, *xs, axis, p, count: n,
    vjp=lambda g, y, n, *xs, axis, p, count: (None, *[_pulled(g, y, x, axis, p, count) for x in xs]),
    dtype=kept,
)
def _length(xp: Any, *operands: Array, axis: Shape | None, p: float, count: float) -> Any:
    """The first operand, which is the length of the others; its derivative is theirs."""
    return operands[0]
