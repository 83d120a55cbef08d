"""Distributions with heavy tails: Student's, and Cauchy's, which is that with one degree of freedom."""

from __future__ import annotations

import math

from lazygrad.ops.arithmetic import square
from lazygrad.ops.comparison import where
from lazygrad.ops.elementary import atan, atan2, log, log1p, tan
from lazygrad.ops.incomplete import stdtr, stdtrit
from lazygrad.ops.special import betaln
from lazygrad.stats.family import Continuous, inf

__all__ = ["cauchy", "halfcauchy", "t"]

t = Continuous(
    "t",
    "Student's distribution with ``df`` degrees of freedom: (1 + z²/df)^(−(df + 1)/2) / (√df·B(df/2, ½)).",
    logpdf=lambda z, df: -betaln(0.5 * df, 0.5) - 0.5 * log(df) - (0.5 * df + 0.5) * log1p(square(z) / df),
    cdf=lambda z, df: stdtr(df, z),
    sf=lambda z, df: stdtr(df, -z),
    ppf=lambda p, df: stdtrit(df, p),
    isf=lambda q, df: -stdtrit(df, q),
)

cauchy = Continuous(
    "cauchy",
    "Cauchy's distribution: 1 / (π·(1 + z²)).",
    logpdf=lambda z: -log1p(square(z)) - math.log(math.pi),
    cdf=lambda z: atan2(1.0, -z) / math.pi,
    sf=lambda z: atan2(1.0, z) / math.pi,
    ppf=lambda p: where(p < 0.5, -1 / tan(math.pi * p), 1 / tan(math.pi * (1 - p))),
    isf=lambda q: where(q < 0.5, 1 / tan(math.pi * q), -1 / tan(math.pi * (1 - q))),
)

halfcauchy = Continuous(
    "halfcauchy",
    "Distribution of the absolute value of a Cauchy number: 2 / (π·(1 + z²)) for z ≥ 0.",
    logpdf=lambda z: -log1p(square(z)) + math.log(2 / math.pi),
    cdf=lambda z: atan(z) * (2 / math.pi),
    sf=lambda z: atan2(1.0, z) * (2 / math.pi),
    ppf=lambda p: where(p < 0.5, tan((math.pi / 2) * p), 1 / tan((math.pi / 2) * (1 - p))),
    isf=lambda q: where(q < 0.5, 1 / tan((math.pi / 2) * q), tan((math.pi / 2) * (1 - q))),
    support=(0.0, inf),
)
