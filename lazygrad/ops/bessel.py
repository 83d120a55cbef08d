"""Modified Bessel functions of the first kind. There are scaled ones too, ``i0e`` and ``i1e``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array
from lazygrad.ops.arithmetic import square

__all__ = ["i0", "i1"]

# Where the series ends and the recurrence begins, and as many terms as float64 needs up to there.
_NEAR, _TERMS = 8.0, 26


def _series(xp: Any, a: Array, order: int, terms: int = _TERMS) -> Any:
    """2⁻ⁿ·Σ (a²/4)ᵏ/(k!(k + n)!), which is Iₙ(a)/aⁿ, for small a."""
    quarter, series = 0.25 * a * a, 0 * a
    for k in range(terms + 2 * order, -1, -1):
        series = 1 + quarter * series / ((k + 1.0) * (k + 1 + order))
    return series / (2.0**order * math.factorial(order))


@elementwise(vjp=lambda g, y, x, *, order: g * (x * _reduced(x, order=order + 1)), dtype=floating)
def _reduced(xp: Any, x: Array, *, order: int) -> Any:
    """Iₙ(x)/xⁿ for n = ``order``, whose derivative is x times that of n + 1: no difference is taken.

    Near 0 by its series; beyond, by Iₙ₊₁ = Iₙ₋₁ − 2n·Iₙ/x, which loses nothing where x > n.

    Source: Abramowitz & Stegun, 9.6.10, 9.6.26 and 9.6.28.
    """
    a = xp.abs(x.astype(np.float64))
    near = a < _NEAR + order
    series = _series(xp, xp.where(near, a, 0), order)
    z = xp.where(near, _NEAR + order, a)
    first = xp.i0(z)
    over = xp.logical_and(z > 700, xp.logical_not(first < np.inf))
    before, last = first, xp.i1(z) / z
    if order == 0:
        last = before
    for n in range(1, order):
        before, last = last, (before - 2 * n * last) / (z * z)
    return xp.where(near, series, xp.where(over, np.inf, last)).astype(x.dtype)


# I₁′ = I₀ − I₁/x = I₁/x + I₂, by terms of one sign.
@elementwise(vjp=lambda g, y, x: g * (_reduced(x, order=1) + square(x) * _reduced(x, order=2)), dtype=floating)
def i1(xp: Any, x: Array) -> Any:
    """I₁(x), the modified Bessel function of order 1."""
    z = x.astype(np.float64)
    near = xp.abs(z) < _NEAR
    held = xp.where(near, z, 0)
    return xp.where(near, held * _series(xp, held, 1), xp.where(xp.isinf(z), z, xp.i1(z))).astype(x.dtype)


@elementwise(vjp=lambda g, y, x: g * i1(x), dtype=floating)
def i0(xp: Any, x: Array) -> Any:
    """I₀(x), the modified Bessel function of order 0; beyond 713 it is infinite in float64, and i0e is not."""
    return xp.where(xp.isinf(x), xp.abs(x), xp.i0(x))
