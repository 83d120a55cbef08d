"""Probability distributions, ``lg.stats``, in the manner of ``scipy.stats``: densities and their kin, plain functions.

``lg.stats.norm.logpdf(x, loc, scale)`` is written as there, is differentiable in all arguments that are not whole
numbers, and broadcasts. A parameter that is a number out of its domain is an error; in a tensor it gives NaN.
"""

from lazygrad.names import publish as _publish
from lazygrad.stats.discrete import bernoulli as bernoulli
from lazygrad.stats.discrete import betabinom as betabinom
from lazygrad.stats.discrete import binom as binom
from lazygrad.stats.discrete import geom as geom
from lazygrad.stats.discrete import nbinom as nbinom
from lazygrad.stats.discrete import poisson as poisson
from lazygrad.stats.exponential import expon as expon
from lazygrad.stats.exponential import laplace as laplace
from lazygrad.stats.exponential import logistic as logistic
from lazygrad.stats.exponential import pareto as pareto
from lazygrad.stats.exponential import uniform as uniform
from lazygrad.stats.exponential import weibull_min as weibull_min
from lazygrad.stats.extremes import f as f
from lazygrad.stats.extremes import gennorm as gennorm
from lazygrad.stats.extremes import gumbel_l as gumbel_l
from lazygrad.stats.extremes import gumbel_r as gumbel_r
from lazygrad.stats.extremes import invgauss as invgauss
from lazygrad.stats.extremes import rayleigh as rayleigh
from lazygrad.stats.extremes import skewnorm as skewnorm
from lazygrad.stats.extremes import vonmises as vonmises
from lazygrad.stats.gammas import beta as beta
from lazygrad.stats.gammas import chi2 as chi2
from lazygrad.stats.gammas import gamma as gamma
from lazygrad.stats.gammas import invgamma as invgamma
from lazygrad.stats.normal import halfnorm as halfnorm
from lazygrad.stats.normal import lognorm as lognorm
from lazygrad.stats.normal import norm as norm
from lazygrad.stats.normal import truncnorm as truncnorm
from lazygrad.stats.several import categorical as categorical
from lazygrad.stats.several import dirichlet as dirichlet
from lazygrad.stats.several import multinomial as multinomial
from lazygrad.stats.several import multivariate_normal as multivariate_normal
from lazygrad.stats.student import cauchy as cauchy
from lazygrad.stats.student import halfcauchy as halfcauchy
from lazygrad.stats.student import t as t

_publish(__name__, "lg.stats")
