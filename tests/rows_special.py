"""Rows of special functions, and of what is their derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as special
from rows import FLOATS, Sampler, away, elementwise, real
from rows_slopes import slope

import lazygrad as lg
from lazygrad.ops import bessel, entropies, incomplete
from lazygrad.ops import special as functions


def of_scipy(name: str, *domains: Sampler, ulps: float = 4, **settings: Any) -> Any:
    """A row for a function that SciPy has under the same name."""
    return computed(name, getattr(special, name), *domains, ulps=ulps, **settings)


def computed(name: str, formula: Callable[..., Any], *domains: Sampler, ulps: float = 4, **settings: Any) -> Any:
    """A row for a function whose reference is computed in float64."""

    def reference(*xs: Any) -> Any:
        y = np.asarray(formula(*[np.asarray(x, np.float64) for x in xs]))
        return y.astype(np.result_type(*xs))

    return elementwise(name, reference, *domains, dtypes=FLOATS, ulps=ulps, **settings)


def _gamma_density(a: Any, x: Any) -> Any:
    return x ** (a - 1) * np.exp(-x) / special.gamma(a)


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return x ** (a - 1) * (1 - x) ** (b - 1) / special.beta(a, b)


def _quotient(f: Callable[..., Any]) -> Callable[..., Any]:
    """The derivative of ``f`` for its first operand, by Richardson's quotient, good to 1e-11 or so."""

    def derivative(a: Any, *others: Any) -> Any:
        first, second = ((f(a + h, *others) - f(a - h, *others)) / (2 * h) for h in (1e-3, 5e-4))
        return second + (second - first) / 3

    return derivative


def _for_b(a: Any, b: Any, x: Any) -> Any:
    return _quotient(lambda b, a, x: special.betainc(a, b, x))(b, a, x)


def _twice_for_b(a: Any, b: Any, x: Any) -> Any:
    return _quotient(_quotient(lambda b, a, x: special.betainc(a, b, x)))(b, a, x)


def _mixed(a: Any, b: Any, x: Any) -> Any:
    return _quotient(lambda b, a, x: _quotient(special.betainc)(a, b, x))(b, a, x)


def _exprel(x: Any) -> Any:
    return (np.exp(x) * (x - 1) + 1) / x**2


shape, unit = real(0.7, 4), real(0.1, 0.9)

SPECIAL = [
    of_scipy("logit", unit),
    of_scipy("erfcx", real(), ulps=8),
    of_scipy("erfcinv", real(0.2, 1.8)),
    of_scipy("ndtr", real()),
    of_scipy("ndtri", unit),
    of_scipy("gamma", real(0.5, 4)),
    computed("factorial", lambda x: special.gamma(x + 1), real(0.5, 4), ulps=16),
    of_scipy("beta", shape, shape, ulps=32),
    of_scipy("binom", real(4, 6), real(1, 3)),
    computed("multigammaln", lambda a: np.log(np.pi) / 2 + special.gammaln(a) + special.gammaln(a - 0.5), real(2, 4),
             call=lambda a: lg.multigammaln(a, 2), ulps=8),
    computed("zeta", lambda q: special.zeta(2.5, q), shape, call=lambda q: lg.zeta(2.5, q)),
    of_scipy("zeta", real(1.5, 4), shape, order=0, label="both"),
    of_scipy("i0", away()),
    of_scipy("i1", away()),
    computed("log1mexp", lambda x: np.log(1 - np.exp(x)), real(-2, -0.2), ulps=16),
    of_scipy("entr", real(0.2, 2)),
    of_scipy("rel_entr", real(0.2, 2), real(0.2, 2)),
    of_scipy("kl_div", real(0.2, 2), real(0.2, 2), ulps=16),
    of_scipy("exprel", away()),
    of_scipy("boxcox", real(0.3, 3), away(), ulps=16),
    of_scipy("gammainc", shape, shape),
    of_scipy("gammaincc", shape, shape, order=1),
    of_scipy("gammaincinv", shape, unit),
    of_scipy("gammainccinv", shape, unit, order=1),
    computed("gammainc", lambda x: special.gammainc(2.5, x), shape, call=lambda x: lg.gammainc(2.5, x), label="place"),
    of_scipy("betainc", shape, shape, unit),
    of_scipy("betaincc", shape, shape, unit, order=1, ulps=64),
    of_scipy("betaincinv", shape, shape, unit, order=1),
    of_scipy("betainccinv", shape, shape, unit, order=1),
    computed("betainc", lambda x: special.betainc(2.5, 3, x), unit, call=lambda x: lg.betainc(2.5, 3.0, x),
             label="place"),
    of_scipy("stdtr", real(1, 9), away()),
    of_scipy("stdtrit", real(1, 9), unit, ulps=64),
    computed("stdtr", lambda t: special.stdtr(2.5, t), real(), call=lambda t: lg.stdtr(2.5, t), label="place"),
    # their derivatives
    slope(functions._erfcinv_slope, lambda y, x: -special.erfcx(np.abs(y)) * np.sqrt(np.pi) / 2 / np.minimum(x, 2 - x),
          real(), real(0.2, 1.8), order=0),
    slope(functions._ndtri_slope, lambda y, p: 1 / (np.minimum(p, 1 - p) * np.sqrt(2 / np.pi)
          / special.erfcx(np.abs(y) / np.sqrt(2))), real(), unit, order=0),
    computed("_reduced", lambda x: special.iv(2, x) / x**2, away(), ulps=16,
             call=lambda x: bessel._reduced(x, order=2)),
    computed("_reduced", lambda x: special.iv(2, x) / x**2, away(11, 14), label="far", ulps=16,
             call=lambda x: bessel._reduced(x, order=2)),
    computed("_exprel", _exprel, away(1), call=lambda x: entropies._exprel(x, order=1), ulps=64),
    slope(entropies._one_less_exp, lambda x: 1 / (1 - np.exp(-x)), real(-2, -0.2)),
    slope(entropies._quotient, np.divide, real(), away()),
    slope(entropies._ratio_logarithm, lambda x, y: np.log(x / y), real(0.2, 2), real(0.2, 2)),
    slope(incomplete._gamma_density, _gamma_density, shape, shape, ulps=16),
    slope(incomplete._beta_density, _beta_density, shape, shape, unit, ulps=16),
    slope(incomplete._gammainc_slope, _quotient(special.gammainc), shape, shape, order=0, ulps=1e5),
    slope(incomplete._betainc_slope, _quotient(special.betainc), shape, shape, unit, order=0, ulps=1e5),
    slope(incomplete._gammainc_curvature, _quotient(_quotient(special.gammainc)), shape, shape, order=0, ulps=1e9),
    slope(incomplete._betainc_curvature, _quotient(_quotient(special.betainc)), shape, shape, unit, order=0, ulps=1e9),
    slope(incomplete._betainc_slope_b, _for_b, shape, shape, unit, order=0, ulps=1e5),
    slope(incomplete._betainc_curvature_b, _twice_for_b, shape, shape, unit, order=0, ulps=1e9),
    slope(incomplete._betainc_mixed, _mixed, shape, shape, unit, order=0, ulps=1e9),
]  # fmt: skip
