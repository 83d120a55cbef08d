"""Rules for logarithms, products and quotients in which sums of exponentials stand."""

from __future__ import annotations

from collections.abc import Iterable

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import sigmoid
from lazygrad.ops.arithmetic import add, multiply, reciprocal, subtract
from lazygrad.ops.elementary import _logistic_slope, exp, log
from lazygrad.ops.movement import _astype, astype, broadcast_to, reshape
from lazygrad.ops.reduction import mean, sum
from lazygrad.ops.strong import strong_multiply
from lazygrad.rewrite.products import Expander, inverse, led, looked_through, product, scale_within
from lazygrad.rewrite.rules import PRODUCTS, QUOTIENTS, factors, node_of, operands, quotient, rule, uncast
from lazygrad.rewrite.stable import logistic, rest
from lazygrad.rewrite.terms import Term, cancelled, one_and_exp, total

__all__: list[str] = []


@rule(
    "stabilise",
    log,
    of=[sum, add, *PRODUCTS, *QUOTIENTS, reshape, broadcast_to, _astype],
    tolerance=8,
    drops=True,
    example=[
        lambda x: log(sum(exp(x), axis=1)),
        lambda x: log(mean(exp(x), axis=0)),
        lambda x: log(1 / sum(exp(x))),
        lambda x, y, z: log(exp(x) + exp(y) + exp(z)),
    ],
)
def log_of_sum_of_exps(node: Node, y: Tensor) -> Tensor | None:
    """log Σeˣ = log Σe^(x − m) + m for m = max x, and the same with factors beside the sum."""
    scale = scale_within(y)
    if scale is None:
        return None
    terms, m = Expander(scale.exponents, scale)(y)
    degree = terms[0].degree
    if m is None or degree not in (1, -1) or any(term.degree != degree for term in terms):
        return None
    # One exponential that is not summed may be far smaller than the largest, and what it is multiplied by large.
    if len(terms) == 1 and any(operands(x, exp) for x in terms[0].above + terms[0].below):
        return None
    z = log(total(cancelled(terms), y))
    shift = reshape(scale.m, m)
    return z + shift if degree == 1 else z - shift


