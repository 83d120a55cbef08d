"""The normal distribution, and what is made of it."""

from __future__ import annotations

import math

from lazygrad.ops.arithmetic import square
from lazygrad.ops.elementary import exp, log
from lazygrad.ops.special import erf, erfc, erfcinv, erfinv, log_ndtr, ndtr, ndtri
from lazygrad.stats.family import Continuous, inf

__all__ = ["halfnorm", "lognorm", "norm"]

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
