"""Distributions of counts."""

from __future__ import annotations

from typing import Any

from lazygrad.ops.elementary import exp, expm1, log, log1p
from lazygrad.ops.elements import xlog1py, xlogy
from lazygrad.ops.incomplete import betainc, betaincc, gammainc, gammaincc
from lazygrad.ops.special import betaln, gammaln
from lazygrad.stats.family import UNIT, Discrete

__all__ = ["bernoulli", "betabinom", "binom", "geom", "nbinom", "poisson"]

poisson = Discrete(
    "poisson",
    "Poisson's distribution of mean ``mu``: muᵏ·e^(−mu) / k! for k ≥ 0.",
    logpmf=lambda k, mu: xlogy(k, mu) - gammaln(k + 1) - mu,
    cdf=lambda k, mu: gammaincc(k + 1, mu),
    sf=lambda k, mu: gammainc(k + 1, mu),
)


def _log_binomial(k: Any, n: Any, p: Any) -> Any:
    return xlogy(k, p) + xlog1py(n - k, -p) - betaln(k + 1, n - k + 1) - log1p(n)


binom = Discrete(
    "binom",
    "Binomial distribution, of successes among ``n`` of probability ``p`` each: n over k times pᵏ·(1 − p)ⁿ⁻ᵏ.",
    logpmf=_log_binomial,
    cdf=lambda k, n, p: betaincc(k + 1, n - k, p),
    sf=lambda k, n, p: betainc(k + 1, n - k, p),
    most=lambda n, p: n,
    domains={"p": UNIT},
)

bernoulli = Discrete(
    "bernoulli",
    "Bernoulli's distribution: 1 with the probability ``p``, else 0.",
    logpmf=lambda k, p: xlogy(k, p) + xlog1py(1 - k, -p),
    cdf=lambda k, p: 1 - p + 0 * k,
    sf=lambda k, p: p + 0 * k,
    most=lambda p: 1.0,
    domains={"p": UNIT},
)

geom = Discrete(
    "geom",
    "Geometric distribution, of trials up to the first success: p·(1 − p)^(k − 1) for k ≥ 1.",
    logpmf=lambda k, p: log(p) + xlog1py(k - 1, -p),
    cdf=lambda k, p: -expm1(xlog1py(k, -p)),
    sf=lambda k, p: exp(xlog1py(k, -p)),
    least=1.0,
    domains={"p": UNIT},
)

nbinom = Discrete(
    "nbinom",
    "Negative binomial distribution, of failures before the n-th success: Γ(n + k)/(k!·Γ(n))·pⁿ·(1 − p)ᵏ for k ≥ 0.",
    logpmf=lambda k, n, p: xlogy(n, p) + xlog1py(k, -p) - betaln(k + 1, n) - log(n + k),
    cdf=lambda k, n, p: betainc(n, k + 1, p),
    sf=lambda k, n, p: betaincc(n, k + 1, p),
    domains={"p": UNIT},
)


def _log_beta_binomial(k: Any, n: Any, a: Any, b: Any) -> Any:
    return betaln(k + a, n - k + b) - betaln(a, b) - betaln(k + 1, n - k + 1) - log1p(n)


betabinom = Discrete(
    "betabinom",
    "Binomial distribution with a p that has the beta distribution of shapes ``a`` and ``b``.",
    logpmf=_log_beta_binomial,
    most=lambda n, a, b: n,
)
