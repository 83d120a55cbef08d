"""Terms: quotients of products, in which what overflows above and below cancels.

A factor that is positive may be left out above and below, though it may have been rounded to 0: g / p·p = g. What
it is computed from may be NaN or infinite, and g / p·p then NaN: 1 + (x − x) stands in its place. And of two terms T
and −T·p that stand for T·(1 − p), p = 1 / (1 + e⁻ˣ), none need be larger than their sum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import sigmoid
from lazygrad.ops.arithmetic import add, divide, multiply, negative, reciprocal, subtract
from lazygrad.ops.comparison import isfinite, where
from lazygrad.ops.elementary import exp
from lazygrad.ops.movement import _astype, astype, reshape
from lazygrad.ops.reduction import sum
from lazygrad.ops.source import literal
from lazygrad.ops.strong import strong_divide, strong_multiply
from lazygrad.rewrite.rules import PRODUCTS, QUOTIENTS, beside, factors, node_of, number, operands, uncast

__all__ = ["Term", "cancelled", "one_and_exp", "halved", "sources", "squared", "total", "unit"]

DEPTH = 8  # ops that are looked through to see whether something is positive


class Term(NamedTuple):
    """±(product of what stands above) / (product of what stands below)·e^(degree·m).

    If a factor is a cotangent, whose zeros are strong, it is ``lead``.
    """

    sign: int
    above: tuple[Tensor, ...]
    below: tuple[Tensor, ...]
    degree: int
    lead: Tensor | None = None


def _is_positive(x: Tensor, depth: int = DEPTH) -> bool:
    """Whether ``x`` is positive for every real number, though rounding may make it 0."""
    node = node_of(x)
    if node.of(exp) or node.of(sigmoid):
        return True
    value = number(x)
    if value is not None:
        return bool(value > 0)
    through = any(node.of(op) for op in (add, *PRODUCTS, *QUOTIENTS, reciprocal, reshape, sum, _astype))
    return through and depth > 0 and all(_is_positive(y, depth - 1) for y in operands(x, node.op))


def cancelled(terms: Iterable[Term]) -> list[Term]:
    """The terms, fewer or shorter: T − T·p as T·(1 − p), eˣ / (1 + eˣ) as 1 / (1 + e⁻ˣ), and p / p left out."""
    return [_shortened(term) for term in _joined(terms)]


def _shortened(term: Term) -> Term:
    above, below = [], list(term.below)
    for x in term.above:
        more = next((y for y in below if _is_one_more(y, x)), None)
        if more is None:
            above.append(x)
        else:
            below.remove(more)
            below.append(1 + exp(-operands(x, exp)[0]))
    lost = []
    for x in list(above):
        if x in below and _is_positive(x):
            above.remove(x)
            below.remove(x)
            lost += sources(x)
        elif one := unit(x):
            above.remove(x)
            lost += one
    kept = {y.index for x in above + below for y in sources(x)}
    missing = {y.index: y for y in lost if y.index not in kept}
    return term._replace(above=(*above, *map(_one, missing.values())), below=tuple(below))


# A factor that is left out takes no NaN with it.


def sources(x: Tensor, depth: int = DEPTH) -> list[Tensor]:
    """What a NaN in ``x`` can come from, element by element: exponents, and what is not looked into."""
    node = node_of(x)
    if number(x) is not None:
        return []
    if uncast(x) != x:
        return sources(uncast(x), depth)
    if node.of(exp) or node.of(sigmoid):
        return [_unshifted(operands(x, node.op)[0])]
    if depth and any(node.of(op) for op in (add, *PRODUCTS, *QUOTIENTS, reciprocal)):
        return [source for y in operands(x, node.op) for source in sources(y, depth - 1)]
    return [x]


def _unshifted(x: Tensor) -> Tensor:
    """The exponent without its sign, and without the shift by a largest element, which is finite."""
    while inner := operands(x, negative) or _shift(x)[:1] or halved(x):
        (x,) = inner
    return x


def _shift(x: Tensor) -> list[Tensor]:
    """The y and m of a difference y − m, where m is a largest element, or 0 where that is not finite."""
    pair = operands(x, subtract)
    chosen = operands(pair[1], where) if pair else []
    return pair if chosen and operands(chosen[0], isfinite) else []


def shifted(x: Tensor) -> bool:
    """Whether ``x`` is e^(y − m)."""
    return any(_shift(y) for y in operands(x, exp))


def halved(x: Tensor) -> list[Tensor]:
    """The y of a product y·½."""
    pair = operands(x, multiply)
    y = beside(0.5, *pair) if pair else None
    return [] if y is None else [y]


def _one(x: Tensor) -> Tensor:
    """1 where ``x`` is finite, else NaN."""
    return 1 + (x - x)


def unit(x: Tensor) -> list[Tensor]:
    """The y of a factor 1 + (y − y), if ``x`` is one."""
    pair = operands(x, add)
    zero = beside(1, *pair) if pair else None
    same = operands(zero, subtract) if zero is not None else []
    return same[:1] if same and same[0].index == same[1].index else []


def _is_one_more(y: Tensor, x: Tensor) -> bool:
    """Whether y = 1 + x, and x an exponential."""
    exponent = one_and_exp(y)
    return exponent is not None and operands(x, exp) == [exponent]


def one_and_exp(y: Tensor) -> Tensor | None:
    """The x of a sum 1 + eˣ, else None."""
    pair = operands(y, add)
    e = beside(1, *pair) if pair else None
    return None if e is None else next(iter(operands(e, exp)), None)


def _joined(terms: Iterable[Term]) -> list[Term]:
    """The terms, with one in place of each two whose difference is known."""
    result: list[Term] = []
    for term in terms:
        for k, other in enumerate(result):
            both = _difference(term, other) or _difference(other, term)
            if both is not None:
                result[k] = both
                break
        else:
            result.append(term)
    return result


def _difference(t: Term, u: Term) -> Term | None:
    """t·(1 − p), if u = −t·p for the logistic function p of some x, as an op or as 1 / (1 + e⁻ˣ); else None.

    1 − 1 / (1 + e⁻ˣ) = 1 / (1 + eˣ).
    """
    if t.sign == u.sign or t.degree != u.degree:
        return None
    ones = [x for x in t.above + u.above if unit(x)]
    t, u = (term._replace(above=tuple([x for x in term.above if x not in ones])) for term in (t, u))
    above, below = _more(t.above, u.above), _more(t.below, u.below)
    if above is None or below is None or len(above) + len(below) != 1:
        return None
    if above:
        x = next(iter(operands(above[0], sigmoid)), None)
    else:
        negated = one_and_exp(below[0])
        x = None if negated is None else -negated
    return None if x is None else t._replace(above=(*t.above, *ones), below=(*t.below, 1 + exp(x)))


def _more(few: tuple[Tensor, ...], many: tuple[Tensor, ...]) -> list[Tensor] | None:
    """What ``many`` has beyond ``few``; None if it has not all of them."""
    left = list(many)
    for x in few:
        if x not in left:
            return None
        left.remove(x)
    return left


def total(terms: Iterable[Term], like: Tensor) -> Tensor:
    """The sum of the terms, their e^(degree·m) left out; ``like`` has the dtype."""
    ordered = sorted(terms, key=lambda term: -term.sign)  # a − b is one op, −b + a two
    first, *rest = [(term.sign, _value(term, like)) for term in ordered]
    start = first[1] if first[0] > 0 else -first[1]
    y = functools.reduce(lambda y, signed: y + signed[1] if signed[0] > 0 else y - signed[1], rest, start)
    return astype(y, like.dtype)


def _value(term: Term, like: Tensor) -> Tensor:
    """The quotient; small arrays first, and nothing multiplied before it has been divided.

    A cotangent comes before them, for what is multiplied with its zeros to be 0. Beside what may be huge or
    infinite, e^(x − m) is multiplied by as its root and its root, which do not become 0 where eˣ would not.
    """
    above = sorted(term.above, key=lambda x: (bool(unit(x)), x.size)) or [literal(like.graph, 1, like.dtype)]
    over: Callable[..., Tensor] = divide
    times: Callable[..., Tensor] = multiply
    if term.lead is not None and term.lead in above:
        above.remove(term.lead)
        above.insert(0, term.lead)
        over, times = strong_divide, strong_multiply
    wide = [x for x in above if x == term.lead or not shifted(x)]
    if all(number(x) is not None or unit(x) for x in wide):
        wide = above
    y = functools.reduce(over, sorted(term.below, key=lambda x: x.size), wide[0])
    roots = [exp(0.5 * operands(x, exp)[0]) for x in above if x not in wide]
    return functools.reduce(times, [*wide[1:], *[root for root in roots for _ in range(2)]], y)


def squared(x: Tensor) -> list[Tensor]:
    """A and e, if ``x`` is the product A·e, written with the root of e and once more with it; else nothing."""
    pair = factors(x)
    d = [y for x in operands(pair[1], exp) for y in halved(x)] if pair else []
    inner = operands(pair[0], node_of(x).op) if d else []
    return [inner[0], exp(d[0])] if inner and inner[1].index == pair[1].index else []
