"""The incomplete gamma and beta functions: series, and continued fractions by the method of Lentz (1976)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.backends.incomplete import _beta_scaled, _gamma_scaled
from lazygrad.engine.lanes.functions.gamma import NEAR_TWO
from lazygrad.export.onnx.library import Library
from lazygrad.ops.entropies import _divergence

__all__ = ["beta_parts", "betainc", "betaincc", "gamma_parts", "gammainc", "gammaincc", "stdtr"]

TURNS = 10_000  # of a series or a fraction at most; some √a are needed
EPS = float(np.finfo(np.float64).eps)
TINY = 1e-300


def gamma_parts(xp: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """P(a, x) and Q(a, x): the series of the one for x < a + 1, and a continued fraction of the other beyond.

    Abramowitz & Stegun, 6.5.29 and 6.5.31, that by the method of Lentz (1976).
    """
    fits = xp.logical_and(xp.logical_and(a > 0, x > 0), xp.logical_and(a < np.inf, x < np.inf))
    large = xp.logical_and(fits, a > _LARGE)
    far = _gamma_large(xp, xp.where(large, a, _LARGE), xp.where(large, x, _LARGE))
    inside = xp.logical_and(fits, ~large)
    shape, place = xp.where(inside, a, 1), xp.where(inside, x, 1)
    below = place < shape + 1
    scaled = _gamma_scaled(xp, Library(xp), shape, place)
    u, v = xp.where(below, shape, 1), xp.where(below, place, 1)

    def term(state: list[Any]) -> tuple[list[Any], Any]:
        count, part, total, u, v = state
        part = part * v / (u + count)
        total = total + part
        return [count + 1, part, total, u, v], part > EPS * total / 4

    one = xp.full_like(u, 1)
    state, _ = xp.repeated(TURNS, [one, 1 / u, 1 / u, u, v], term)
    lower = scaled * state[2]
    u, v = xp.where(below, 1, shape), xp.where(below, 3, place)

    def fraction(state: list[Any]) -> tuple[list[Any], Any]:
        count, b, c, d, h, u = state
        factor, b = -count * (count - u), b + 2
        d = factor * d + b
        d = 1 / xp.where(xp.abs(d) < TINY, TINY, d)
        c = b + factor / c
        c = xp.where(xp.abs(c) < TINY, TINY, c)
        change = d * c
        return [count + 1, b, c, d, h * change, u], xp.abs(change - 1) > EPS

    b = v + 1 - u
    first = 1 / xp.where(xp.equal(b, 0), TINY, b)
    state, _ = xp.repeated(TURNS, [one, b, xp.full_like(b, 1 / TINY), first, first, u], fraction)
    upper = scaled * state[4]
    p, q = xp.where(below, lower, 1 - upper), xp.where(below, 1 - lower, upper)
    small = xp.logical_and(shape < 0.5, place < 1.1)
    rest = _gamma_small(xp, xp.where(small, shape, 0.25), xp.where(small, place, 1))
    q = xp.where(small, rest, q)
    p, q = xp.where(large, far[0], p), xp.where(large, far[1], q)
    positive = xp.logical_and(a >= 0, x >= 0)
    # Of shape 0 all is at 0, of an infinite one nothing is at any place.
    none = xp.logical_or(xp.equal(x, 0), xp.equal(a, np.inf))
    unclear = xp.logical_or(xp.logical_and(xp.equal(a, 0), xp.equal(x, 0)), xp.logical_and(a > 1e308, x > 1e308))
    wrong = xp.logical_or(~positive, unclear)
    end = xp.where(none, 0.0, 1.0)
    p, q = xp.where(fits, p, end), xp.where(fits, q, 1 - end)
    return xp.where(wrong, np.nan, p), xp.where(wrong, np.nan, q)


# Temme's coefficients of R in powers of η, for a⁰ and a⁻¹ (DiDonato & Morris, "Computation of the incomplete gamma
# function ratios and their inverse", ACM Transactions on Mathematical Software 12, 1986).
_TEMME = (
    (-1 / 3, 1 / 12, -2 / 135, 1 / 864, 1 / 2835, -139 / 777600, 1 / 25515),
    (-1 / 540, -1 / 288, 1 / 378, -77 / 77760),
)
_LARGE = 1e6


def _gamma_large(xp: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """P(a, x) and Q(a, x) for large a: ½·erfc(∓η·√(a/2)) ∓ R with ½·η² = x/a − 1 − log(x/a), of the sign of x − a."""
    half = _divergence(xp, a, x)
    above = x > a
    eta = xp.minimum(xp.sqrt(2 * half / a), 0.1)  # beyond, R is nothing
    eta, root = (xp.where(above, y, -y) for y in (eta, xp.sqrt(half)))
    zeroth, first = (sum(c * eta**k for k, c in enumerate(row)) for row in _TEMME)
    rest = xp.exp(-half) / xp.sqrt(2 * math.pi * a) * (zeroth + first / a)
    return 0.5 * xp.erfc(-root) - rest, 0.5 * xp.erfc(root) + rest


def _gamma_small(xp: Any, a: Any, x: Any) -> Any:
    """Q(a, x) for a < ½ and x ≤ 1, where it may be far below 1: 1 − xᵃ/Γ(1 + a)·(1 + a·Σ (−x)ⁿ/(n!·(a + n)))."""
    slope: Any = NEAR_TWO[-1]
    for coefficient in NEAR_TWO[-2::-1]:
        slope = slope * a + coefficient
    logarithm = a * xp.log(x) - (a * slope - xp.log1p(a))  # of xᵃ/Γ(1 + a)
    power, total = xp.full_like(x, 1), xp.full_like(x, 0)
    for n in range(1, 21):
        power = power * (-x / n)
        total = total + power / (a + n)
    return -xp.expm1(logarithm) - xp.exp(logarithm) * (a * total)


def gammainc(xp: Any, a: Any, x: Any) -> Any:
    """P(a, x)."""
    return gamma_parts(xp, a, x)[0]


def gammaincc(xp: Any, a: Any, x: Any) -> Any:
    """Q(a, x)."""
    return gamma_parts(xp, a, x)[1]


def beta_parts(xp: Any, a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """I(a, b, x) and its complement, the smaller by a continued fraction (Abramowitz & Stegun, 26.5.8) by Lentz."""
    positive = xp.logical_and(xp.logical_and(a > 0, b > 0), xp.logical_and(a < np.inf, b < np.inf))
    fits = xp.logical_and(positive, xp.logical_and(x > 0, x < 1))
    p, q, place = xp.where(fits, a, 1), xp.where(fits, b, 1), xp.where(fits, x, 0.5)
    turned = place > (p + 1) / (p + q + 2)
    scaled = _beta_scaled(xp, Library(xp), p, q, place)
    u, w = xp.where(turned, q, p), xp.where(turned, p, q)
    v = xp.where(turned, 1 - place, place)

    def held(y: Any) -> Any:
        return xp.where(xp.abs(y) < TINY, TINY, y)

    def fraction(state: list[Any]) -> tuple[list[Any], Any]:
        m, c, d, h, u, w, v = state
        double = 2 * m
        changes = []
        even = m * (w - m) * v / ((u + double - 1) * (u + double))
        odd = -(u + m) * (u + w + m) * v / ((u + double) * (u + double + 1))
        for factor in (even, odd):
            d, c = 1 / held(1 + factor * d), held(1 + factor / c)
            changes.append(d * c)
            h = h * changes[-1]
        return [m + 1, c, d, h, u, w, v], xp.abs(changes[1] - 1) > EPS

    one = xp.full_like(u, 1)
    first = 1 / held(1 - (u + w) * v / (u + 1))
    state, left = xp.repeated(TURNS, [one, one, first, first, u, w, v], fraction)
    small = xp.where(left, np.nan, scaled * state[3] / u)  # parameters are too large: some 1e7
    lower, upper = xp.where(turned, 1 - small, small), xp.where(turned, small, 1 - small)
    none = xp.logical_or(xp.equal(b, 0), xp.equal(a, np.inf))
    end = xp.where(xp.equal(x, 0), 0.0, xp.where(xp.equal(x, 1), 1.0, xp.where(none, 0.0, 1.0)))
    alike = xp.logical_or(xp.equal(xp.maximum(a, b), 0), xp.equal(xp.minimum(a, b), np.inf))
    known = xp.logical_and(xp.logical_and(a >= 0, b >= 0), xp.logical_and(x >= 0, x <= 1))
    end = xp.where(xp.logical_and(known, ~alike), end, np.nan)
    return xp.where(fits, lower, end), xp.where(fits, upper, 1 - end)


def betainc(xp: Any, a: Any, b: Any, x: Any) -> Any:
    """I(a, b, x)."""
    return beta_parts(xp, a, b, x)[0]


def betaincc(xp: Any, a: Any, b: Any, x: Any) -> Any:
    """1 − I(a, b, x)."""
    return beta_parts(xp, a, b, x)[1]


def stdtr(xp: Any, df: Any, t: Any) -> Any:
    """Student's distribution function: of what lies between −t and t, or beyond, the smaller."""
    fits = xp.logical_and(df > 0, df < np.inf)
    n, square = xp.where(fits, df, 1), t * t
    middle = square < n
    place = xp.where(middle, square / (n + square), n / (n + square))
    half = xp.full_like(n, 0.5)
    parts = beta_parts(xp, xp.where(middle, half, 0.5 * n), xp.where(middle, 0.5 * n, half), place)
    between, beyond = (xp.where(middle, p, q) for p, q in (parts, parts[::-1]))
    y = xp.where(t < 0, 0.5 * beyond, xp.where(middle, 0.5 + 0.5 * between, 1 - 0.5 * beyond))
    y = xp.where(fits, y, xp.where(xp.equal(df, np.inf), xp.ndtr(t), np.nan))
    return xp.where(xp.isnan(t), t, y)
