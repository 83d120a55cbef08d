"""Products and quotients in which exponentials stand above and below, taken apart and put together again.

eˣ overflows long before log Σeˣ and eˣ / Σeˣ do. With m = max x, eˣ = e^(x − m)·eᵐ and Σeˣ = Σe^(x − m)·eᵐ, where the
first factors cannot overflow; where eᵐ stands in each term of a product as often above as below, it can be left
out. So can any factor that is positive: g / p·p = g, though p may have become 0.

An expression is taken apart as far as there is arithmetic that eᵐ may pass through; what is met there is a factor.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazygrad.graph.spec import Shape, broadcast, reduced_shape
from lazygrad.graph.tensor import Tensor
from lazygrad.nn.activations import sigmoid
from lazygrad.ops.arithmetic import add, maximum, negative, reciprocal, subtract
from lazygrad.ops.comparison import isfinite, where
from lazygrad.ops.elementary import _apart, _logistic_slope, exp
from lazygrad.ops.movement import _astype, broadcast_to, reshape
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.reduction import max, sum
from lazygrad.ops.strong import strong_divide, strong_multiply
from lazygrad.rewrite.movement import plain_shape
from lazygrad.rewrite.rules import PRODUCTS, QUOTIENTS, node_of, number, operands, uncast
from lazygrad.rewrite.terms import Term, cancelled, halved, one_and_exp, squared, total

__all__ = ["Expander", "inverse", "led", "looked_through", "product", "scale_within"]

DEPTH = 8  # ops that are looked through, one below the other
NODES = 32  # in all
TERMS = 4  # more are not worth what they cost

THROUGH: frozenset[object] = frozenset(
    (*PRODUCTS, *QUOTIENTS, negative, add, subtract, reciprocal, reshape, broadcast_to, sum, _astype)
)


class Scale(NamedTuple):
    """The exponents x of which eˣ is written e^(x − m)·eᵐ, and m, which broadcasts with them."""

    exponents: tuple[Tensor, ...]
    m: Tensor


class Expansion(NamedTuple):
    """A sum of terms; and the shape of m beside them, less axes of size 1 in front, or None if it is in none."""

    terms: tuple[Term, ...]
    m: Shape | None


def looked_through(x: Tensor) -> Iterator[int]:
    """The nodes of ``x`` and of what it is made of by arithmetic, as far as an expansion looks."""
    nodes = x.graph.nodes
    seen = {x.index}
    level = [x.index]
    for _ in range(DEPTH):
        below: list[int] = []
        for i in level:
            yield i
            if nodes[i].op in THROUGH:
                for j in nodes[i].inputs:
                    if j not in seen:
                        seen.add(j)
                        below.append(j)
        level = below
        if len(seen) > NODES:
            return


def scale_within(x: Tensor, of: Tensor | None = None) -> Scale | None:
    """The scale of a sum of exponentials in ``x``, that of the exponent ``of`` if given; None if there is none.

    It is there for Σeˣ over axes, and for eᵃ + eᵇ + …, unless the exponents have been shifted already.
    """
    nodes = x.graph.nodes
    for i in looked_through(x):
        node, y = nodes[i], x.graph.tensor(i)
        axis = node.params.get("axis") if node.of(sum) else None
        xs = _exponents(y) if axis is None else operands(uncast(operands(y, sum)[0]), exp)
        if not xs or (of is not None and of not in xs) or any(_is_shifted(x, axis) or not x.size for x in xs):
            continue
        highest = functools.reduce(maximum, xs) if axis is None else max(xs[0], axis=axis, keepdims=True)
        # A row of -∞ alone, or one with +∞, is shifted by 0: ∞ - ∞ would be NaN.
        return Scale(tuple(xs), where(isfinite(highest), highest, 0))
    return None


def _exponents(y: Tensor) -> list[Tensor]:
    """The exponents of a sum of exponentials that is written with +; none if something else is added too."""
    left, xs = operands(y, add), []
    while left:
        term = left.pop()
        if exponent := operands(term, exp):
            xs += exponent
        elif (parts := operands(term, add)) and len(xs) + len(left) < TERMS:
            left += parts
        else:
            return []
    return xs


def _is_shifted(x: Tensor, axis: tuple[int, ...] | None) -> bool:
    """Whether ``x`` is some other tensor less its largest element along the axes."""
    difference = operands(x, subtract) or operands(x, _apart)
    if not difference:
        return False
    y, shift = difference
    for _ in range(DEPTH):
        if chosen := operands(shift, where):
            shift = chosen[1]
        elif inner := operands(shift, stop_gradient) or operands(shift, reshape) or operands(shift, broadcast_to):
            (shift,) = inner
        elif axis is None and (several := operands(shift, maximum)):
            if y in several:
                return True
            (shift, *_) = several
        else:
            break
    return y in operands(shift, max) and node_of(shift).params["axis"] == axis


class Expander:
    """Takes expressions apart into sums of terms, with eᵐ of one scale taken out, if there is one.

    Only what has to do with exponentials of the tensors ``about`` is taken apart; the rest has nothing to cancel.
    """

    def __init__(self, about: Iterable[Tensor], scale: Scale | None = None) -> None:
        self.scale = scale
        self.stems = {_stem(x) for x in about}
        self.shifted: list[Tensor] = []  # e^(x − m)
        self.known: dict[int, Expansion] = {}
        self._concern: dict[int, bool] = {}

    def __call__(self, x: Tensor, depth: int = DEPTH) -> Expansion:
        """``x`` as a sum of terms; as a single factor where it cannot be taken apart."""
        found = self.known.get(x.index)
        if found is None:
            room = depth > 0 and len(self.known) < NODES
            parts = self._parts(x, depth - 1) if room and self._concerns(x, depth) else _number(x)
            found = self.known[x.index] = parts or _factor(x)
        return found

    def has_wild(self, terms: Iterable[Term]) -> bool:
        """Whether an exponential of what this is about stands above as it was.

        It may be so large that it makes up for an e^(x − m) that was rounded to 0, as e⁻ˣ does.
        """
        exponents = [y for term in terms for x in term.above for y in operands(x, exp) if x not in self.shifted]
        return any(_stem(y) in self.stems for y in exponents)

    def _concerns(self, x: Tensor, depth: int) -> bool:
        """Whether there is an exponential in ``x`` of what this is about."""
        found = self._concern.get(x.index)
        if found is None:
            node = node_of(x)
            if node.of(exp) or node.of(sigmoid) or node.of(_logistic_slope):
                found = _stem(operands(x, node.op)[0]) in self.stems
            else:
                within = operands(x, node.op) if depth and node.op in THROUGH else []
                found = any(self._concerns(y, depth - 1) for y in within)
            self._concern[x.index] = found
        return found

    def _parts(self, x: Tensor, depth: int) -> Expansion | None:
        node = node_of(x)
        if node.of(exp):
            return self._shifted(x)
        if slope := operands(x, _logistic_slope):  # σ(x)·1 / (1 + eˣ)
            return Expansion((Term(1, (sigmoid(slope[0]),), (1 + exp(slope[0]),), 0),), None)
        if node.op not in THROUGH or one_and_exp(x) is not None:
            return None
        xs = squared(x) or operands(x, node.op)
        parts = [self(operand, depth) for operand in xs]
        if node.of(reshape):
            return _reshaped(parts[0], xs[0], x.shape)
        if node.of(sum):
            return _summed(parts[0], xs[0], node.params["axis"], node.params["keepdims"])
        if node.of(strong_multiply) or node.of(strong_divide):
            parts[0] = led(parts[0])
        if node.op in PRODUCTS:
            return product(*parts)
        if node.op in QUOTIENTS:
            return product(parts[0], inverse(parts[1], xs[1]))
        if node.of(reciprocal):
            return inverse(parts[0], xs[0])
        if node.of(negative):
            return _negated(parts[0])
        if node.of(broadcast_to) or uncast(x) != x:
            return parts[0]
        if node.of(_astype):
            return None
        return _together(parts[0], _negated(parts[1]) if node.of(subtract) else parts[1])

    def _shifted(self, e: Tensor) -> Expansion | None:
        (x,) = operands(e, exp)
        if self.scale is None or x not in self.scale.exponents:
            return None
        m = self.scale.m
        if broadcast([x.shape, m.shape]) != x.shape:
            return None
        self.shifted.append(exp(x - m))
        return Expansion((Term(1, (self.shifted[-1],), (), 1),), plain_shape(m.shape))


def _stem(x: Tensor) -> int:
    """What the exponent ``x`` comes from: the same for x, −x, x − m and ½x."""
    while inner := operands(x, negative) or operands(x, subtract) or operands(x, _apart) or halved(x):
        x = inner[0]
    return x.index


def _factor(x: Tensor) -> Expansion:
    return Expansion((Term(1, (x,), (), 0),), None)


def _number(x: Tensor) -> Expansion | None:
    value = number(x)
    return Expansion((Term(int(value), (), (), 0),), None) if value is not None and value in (1, -1) else None


def _negated(a: Expansion) -> Expansion:
    return Expansion(tuple(term._replace(sign=-term.sign) for term in a.terms), a.m)


def led(a: Expansion) -> Expansion:
    """A cotangent: of each term the first factor is its lead, unless it has one."""
    leads = [next(iter(t.above), None) if t.lead is None else t.lead for t in a.terms]
    return Expansion(tuple(t._replace(lead=lead) for t, lead in zip(a.terms, leads, strict=True)), a.m)


def _fits(a: Expansion, b: Expansion) -> bool:
    """Whether m lies in the same way in both, so that what is beside each other has the same."""
    return a.m is None or b.m is None or a.m == b.m


def _together(a: Expansion, b: Expansion) -> Expansion | None:
    terms = a.terms + b.terms
    return Expansion(terms, b.m if a.m is None else a.m) if _fits(a, b) and len(terms) <= TERMS else None


def product(a: Expansion, b: Expansion) -> Expansion | None:
    """Every term of one times every term of the other; None if they are too many, or lie differently."""
    if not _fits(a, b) or len(a.terms) * len(b.terms) > TERMS:
        return None
    terms = [
        Term(
            s.sign * t.sign,
            s.above + t.above,
            s.below + t.below,
            s.degree + t.degree,
            t.lead if s.lead is None else s.lead,
        )
        for s in a.terms
        for t in b.terms
    ]
    return Expansion(tuple(terms), b.m if a.m is None else a.m)


def inverse(a: Expansion, x: Tensor) -> Expansion:
    """1 / a, of which ``x`` is the value. Several terms stand below as one factor.

    A sum of products of several e^(x − m) each is left alone: unlike Σe^(x − m) it may be 0.
    """
    degree = a.terms[0].degree
    if len(a.terms) > 1:
        same = degree == 1 and all(term.degree == degree for term in a.terms)
        a = Expansion((Term(1, (total(cancelled(a.terms), x),), (), degree),), a.m) if same else _factor(x)
    ((sign, above, below, degree, _),) = a.terms
    return Expansion((Term(sign, below, above, -degree),), a.m)


def _reshaped(a: Expansion, x: Tensor, shape: Shape) -> Expansion | None:
    """A reshape of ``x`` moves m in the same way, if there is one for each element."""
    if a.m is None or plain_shape(x.shape) != a.m:
        return None
    terms = [Term(1, (reshape(_whole([term], x), shape),), (), term.degree) for term in a.terms]
    return Expansion(tuple(terms), plain_shape(shape))


def _summed(a: Expansion, x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Expansion | None:
    """A sum over axes along which m is the same may take eᵐ out."""
    degree = a.terms[0].degree
    if a.m is None or degree == 0 or any(term.degree != degree for term in a.terms):
        return None
    along = (1,) * (x.ndim - len(a.m)) + a.m
    if any(along[i] != 1 for i in axis):
        return None
    y = sum(_whole(a.terms, x), axis=axis, keepdims=keepdims)
    return Expansion((Term(1, (y,), (), degree),), plain_shape(reduced_shape(along, axis, keepdims)))


def _whole(terms: Iterable[Term], x: Tensor) -> Tensor:
    """The sum of the terms in the shape of ``x``, which it is up to e^(degree·m)."""
    y = total(cancelled(terms), x)
    return y if y.shape == x.shape else broadcast_to(y, x.shape)
