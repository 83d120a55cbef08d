"""Logarithms of probabilities: odds, complements, entropies, and the powers of Box and Cox."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array
from lazygrad.ops.arithmetic import power
from lazygrad.ops.elementary import log

__all__ = ["boxcox", "entr", "exprel", "kl_div", "log1mexp", "logit", "rel_entr"]


@elementwise(vjp=lambda g, y, p: g / (p * (1 - p)), dtype=floating)
def logit(xp: Any, p: Array) -> Any:
    """log(p / (1 − p)), the logarithm of the odds: the inverse of :func:`lazygrad.nn.sigmoid`."""
    middle = xp.logical_and(p > 0.25, p < 0.75)
    half = xp.where(middle, p, 0.5)
    return xp.where(middle, xp.log1p((2 * half - 1) / (1 - half)), xp.log(p / (1 - p)))


@elementwise(vjp=lambda g, y, x: g * (y * (1 - y)), dtype=floating)
def _one_less_exp(xp: Any, x: Array) -> Any:
    """1 / (1 − e⁻ˣ) for x < 0, the derivative of :func:`log1mexp`."""
    return -1 / xp.expm1(xp.abs(x))


@elementwise(vjp=lambda g, y, x: g * _one_less_exp(x), dtype=floating)
def log1mexp(xp: Any, x: Array) -> Any:
    """log(1 − eˣ) for x < 0: the logarithm of 1 − p from that of p.

    Source: Mächler, *Accurately computing log(1 − exp(−|a|))* (2012).
    """
    near = x > -math.log(2)
    inside = xp.log(-xp.expm1(xp.where(near, x, -1)))
    return xp.where(near, inside, xp.log1p(-xp.exp(xp.where(near, -1, x))))


def _is_nothing(xp: Any, x: Array, y: Array) -> Any:
    """Where x·log(y) is 0 whatever the logarithm is: at x = 0, but for y that is NaN."""
    return xp.logical_and(xp.equal(x, 0), xp.equal(y, y))


@elementwise(vjp=(lambda g, r, x, y: g / y, lambda g, r, x, y: -g * _quotient(r, y)), dtype=floating)
def _quotient(xp: Any, x: Array, y: Array) -> Any:
    """x / y, and 0 where x is 0."""
    nothing = _is_nothing(xp, x, y)
    return xp.where(nothing, 0, x / xp.where(nothing, 1, y))


@elementwise(vjp=lambda g, y, x: -g * (log(x) + 1), dtype=floating)
def entr(xp: Any, x: Array) -> Any:
    """−x·log x, the entropy of an outcome; 0 at 0, −∞ below."""
    held = xp.where(x > 0, x, 1)
    return xp.where(x < 0, -np.inf, xp.where(xp.equal(x, 0), 0, xp.where(x > 0, -x * xp.log(held), x)))


def _log_ratio(xp: Any, x: Array, y: Array) -> Any:
    """log(x/y) of positive numbers: by their difference where they are near, which is exact, and never of 0 or ∞."""
    ratio = x / y
    near = xp.logical_and(ratio > 0.5, ratio < 2)
    fits = xp.logical_and(ratio > 1e-30, ratio < 1e30)
    apart = xp.log1p((xp.where(near, x, 1) - xp.where(near, y, 1)) / xp.where(near, y, 1))
    return xp.where(near, apart, xp.where(fits, xp.log(xp.where(fits, ratio, 1)), xp.log(x) - xp.log(y)))


@elementwise(vjp=(lambda g, r, x, y: g / x, lambda g, r, x, y: -g / y), dtype=floating)
def _ratio_logarithm(xp: Any, x: Array, y: Array) -> Any:
    """log(x/y), the derivative of :func:`kl_div` for x."""
    return _log_ratio(xp, x, y)


def _entropy(xp: Any, x: Array, y: Array, value: Any) -> Any:
    """``value`` where both are positive, ``y`` where x is 0, ∞ where one of them is out of place."""
    nan = xp.logical_or(xp.not_equal(x, x), xp.not_equal(y, y))
    both = xp.logical_and(x > 0, y > 0)
    none = xp.logical_and(xp.equal(x, 0), y >= 0)
    return xp.where(nan, np.nan, xp.where(both, value, xp.where(none, 0 * x, np.inf)))


def _positive(xp: Any, x: Array, y: Array) -> tuple[Any, Any]:
    """Both, and 1 where they are not positive."""
    both = xp.logical_and(x > 0, y > 0)
    return xp.where(both, x, 1), xp.where(both, y, 1)


@elementwise(
    vjp=(lambda g, r, x, y: g * (_ratio_logarithm(x, y) + 1), lambda g, r, x, y: -g * _quotient(x, y)), dtype=floating
)
def rel_entr(xp: Any, x: Array, y: Array) -> Any:
    """x·log(x/y), the relative entropy of an outcome; 0 at x = 0, ∞ where an operand is negative or only y is 0."""
    p, q = _positive(xp, x, y)
    return _entropy(xp, x, y, p * _log_ratio(xp, p, q))


# Terms of the series that are enough where |v| < 0.3: the ratio of two is below 0.09.
_SADDLE = 17


def _divergence(xp: Any, p: Array, q: Array) -> Any:
    """p·log(p/q) − p + q of positive numbers: with v = (p − q)/(p + q) it is (p − q)·v + 2p·(v³/3 + v⁵/5 + …).

    Source: Loader, *Fast and accurate computation of binomial probabilities* (2000), *bd0*.
    """
    total = p + q
    v = xp.where(total < np.inf, (p - q) / total, 1)
    near = xp.abs(v) < 0.3
    held = xp.where(near, v, 0)
    square = held * held
    series: Any = 1 / (2 * _SADDLE + 1)
    for k in range(_SADDLE - 1, 0, -1):
        series = series * square + 1 / (2 * k + 1)
    inside = (p - q) * held + 2 * p * (held * square * series)
    return xp.where(near, inside, p * _log_ratio(xp, p, q) - p + q)


@elementwise(vjp=(lambda g, r, x, y: g * _ratio_logarithm(x, y), lambda g, r, x, y: g * ((y - x) / y)), dtype=floating)
def kl_div(xp: Any, x: Array, y: Array) -> Any:
    """x·log(x/y) − x + y, which is never negative; where x and y are near each other, to all digits."""
    value = _divergence(xp, *_positive(xp, x, y))
    return xp.where(xp.logical_and(xp.equal(x, 0), y >= 0), y, _entropy(xp, x, y, value))


# As many terms as float64 needs for n = 0, up to x = 1.
_SERIES = 22


@elementwise(vjp=lambda g, y, x, *, order: g * _exprel(x, order=order + 1), dtype=floating)
def _exprel(xp: Any, x: Array, *, order: int) -> Any:
    """∫ tⁿ·eˣᵗ dt for t from 0 to 1 and n = ``order``, the n-th derivative of (eˣ − 1)/x.

    By parts x·fₙ + n·fₙ₋₁ = eˣ; but these terms cancel for small x, where it is Σ xᵏ/(k!(k + n + 1)).
    """
    z = x.astype(np.float64)
    near = xp.logical_and(z > -0.5 * (1 + order), z < 1.0 + order)
    inside = xp.where(near, z, 0)
    terms = _SERIES + 6 * order
    series: Any = 0.0
    for k in range(terms, -1, -1):
        series = series * inside + 1 / (math.factorial(k) * (k + order + 1))
    outside = xp.where(near, 1, z)
    e = xp.exp(outside)
    far = xp.expm1(outside) / outside
    for n in range(1, order + 1):
        far = (e - n * far) / outside
    far = xp.where(xp.equal(z, np.inf), np.inf, far)
    return xp.where(near, series, far).astype(x.dtype)


@elementwise(vjp=lambda g, y, x: g * _exprel(x, order=1), dtype=floating)
def exprel(xp: Any, x: Array) -> Any:
    """(eˣ − 1)/x, and 1 at 0."""
    held = xp.where(xp.equal(x, 0), 1, x)
    y = xp.expm1(held) / held
    return xp.where(xp.equal(x, 0), 1, xp.where(xp.equal(x, np.inf), np.inf, y))


@elementwise(
    vjp=(lambda g, y, x, lmbda: g * power(x, lmbda - 1), lambda g, y, x, lmbda: g * _boxcox_slope(x, lmbda)),
    dtype=floating,
)
def boxcox(xp: Any, x: Array, lmbda: Array) -> Any:
    """(x^λ − 1)/λ, and log x for λ = 0: the transformation of positive x by Box & Cox (1964)."""
    logarithm = xp.log(x)
    z = lmbda * logarithm
    none = xp.equal(lmbda, 0)
    return xp.where(none, logarithm, xp.expm1(z) / xp.where(none, 1, lmbda))


def _boxcox_slope(x: Any, lmbda: Any) -> Any:
    """The derivative of :func:`boxcox` for λ: log² x · f₁(λ·log x)."""
    logarithm = log(x)
    return logarithm * logarithm * _exprel(lmbda * logarithm, order=1)
