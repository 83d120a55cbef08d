"""Formulas that overflow or cancel, written so that they do not.

These rules change values: by a few roundings where the formula as it was written is right, and towards the true
value where it is not. The derivative was written before, from the formula as it was; it reads what now stands for
its parts, and :mod:`lazygrad.rewrite.products` sees to its quotients.
"""

from __future__ import annotations

import math

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import sigmoid, softplus
from lazygrad.ops.arithmetic import abs, add, divide, multiply, negative, reciprocal, sqrt, square, subtract
from lazygrad.ops.comparison import greater, where
from lazygrad.ops.elementary import _logistic_slope, exp, expm1, log, log1p, logaddexp
from lazygrad.rewrite.rules import PRODUCTS, beside, number, operands, quotient, readers, rule
from lazygrad.rewrite.terms import sources, unit

__all__ = ["logistic", "rest"]


def logistic(x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ), to a rounding of the value wherever it is; for x → −∞ the division gives 1 / ∞ = 0."""
    return reciprocal(1 + exp(-x))


def logit(y: Tensor) -> Tensor | None:
    """The x of which ``y`` is the logistic function, as an op or written out; else None."""
    if inner := operands(y, sigmoid):
        return inner[0]
    below = operands(y, reciprocal)
    if pair := quotient(y):
        below = pair[1:] if number(pair[0]) == 1 else []
    e = _one_and(below[0], exp) if below else None
    return None if e is None else negative(e)


def _one_and(total: Tensor, op: object) -> Tensor | None:
    """The x of a sum 1 + op(x), else None."""
    pair = operands(total, add)
    beside_one = beside(1, *pair) if pair else None
    inner = operands(beside_one, op) if beside_one is not None else []
    return inner[0] if inner else None


def _one_less(y: Tensor) -> Tensor | None:
    """The x of a difference 1 − x, else None."""
    pair = operands(y, subtract)
    return pair[1] if pair and number(pair[0]) == 1 else None


def rest(y: Tensor) -> Tensor | None:
    """1 / (1 + eˣ) for a difference 1 − 1 / (1 + e⁻ˣ), else None."""
    p = _one_less(y)
    x = None if p is None else logit(p)
    return None if x is None else logistic(-x)


@rule("stabilise", log, of=[exp], tolerance=4, example=lambda x: log(exp(x)))
def log_of_exp(node: Node, y: Tensor) -> Tensor:
    """log eˣ = x; eˣ overflows for x above 88 in float32, 709 in float64."""
    return operands(y, exp)[0]


@rule("stabilise", log, log1p, of=[add, exp], tolerance=4, example=[lambda x: log(1 + exp(x)), lambda x: log1p(exp(x))])
def log_of_one_and_exp(node: Node, y: Tensor) -> Tensor | None:
    """log(1 + eˣ) is softplus(x); eˣ overflows for large x, and for small x the sum is rounded to 1."""
    if node.of(log1p):
        inner = operands(y, exp)
        return softplus(inner[0]) if inner else None
    x = _one_and(y, exp)
    return None if x is None else softplus(x)


@rule("stabilise", log, of=[add], tolerance=4, example=lambda x, y: log(exp(x) + exp(y)))
def log_of_two_exps(node: Node, total: Tensor) -> Tensor | None:
    """log(eᵃ + eᵇ) is logaddexp(a, b), without overflow."""
    pair = [operands(e, exp) for e in operands(total, add)]
    return logaddexp(pair[0][0], pair[1][0]) if all(pair) else None


@rule(
    "stabilise",
    log,
    of=[sigmoid, reciprocal, divide],
    tolerance=8,
    example=[lambda x: log(sigmoid(x)), lambda x: log(1 / (1 + exp(-x)))],
)
def log_of_logistic(node: Node, y: Tensor) -> Tensor | None:
    """log(1 / (1 + e⁻ˣ)) = −softplus(−x); the quotient is 0 for large negative x."""
    x = logit(y)
    return None if x is None else -softplus(-x)


@rule(
    "stabilise",
    *(log, log1p),
    of=[subtract, negative],
    tolerance=8,
    example=[lambda x: log(1 - sigmoid(x)), lambda x: log1p(-sigmoid(x))],
)
def log_of_rest(node: Node, y: Tensor) -> Tensor | None:
    """log(1 − 1 / (1 + e⁻ˣ)) = −softplus(x); for large x the difference is 0."""
    p = _one_less(y) if node.of(log) else next(iter(operands(y, negative)), None)
    x = None if p is None else logit(p)
    return None if x is None else -softplus(x)


@rule(
    "stabilise",
    log,
    of=[add, subtract],
    tolerance=4,
    example=[lambda x: log(1 + x), lambda x: log(x + 1), lambda x: log(1 - x)],
)
def log_beside_one(node: Node, y: Tensor) -> Tensor | None:
    """log(1 + x) is log1p(x); the sum rounds away the last digits of a small x."""
    less = _one_less(y)
    if less is not None:
        return log1p(-less)
    pair = operands(y, add)
    x = beside(1, *pair) if pair else None
    return None if x is None else log1p(x)


@rule(
    "stabilise",
    *(subtract, add),
    of=[exp],
    tolerance=4,
    example=[lambda x: exp(x) - 1, lambda x: -1 + exp(x), lambda x: 1 - exp(x)],
)
def exp_less_one(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """eˣ − 1 is expm1(x); the difference loses the digits of a small x."""
    if node.of(subtract) and number(a) == 1:
        return -expm1(operands(b, exp)[0])
    e = beside(-1, a, b) if node.of(add) else a if number(b) == 1 else None
    inner = operands(e, exp) if e is not None else []
    return expm1(inner[0]) if inner else None


@rule("stabilise", log, of=[negative], tolerance=4, example=lambda x: log(-expm1(-x)))
def log_of_one_less_exp(node: Node, y: Tensor) -> Tensor | None:
    """log(1 − eˣ) by expm1 near 0 and by log1p elsewhere.

    Source: M. Mächler, Accurately computing log(1 − exp(−|a|)), 2012, equation 7.
    """
    inner = operands(operands(y, negative)[0], expm1)
    if not inner:
        return None
    (x,) = inner
    # 0 − y, as −y would be what the rule looks for; they differ in the sign of 0, which has one logarithm.
    return where(greater(x, -math.log(2)), log(0 - expm1(x)), log1p(-exp(x)))


@rule("stabilise", divide, of=[add], tolerance=4, example=lambda x: exp(x) / (1 + exp(x)))
def logistic_quotient(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """eˣ / (1 + eˣ) = 1 / (1 + e⁻ˣ), which is no ∞ / ∞ for large x."""
    x, e = _one_and(b, exp), operands(a, exp)
    return logistic(x) if x is not None and e and e[0].index == x.index else None


@rule("stabilise", subtract, of=[sigmoid, reciprocal, divide], tolerance=8, example=lambda x: 1 - sigmoid(x))
def one_less_logistic(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """1 − 1 / (1 + e⁻ˣ) = 1 / (1 + eˣ); for large x the difference loses all digits.

    Not where it is only multiplied by what it is the rest of: that is the derivative of the function.
    """
    x = logit(b) if number(a) == 1 or unit(a) else None
    if x is None or _only_in_derivative(a) or not set(unit(a)) <= set(sources(b)):
        return None
    return logistic(-x)


def _only_in_derivative(one: Tensor) -> bool:
    reading, rest = readers(one), readers(one, 1)
    if not reading or rest is None:
        return False
    return all(node.op in PRODUCTS and node in rest for node in reading)


@rule("stabilise", multiply, of=[sigmoid], tolerance=8, example=lambda x: sigmoid(x) * (1 - sigmoid(x)))
def logistic_times_rest(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """σ·(1 − σ) by the derivative of the logistic function σ; for large x the difference loses all digits."""
    for y, less in ((a, b), (b, a)):
        x = operands(y, sigmoid)
        if x and _one_less(less) == y:
            return _logistic_slope(x[0])
    return None


@rule("stabilise", sqrt, of=[square, multiply], tolerance=4, example=[lambda x: sqrt(x * x), lambda x: sqrt(square(x))])
def root_of_square(node: Node, y: Tensor) -> Tensor | None:
    """√(x·x) = |x|; the square over- or underflows where its root does not."""
    same = operands(y, square) or operands(y, multiply)
    return abs(same[0]) if same[0].index == same[-1].index else None
