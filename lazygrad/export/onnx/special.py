"""Special functions that SciPy computes for us, by what ONNX has: series, continued fractions and recurrences.

All are computed in float64. Formulas that stand elsewhere for arrays are run on values: those of densities, and of
derivatives of the incomplete functions (:mod:`lazygrad.backends.incomplete`), which ask a library for what is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.backends import incomplete
from lazygrad.backends import special as formulas
from lazygrad.export.onnx.fractions import beta_parts, betainc, betaincc, gamma_parts, gammainc, gammaincc, stdtr
from lazygrad.export.onnx.inverses import inverse_beta, inverse_gamma, inverse_student
from lazygrad.export.onnx.library import Library, is_pole, is_whole, sign_of
from lazygrad.ops.bessel import _series
from lazygrad.ops.special import _hankel, _rest

__all__ = ["SPECIAL"]


def gamma(xp: Any, x: Any) -> Any:
    """Γ(x) by Stirling's series from 8 on, up to where steps lead, and by reflection for x < ½.

    Abramowitz & Stegun, 6.1.15, 6.1.17 and 6.1.40. The power is taken in two parts, of which none overflows too soon.
    """
    left = x < 0.5
    z = xp.where(left, 1 - x, x)
    steps = xp.full_like(z, 1)
    for _ in range(8):
        below = z < 8
        steps, z = xp.where(below, steps * z, steps), xp.where(below, z + 1, z)
    far = z > 180
    z = xp.where(far, 180, z)
    half = xp.power(z, 0.5 * z - 0.25)
    y = math.sqrt(2 * math.pi) * (half * (xp.exp(-z) * xp.exp(_rest(z)))) * half / steps
    y = xp.where(far, np.inf, y)
    part = x - xp.rint(x)
    turn = xp.where(xp.equal(xp.rint(x) - 2 * xp.floor(0.5 * xp.rint(x)), 0), 1.0, -1.0)
    sine = xp.sin(math.pi * part) * turn
    pole = xp.equal(part, 0)
    reflected = math.pi / (xp.where(pole, 1, sine) * y)
    reflected = xp.where(pole, xp.where(xp.equal(x, 0), xp.copysign(np.inf, x), np.nan), reflected)
    y = xp.where(left, reflected, y)
    return xp.where(xp.isnan(x), x, xp.where(xp.equal(x, -np.inf), np.nan, y))


def _reciprocal_gamma(xp: Any, x: Any) -> Any:
    """1/Γ(x), and 0 at its poles."""
    pole = is_pole(xp, x)
    return xp.where(pole, 0, 1 / gamma(xp, xp.where(pole, 1, x)))


def binom(xp: Any, n: Any, k: Any) -> Any:
    """Γ(n + 1)/(Γ(k + 1)·Γ(n − k + 1)), by logarithms where that is large."""
    rest = n - k
    near = xp.logical_and(xp.abs(n) < 160, xp.logical_and(xp.abs(k) < 160, xp.abs(rest) < 160))
    u, v, w = (xp.where(near, x, 0) for x in (n, k, rest))
    y = gamma(xp, u + 1) * _reciprocal_gamma(xp, v + 1) * _reciprocal_gamma(xp, w + 1)
    logarithm = xp.gammaln(n + 1) - xp.gammaln(k + 1) - xp.gammaln(rest + 1)
    sign = sign_of(xp, n + 1) * sign_of(xp, k + 1) * sign_of(xp, rest + 1)
    y = xp.where(near, y, sign * xp.exp(logarithm))
    endless = xp.where(xp.equal(k, 0), 1, xp.where(k > 0, np.inf, 0))
    y = xp.where(xp.equal(n, np.inf), endless, xp.where(xp.equal(k, -np.inf), 0, y))
    wrong = xp.logical_or(xp.logical_and(n < 0, is_whole(xp, n)), xp.logical_or(xp.equal(k, np.inf), xp.isnan(n + k)))
    return xp.where(xp.logical_and(wrong, ~xp.logical_and(xp.equal(n, np.inf), xp.equal(k, -np.inf))), np.nan, y)


# Bernoulli's numbers over factorials, B₂ⱼ/(2j)!.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)
_EULER = tuple(b / math.factorial(2 * j) for j, b in enumerate(_BERNOULLI, 1))
_AHEAD = 14


def zeta(xp: Any, s: Any, q: Any) -> Any:
    """Σ (q + k)⁻ˢ: the first terms, and the rest by Euler and Maclaurin (Abramowitz & Stegun, 23.1.30)."""
    s = xp.where(s > 1e5, 1e5, s)
    total = xp.full_like(q, 0)
    for k in range(_AHEAD):
        total = total + xp.power(q + k, -s)
    end = q + _AHEAD
    last = xp.power(end, -s)
    total = total + last * (end / xp.where(xp.equal(s, 1), 1, s - 1) + 0.5)
    factor, square = s / end, 1 / (end * end)
    for j, b in enumerate(_EULER, 1):
        total = total + last * (b * factor)
        factor = factor * ((s + (2 * j - 1)) * (s + 2 * j)) * square
    total = xp.where(q > 1e15, last * (end / xp.where(xp.equal(s, 1), 1, s - 1)), total)
    total = xp.where(xp.equal(q, np.inf), 0, total)
    total = xp.where(xp.logical_and(q <= 0, ~is_whole(xp, s)), np.nan, total)
    total = xp.where(xp.logical_or(xp.isnan(s), xp.isnan(q)), np.nan, total)
    total = xp.where(is_pole(xp, q), np.inf, total)
    return xp.where(xp.equal(s, 1), np.inf, xp.where(s < 1, np.nan, total))


def polygamma(xp: Any, n: Any, x: Any) -> Any:
    """(−1)ⁿ⁺¹·n!·ζ(n + 1, x); Abramowitz & Stegun, 6.4.10."""
    order = int(n.number)
    wide = xp.astype(x, np.float64)
    y = zeta(xp, xp.full_like(wide, order + 1), wide) * float((-1) ** (order + 1) * math.factorial(order))
    return xp.astype(y, x.dtype)


# Bessel functions: by their series up to here, with as many terms as float64 needs, and by Hankel's beyond.
_FAR, _TERMS = 22.0, 56
_SERIES = {order: tuple(_hankel(order, k) for k in range(20)) for order in (0, 1)}


def _bessel(order: int, scaled: bool) -> Callable[..., Any]:
    """Iₙ(x), or that times exp(−|x|)."""

    def function(xp: Any, x: Any) -> Any:
        a = xp.abs(x)
        far = a > _FAR
        near, held = xp.where(far, 0, a), xp.where(far, a, _FAR)
        below = _series(xp, near, order, _TERMS)
        below = below * near if order else below
        above: Any = _SERIES[order][-1]
        for coefficient in _SERIES[order][-2::-1]:
            above = above / held + coefficient
        above = above / xp.sqrt(2 * math.pi * held)
        if scaled:
            below = below * xp.exp(-near)
        else:
            half = xp.exp(0.5 * held)
            above = above * half * half
        y = xp.where(far, xp.where(xp.isinf(a), 0 if scaled else np.inf, above), below)
        y = xp.where(xp.isnan(x), x, y)
        return xp.copysign(y, x) if order else y

    return function


def ndtri(xp: Any, p: Any) -> Any:
    """By erfinv in the middle, and in the tails by Newton's method on log Φ(x) = log p.

    It begins with Abramowitz & Stegun, 26.2.23, which is right to 4.5e-4.
    """
    inside = xp.logical_and(p > 0, p < 1)
    middle = xp.abs(p - 0.5) < 0.25
    least = xp.minimum(p, 1 - p)
    least = xp.where(xp.logical_or(middle, ~inside), 0.25, least)
    logarithm = xp.log(least)
    t = xp.sqrt(-2 * logarithm)
    x = ((0.010328 * t + 0.802853) * t + 2.515517) / (((0.001308 * t + 0.189269) * t + 1.432788) * t + 1) - t
    for _ in range(3):
        x = x - (xp.log_ndtr(x) - logarithm) / xp.mills(x)
    near = math.sqrt(2) * xp.erfinv(2 * xp.where(middle, p, 0.5) - 1)
    y = xp.where(middle, near, xp.where(p < 0.5, x, -x))
    ends = xp.where(xp.equal(p, 0), -np.inf, xp.where(xp.equal(p, 1), np.inf, np.nan))
    return xp.where(inside, y, ends)


def erfcinv(xp: Any, x: Any) -> Any:
    """By erfinv where 1 − x has all digits, and by the quantiles of the normal distribution beyond."""
    middle = xp.logical_and(x > 0.5, x < 1.5)
    near = xp.erfinv(1 - xp.where(middle, x, 1))
    least = xp.where(x < 1, x, 2 - x)
    far = -math.sqrt(0.5) * ndtri(xp, 0.5 * xp.where(middle, 0.5, least))
    return xp.where(middle, near, xp.where(x < 1, far, -far))


def gammaincinv(xp: Any, a: Any, p: Any) -> Any:
    """x with P(a, x) = p."""
    return inverse_gamma(xp, gamma_parts, xp.gamma_density, a, p, 1 - p)


def gammainccinv(xp: Any, a: Any, q: Any) -> Any:
    """x with Q(a, x) = q."""
    return inverse_gamma(xp, gamma_parts, xp.gamma_density, a, 1 - q, q)


def betaincinv(xp: Any, a: Any, b: Any, p: Any) -> Any:
    """x with I(a, b, x) = p."""
    return inverse_beta(xp, beta_parts, xp.beta_density, a, b, p, 1 - p)


def betainccinv(xp: Any, a: Any, b: Any, q: Any) -> Any:
    """x whose complement of I(a, b, x) is q."""
    return inverse_beta(xp, beta_parts, xp.beta_density, a, b, 1 - q, q)


def stdtrit(xp: Any, df: Any, p: Any) -> Any:
    """t with Student's distribution function p."""
    return inverse_student(xp, beta_parts, xp.beta_density, df, p)


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Operands as float64 in one shape; the result in their dtype."""

    def wrapped(xp: Any, *operands: Any) -> Any:
        wide = xp.broadcast_arrays(*[xp.astype(x, np.float64) for x in operands])
        return xp.astype(function(xp, *wide), operands[-1].dtype)

    return wrapped


def _formula(name: str) -> Callable[..., Any]:
    """A formula that stands elsewhere."""
    found = formulas.FUNCTIONS[name]
    return lambda xp, *operands: found(xp, Library(xp), *operands)


SPECIAL: dict[str, Callable[..., Any]] = {
    function.__name__: _in_double(function)
    for function in (
        *(gamma, binom, zeta, ndtri, erfcinv),
        *(gammainc, gammaincc, betainc, betaincc, stdtr),
        *(gammaincinv, gammainccinv, betaincinv, betainccinv, stdtrit),
    )
}
SPECIAL["polygamma"] = polygamma
SPECIAL |= {
    f"i{order}{'e' * scaled}": _in_double(_bessel(order, scaled)) for order in (0, 1) for scaled in (False, True)
}
SPECIAL |= {
    name: _formula(name)
    for name in ("beta", *(name for name in incomplete.FUNCTIONS if "_" in name))  # densities and derivatives
}
