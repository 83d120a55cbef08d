"""Derivatives of a Cholesky factor of which only the determinant is taken and vectors are solved for.

The cotangent of A = L Lᵀ, of a cotangent G of L, is the symmetric part of L⁻ᵀ Φ(Lᵀ G) L⁻¹, where Φ takes the lower
triangle and half of the diagonal (Murray 2016, "Differentiation of the Cholesky decomposition", eq. 10). It is linear
in G, and for two kinds of term much cheaper than for others.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

from lazygrad.graph.graph import Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add, negative, subtract
from lazygrad.ops.comparison import greater_equal, where
from lazygrad.ops.decompositions import _cholesky_cotangent, _cholesky_inverse
from lazygrad.ops.diagonals import tril
from lazygrad.ops.indexing import _diagonal, _on_diagonal, diagonal
from lazygrad.ops.movement import expand_dims, permute_dims, reshape
from lazygrad.ops.products import _matmul
from lazygrad.ops.solving import _solve_triangular
from lazygrad.ops.source import _arange, eye
from lazygrad.rewrite.rules import factors, node_of, number, operands, quotient, rule

__all__ = ["Multiple", "multiple_of"]

TERMS = 8  # of a cotangent that are looked at
FEW = 4  # columns for each of which there are at least as many rows


class Multiple(NamedTuple):
    """``number`` times all ``scalars`` times ``base``, in the order of its elements."""

    number: float
    scalars: tuple[Tensor, ...]
    base: Tensor

    def times(self, value: float, *scalars: Tensor) -> Multiple:
        """A multiple of it."""
        together = sorted((*self.scalars, *scalars), key=lambda x: x.index)
        return Multiple(self.number * value, tuple(together), self.base)

    def written(self) -> Tensor:
        """It as a tensor."""
        y = self.base if self.number == 1 else self.base * self.number
        for scalar in self.scalars:
            y = scalar * y
        return y


def multiple_of(x: Tensor, through: tuple[object, ...] = ()) -> Multiple:
    """``x`` as a multiple of what it is computed from by scalars alone, or by ``through``, such as a reshape."""
    if inner := operands(x, negative) or [y for op in through for y in operands(x, op)]:
        return multiple_of(inner[0], through).times(-1.0 if node_of(x).of(negative) else 1.0)
    if pair := factors(x):
        for scalar, other in (pair, pair[::-1]):
            if other.shape == x.shape and (value := number(scalar)) is not None:
                return multiple_of(other, through).times(float(value))
            if other.shape == x.shape and scalar.ndim == 0:
                return multiple_of(other, through).times(1.0, scalar)
    if (pair := operands(x, add)) and pair[0].shape == pair[1].shape:
        one, two = (multiple_of(part, through) for part in pair)
        if one[1:] == two[1:]:
            return Multiple(one.number + two.number, one.scalars, one.base)
    return Multiple(1.0, (), x)


class _Outer(NamedTuple):
    """A term scale·u vᵀ with u = L⁻ᵀ w, so that Lᵀ times it is scale·w vᵀ."""

    scale: Multiple
    u: Tensor
    w: Multiple
    v: Multiple
    right: Tensor  # v as it stands there


def _lower_triangle(x: Tensor) -> Tensor | None:
    """What ``x`` is the lower triangle of, the diagonal included."""
    if not (chosen := operands(x, where)) or number(chosen[2]) != 0:
        return None
    compared = operands(chosen[0], greater_equal)
    if not compared or compared[1].shape != x.shape[-1:] or operands(compared[0], reshape) != [compared[1]]:
        return None
    counts = node_of(compared[1])
    counting = counts.of(_arange) and counts.params["start"] == 0 and counts.params["step"] == 1
    return chosen[1] if counting and compared[0].shape == (x.shape[-1], 1) else None


def _terms(x: Tensor, scale: Multiple | None = None) -> Iterator[Multiple]:
    """The terms of a cotangent of which only the lower triangle counts."""
    found = multiple_of(x) if scale is None else multiple_of(x).times(scale.number, *scale.scalars)
    if parts := operands(found.base, add):
        yield from _terms(parts[0], found)
        yield from _terms(parts[1], found)
    elif parts := operands(found.base, subtract):
        yield from _terms(parts[0], found)
        yield from _terms(parts[1], found.times(-1.0))
    elif (inner := _lower_triangle(found.base)) is not None:
        yield from _terms(inner, found)
    else:
        yield found


def _over_diagonal(term: Multiple, factor: Tensor) -> Tensor | None:
    """The number d, one for each matrix, of a term that has d / Lᵢᵢ on the diagonal and zeros elsewhere."""
    if not (placed := operands(term.base, _on_diagonal)) or node_of(term.base).params["offset"]:
        return None
    found = multiple_of(placed[0])
    if not (parts := quotient(found.base)) or operands(parts[1], _diagonal) != [factor]:
        return None
    above, below = parts
    if node_of(below).params["offset"] or (above.ndim and above.shape[-1] != 1):
        return None
    d = Multiple(term.number * found.number, (*term.scalars, *found.scalars), above).written()
    return expand_dims(d, -1) if d.ndim else d


def _outer(term: Multiple, factor: Tensor) -> _Outer | None:
    """A term that is a product of few columns L⁻ᵀ w with as many rows."""
    if not (pair := operands(term.base, _matmul)) or not (turned := operands(pair[1], permute_dims)):
        return None
    left, right = multiple_of(pair[0]), turned[0]
    if not (solved := operands(left.base, _solve_triangular)) or solved[0] != factor:
        return None
    settings = node_of(left.base).params
    axes = (*range(factor.ndim - 2), factor.ndim - 1, factor.ndim - 2)
    kept = right.ndim == factor.ndim == left.base.ndim and tuple(node_of(pair[1]).params["axes"]) == axes
    few = right.shape[-1] == 1 or FEW * right.shape[-1] <= right.shape[-2]
    if not (settings["lower"] and settings["transposed"] and kept and few):
        return None
    scale = Multiple(term.number * left.number, (*term.scalars, *left.scalars), left.base)
    return _Outer(scale, left.base, multiple_of(solved[1], (reshape,)), multiple_of(right, (reshape,)), right)


def _is_symmetric(terms: list[_Outer]) -> bool:
    """Whether the sum of all scale·w vᵀ is."""
    sums: dict[object, float] = {}
    for scale, _, w, v, right in terms:
        scalars = tuple(sorted(x.index for x in (*scale.scalars, *w.scalars, *v.scalars)))
        value = scale.number * w.number * v.number
        for pair, sign in (((w.base.index, v.base.index), 1.0), ((v.base.index, w.base.index), -1.0)):
            key = (*pair, scalars, right.shape)
            sums[key] = sums.get(key, 0.0) + sign * value
    return not any(sums.values())


def _half(term: _Outer, factor: Tensor) -> Tensor:
    """½ scale·u (L⁻ᵀ v)ᵀ."""
    back = _solve_triangular(factor, term.right, lower=True, transposed=True)
    left = Multiple(0.5 * term.scale.number, term.scale.scalars, term.u).written()
    return left * back.mT if back.shape[-1] == 1 else left @ back.mT


def _example(x: Tensor) -> Tensor:
    """What remains of the derivative of a likelihood, for a factor and a vector made of ``x``."""
    factor = tril(0.1 * x[:, :2]) + eye(2, dtype=x.dtype)
    v = x[:, 2:]
    u = _solve_triangular(factor, -v, lower=True, transposed=True)
    of_determinant = _on_diagonal(-1 / diagonal(factor), offset=0, size=(2, 2))
    return _cholesky_cotangent(factor, of_determinant - u @ v.mT)


@rule("absorb", _cholesky_cotangent, example=_example, tolerance=64)
def of_determinant_and_vectors(node: Node, factor: Tensor, g: Tensor) -> Tensor | None:
    """½ d (L Lᵀ)⁻¹ + ½ L⁻ᵀ S L⁻¹, where G is diagonal with elements d / Lᵢᵢ but for terms that Lᵀ makes symmetric, S.

    Then Φ(Lᵀ G) is ½ d·1 + Φ(S), and Φ(S) + Φ(S)ᵀ = S. The first is the cotangent of d·Σ log Lᵢᵢ, the second that of
    functions of (L Lᵀ)⁻¹ v, or of the length of L⁻¹ v, for a few vectors v.
    """
    inverses: list[Tensor] = []
    outer: list[_Outer] = []
    for number_of_terms, term in enumerate(_terms(g)):
        if number_of_terms == TERMS or term.base.shape != factor.shape:
            return None
        d = _over_diagonal(term, factor)
        product = _outer(term, factor) if d is None else None
        if d is not None:
            inverses.append(d)
        elif product is not None:
            outer.append(product)
        else:
            return None
    if not _is_symmetric(outer):
        return None
    parts = [_half(term, factor) for term in outer]
    if inverses:
        parts.append(functools.reduce(add, inverses) * 0.5 * _cholesky_inverse(factor))
    return functools.reduce(add, parts)
