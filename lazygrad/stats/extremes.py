"""Distributions of extremes, of lengths, angles, ratios and first passages, and bell-shaped ones of other tails."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.ops.arithmetic import abs, power, rsqrt, sqrt, square
from lazygrad.ops.comparison import where
from lazygrad.ops.elementary import cos, exp, expm1, log, log1p, logaddexp
from lazygrad.ops.elements import xlogy
from lazygrad.ops.entropies import log1mexp
from lazygrad.ops.incomplete import betainc, betaincinv, gammainc, gammaincc, gammainccinv
from lazygrad.ops.special import betaln, gammaln, i0e, log_ndtr
from lazygrad.stats.family import REAL, Continuous, inf

__all__ = ["f", "gennorm", "gumbel_l", "gumbel_r", "invgauss", "rayleigh", "skewnorm", "vonmises"]

LOG_TWO = math.log(2)
HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)

gumbel_r = Continuous(
    "gumbel_r",
    "Gumbel's distribution of maxima: e^(−z − e⁻ᶻ).",
    logpdf=lambda z: -where(z < -100, 0, z) - exp(-z),  # far out both may be infinite, and the one is nothing
    cdf=lambda z: exp(-exp(-z)),
    sf=lambda z: -expm1(-exp(-z)),
    logcdf=lambda z: -exp(-z),
    logsf=lambda z: log1mexp(-exp(-z)),
    ppf=lambda p: -log(-log(p)),
    isf=lambda q: -log(-log1p(-q)),
)

gumbel_l = Continuous(
    "gumbel_l",
    "Gumbel's distribution of minima: e^(z − eᶻ).",
    logpdf=lambda z: where(z > 100, 0, z) - exp(z),
    cdf=lambda z: -expm1(-exp(z)),
    sf=lambda z: exp(-exp(z)),
    logcdf=lambda z: log1mexp(-exp(z)),
    logsf=lambda z: -exp(z),
    ppf=lambda p: log(-log1p(-p)),
    isf=lambda q: log(-log(q)),
)

rayleigh = Continuous(
    "rayleigh",
    "Rayleigh's distribution, of the length of a vector of two normal numbers: z·e^(−z²/2) for z > 0.",
    logpdf=lambda z: log(z) - 0.5 * square(z),
    cdf=lambda z: -expm1(-0.5 * square(z)),
    sf=lambda z: exp(-0.5 * square(z)),
    logsf=lambda z: -0.5 * square(z),
    ppf=lambda p: sqrt(-2 * log1p(-p)),
    isf=lambda q: sqrt(-2 * log(q)),
    support=(0.0, inf),
    inside=1.0,
    closed=False,
)


def _log_f(z: Any, dfn: Any, dfd: Any) -> Any:
    a, b = 0.5 * dfn, 0.5 * dfd
    return xlogy(a - 1, z) + a * log(dfn / dfd) - (a + b) * log1p(dfn / dfd * z) - betaln(a, b)


def _ratio(y: Any, dfn: Any, dfd: Any) -> Any:
    return dfd * y / (dfn * (1 - y))


f = Continuous(
    "f",
    "Fisher's distribution, of the ratio of two mean squares with ``dfn`` and ``dfd`` degrees of freedom.",
    logpdf=_log_f,
    cdf=lambda z, dfn, dfd: betainc(0.5 * dfn, 0.5 * dfd, dfn * z / (dfn * z + dfd)),
    sf=lambda z, dfn, dfd: betainc(0.5 * dfd, 0.5 * dfn, dfd / (dfn * z + dfd)),
    ppf=lambda p, dfn, dfd: _ratio(betaincinv(0.5 * dfn, 0.5 * dfd, p), dfn, dfd),
    isf=lambda q, dfn, dfd: 1 / _ratio(betaincinv(0.5 * dfd, 0.5 * dfn, q), dfd, dfn),
    support=(0.0, inf),
    inside=1.0,
)

vonmises = Continuous(
    "vonmises",
    "Von Mises' distribution of angles around ``loc``: e^(kappa·cos z) / (2π·I₀(kappa)), of period 2π.",
    logpdf=lambda z, kappa: kappa * (cos(z) - 1) - log(i0e(kappa)) - 2 * HALF_LOG_TWO_PI,
)


def _log_inverse_gaussian(z: Any, mu: Any) -> Any:
    return -1.5 * log(z) - HALF_LOG_TWO_PI - 0.5 * square((z - mu) / mu) / z


def _passed(z: Any, mu: Any) -> Any:
    root = rsqrt(z)
    return logaddexp(log_ndtr(root * (z / mu - 1)), 2 / mu + log_ndtr(-root * (z / mu + 1)))


invgauss = Continuous(
    "invgauss",
    "Inverse Gaussian distribution, of the time of a first passage: e^(−(z − mu)²/(2·z·mu²)) / √(2πz³) for z > 0.",
    logpdf=_log_inverse_gaussian,
    cdf=lambda z, mu: exp(_passed(z, mu)),
    sf=lambda z, mu: -expm1(_passed(z, mu)),
    logcdf=_passed,
    support=(0.0, inf),
    inside=1.0,
    closed=False,
)

skewnorm = Continuous(
    "skewnorm",
    "Skew normal distribution of shape ``a``, any number: 2·φ(z)·Φ(a·z).",
    logpdf=lambda z, a: LOG_TWO - HALF_LOG_TWO_PI - 0.5 * square(z) + log_ndtr(a * z),
    domains={"a": REAL},
)


def _below(z: Any, beta: Any) -> Any:
    size = power(abs(z), beta)
    return where(z < 0, 0.5 * gammaincc(1 / beta, size), 0.5 + 0.5 * gammainc(1 / beta, size))


def _beyond(q: Any, beta: Any) -> Any:
    """The place of which the probability of more is q, at most a half."""
    return power(gammainccinv(1 / beta, 2 * q), 1 / beta)


gennorm = Continuous(
    "gennorm",
    "Generalised normal distribution of shape ``beta``: beta·e^(−|z|^beta) / (2·Γ(1/beta)).",
    logpdf=lambda z, beta: log(beta) - LOG_TWO - gammaln(1 / beta) - power(abs(z), beta),
    cdf=lambda z, beta: _below(z, beta),
    sf=lambda z, beta: _below(-z, beta),
    ppf=lambda p, beta: where(
        p < 0.5, -_beyond(where(p < 0.5, p, 0.5), beta), _beyond(where(p < 0.5, 0.5, 1 - p), beta)
    ),
    isf=lambda q, beta: where(
        q < 0.5, _beyond(where(q < 0.5, q, 0.5), beta), -_beyond(where(q < 0.5, 0.5, 1 - q), beta)
    ),
)
