"""The incomplete gamma and beta functions, their complements and inverses, and Student's distribution.

All have derivatives in every operand. Those for the place are densities, of any order. Those for the other operands are
integrals, up to the second order; asking for a third one is a GradientError.
"""

from __future__ import annotations

from typing import Any

from lazygrad.define import elementwise
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array
from lazygrad.ops.arithmetic import sign, square
from lazygrad.ops.comparison import equal, where
from lazygrad.ops.elementary import exp, log, log1p
from lazygrad.ops.special import _digamma_less, betaln, digamma, polygamma

__all__ = [
    "betainc",
    "betaincc",
    "betainccinv",
    "betaincinv",
    "gammainc",
    "gammaincc",
    "gammainccinv",
    "gammaincinv",
    "stdtr",
    "stdtrit",
]


def _at_end(x: Any) -> Any:
    """x, and 1 where it is 0, so that nothing is divided by it."""
    return where(equal(x, 0), 1, x)


def _log_apart(a: Any, x: Any) -> Any:
    """log x − ψ(a), by which the density of the gamma distribution is multiplied when it is differentiated for a."""
    return log(_at_end(x)) - digamma(a)


@elementwise(
    vjp=(
        lambda g, y, a, x: g * (y * _log_apart(a, x)),
        lambda g, y, a, x: g * (y * ((a - 1 - x) / _at_end(x))),
    ),
    dtype=floating,
)
def _gamma_density(xp: Any, a: Array, x: Array) -> Any:
    """xᵃ⁻¹·e⁻ˣ/Γ(a)."""
    return xp.gamma_density(a, x)


@elementwise(
    vjp=(
        None,
        lambda g, y, a, x: g * (_gamma_density(a, x) * (square(_log_apart(a, x)) - polygamma(1, a))),
    ),
    dtype=floating,
)
def _gammainc_curvature(xp: Any, a: Array, x: Array) -> Any:
    """∂²P(a, x)/∂a²."""
    return xp.gammainc_curvature(a, x)


@elementwise(
    vjp=(
        lambda g, y, a, x: g * _gammainc_curvature(a, x),
        lambda g, y, a, x: g * (_gamma_density(a, x) * _log_apart(a, x)),
    ),
    dtype=floating,
)
def _gammainc_slope(xp: Any, a: Array, x: Array) -> Any:
    """∂P(a, x)/∂a."""
    return xp.gammainc_slope(a, x)


@elementwise(
    vjp=(lambda g, y, a, x: g * _gammainc_slope(a, x), lambda g, y, a, x: g * _gamma_density(a, x)), dtype=floating
)
def gammainc(xp: Any, a: Array, x: Array) -> Any:
    """P(a, x), the regularised lower incomplete gamma function: the gamma distribution function of shape a."""
    return xp.gammainc(a, x)


@elementwise(
    vjp=(lambda g, y, a, x: -g * _gammainc_slope(a, x), lambda g, y, a, x: -g * _gamma_density(a, x)), dtype=floating
)
def gammaincc(xp: Any, a: Array, x: Array) -> Any:
    """Q(a, x) = 1 − P(a, x), precise where it is small."""
    return xp.gammaincc(a, x)


@elementwise(
    vjp=(
        lambda g, y, a, p: -g * (_gammainc_slope(a, y) / _gamma_density(a, y)),
        lambda g, y, a, p: g / _gamma_density(a, y),
    ),
    dtype=floating,
)
def gammaincinv(xp: Any, a: Array, p: Array) -> Any:
    """x with P(a, x) = p."""
    return xp.gammaincinv(a, p)


@elementwise(
    vjp=(
        lambda g, y, a, q: -g * (_gammainc_slope(a, y) / _gamma_density(a, y)),
        lambda g, y, a, q: -g / _gamma_density(a, y),
    ),
    dtype=floating,
)
def gammainccinv(xp: Any, a: Array, q: Array) -> Any:
    """x with Q(a, x) = q."""
    return xp.gammainccinv(a, q)


