"""Strong products and quotients of the derivatives, as plain ones where that makes no difference.

0·p is 0 for every finite p, so strong zeros are needed only where p may be infinite or NaN. A bounded function is
never infinite, and NaN only where what it is computed from is; if that makes the cotangent NaN too, so is the product.
All that these rules change is the sign of a zero.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import Elementwise
from lazygrad.graph.graph import Node, Op
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import abs, add, divide, multiply, negative, sqrt, square, subtract
from lazygrad.ops.elementary import _logistic_slope, _tanh_slope, atan, exp, sigmoid, tanh
from lazygrad.ops.source import _literal
from lazygrad.ops.special import erf, erfc
from lazygrad.ops.strong import strong_divide, strong_multiply
from lazygrad.rewrite.rules import node_of, number, operands, rule

__all__: list[str] = []

DEPTH = 8  # ops that are looked through

# Functions that no number, infinite or not, makes larger than this in magnitude.
BOUNDS: dict[object, float] = {
    **dict.fromkeys((tanh, sigmoid, _tanh_slope, _logistic_slope, erf), 1.0),
    **dict.fromkeys((atan, erfc), 2.0),
}


class Bound(NamedTuple):
    """|x| ≤ ``size``, unless one of the nodes ``nan`` is NaN there."""

    size: float
    nan: frozenset[int]


@rule(
    "stabilise",
    *(strong_multiply, strong_divide),
    of=[_literal],
    tolerance=1,
    example=[lambda x: strong_multiply(x, 3.0), lambda x: strong_divide(2.0, x)],
)
def weak_zeros(node: Node, g: Tensor, p: Tensor) -> Tensor | None:
    """g·p and g / p need no strong zeros where p is a finite number, and not 0 below a line; or where g is not 0."""
    value, zero = number(p), number(g)
    if zero is None or zero == 0:
        if value is None or not np.isfinite(value) or (node.of(strong_divide) and value == 0):
            return None
    return multiply(g, p) if node.of(strong_multiply) else divide(g, p)


@rule(
    "stabilise",
    strong_multiply,
    of=[*BOUNDS, exp, add, subtract, multiply, negative],
    tolerance=1,
    example=[
        lambda x: strong_multiply(exp(-x * x), tanh(2 * x + 1)),
        lambda x: strong_multiply(x, exp(-0.5 * square(x))),
        lambda x: strong_multiply(x + 1, 0.5 * tanh(x) - 2),
    ],
)
def bounded_partial(node: Node, g: Tensor, p: Tensor) -> Tensor | None:
    """g·p needs no strong zeros where p is bounded, and NaN only where g is NaN too."""
    bound = _bound(p, DEPTH)
    if bound is None or not bound.size <= float(np.finfo(p.dtype).max):
        return None
    return multiply(g, p) if all(_carries(g, i, DEPTH) for i in bound.nan) else None


def _bound(x: Tensor, depth: int) -> Bound | None:
    """A bound of ``x``, if one can be seen."""
    value = number(x)
    if value is not None:
        return Bound(float(np.abs(value)), frozenset()) if np.isfinite(value) else None
    node, xs = node_of(x), operands(x, node_of(x).op)
    if node.op in BOUNDS:
        return Bound(BOUNDS[node.op], frozenset((_origin(xs[0]),)))
    if node.of(exp):
        return Bound(1.0, frozenset((_origin(xs[0]),))) if _sign(xs[0], depth) == -1 else None
    if depth == 0 or not any(node.of(op) for op in (add, subtract, multiply, negative, square)):
        return None
    found = [bound for bound in (_bound(y, depth - 1) for y in xs) if bound is not None]
    if len(found) < len(xs):
        return None
    sizes = [bound.size for bound in found]
    if node.of(multiply) or node.of(square):
        size = sizes[0] * sizes[-1]
    else:
        size = float(np.sum(sizes))
    return Bound(size, frozenset().union(*(bound.nan for bound in found)))


def _sign(x: Tensor, depth: int) -> int | None:
    """1 if ``x`` is nowhere negative, −1 if it is nowhere positive, NaN aside; None if that cannot be seen."""
    value = number(x)
    if value is not None:
        return None if np.isnan(value) else 1 if value >= 0 else -1
    node = node_of(x)
    if any(node.of(op) for op in (square, abs, exp, sqrt)):
        return 1
    if depth == 0 or not any(node.of(op) for op in (negative, multiply, add)):
        return None
    xs = operands(x, node.op)
    if node.of(negative):
        opposite = _sign(xs[0], depth - 1)
        return None if opposite is None else -opposite
    if node.of(multiply):
        plain = [inner[0] if (inner := operands(y, negative)) else y for y in xs]
        if plain[0].index == plain[1].index:
            return 1 if xs[0].index == xs[1].index else -1
    left, right = (_sign(y, depth - 1) for y in xs)
    if left is None or right is None:
        return None
    return left * right if node.of(multiply) else left if left == right else None


def _origin(x: Tensor) -> int:
    """A node that is NaN wherever ``x`` is: steps are gone back that make no NaN of what is none."""
    for _ in range(DEPTH):
        node, xs = node_of(x), operands(x, node_of(x).op)
        if node.of(negative) or node.of(square) or node.of(abs):
            x = xs[0]
        elif any(node.of(op) for op in (add, subtract, multiply, divide)):
            values = [number(y) for y in xs]
            plain = [inner[0] if (inner := operands(y, negative)) else y for y in xs]
            if node.of(multiply) and plain[0].index == plain[1].index:
                x = plain[0]
            elif values[1] is not None and np.isfinite(values[1]) and values[1] != 0:
                x = xs[0]
            elif values[0] is not None and np.isfinite(values[0]) and values[0] != 0 and not node.of(divide):
                x = xs[1]
            else:
                break
        else:
            break
    return x.index


def _carries(x: Tensor, source: int, depth: int) -> bool:
    """Whether ``x`` is NaN wherever the node ``source`` is."""
    if x.index == source:
        return True
    node = node_of(x)
    if depth == 0 or source > x.index or not isinstance(node.op, Elementwise) or node.op.random:
        return False
    xs = operands(x, node.op)
    settings = tuple(sorted(node.params.items())) if node.params else ()
    return any(_carries(y, source, depth - 1) and _hands_on(node.op, k, len(xs), settings) for k, y in enumerate(xs))


_SAMPLES = (0.0, 1.0, -1.0, 0.5, np.inf, -np.inf)


@functools.lru_cache(maxsize=1024)
def _hands_on(op: Op, place: int, count: int, settings: Any) -> bool:
    """Whether NaN at one operand makes the result NaN, as the kernel itself says, whatever the others are."""
    others = np.array(np.meshgrid(*[_SAMPLES] * count)).reshape(count, -1)
    others[place] = np.nan
    with np.errstate(all="ignore"):
        try:
            return bool(np.isnan(op.kernel(np, *others, **dict(settings))).all())
        except Exception:  # a function that NumPy has not, a dtype that it refuses: then nothing is known
            return False


@rule(
    "stabilise",
    strong_multiply,
    of=[negative],
    tolerance=1,
    example=[lambda x, y: strong_multiply(x, -y), lambda x, y: strong_multiply(-x, y)],
)
def sign_of_strong(node: Node, g: Tensor, p: Tensor) -> Tensor | None:
    """g·(−p) = (−g)·p = −(g·p): so equal products are seen to be equal."""
    if inner := operands(p, negative):
        return negative(strong_multiply(g, inner[0]))
    inner = operands(g, negative)
    return negative(strong_multiply(inner[0], p)) if inner else None
