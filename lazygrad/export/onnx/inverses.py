"""The inverses of the incomplete gamma and beta functions and of Student's distribution, by Newton's method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["inverse_beta", "inverse_gamma", "inverse_student"]

TURNS = 200  # a dozen are needed, more where halves of an interval are taken
EPS = float(np.finfo(np.float64).eps)
Parts = Callable[..., tuple[Any, Any]]  # a distribution function and its complement
Density = Callable[..., Any]


def _solved(xp: Any, step: Callable[..., tuple[Any, Any]], low: Any, high: Any, first: Any, *others: Any) -> Any:
    """Where an increasing function is 0, between two numbers.

    Args:
        xp: the namespace.
        step: the function and its slope at a place.
        low, high, first: between which it is sought, and where it begins.
        others: what else the function takes.
    """

    def turn(state: list[Any]) -> tuple[list[Any], Any]:
        place, low, high, *others = state
        value, slope = step(place, *others)
        low, high = xp.where(value < 0, place, low), xp.where(value > 0, place, high)
        near = place - value / slope
        inside = xp.logical_and(near > low, near < high)
        new = xp.where(xp.equal(value, 0), place, xp.where(inside, near, 0.5 * (low + high)))
        return [new, low, high, *others], xp.abs(new - place) > 2 * EPS * xp.maximum(xp.abs(new), 1)

    state, _ = xp.repeated(TURNS, [first, low, high, *others], turn)
    return state[0]


def inverse_gamma(xp: Any, parts: Parts, density: Density, a: Any, p: Any, q: Any) -> Any:
    """x with P(a, x) = p and Q(a, x) = q: the smaller of the two is met, in its logarithm and in that of x."""
    inside = xp.logical_and(xp.logical_and(a > 0, a < np.inf), xp.logical_and(p > 0, q > 0))
    shape = xp.where(inside, a, 1)
    below = p < q
    least = xp.where(inside, xp.where(below, p, q), 0.25)
    small = (xp.log(least) + xp.gammaln(shape + 1)) / shape  # of xᵃ/Γ(a + 1) = p
    first = xp.where(xp.logical_and(below, small < xp.log(shape)), small, xp.log(shape))
    first = xp.minimum(xp.maximum(first, -740.0), 709.0)

    def step(y: Any, shape: Any, least: Any, side: Any) -> tuple[Any, Any]:
        x = xp.exp(y)
        lower, upper = parts(xp, shape, x)
        own = xp.where(side > 0, lower, upper)
        value = side * (xp.log(own) - xp.log(least))
        return value, x * density(shape, x) / own

    side = xp.where(below, 1.0, -1.0)
    y = _solved(xp, step, xp.full_like(first, -745.0), xp.full_like(first, 709.7), first, shape, least, side)
    ends = xp.where(xp.equal(p, 0), 0, xp.where(xp.equal(q, 0), np.inf, np.nan))
    return xp.where(inside, xp.exp(y), xp.where(a >= 0, ends, np.nan))


def inverse_beta(xp: Any, parts: Parts, density: Density, a: Any, b: Any, p: Any, q: Any) -> Any:
    """x with I(a, b, x) = p and its complement q; it is sought as log x/(1 − x)."""
    positive = xp.logical_and(xp.logical_and(a > 0, b > 0), xp.logical_and(a < np.inf, b < np.inf))
    inside = xp.logical_and(positive, xp.logical_and(p > 0, q > 0))
    u, w = xp.where(inside, a, 1), xp.where(inside, b, 1)
    below = p < q
    least = xp.where(inside, xp.where(below, p, q), 0.25)

    def step(t: Any, u: Any, w: Any, least: Any, side: Any) -> tuple[Any, Any]:
        x = 1 / (1 + xp.exp(-t))
        lower, upper = parts(xp, u, w, x)
        own = xp.where(side > 0, lower, upper)
        value = side * (xp.log(own) - xp.log(least))
        return value, x * (1 - x) * density(u, w, x) / own

    first = xp.minimum(xp.maximum(xp.log(u / w), -700.0), 36.0)
    side = xp.where(below, 1.0, -1.0)
    t = _solved(xp, step, xp.full_like(first, -709.0), xp.full_like(first, 40.0), first, u, w, least, side)
    ends = xp.where(xp.equal(p, 0), 0, xp.where(xp.equal(q, 0), 1, np.nan))
    return xp.where(inside, 1 / (1 + xp.exp(-t)), xp.where(xp.logical_and(a > 0, b > 0), ends, np.nan))


def inverse_student(xp: Any, parts: Parts, density: Density, df: Any, p: Any) -> Any:
    """t with Student's distribution function p: from what lies between −t and t, or beyond."""
    known = xp.logical_and(df > 0, df < np.inf)
    n, half = xp.where(known, df, 1), xp.full_like(df, 0.5)
    least = xp.minimum(p, 1 - p)
    middle = least > 0.25
    beyond, between = 2 * least, xp.abs(2 * p - 1)
    x = inverse_beta(
        xp,
        parts,
        density,
        xp.where(middle, half, 0.5 * n),
        xp.where(middle, 0.5 * n, half),
        xp.where(middle, between, beyond),
        xp.where(middle, beyond, between),
    )
    odds = xp.where(middle, x / (1 - x), (1 - x) / x)
    t = xp.sign(p - 0.5) * xp.sqrt(n * odds)
    return xp.where(known, t, xp.where(xp.equal(df, np.inf), xp.ndtri(p), np.nan))
