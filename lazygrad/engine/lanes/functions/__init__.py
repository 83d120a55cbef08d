"""Mathematical functions of registers, by our own polynomials.

Each takes and gives float32 or float64, narrow or wide, and keeps within the errors of ``docs/accuracy.md``. Special
values are NumPy's. Nothing is called from the platform's libraries, so results are the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from lazygrad.engine.lanes.functions.error_function import erf, erfc, erfcx, erfinv, gaussian, gaussian_half
from lazygrad.engine.lanes.functions.exponential import exp, exp2, expm1
from lazygrad.engine.lanes.functions.gamma import digamma, gammaln
from lazygrad.engine.lanes.functions.hyperbolic import arccosh, arcsinh, arctanh, cosh, sinh, tanh
from lazygrad.engine.lanes.functions.inverse_trigonometric import arccos, arcsin, arctan, arctan2
from lazygrad.engine.lanes.functions.logarithm import log, log1p, log2, log10
from lazygrad.engine.lanes.functions.normal import gelu_exponential, log_ndtr, mills, ndtr
from lazygrad.engine.lanes.functions.powers import cbrt, hypot, logaddexp, power
from lazygrad.engine.lanes.functions.trigonometric import cos, sin, tan
from lazygrad.engine.lanes.registers import Register

__all__ = ["FUNCTIONS", "OPERANDS"]

_ONE = (
    *(exp, exp2, expm1, log, log2, log10, log1p),
    *(sin, cos, tan, arcsin, arccos, arctan),
    *(sinh, cosh, tanh, arcsinh, arccosh, arctanh),
    *(cbrt, erf, erfc, erfcx, erfinv, gammaln, digamma),
    *(gaussian, gaussian_half, ndtr, log_ndtr, mills, gelu_exponential),
)
_TWO = (arctan2, power, hypot, logaddexp)

# By the name that kernels call: ``xp.<name>``.
FUNCTIONS: dict[str, Callable[..., Register]] = {function.__name__: function for function in _ONE + _TWO}

# How many registers each takes.
OPERANDS = {function.__name__: 2 if function in _TWO else 1 for function in _ONE + _TWO}