@rule(
    "stabilise",
    *QUOTIENTS,
    of=[sum, add, *PRODUCTS, *QUOTIENTS, reshape, broadcast_to, _astype],
    tolerance=16,
    drops=True,
    example=[
        lambda x: exp(x) / sum(exp(x), axis=1, keepdims=True),
        lambda x: exp(x) / reshape(sum(exp(x), axis=1), (2, 1)),
        lambda x, y: exp(x) / (exp(x) + exp(y)),
        lambda x, y: sum(y * exp(x)) / sum(exp(x)),
    ],
)
def exps_over_their_sum(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """eˣ / Σeˣ = e^(x − m) / Σe^(x − m) for m = max x, and the same with factors beside them."""
    scale = scale_within(b)
    if scale is None:
        return None
    expand = Expander(scale.exponents, scale)
    above, below = expand(a), inverse(expand(b), b)
    both = product(above, below)
    if both is None or any(term.degree for term in both.terms) or not any(term.degree for term in above.terms):
        return None
    terms = cancelled(both.terms)
    return None if expand.has_wild(terms) else total(terms, a)


@rule(
    "stabilise",
    log,
    of=[*QUOTIENTS, _astype],
    tolerance=16,
    example=lambda x: log(exp(x) / sum(exp(x), axis=1, keepdims=True)),
)
def log_of_softmax(node: Node, y: Tensor) -> Tensor | None:
    """log(eˣ / Σeˣ) = x − log Σeˣ; the quotient is 0 for an x far below the largest."""
    pair = quotient(uncast(y))
    if not pair:
        return None
    e, s = [uncast(part) for part in pair]
    x, below = operands(e, exp), pair[1]
    while inner := operands(s, reshape) or operands(s, broadcast_to):
        s = uncast(inner[0])
    return astype(x[0] - log(below), y.dtype) if x and [uncast(y) for y in operands(s, sum)] == [e] else None


@rule(
    "stabilise",
    *PRODUCTS,
    of=[exp],
    tolerance=16,
    drops=True,
    example=[
        lambda x, y: (y / sum(exp(x))) * exp(x),
        lambda x, y: (y / exp(x)) * exp(x),
        lambda x, y: (y / (1 + exp(x))) * exp(x),
        lambda x, y: (y / (exp(x) + exp(y))) * exp(x),
    ],
)
def exp_times_quotient(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """(g / Σeˣ)·eˣ = (g / Σe^(x − m))·e^(x − m) for m = max x; (g / eˣ)·eˣ = g; (g / (1 + eˣ))·eˣ = g / (1 + e⁻ˣ).

    They are the derivatives of log Σeˣ, of log eˣ and of log(1 + eˣ); that of eˣ / Σeˣ is a sum of such.
    """
    for e, other in ((a, b), (b, a)):
        if exponent := operands(e, exp):
            scale = scale_within(other, exponent[0])
            if scale is not None or _is_divided_by(other, (e,)):
                expand = Expander(exponent if scale is None else scale.exponents, scale)
                both = product(led(expand(other)) if node.of(strong_multiply) else expand(other), expand(e))
                return None if both is None else _gained(expand, both.terms, e, a)
    return None


def _gained(expand: Expander, terms: tuple[Term, ...], e: Tensor, like: Tensor) -> Tensor | None:
    """The sum of the terms, if something was won: in one eᵐ has gone, or a factor has.

    Where eˣ is not divided by anything it is written as it was. Where 1 + eˣ is left above, nothing is won: it
    may cancel with what is added later.
    """
    (shifted,) = expand(e).terms[0].above
    result = cancelled(terms)
    if expand.scale is not None and expand.has_wild(result):
        return None
    if any(one_and_exp(x) is not None for term in result for x in term.above):
        return None
    won = result != list(terms)
    for k, term in enumerate(result):
        if term.degree == 1 and shifted in term.above:
            rest = _without(term, shifted)
            result[k] = rest._replace(above=(*rest.above, e), degree=0)
        elif term.degree:
            return None
        else:
            won = won or e.index != shifted.index
    if not won:
        return None
    if len(result) > 1 and all(shifted in term.above for term in result):
        times = multiply if all(term.lead is None for term in result) else strong_multiply
        return times(total([_without(term, shifted) for term in result], like), shifted)
    return total(result, like)


def _without(term: Term, factor: Tensor) -> Term:
    rest = list(term.above)
    rest.remove(factor)
    return term._replace(above=tuple(rest))


@rule(
    "stabilise",
    *(add, subtract),
    of=PRODUCTS,
    tolerance=16,
    example=lambda x, y: (y / (1 + exp(x))) * exp(x) - (y / (1 + exp(x)) * sigmoid(x)) * exp(x),
)
def exp_times_quotients(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """A·eˣ ± B·eˣ = (A ± B)·eˣ, where A and B are quotients that make up for it only together."""
    left, right = factors(a), factors(b)
    times = strong_multiply if node_of(a).of(strong_multiply) and node_of(b).of(strong_multiply) else multiply
    for e in left:
        if operands(e, exp) and e in right:
            (one, other) = (next((x for x in pair if x != e), e) for pair in (left, right))
            if _is_divided_by(one, (e,)) and _is_divided_by(other, (e,)):
                return times(one + other if node.of(add) else one - other, e)
    return None


def _is_divided_by(x: Tensor, divisors: Iterable[Tensor]) -> bool:
    """Whether one of the divisors, or a sum of one and something, stands below a line in ``x``."""
    nodes, wanted = x.graph.nodes, {divisor.index for divisor in divisors}
    for i in looked_through(x):
        node = nodes[i]
        if node.op in QUOTIENTS or node.of(reciprocal):
            below = node.inputs[-1]
            if below in wanted or (nodes[below].of(add) and not wanted.isdisjoint(nodes[below].inputs)):
                return True
    return False


@rule(
    "stabilise",
    *PRODUCTS,
    of=[*PRODUCTS, sigmoid, _logistic_slope],
    tolerance=16,
    drops=True,
    example=[
        lambda x, y: (y / sigmoid(x)) * (sigmoid(x) * (1 - sigmoid(x))),
        lambda x, y: (-(y / (1 / (1 + exp(x))))) * (sigmoid(x) * (1 / (1 + exp(x)))),
    ],
)
def logistic_times_quotient(node: Node, a: Tensor, b: Tensor) -> Tensor | None:
    """(g / σ)·(σ·(1 − σ)) = g·(1 − σ) and (g / (1 − σ))·(σ·(1 − σ)) = g·σ, of which the parts may be 0.

    They are the derivatives of log σ and of log(1 − σ) for the logistic function σ.
    """
    for factor, other in ((a, b), (b, a)):
        parts = factors(factor) or [factor]
        exponents = [x for y in parts for x in operands(y, sigmoid) or operands(y, _logistic_slope)]
        if exponents:
            divisors = [y for x in parts for y in (x, *operands(x, reciprocal), *quotient(x)[1:])]
            divisors += [y for slope in parts for x in operands(slope, _logistic_slope) for y in _parts_of_slope(x)]
            if _is_divided_by(other, divisors):
                expand = Expander(exponents)
                both = product(led(expand(other)) if node.of(strong_multiply) else expand(other), expand(factor))
                return None if both is None else _without_rests(both.terms, a)
    return None


def _parts_of_slope(x: Tensor) -> list[Tensor]:
    """What σ(x)·(1 − σ(x)) may be divided by, in all ways in which it is written."""
    return [sigmoid(x), logistic(-x), 1 + exp(x)]


def _without_rests(terms: tuple[Term, ...], like: Tensor) -> Tensor | None:
    """The sum of the terms, if a factor has gone, with 1 / (1 + eˣ) for each 1 − σ(x) that is left."""
    result = cancelled(terms)
    if result == list(terms):
        return None
    return total([term._replace(above=tuple(rest(x) or x for x in term.above)) for term in result], like)
