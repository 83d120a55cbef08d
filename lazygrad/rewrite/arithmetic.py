"""Identities of arithmetic that hold to the last bit, for NaN, infinities and both zeros.

IEEE 754 rounds the true result of each operation, so two formulas with the same true result at one rounding are
the same. What only holds for real numbers is not here: x + 0 is not x for x = −0, x·0 is not 0 for infinite x, and
x − x is not 0 for NaN. One NaN is held to be another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import (
    _rint,
    abs,
    add,
    ceil,
    divide,
    floor,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    reciprocal,
    rsqrt,
    sign,
    sqrt,
    square,
    subtract,
    trunc,
)
from lazygrad.ops.comparison import (
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    logical_and,
    logical_not,
    logical_or,
    where,
)
from lazygrad.ops.movement import _astype, astype
from lazygrad.ops.source import _full, _literal, literal
from lazygrad.rewrite.rules import beside, node_of, number, operands, readers, rule

__all__: list[str] = []

ROUNDED = (floor, ceil, trunc, _rint)


@rule("simplify", multiply, of=[_literal], example=[lambda x: x * 1, lambda n: 1 * n])
def times_one(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """x·1 = x: the product is a number that needs no rounding."""
    return beside(1, a, b)


@rule("simplify", divide, power, of=[_literal], example=[lambda x: x / 1, lambda x: power(x, 1.0)])
def over_one(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """x / 1 = x and x¹ = x: C and IEEE 754 say so of NaN and infinities too."""
    return a if number(b) == 1 else None


@rule(
    "simplify",
    *(add, subtract),
    of=[_literal],
    example=[lambda x: x - 0.0, lambda x: x + -0.0, lambda x: -0.0 + x, lambda n: n + 0, lambda n: n - 0],
)
def plus_nothing(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """x + (−0) = x and x − 0 = x, for x = −0 too; of whole numbers, which have one zero, also x + 0 = x."""
    if node.of(subtract):
        return a if _zero(b, positive=True) else None
    return a if _zero(b, positive=False) else b if _zero(a, positive=False) else None


def _zero(x: Tensor, positive: bool) -> bool:
    """Whether ``x`` is 0 with that sign; a whole number has either."""
    value = number(x)
    return value is not None and value == 0 and (x.dtype.kind != "f" or bool(np.signbit(value)) != positive)


@rule("simplify", subtract, of=[_literal], example=[lambda x: -0.0 - x, lambda n: 0 - n])
def nothing_less(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """−0 − x = −x, for x = 0 too, where 0 − x would be 0; of whole numbers 0 − x = −x."""
    return negative(b) if _zero(a, positive=False) else None


@rule("simplify", multiply, divide, of=[_literal], example=[lambda x: x * -1, lambda x: x / -1, lambda n: -1 * n])
def times_minus_one(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """x·(−1) = x / (−1) = −x: nothing is rounded."""
    if node.of(divide):
        return negative(a) if number(b) == -1 else None
    x = beside(-1, a, b)
    return None if x is None else negative(x)


@rule(
    "simplify",
    *(negative, bitwise_invert, logical_not),
    of=[negative, bitwise_invert, logical_not],
    example=[lambda x: negative(-x), lambda n: ~~n, lambda p: logical_not(logical_not(p))],
)
def twice_is_nothing(node: Node, x: Tensor) -> Tensor | None:
    """−(−x) = x; the same of bits, and of what is true or false."""
    return operands(x, node.op)[0] if node_of(x).of(node.op) else None


@rule(
    "simplify",
    *(add, subtract),
    of=[negative],
    example=[lambda x, y: x + -y, lambda x, y: -x + y, lambda x, y: x - -y, lambda n: n - -n],
)
def sign_in_sum(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """a + (−b) = a − b and a − (−b) = a + b: a difference is defined so."""
    if minus := operands(b, negative):
        return subtract(a, minus[0]) if node.of(add) else add(a, minus[0])
    minus = operands(a, negative)
    return subtract(b, minus[0]) if minus and node.of(add) else None


@rule("simplify", subtract, of=[negative], example=lambda x: -x - x)
def twice_less(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """−x − x = −2x: doubling rounds nothing, and overflows as the sum does."""
    minus = operands(a, negative)
    return multiply(b, -2.0) if minus and minus[0].index == b.index and b.dtype.kind == "f" else None


@rule("simplify", multiply, divide, of=[negative], example=[lambda x, y: -x * -y, lambda x, y: -x / -y])
def signs_cancel(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """(−a)·(−b) = a·b and (−a) / (−b) = a / b: signs multiply, apart from what is rounded."""
    left, right = operands(a, negative), operands(b, negative)
    return a.graph.apply(node.op, (left[0].index, right[0].index), {}) if left and right else None


@rule("simplify", multiply, of=[negative], example=[lambda x: -x * 0.1, lambda x: 0.1 * -x])
def sign_into_number(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """(−x)·c = x·(−c) for a number c: signs multiply, apart from what is rounded."""
    for x, c in ((a, b), (b, a)):
        minus, opposite = operands(x, negative), _opposite(c)
        if minus and opposite is not None:
            return multiply(minus[0], opposite)
    return None


def _opposite(c: Tensor) -> Any:
    """The number −c, if ``c`` is one and has a sign."""
    return np.negative(number(c)) if node_of(c).of(_literal) and c.dtype.kind == "f" else None


@rule("simplify", negative, of=[multiply], example=lambda x: -(x * 0.1))
def sign_of_scaled(node: Node, x: Tensor) -> Tensor | None:
    """−(x·c) = x·(−c) for a number c: rounding to nearest is the same on both sides of 0."""
    pair = operands(x, multiply)
    for y, c in (pair, pair[::-1]):
        opposite = _opposite(c)
        if opposite is not None:
            return multiply(y, opposite)
    return None


@rule("simplify", divide, of=[_literal], example=[lambda x: x / 8, lambda x: x / -0.5])
def over_power_of_two(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """x / 2ᵏ = x·2⁻ᵏ, if 2⁻ᵏ can be written: both are the same true number, rounded once."""
    value = number(b)
    if value is None or node_of(a).of(_literal) or not np.isfinite(value) or np.abs(np.frexp(value)[0]) != 0.5:
        return None
    with np.errstate(all="ignore"):
        inverse = np.divide(1, value, dtype=b.dtype)
        if not np.isfinite(inverse) or np.divide(1, inverse, dtype=b.dtype) != value:
            return None
    return multiply(a, literal(a.graph, inverse, b.dtype))


@rule("simplify", divide, reciprocal, of=[sqrt], example=[lambda x: 1 / sqrt(x), lambda x: reciprocal(sqrt(x))])
def over_root(node: Node, *xs: Tensor) -> Tensor | None:
    """1 / √x is what rsqrt computes, by the same two roundings; not where √x is needed besides.

    x / √y is left: x·rsqrt(y) would round once more. So are halves, of which rsqrt is rounded but once.
    """
    if (len(xs) == 2 and number(xs[0]) != 1) or xs[-1].dtype.itemsize < 4:
        return None
    root, reading = operands(xs[-1], sqrt), readers(xs[-1], len(xs) - 1)
    return rsqrt(root[0]) if root and reading is not None and len(reading) == 1 else None


@rule("simplify", abs, square, of=[negative, abs], example=[lambda x: abs(-x), lambda x: square(abs(x))])
def even_function(node: Node, x: Tensor) -> Tensor | None:
    """|−x| = |x| and (−x)² = x², also with |x| in place of −x: neither sees the sign, which is not rounded.

    Without a sign −x is 2ᵏ − x, whose square has the same last bits, but which is its own absolute value.
    """
    minus = operands(x, negative)
    if minus and node.of(abs) and x.dtype.kind not in "fi":
        return None
    (inner,) = minus or operands(x, abs)
    return x.graph.apply(node.op, (inner.index,), {})


@rule("simplify", sign, of=[sign], example=lambda x: sign(sign(x)))
def sign_of_sign(node: Node, x: Tensor) -> Tensor:
    """sign(sign x) = sign x: −1, 0, 1 and NaN are their own signs."""
    return x


@rule("simplify", *ROUNDED, of=ROUNDED, example=[lambda x: floor(floor(x)), lambda x: trunc(ceil(x))])
def rounded_again(node: Node, x: Tensor) -> Tensor:
    """What is whole, infinite or NaN stays as it is when it is rounded, and −0 stays −0."""
    return x


@rule(
    "simplify",
    *(maximum, minimum, bitwise_and, bitwise_or, logical_and, logical_or),
    example=[lambda x: maximum(x, x), lambda n: bitwise_or(n, n), lambda p: logical_and(p, p)],
)
def both_the_same(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """max(x, x) = min(x, x) = x, NaN included; x and x, x or x are x."""
    return a if a.index == b.index else None


@rule(
    "simplify",
    where,
    of=[_literal, _full],
    drops=True,
    example=lambda x, y: where(literal(x.graph, True), x, y),
)
def known_choice(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """Where it is known which one is chosen, the other is not needed."""
    chosen = number(condition)
    return None if chosen is None else a if chosen else b


@rule("simplify", where, drops=True, example=lambda p, x: where(p, x, x))
def no_choice(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """A choice between the same is no choice."""
    return a if a.index == b.index else None


@rule("simplify", where, of=[logical_not, bitwise_invert], example=lambda p, x, y: where(logical_not(p), x, y))
def choice_turned(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor | None:
    """A choice by the opposite is the opposite choice."""
    turned = operands(condition, logical_not) or operands(condition, bitwise_invert)
    return where(turned[0], b, a) if turned and turned[0].dtype == np.bool_ else None


@rule(
    "simplify",
    _astype,
    of=[_astype],
    example=[lambda x: astype(astype(x, "f8"), "f4"), lambda n: astype(astype(n > 0, "i8"), "f4")],
)
def cast_twice(node: Node, x: Tensor) -> Tensor | None:
    """A cast that loses nothing can be left out before another that sees but the number.

    Out of the range of a whole dtype a whole number loses its leading bits, and a float becomes the nearest there is:
    where a float may stand between, the first cast stays.
    """
    (inner,) = operands(x, _astype)
    first, between, last = inner.dtype, x.dtype, np.dtype(node.params["dtype"])
    if first == last:
        return inner if _holds(between, first) else None
    whole = last.kind in "iu" and "f" in (first.kind, between.kind) and not (first.kind != "f" and _holds(last, first))
    return None if whole or not _holds(between, first) else astype(inner, last)


def _holds(wide: np.dtype[Any], narrow: np.dtype[Any]) -> bool:
    """Whether every number of one dtype is one of the other. NumPy calls int64 to float64 safe, which rounds."""
    if wide.kind != "f" or narrow.kind == "f":
        return np.can_cast(narrow, wide, "safe")
    return narrow.kind == "b" or 8 * narrow.itemsize <= np.finfo(wide).nmant + 1
