"""The incomplete gamma and beta functions, and what is their derivatives: densities, and integrals with a logarithm.

As in :mod:`lazygrad.backends.special` each takes ``xp``, the module of special functions, and operands. All is computed
in float64; SciPy itself would lose digits in float32.

**The integrals.** ∂P(a, x)/∂a = ∫ p(t)·(log t − ψ(a)) dt from 0 to x, with p the density of the gamma distribution; it
is minus the same from x to ∞. Of the two the one is taken in which the logarithm has one sign, so that nothing cancels.
With t = x·e⁻ᵛ, or t = x + v, it is an integral over v from 0 to ∞, by the double-exponential rule v = s·exp(½π·sinh u)
with fixed nodes u (Takahasi & Mori, *Double exponential formulas for numerical integration*, 1974). For P with small a
it is the differentiated series instead (Moore, Algorithm AS 187, 1982). The beta function's are of the same kind, and
so are second derivatives.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.ops.entropies import _divergence
from lazygrad.ops.special import _rest

__all__ = ["FUNCTIONS"]

# From here on Stirling's series is as good as float64.
LARGE = 8.0


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(xp: Any, special: Any, *operands: Any) -> Any:
        wide = xp.broadcast_arrays(*[x.astype(np.float64) for x in operands])
        return function(xp, special, *wide).astype(np.result_type(*[x.dtype for x in operands]))

    return wrapped


def _library(name: str) -> Callable[..., Any]:
    """The library's function of that name."""
    return _in_double(lambda xp, special, *operands: getattr(special, name)(*operands))


@_in_double
def betaincc(xp: Any, special: Any, a: Any, b: Any, x: Any) -> Any:
    """The complement of the incomplete beta function, which CuPy has only as that of 1 − x."""
    return special.betaincc(a, b, x) if hasattr(special, "betaincc") else special.betainc(b, a, 1 - x)


@_in_double
def betainccinv(xp: Any, special: Any, a: Any, b: Any, y: Any) -> Any:
    """Its inverse."""
    return special.betainccinv(a, b, y) if hasattr(special, "betainccinv") else 1 - special.betaincinv(b, a, y)


@_in_double
def stdtr(xp: Any, special: Any, df: Any, t: Any) -> Any:
    """Student's distribution function, which CuPy has not: ½·I(df/2, ½, df/(df + t²)) is its smaller part."""
    if hasattr(special, "stdtr"):
        return special.stdtr(df, t)
    small = 0.5 * special.betainc(0.5 * df, xp.full_like(df, 0.5), df / (df + t * t))
    return xp.where(t < 0, small, 1 - small)


@_in_double
def stdtrit(xp: Any, special: Any, df: Any, p: Any) -> Any:
    """Its inverse; SciPy says ∞ at 0."""
    if hasattr(special, "stdtrit"):
        return xp.where(xp.equal(p, 0), -np.inf, special.stdtrit(df, p))
    x = special.betaincinv(0.5 * df, xp.full_like(df, 0.5), 2 * xp.minimum(p, 1 - p))
    return xp.sign(p - 0.5) * xp.sqrt(df * ((1 - x) / x))


# Elements of which an integral is taken at once.
CHUNK = 4096


@functools.cache
def _nodes(step: float) -> tuple[Any, Any]:
    """Nodes and weights of the rule for ∫ f(v) dv from 0 to ∞ with s = 1."""
    u = np.arange(-4.2, 3.2, step)
    v = np.exp(0.5 * math.pi * np.sinh(u))
    return v, v * (0.5 * math.pi * step) * np.cosh(u)


def _integral(xp: Any, f: Callable[..., Any], step: float, scale: Any, *operands: Any) -> Any:
    """∫ f(v, *operands) dv from 0 to ∞, one for each element, with s = ``scale``."""
    nodes, weights = (xp.asarray(x) for x in _nodes(step))
    flat = [xp.reshape(x, (x.size, 1)) for x in (scale, *operands)]

    def summed(s: Any, *others: Any) -> Any:
        return xp.sum(f(nodes * s, *others) * weights, axis=-1)

    if getattr(xp, "writes", False):  # what is written down has its elements when it runs
        return xp.reshape(summed(*flat), scale.shape) * scale
    parts = [summed(*[x[i : i + CHUNK] for x in flat]) for i in range(0, flat[0].shape[0], CHUNK)]
    return xp.concatenate(parts).reshape(scale.shape) * scale if parts else 0 * scale


def _gamma_scaled(xp: Any, special: Any, a: Any, x: Any) -> Any:
    """xᵃ·e⁻ˣ/Γ(a) of positive numbers: for large a as a multiple of exp(−(a·log(a/x) − a + x))."""
    large = a >= LARGE
    u, v = xp.where(large, a, LARGE), xp.where(large, 1, a)
    stirling = xp.sqrt(u / (2 * math.pi)) * xp.exp(-_rest(u) - _divergence(xp, u, xp.where(large, x, u)))
    near = xp.power(x, v) * xp.exp(-x) / special.gamma(v)
    return xp.where(large, stirling, xp.where(x < 750, near, 0))


