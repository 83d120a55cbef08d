"""The normal distribution, and what is made of it."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.ops.arithmetic import square
from lazygrad.ops.comparison import logical_and, logical_or, where
from lazygrad.ops.elementary import exp, log
from lazygrad.ops.entropies import log1mexp
from lazygrad.ops.special import erf, erfc, erfcinv, erfinv, log_ndtr, ndtr, ndtri
from lazygrad.stats.family import REAL, Continuous, inf

__all__ = ["halfnorm", "lognorm", "norm", "truncnorm"]

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
ROOT_TWO = math.sqrt(2)

norm = Continuous(
    "norm",
    "Normal distribution of mean ``loc`` and standard deviation ``scale``: e^(−z²/2) / √2π.",
    logpdf=lambda z: -0.5 * square(z) - HALF_LOG_TWO_PI,
    cdf=ndtr,
    sf=lambda z: ndtr(-z),
    logcdf=log_ndtr,
    logsf=lambda z: log_ndtr(-z),
    ppf=ndtri,
    isf=lambda q: -ndtri(q),
)

halfnorm = Continuous(
    "halfnorm",
    "Distribution of the absolute value of a normal number: 2·e^(−z²/2) / √2π for z ≥ 0.",
    logpdf=lambda z: -0.5 * square(z) - (HALF_LOG_TWO_PI - math.log(2)),
    cdf=lambda z: erf(z / ROOT_TWO),
    sf=lambda z: erfc(z / ROOT_TWO),
    logsf=lambda z: log_ndtr(-z) + math.log(2),
    ppf=lambda p: ROOT_TWO * erfinv(p),
    isf=lambda q: ROOT_TWO * erfcinv(q),
    support=(0.0, inf),
)

lognorm = Continuous(
    "lognorm",
    "Distribution of e to a normal number of deviation ``s``: e^(−log² z / 2s²) / (s·z·√2π) for z > 0.",
    logpdf=lambda z, s: -0.5 * square(log(z) / s) - log(s * z) - HALF_LOG_TWO_PI,
    cdf=lambda z, s: ndtr(log(z) / s),
    sf=lambda z, s: ndtr(-log(z) / s),
    logcdf=lambda z, s: log_ndtr(log(z) / s),
    logsf=lambda z, s: log_ndtr(-log(z) / s),
    ppf=lambda p, s: exp(s * ndtri(p)),
    isf=lambda q, s: exp(-s * ndtri(q)),
    support=(0.0, inf),
    inside=1.0,
    closed=False,
)


def _log_between(a: Any, b: Any) -> Any:
    """log(Φ(b) − Φ(a)) for a < b, from the tails that are nearer: of both their mirror images if a is above 0."""
    right = a > 0
    low, high = where(right, -b, a), where(right, -a, b)
    top = log_ndtr(high)
    return top + log1mexp(log_ndtr(low) - top)


def _log_truncated(z: Any, a: Any, b: Any) -> Any:
    density = -0.5 * square(z) - HALF_LOG_TWO_PI - _log_between(a, b)
    return where(logical_and(a < b, logical_or(z < a, z > b)), -inf, density)


def _part(z: Any, a: Any, b: Any, low: Any, high: Any) -> Any:
    """The part of the probability from a to b that lies from ``low`` to ``high``, one of which is z."""
    inside = exp(_log_between(low, high) - _log_between(a, b))
    empty, full = (z <= a, z >= b) if high is z else (z >= b, z <= a)
    return where(a < b, where(empty, 0.0, where(full, 1.0, inside)), math.nan)


def _truncated_quantile(p: Any, a: Any, b: Any) -> Any:
    """Of Φ(a) + p·(Φ(b) − Φ(a)), by the tails that are nearer."""
    right = a > 0
    low, high = where(right, -b, a), where(right, -a, b)
    part = where(right, 1 - p, p)
    z = ndtri(ndtr(low) * (1 - part) + ndtr(high) * part)
    z = where(part <= 0, low, where(part >= 1, high, z))  # where there is no number for so small a probability
    return where(a < b, where(right, -z, z), math.nan)


truncnorm = Continuous(
    "truncnorm",
    "Normal distribution of which only the part from a to b is left, in standard units: φ(z) / (Φ(b) − Φ(a)).",
    logpdf=_log_truncated,
    cdf=lambda z, a, b: _part(z, a, b, a, z),
    sf=lambda z, a, b: _part(z, a, b, z, b),
    ppf=_truncated_quantile,
    isf=lambda q, a, b: -_truncated_quantile(q, -b, -a),
    domains={"a": REAL, "b": REAL},
)
