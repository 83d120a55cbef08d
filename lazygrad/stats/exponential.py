"""Distributions of waiting times and others with exponential or power tails."""

from __future__ import annotations

import math

from lazygrad.nn.activations import log_sigmoid, softplus
from lazygrad.ops.arithmetic import abs, power
from lazygrad.ops.comparison import where
from lazygrad.ops.elementary import exp, expm1, log, log1p, sigmoid
from lazygrad.ops.elements import xlogy
from lazygrad.ops.entropies import log1mexp, logit
from lazygrad.stats.family import Continuous, inf

__all__ = ["expon", "laplace", "logistic", "pareto", "uniform", "weibull_min"]

LOG_TWO = math.log(2)

expon = Continuous(
    "expon",
    "Exponential distribution of mean ``scale``: e⁻ᶻ for z ≥ 0.",
    logpdf=lambda z: -z,
    cdf=lambda z: -expm1(-z),
    sf=lambda z: exp(-z),
    logcdf=lambda z: log1mexp(-z),
    logsf=lambda z: -z,
    ppf=lambda p: -log1p(-p),
    isf=lambda q: -log(q),
    support=(0.0, inf),
)

laplace = Continuous(
    "laplace",
    "Laplace's distribution: ½·e^(−|z|).",
    logpdf=lambda z: -abs(z) - LOG_TWO,
    cdf=lambda z: where(z < 0, 0.5 * exp(-abs(z)), 1 - 0.5 * exp(-abs(z))),
    sf=lambda z: where(z > 0, 0.5 * exp(-abs(z)), 1 - 0.5 * exp(-abs(z))),
    logcdf=lambda z: where(z < 0, z - LOG_TWO, log1p(-0.5 * exp(-abs(z)))),
    logsf=lambda z: where(z > 0, -z - LOG_TWO, log1p(-0.5 * exp(-abs(z)))),
    ppf=lambda p: where(p < 0.5, log(2 * p), -log(2 * (1 - p))),
    isf=lambda q: where(q < 0.5, -log(2 * q), log(2 * (1 - q))),
)

logistic = Continuous(
    "logistic",
    "Logistic distribution: e⁻ᶻ / (1 + e⁻ᶻ)².",
    logpdf=lambda z: -softplus(z) - softplus(-z),
    cdf=sigmoid,
    sf=lambda z: sigmoid(-z),
    logcdf=log_sigmoid,
    logsf=lambda z: -softplus(z),
    ppf=logit,
    isf=lambda q: -logit(q),
)

uniform = Continuous(
    "uniform",
    "Uniform distribution from ``loc`` to ``loc + scale``.",
    logpdf=lambda z: 0 * z,
    cdf=lambda z: z,
    sf=lambda z: 1 - z,
    ppf=lambda p: p,
    isf=lambda q: 1 - q,
    support=(0.0, 1.0),
)

weibull_min = Continuous(
    "weibull_min",
    "Weibull's distribution of shape ``c``: c·z^(c − 1)·e^(−zᶜ) for z > 0.",
    logpdf=lambda z, c: log(c) + xlogy(c - 1, z) - power(z, c),
    cdf=lambda z, c: -expm1(-power(z, c)),
    sf=lambda z, c: exp(-power(z, c)),
    logcdf=lambda z, c: log1mexp(-power(z, c)),
    logsf=lambda z, c: -power(z, c),
    ppf=lambda p, c: power(-log1p(-p), 1 / c),
    isf=lambda q, c: power(-log(q), 1 / c),
    support=(0.0, inf),
    inside=1.0,
)

pareto = Continuous(
    "pareto",
    "Pareto's distribution of index ``b``: b / z^(b + 1) for z ≥ 1.",
    logpdf=lambda z, b: log(b) - (b + 1) * log(z),
    cdf=lambda z, b: -expm1(-b * log(z)),
    sf=lambda z, b: power(z, -b),
    logcdf=lambda z, b: log1mexp(-b * log(z)),
    logsf=lambda z, b: -b * log(z),
    ppf=lambda p, b: exp(-log1p(-p) / b),
    isf=lambda q, b: power(q, -1 / b),
    support=(1.0, inf),
    inside=2.0,
)
