"""Special functions that SciPy computes for us, by what ONNX has: series, continued fractions and recurrences.

All are computed in float64. Formulas that stand elsewhere for arrays are run on values: those of densities, and of
derivatives of the incomplete functions (:mod:`lazygrad.backends.incomplete`), which ask a library for what is here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from lazygrad.backends import incomplete
from lazygrad.backends import special as formulas
from lazygrad.backends.incomplete import _beta_scaled, _gamma_scaled
from lazygrad.define.kinds import Declared
from lazygrad.engine.lanes.functions.gamma import NEAR_TWO
from lazygrad.engine.trace.tracing import traced
from lazygrad.export.onnx.inverses import inverse_beta, inverse_gamma, inverse_student
from lazygrad.ops.bessel import _series
from lazygrad.ops.entropies import _divergence
from lazygrad.ops.special import _betaln, _hankel, _rest

__all__ = ["SPECIAL"]

TURNS = 10_000  # of a series or a fraction at most; some √a are needed
EPS = float(np.finfo(np.float64).eps)
TINY = 1e-300


class _Library:
    """What formulas ask SciPy for."""

    def __init__(self, xp: Any) -> None:
        self._xp = xp

    def __getattr__(self, name: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._xp, {"psi": "digamma"}.get(name, name))
        return found

    def beta(self, a: Any, b: Any) -> Any:
        """By its logarithm, which loses no digits where operands are positive, and SciPy's limits at the poles.

        At a pole of the one, and a whole number q as the other, it is (−1)^q·B(1 − a − b, q).
        """
        xp = self._xp
        positive = xp.logical_and(a > 0, b > 0)
        pole, rest = _pole(xp, a), 1 - a - b
        whole = xp.where(pole, b, a)
        inside = xp.logical_and(rest > 0, xp.logical_and(_whole(xp, whole), whole > 0))
        u, v = xp.where(positive, a, xp.where(inside, rest, 1)), xp.where(positive, b, xp.where(inside, whole, 1))
        value = xp.exp(traced(cast(Declared, _betaln), xp, [u, v], {}))
        sign = _sign(xp, a) * _sign(xp, b) * _sign(xp, a + b)
        y = xp.where(positive, value, sign * xp.exp(xp.gammaln(a) + xp.gammaln(b) - xp.gammaln(a + b)))
        endless = xp.not_equal(xp.equal(a, np.inf), xp.equal(b, np.inf))
        y = xp.where(endless, xp.where(positive, 0, _sign(xp, xp.minimum(a, b)) * np.inf), y)
        y = xp.where(xp.isnan(a + b) | xp.equal(xp.minimum(a, b), np.inf), np.nan, y)
        turn = xp.where(xp.equal(whole, 2 * xp.floor(0.5 * whole)), 1.0, -1.0)
        fits = xp.logical_and(_whole(xp, whole), xp.logical_and(rest > 0, rest < 2.0**31))
        limit = xp.where(fits, turn * xp.where(inside, value, np.inf), np.inf)
        return xp.where(xp.logical_or(pole, _pole(xp, b)), limit, y)


def _sign(xp: Any, x: Any) -> Any:
    """Of Γ(x): it changes from one negative whole number to the next."""
    down = xp.floor(x)
    odd = xp.not_equal(down - 2 * xp.floor(0.5 * down), 0)
    return xp.where(xp.logical_and(x < 0, odd), -1.0, 1.0)


def _whole(xp: Any, x: Any) -> Any:
    return xp.equal(x, xp.floor(x))


def _pole(xp: Any, x: Any) -> Any:
    """Whether Γ has a pole there."""
    return xp.logical_and(x <= 0, _whole(xp, x))


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
    pole = _pole(xp, x)
    return xp.where(pole, 0, 1 / gamma(xp, xp.where(pole, 1, x)))


def binom(xp: Any, n: Any, k: Any) -> Any:
    """Γ(n + 1)/(Γ(k + 1)·Γ(n − k + 1)), by logarithms where that is large."""
    rest = n - k
    near = xp.logical_and(xp.abs(n) < 160, xp.logical_and(xp.abs(k) < 160, xp.abs(rest) < 160))
    u, v, w = (xp.where(near, x, 0) for x in (n, k, rest))
    y = gamma(xp, u + 1) * _reciprocal_gamma(xp, v + 1) * _reciprocal_gamma(xp, w + 1)
    logarithm = xp.gammaln(n + 1) - xp.gammaln(k + 1) - xp.gammaln(rest + 1)
    sign = _sign(xp, n + 1) * _sign(xp, k + 1) * _sign(xp, rest + 1)
    y = xp.where(near, y, sign * xp.exp(logarithm))
    endless = xp.where(xp.equal(k, 0), 1, xp.where(k > 0, np.inf, 0))
    y = xp.where(xp.equal(n, np.inf), endless, xp.where(xp.equal(k, -np.inf), 0, y))
    wrong = xp.logical_or(xp.logical_and(n < 0, _whole(xp, n)), xp.logical_or(xp.equal(k, np.inf), xp.isnan(n + k)))
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
    total = xp.where(xp.logical_and(q <= 0, ~_whole(xp, s)), np.nan, total)
    total = xp.where(xp.logical_or(xp.isnan(s), xp.isnan(q)), np.nan, total)
    total = xp.where(_pole(xp, q), np.inf, total)
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


def _gamma_parts(xp: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """P(a, x) and Q(a, x): the series of the one for x < a + 1, and a continued fraction of the other beyond.

    Abramowitz & Stegun, 6.5.29 and 6.5.31, that by the method of Lentz (1976).
    """
    fits = xp.logical_and(xp.logical_and(a > 0, x > 0), xp.logical_and(a < np.inf, x < np.inf))
    large = xp.logical_and(fits, a > _LARGE)
    far = _gamma_large(xp, xp.where(large, a, _LARGE), xp.where(large, x, _LARGE))
    inside = xp.logical_and(fits, ~large)
    shape, place = xp.where(inside, a, 1), xp.where(inside, x, 1)
    below = place < shape + 1
    scaled = _gamma_scaled(xp, _Library(xp), shape, place)
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
    return _gamma_parts(xp, a, x)[0]


def gammaincc(xp: Any, a: Any, x: Any) -> Any:
    """Q(a, x)."""
    return _gamma_parts(xp, a, x)[1]


def _beta_parts(xp: Any, a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """I(a, b, x) and its complement, the smaller by a continued fraction (Abramowitz & Stegun, 26.5.8) by Lentz."""
    positive = xp.logical_and(xp.logical_and(a > 0, b > 0), xp.logical_and(a < np.inf, b < np.inf))
    fits = xp.logical_and(positive, xp.logical_and(x > 0, x < 1))
    p, q, place = xp.where(fits, a, 1), xp.where(fits, b, 1), xp.where(fits, x, 0.5)
    turned = place > (p + 1) / (p + q + 2)
    scaled = _beta_scaled(xp, _Library(xp), p, q, place)
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
    return _beta_parts(xp, a, b, x)[0]


def betaincc(xp: Any, a: Any, b: Any, x: Any) -> Any:
    """1 − I(a, b, x)."""
    return _beta_parts(xp, a, b, x)[1]


def stdtr(xp: Any, df: Any, t: Any) -> Any:
    """Student's distribution function: of what lies between −t and t, or beyond, the smaller."""
    fits = xp.logical_and(df > 0, df < np.inf)
    n, square = xp.where(fits, df, 1), t * t
    middle = square < n
    place = xp.where(middle, square / (n + square), n / (n + square))
    half = xp.full_like(n, 0.5)
    parts = _beta_parts(xp, xp.where(middle, half, 0.5 * n), xp.where(middle, 0.5 * n, half), place)
    between, beyond = (xp.where(middle, p, q) for p, q in (parts, parts[::-1]))
    y = xp.where(t < 0, 0.5 * beyond, xp.where(middle, 0.5 + 0.5 * between, 1 - 0.5 * beyond))
    y = xp.where(fits, y, xp.where(xp.equal(df, np.inf), xp.ndtr(t), np.nan))
    return xp.where(xp.isnan(t), t, y)