@_in_double
def gamma_density(xp: Any, special: Any, a: Any, x: Any) -> Any:
    """xᵃ⁻¹·e⁻ˣ/Γ(a), and its limits at 0."""
    fits = xp.logical_and(xp.logical_and(a > 0, x > 0), xp.logical_and(a < np.inf, x < np.inf))
    shape, place = xp.where(fits, a, 1), xp.where(fits, x, 1)
    inside = _gamma_scaled(xp, special, shape, place) / place
    end = xp.where(a < 1, np.inf, xp.where(a > 1, 0, 1))
    outside = xp.where(xp.logical_or(x < 0, xp.equal(x, np.inf)), 0, xp.where(xp.equal(x, 0), end, np.nan))
    return xp.where(fits, inside, xp.where(a > 0, outside, np.nan))


def _weighed(order: int, c: Any, inverse: Any, curvature: Any) -> Any:
    """What p is multiplied by: c + 1/a, which is log t − ψ(a), or its square less ψ′(a); 1/a² would cancel in that."""
    return c + inverse if order == 1 else c * (c + 2 * inverse) - curvature


def _gamma_series(xp: Any, a: Any, x: Any, apart: Any, curvature: Any, order: int) -> Any:
    """Σ tₙ·dₙ/a with tₙ = xⁿ/((a + 1)⋯(a + n)) and dₙ = log x − ψ(a + n + 1), or dₙ² − ψ′(a + n + 1)."""
    term: Any = 1 + 0 * x
    total: Any = 0 * x
    for n in range(1, 121):
        total = total + term * _weighed(order, apart, 0, curvature)
        inverse = 1 / (a + n)
        term, apart, curvature = term * x * inverse, apart - inverse, curvature - inverse * inverse
    return total / a


def _gamma_below(xp: Any, a: Any, x: Any, apart: Any, curvature: Any, order: int) -> Any:
    """The integral from 0 to x, in units of xᵃ·e⁻ˣ/Γ(a)."""

    def f(v: Any, a: Any, x: Any, apart: Any, curvature: Any) -> Any:
        return xp.exp(-a * v - x * xp.expm1(-v)) * _weighed(order, apart - v, 1 / a, curvature)

    return _integral(xp, f, 1 / 16, 1 / xp.maximum(a - x, xp.sqrt(a)), a, x, apart, curvature)


def _gamma_above(xp: Any, a: Any, x: Any, apart: Any, curvature: Any, order: int) -> Any:
    """Minus the integral from x to ∞, in units of xᵃ·e⁻ˣ/Γ(a)."""

    def f(v: Any, a: Any, x: Any, apart: Any, curvature: Any) -> Any:
        more = xp.log1p(v / x)
        return xp.exp((a - 1) * more - v) * _weighed(order, apart + more, 1 / a, curvature)

    scale = 1 / xp.maximum(1 - (a - 1) / x, 1 / xp.sqrt(xp.maximum(a, 1)))
    return -_integral(xp, f, 1 / 16, scale, a, x, apart, curvature) / x


def _gamma_derivative(order: int) -> Callable[..., Any]:
    """The first or second derivative for a of the lower incomplete gamma function P(a, x)."""

    def derivative(xp: Any, special: Any, a: Any, x: Any) -> Any:
        fits = xp.logical_and(xp.logical_and(a > 0, x > 0), xp.logical_and(a < 1e15, x < 1e300))
        shape, place = xp.where(fits, a, 1), xp.where(fits, x, 1)
        apart, curvature = xp.log(place) - special.psi(shape + 1), xp.polygamma(1, shape + 1)
        below = apart <= 0
        value: Any = 0 * place
        with np.errstate(all="ignore"):
            for f, chosen, at in (
                (_gamma_series, xp.logical_and(below, shape < 30), (1.0, 1.0)),
                (_gamma_below, xp.logical_and(below, shape >= 30), (30.0, 20.0)),
                (_gamma_above, xp.logical_not(below), (1.0, 2.0)),
            ):
                u, v = xp.where(chosen, shape, at[0]), xp.where(chosen, place, at[1])
                value = xp.where(chosen, f(xp, u, v, apart, curvature, order), value)
            value = value * _gamma_scaled(xp, special, shape, place)
        ends = xp.where(xp.logical_and(a > 0, xp.logical_or(xp.equal(x, 0), xp.equal(x, np.inf))), 0, np.nan)
        return xp.where(fits, value, ends)

    return _in_double(derivative)


