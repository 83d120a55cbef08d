"""Rows of the ops that are derivatives of others, and that no function calls by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as special
from rows import FLOATS, Sampler, away, elementwise, real

from lazygrad.nn import activations, losses
from lazygrad.ops import arithmetic, elementary
from lazygrad.ops import special as functions

ROOT = np.sqrt(8 / np.pi)


def _as_operands(f: Callable[..., Any]) -> Callable[..., Any]:
    """The formula computed in float64, in the dtype of its operands."""
    return lambda *xs: np.asarray(f(*[np.asarray(x, np.float64) for x in xs])).astype(np.result_type(*xs))


def slope(op: Any, formula: Callable[..., Any], *domains: Sampler, ulps: float = 4, **settings: Any) -> Any:
    """A row for a derivative that is a primitive."""
    name = op.kernel.__name__
    return elementwise(name, _as_operands(formula), *domains, call=op, dtypes=FLOATS, ulps=ulps, **settings)


def _gelu_argument(x: Any) -> Any:
    return ROOT * (x + 0.044715 * x**3)


def _gelu_slope(x: Any) -> Any:
    z = _gelu_argument(x)
    return special.expit(z) * special.expit(-z) * ROOT * (1 + 0.134145 * x**2)


def _mills(x: Any) -> Any:
    return np.sqrt(2 / np.pi) / special.erfcx(-x / np.sqrt(2))


SLOPES = [
    slope(activations._gelu_gate, lambda x: special.expit(_gelu_argument(x)), real()),
    slope(activations._gelu_slope, _gelu_slope, real()),
    slope(activations._gelu_turned, lambda x: np.tanh(_gelu_argument(x) / 2), real()),
    slope(losses._logistic_loss_slope, lambda x, t: special.expit(x) - t, real(), real(0, 1)),
    slope(elementary._logistic_slope, lambda x: special.expit(x) * special.expit(-x), real()),
    slope(elementary._tanh_slope, lambda x: np.cosh(x) ** -2, real()),
    slope(elementary._softmax_of_two, lambda a, b: special.expit(a - b), real(), real()),
    # Of y = ∛x alone it is no function: its derivative is that for x.
    slope(elementary._cbrt_slope, lambda y, x: np.abs(y) / (3 * np.abs(x)), away(), away(), order=0),
    slope(elementary._over_squares, lambda a, b: a / (a * a + b * b), away(), away()),
    slope(arithmetic._cosine, lambda a, b: a / np.hypot(a, b), away(), away()),
    slope(functions._gaussian, lambda x: np.exp(-x * x), real()),
    slope(functions._normal_density, lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi), real()),
    slope(functions._erfinv_slope, lambda y, x: special.erfcx(np.abs(y)) * np.sqrt(np.pi) / 2 / (1 - np.abs(x)),
          real(), real(-0.9, 0.9), order=0),
    slope(functions._mills, _mills, real()),
    # The formula itself loses digits for negative x.
    slope(functions._mills_beyond, lambda x: x + _mills(x), real(), ulps=16),
    slope(functions._bessel_gap, lambda x: special.i0e(x) - special.i1e(np.abs(x)), away()),
    slope(functions._digamma_less, lambda a, b: special.psi(a) - special.psi(a + b), real(0.5, 2), real(0.5, 2)),
]  # fmt: skip