def gammaincinv(xp: Any, a: Any, p: Any) -> Any:
    """x with P(a, x) = p."""
    return inverse_gamma(xp, _gamma_parts, xp.gamma_density, a, p, 1 - p)


def gammainccinv(xp: Any, a: Any, q: Any) -> Any:
    """x with Q(a, x) = q."""
    return inverse_gamma(xp, _gamma_parts, xp.gamma_density, a, 1 - q, q)


def betaincinv(xp: Any, a: Any, b: Any, p: Any) -> Any:
    """x with I(a, b, x) = p."""
    return inverse_beta(xp, _beta_parts, xp.beta_density, a, b, p, 1 - p)


def betainccinv(xp: Any, a: Any, b: Any, q: Any) -> Any:
    """x whose complement of I(a, b, x) is q."""
    return inverse_beta(xp, _beta_parts, xp.beta_density, a, b, 1 - q, q)


def stdtrit(xp: Any, df: Any, p: Any) -> Any:
    """t with Student's distribution function p."""
    return inverse_student(xp, _beta_parts, xp.beta_density, df, p)


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    """Operands as float64 in one shape; the result in their dtype."""

    def wrapped(xp: Any, *operands: Any) -> Any:
        wide = xp.broadcast_arrays(*[xp.astype(x, np.float64) for x in operands])
        return xp.astype(function(xp, *wide), operands[-1].dtype)

    return wrapped


def _formula(name: str) -> Callable[..., Any]:
    """A formula that stands elsewhere."""
    found = formulas.FUNCTIONS[name]
    return lambda xp, *operands: found(xp, _Library(xp), *operands)


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