def _beta_scaled(xp: Any, special: Any, a: Any, b: Any, x: Any) -> Any:
    """xᵃ·(1 − x)ᵇ/B(a, b) for 0 < x < 1; for large a and b by the distances of a from (a + b)·x and b from the rest."""
    large = xp.logical_and(a >= LARGE, b >= LARGE)
    u, v = xp.where(large, a, LARGE), xp.where(large, b, LARGE)
    n = u + v
    away = _divergence(xp, u, n * x) + _divergence(xp, v, n * (1 - x))
    stirling = xp.sqrt(u / (2 * math.pi) * (v / n)) * xp.exp(_rest(n) - _rest(u) - _rest(v) - away)
    s, t = xp.where(large, 1, a), xp.where(large, 1, b)
    near = xp.power(x, s) * xp.where(x < 0.5, xp.exp(t * xp.log1p(-x)), xp.power(1 - x, t)) / xp.beta(s, t)
    return xp.where(large, stirling, near)


@_in_double
def beta_density(xp: Any, special: Any, a: Any, b: Any, x: Any) -> Any:
    """xᵃ⁻¹·(1 − x)ᵇ⁻¹/B(a, b), and its limits at 0 and 1."""
    positive = xp.logical_and(a > 0, b > 0)
    fits = xp.logical_and(positive, xp.logical_and(x > 0, x < 1))
    p, q, place = xp.where(fits, a, 1), xp.where(fits, b, 1), xp.where(fits, x, 0.5)
    inside = _beta_scaled(xp, special, p, q, place) / place / (1 - place)
    left = xp.where(a < 1, np.inf, xp.where(a > 1, 0, b))
    right = xp.where(b < 1, np.inf, xp.where(b > 1, 0, a))
    ends = xp.where(xp.equal(x, 0), left, xp.where(xp.equal(x, 1), right, 0))
    outside = xp.where(xp.logical_and(positive, xp.equal(x, x)), ends, np.nan)
    return xp.where(fits, inside, outside)


def _beta_derivative(of: str) -> Callable[..., Any]:
    """A derivative of the incomplete beta function I(a, b, x): the first for a or b, the second, or that for a and b.

    With A = log t − ψ(a) + ψ(a + b), and B the same of 1 − t and b, the density is multiplied by A, by
    A² − ψ′(a) + ψ′(a + b), or by A·B + ψ′(a + b). With t = x·e⁻ᵛ below and 1 − t = (1 − x)·e⁻ᵛ above, the integral is
    ∫ e⁻ᵘᵛ·(1 + r·(1 − e⁻ᵛ))ʷ⁻¹ dv of that, with r the odds x/(1 − x) or their inverse, and u, w = a, b or b, a.
    """

    def derivative(xp: Any, special: Any, a: Any, b: Any, x: Any) -> Any:
        positive = xp.logical_and(a > 0, b > 0)
        fits = xp.logical_and(positive, xp.logical_and(x > 0, x < 1))
        p, q, place = xp.where(fits, a, 1), xp.where(fits, b, 1), xp.where(fits, x, 0.5)
        rest, both = 1 - place, special.psi(p + q)
        left = xp.log(place) - special.psi(p + 1) + both
        right = xp.log1p(-place) - special.psi(q + 1) + both
        change = xp.polygamma(1, p + q)
        second = of.endswith("_b")  # with b and B in the places of a and A
        inverse = 1 / (q if second else p)
        curvature = xp.polygamma(1, (q if second else p) + 1) - change
        below = right + inverse > 0 if second else left + 1 / p < 0
        u, w = xp.where(below, p, q), xp.where(below, q, p)
        odds = xp.where(below, place / rest, rest / place)

        def f(v: Any, u: Any, w: Any, odds: Any, *others: Any) -> Any:
            below, p, q, left, right, inverse, curvature, change = others
            more = xp.log1p(-odds * xp.expm1(-v))
            e = xp.exp((w - 1) * more - u * v)
            c, d = left + xp.where(below, -v, more), right + xp.where(below, more, -v)
            if of == "mixed":
                return e * ((c + 1 / p) * (d + 1 / q) + change)
            return e * _weighed(1 if of.startswith("slope") else 2, d if second else c, inverse, curvature)

        with np.errstate(all="ignore"):
            scale = 1 / xp.maximum(u - (w - 1) * odds, xp.sqrt(u * (u + w) / w))
            others = (below, p, q, left, right, inverse, curvature, change)
            value = _integral(xp, f, 1 / 32, scale, u, w, odds, *others)
            value = xp.where(below, value / rest, -value / place) * _beta_scaled(xp, special, p, q, place)
        ends = xp.where(xp.logical_and(positive, xp.logical_or(xp.equal(x, 0), xp.equal(x, 1))), 0, np.nan)
        return xp.where(fits, value, ends)

    return _in_double(derivative)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _library(name) for name in ("gammainc", "gammaincc", "gammaincinv", "gammainccinv", "betainc", "betaincinv")
} | {
    function.__name__: function
    for function in (
        *(betaincc, betainccinv, stdtr, stdtrit),
        *(gamma_density, beta_density),
    )
}
FUNCTIONS |= {"gammainc_slope": _gamma_derivative(1), "gammainc_curvature": _gamma_derivative(2)}
FUNCTIONS |= {f"betainc_{of}": _beta_derivative(of) for of in ("slope", "slope_b", "curvature", "curvature_b", "mixed")}