@elementwise(
    vjp=(
        lambda g, y, a, b, x: g * (y * (log(_at_end(x)) - _digamma_less(a, b))),
        lambda g, y, a, b, x: g * (y * (log1p(-x) - _digamma_less(b, a))),
        lambda g, y, a, b, x: g * (y * ((a - 1) / _at_end(x) - (b - 1) / _at_end(1 - x))),
    ),
    dtype=floating,
)
def _beta_density(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """xᵃ⁻¹·(1 − x)ᵇ⁻¹/B(a, b)."""
    return xp.beta_density(a, b, x)


def _beta_apart(a: Any, b: Any, x: Any) -> Any:
    """log x − ψ(a) + ψ(a + b), by which the density of the beta distribution is multiplied."""
    return log(_at_end(x)) - _digamma_less(a, b)


def _beta_apart_b(a: Any, b: Any, x: Any) -> Any:
    """log(1 − x) − ψ(b) + ψ(a + b)."""
    return log1p(-where(equal(x, 1), 0, x)) - _digamma_less(b, a)


def _beta_curve(a: Any, b: Any, apart: Any) -> Any:
    """What the density is multiplied by when it is differentiated for a twice."""
    return square(apart) - polygamma(1, a) + polygamma(1, a + b)


@elementwise(
    vjp=(None, None, lambda g, y, a, b, x: g * (_beta_density(a, b, x) * _beta_curve(a, b, _beta_apart(a, b, x)))),
    dtype=floating,
)
def _betainc_curvature(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """∂²I(a, b, x)/∂a²."""
    return xp.betainc_curvature(a, b, x)


@elementwise(
    vjp=(None, None, lambda g, y, a, b, x: g * (_beta_density(a, b, x) * _beta_curve(b, a, _beta_apart_b(a, b, x)))),
    dtype=floating,
)
def _betainc_curvature_b(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """∂²I(a, b, x)/∂b²."""
    return xp.betainc_curvature_b(a, b, x)


@elementwise(
    vjp=(
        None,
        None,
        lambda g, y, a, b, x: (
            g * (_beta_density(a, b, x) * (_beta_apart(a, b, x) * _beta_apart_b(a, b, x) + polygamma(1, a + b)))
        ),
    ),
    dtype=floating,
)
def _betainc_mixed(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """∂²I(a, b, x)/∂a∂b."""
    return xp.betainc_mixed(a, b, x)


@elementwise(
    vjp=(
        lambda g, y, a, b, x: g * _betainc_curvature(a, b, x),
        lambda g, y, a, b, x: g * _betainc_mixed(a, b, x),
        lambda g, y, a, b, x: g * (_beta_density(a, b, x) * _beta_apart(a, b, x)),
    ),
    dtype=floating,
)
def _betainc_slope(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """∂I(a, b, x)/∂a."""
    return xp.betainc_slope(a, b, x)


# Not −∂I(b, a, 1 − x)/∂b: small x would lose its digits.
@elementwise(
    vjp=(
        lambda g, y, a, b, x: g * _betainc_mixed(a, b, x),
        lambda g, y, a, b, x: g * _betainc_curvature_b(a, b, x),
        lambda g, y, a, b, x: g * (_beta_density(a, b, x) * _beta_apart_b(a, b, x)),
    ),
    dtype=floating,
)
def _betainc_slope_b(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """∂I(a, b, x)/∂b."""
    return xp.betainc_slope_b(a, b, x)


@elementwise(
    vjp=(
        lambda g, y, a, b, x: g * _betainc_slope(a, b, x),
        lambda g, y, a, b, x: g * _betainc_slope_b(a, b, x),
        lambda g, y, a, b, x: g * _beta_density(a, b, x),
    ),
    dtype=floating,
)
def betainc(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """I(a, b, x), the regularised incomplete beta function: the beta distribution function."""
    return xp.betainc(a, b, x)


@elementwise(
    vjp=(
        lambda g, y, a, b, x: -g * _betainc_slope(a, b, x),
        lambda g, y, a, b, x: -g * _betainc_slope_b(a, b, x),
        lambda g, y, a, b, x: -g * _beta_density(a, b, x),
    ),
    dtype=floating,
)
def betaincc(xp: Any, a: Array, b: Array, x: Array) -> Any:
    """1 − I(a, b, x), precise where it is small."""
    return xp.betaincc(a, b, x)


@elementwise(
    vjp=(
        lambda g, y, a, b, p: -g * (_betainc_slope(a, b, y) / _beta_density(a, b, y)),
        lambda g, y, a, b, p: -g * (_betainc_slope_b(a, b, y) / _beta_density(a, b, y)),
        lambda g, y, a, b, p: g / _beta_density(a, b, y),
    ),
    dtype=floating,
)
def betaincinv(xp: Any, a: Array, b: Array, p: Array) -> Any:
    """x with I(a, b, x) = p."""
    return xp.betaincinv(a, b, p)


@elementwise(
    vjp=(
        lambda g, y, a, b, q: -g * (_betainc_slope(a, b, y) / _beta_density(a, b, y)),
        lambda g, y, a, b, q: -g * (_betainc_slope_b(a, b, y) / _beta_density(a, b, y)),
        lambda g, y, a, b, q: -g / _beta_density(a, b, y),
    ),
    dtype=floating,
)
def betainccinv(xp: Any, a: Array, b: Array, q: Array) -> Any:
    """x with 1 − I(a, b, x) = q."""
    return xp.betainccinv(a, b, q)


def _student_density(df: Any, t: Any) -> Any:
    """(1 + t²/df)^(−(df + 1)/2) / (√df·B(df/2, ½))."""
    return exp(-betaln(0.5 * df, 0.5) - 0.5 * log(df) - 0.5 * (df + 1) * log1p(square(t) / df))


def _student_slope(df: Any, t: Any) -> Any:
    """The derivative of :func:`stdtr` for df: for t < 0 it is ½·I(df/2, ½, df/(df + t²))."""
    none = equal(t, 0)
    s, a = square(where(none, 1, t)), 0.5 * df
    small = s < df  # then it is the rest of I(½, df/2, t²/(df + t²)), as 1 less x has no digits
    x, u = where(small, 0.5, df / (df + s)), where(small, s / (df + s), 0.5)
    slope = where(small, -_betainc_slope_b(0.5, a, u), _betainc_slope(a, 0.5, x))
    density = where(small, _beta_density(0.5, a, u), _beta_density(a, 0.5, x))
    half = slope / 2 + density * (s / square(df + s))
    return where(none, 0, -0.5 * sign(t) * half)


@elementwise(
    vjp=(lambda g, y, df, t: g * _student_slope(df, t), lambda g, y, df, t: g * _student_density(df, t)),
    dtype=floating,
)
def stdtr(xp: Any, df: Array, t: Array) -> Any:
    """Student's distribution function with ``df`` degrees of freedom, at t; precise in the left tail."""
    return xp.stdtr(df, t)


@elementwise(
    vjp=(
        lambda g, y, df, p: -g * (_student_slope(df, y) / _student_density(df, y)),
        lambda g, y, df, p: g / _student_density(df, y),
    ),
    dtype=floating,
)
def stdtrit(xp: Any, df: Array, p: Array) -> Any:
    """The quantile t of Student's distribution with ``stdtr(df, t)`` = p."""
    return xp.stdtrit(df, p)
