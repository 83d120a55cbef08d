"""The gamma and beta distributions, and those that are the gamma distribution in other words."""

from __future__ import annotations

from lazygrad.ops.elementary import log
from lazygrad.ops.elements import xlog1py, xlogy
from lazygrad.ops.incomplete import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaincinv,
)
from lazygrad.ops.special import betaln, gammaln
from lazygrad.stats.family import Continuous, inf

__all__ = ["beta", "chi2", "gamma", "invgamma"]

LOG_TWO = 0.6931471805599453

gamma = Continuous(
    "gamma",
    "Gamma distribution of shape ``a``: z^(a − 1)·e⁻ᶻ / Γ(a) for z > 0.",
    logpdf=lambda z, a: xlogy(a - 1, z) - z - gammaln(a),
    cdf=lambda z, a: gammainc(a, z),
    sf=lambda z, a: gammaincc(a, z),
    ppf=lambda p, a: gammaincinv(a, p),
    isf=lambda q, a: gammainccinv(a, q),
    support=(0.0, inf),
    inside=1.0,
)

chi2 = Continuous(
    "chi2",
    "Distribution of the sum of ``df`` squares of normal numbers: the gamma distribution of z/2 and shape df/2.",
    logpdf=lambda z, df: xlogy(0.5 * df - 1, z) - 0.5 * z - gammaln(0.5 * df) - LOG_TWO * (0.5 * df),
    cdf=lambda z, df: gammainc(0.5 * df, 0.5 * z),
    sf=lambda z, df: gammaincc(0.5 * df, 0.5 * z),
    ppf=lambda p, df: 2 * gammaincinv(0.5 * df, p),
    isf=lambda q, df: 2 * gammainccinv(0.5 * df, q),
    support=(0.0, inf),
    inside=1.0,
)

invgamma = Continuous(
    "invgamma",
    "Distribution of the reciprocal of a gamma number of shape ``a``: z^(−a − 1)·e^(−1/z) / Γ(a) for z > 0.",
    logpdf=lambda z, a: -(a + 1) * log(z) - gammaln(a) - 1 / z,
    cdf=lambda z, a: gammaincc(a, 1 / z),
    sf=lambda z, a: gammainc(a, 1 / z),
    ppf=lambda p, a: 1 / gammainccinv(a, p),
    isf=lambda q, a: 1 / gammaincinv(a, q),
    support=(0.0, inf),
    inside=1.0,
    closed=False,
)

beta = Continuous(
    "beta",
    "Beta distribution of shapes ``a`` and ``b``: z^(a − 1)·(1 − z)^(b − 1) / B(a, b) for 0 < z < 1.",
    logpdf=lambda z, a, b: xlogy(a - 1, z) + xlog1py(b - 1, -z) - betaln(a, b),
    cdf=lambda z, a, b: betainc(a, b, z),
    sf=lambda z, a, b: betaincc(a, b, z),
    ppf=lambda p, a, b: betaincinv(a, b, p),
    isf=lambda q, a, b: betainccinv(a, b, q),
    support=(0.0, 1.0),
    inside=0.5,
)
