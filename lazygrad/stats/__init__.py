"""Probability distributions, ``lg.stats``, in the manner of ``scipy.stats``: densities and their kin, plain functions.

``lg.stats.norm.logpdf(x, loc, scale)`` is written as there, is differentiable in all arguments that are not whole
numbers, and broadcasts. A parameter that is a number out of its domain is an error; in a tensor it gives NaN.
"""

import sys
from typing import TYPE_CHECKING

from lazygrad.names import lister, public, refuser
from lazygrad.stats.discrete import bernoulli, betabinom, binom, geom, nbinom, poisson
from lazygrad.stats.exponential import expon, laplace, logistic, pareto, uniform, weibull_min
from lazygrad.stats.extremes import f, gennorm, gumbel_l, gumbel_r, invgauss, rayleigh, skewnorm, vonmises
from lazygrad.stats.gammas import beta, chi2, gamma, invgamma
from lazygrad.stats.normal import halfnorm, lognorm, norm, truncnorm
from lazygrad.stats.several import categorical, dirichlet, multinomial, multivariate_normal
from lazygrad.stats.student import cauchy, halfcauchy, t

__all__ = [
    "bernoulli",
    "beta",
    "betabinom",
    "binom",
    "categorical",
    "cauchy",
    "chi2",
    "dirichlet",
    "expon",
    "f",
    "gamma",
    "gennorm",
    "geom",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfnorm",
    "invgamma",
    "invgauss",
    "laplace",
    "logistic",
    "lognorm",
    "multinomial",
    "multivariate_normal",
    "nbinom",
    "norm",
    "pareto",
    "poisson",
    "rayleigh",
    "skewnorm",
    "t",
    "truncnorm",
    "uniform",
    "vonmises",
    "weibull_min",
]

public["lg.stats"] = sys.modules[__name__]
__dir__ = lister(__all__)
if not TYPE_CHECKING:  # type checkers know what there is
    __getattr__ = refuser("lg.stats")
