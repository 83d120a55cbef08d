"""Rows of the ops that take each element by itself, and of those that combine the elements along axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as special
from rows import BITS, FLOATS, NUMBERS, apart, away, between, elementwise, grid, mask, real, reducing, whole

import lazygrad as lg
from lazygrad.ops import strong

# fmt: off


def _nan_to_num(x: Any) -> Any:
    return np.nan_to_num(x, nan=1.5)


def _betaln(a: Any, b: Any) -> Any:
    return special.betaln(a, b).astype(np.result_type(a, b))


ELEMENTWISE = [
    # arithmetic
    elementwise("abs", np.abs, away()),
    elementwise("add", np.add, real(), real()),
    elementwise("subtract", np.subtract, real(), real()),
    elementwise("multiply", np.multiply, real(), real()),
    elementwise("divide", np.divide, real(), away()),
    elementwise("strong_multiply", np.multiply, real(), real(), call=strong.strong_multiply, dtypes=FLOATS),
    elementwise("strong_divide", np.divide, real(), away(), call=strong.strong_divide, dtypes=FLOATS),
    elementwise("_both", np.multiply, real(), real(), call=strong._both, dtypes=FLOATS),
    elementwise("negative", np.negative, real()),
    elementwise("positive", np.positive, real(), dtypes=NUMBERS),
    elementwise("identity", lambda x: x, real()),
    elementwise("total", lambda x: x, real()),
    elementwise("real", np.real, real()),
    elementwise("imag", np.imag, real()),
    elementwise("conj", np.conj, real(), dtypes=NUMBERS),
    elementwise("square", np.square, real()),
    elementwise("square", np.square, real(), call=lambda x: lg.square(lg.abs(x)), label="of a corner", dtypes=NUMBERS),
    elementwise("sqrt", np.sqrt, real(0.2, 2)),
    elementwise("reciprocal", np.reciprocal, away(), dtypes=FLOATS),
    elementwise("rsqrt", lambda x: np.reciprocal(np.sqrt(x)), real(0.3, 2), dtypes=FLOATS),
    elementwise("power", np.power, real(0.5, 2), real(-2, 2), dtypes=FLOATS),
    elementwise("power", np.power, whole(-3, 4), whole(0, 4), label="whole", order=0, dtypes=("int64",)),
    elementwise("pow", np.power, real(0.5, 2), real(-2, 2), dtypes=FLOATS),
    elementwise("pow", np.square, real(), call=lambda x: x**2, label="two", dtypes=NUMBERS),
    elementwise("pow", np.sqrt, real(0.2, 2), call=lambda x: x**0.5, label="half", dtypes=FLOATS),
    elementwise("pow", np.reciprocal, away(), call=lambda x: x**-1, label="minus one", dtypes=FLOATS),
    elementwise("pow", lambda x: np.power(x, 3), real(), call=lambda x: x**3, label="three", dtypes=NUMBERS),
    elementwise("remainder", np.remainder, real(4.2, 4.4), real(1.55, 1.7)),
    elementwise("remainder", np.remainder, real(-5, 5), away(), label="signs", order=0),
    elementwise("floor_divide", np.floor_divide, real(4.2, 4.4), real(1.55, 1.7)),
    elementwise("floor_divide", np.floor_divide, real(-5, 5), away(), label="signs", order=0),
    elementwise("maximum", np.maximum, grid(), grid(0.5)),
    elementwise("minimum", np.minimum, grid(), grid(0.5)),
    elementwise("hypot", np.hypot, away(), away()),
    elementwise("copysign", np.copysign, away(), away()),
    elementwise("nextafter", np.nextafter, real(), real()),
    elementwise("sign", np.sign, away()),
    elementwise("floor", np.floor, between),
    elementwise("ceil", np.ceil, between),
    elementwise("trunc", np.trunc, between),
    elementwise("round", np.round, between, dtypes=NUMBERS),
    elementwise("add_n", lambda a, b, c: a + b + c, real(), real(), real(), call=lambda *xs: lg.add_n(xs)),
    # comparison, logic, bits
    elementwise("equal", np.equal, grid(), grid(), order=0),
    elementwise("not_equal", np.not_equal, grid(), grid(), order=0),
    elementwise("less", np.less, grid(), grid(), order=0),
    elementwise("less_equal", np.less_equal, grid(), grid(), order=0),
    elementwise("greater", np.greater, grid(), grid(), order=0),
    elementwise("greater_equal", np.greater_equal, grid(), grid(), order=0),
    elementwise("isnan", np.isnan, real(), order=0),
    elementwise("isinf", np.isinf, real(), order=0),
    elementwise("isfinite", np.isfinite, real(), order=0),
    elementwise("signbit", np.signbit, real(), order=0),
    elementwise("logical_and", np.logical_and, grid(), grid(), order=0),
    elementwise("logical_or", np.logical_or, grid(), grid(), order=0),
    elementwise("logical_xor", np.logical_xor, grid(), grid(), order=0),
    elementwise("logical_not", np.logical_not, grid(), order=0),
    elementwise("bitwise_and", np.bitwise_and, grid(), grid(), order=0, dtypes=BITS),
    elementwise("bitwise_or", np.bitwise_or, grid(), grid(), order=0, dtypes=BITS),
    elementwise("bitwise_xor", np.bitwise_xor, grid(), grid(), order=0, dtypes=BITS),
    elementwise("bitwise_invert", np.invert, grid(), order=0, dtypes=BITS),
    elementwise("bitwise_left_shift", np.left_shift, grid(), grid(low=0), order=0, dtypes=BITS),
    elementwise("bitwise_right_shift", np.right_shift, grid(), grid(low=0), order=0, dtypes=BITS),
    elementwise("where", np.where, mask, real(), real()),
    elementwise("clip", np.clip, grid(), grid(0.3, -2, 0), grid(0.6, 0, 2), dtypes=NUMBERS),
    elementwise("clip", lambda x, low: np.maximum(x, low), grid(), grid(0.5), label="below"),
    elementwise(
        "clip", lambda x, high: np.minimum(x, high), grid(), grid(0.5), call=lambda x, high: lg.clip(x, max=high),
        label="above",
    ),
    elementwise("clip", lambda x: x, real(), call=lambda x: lg.clip(x), label="nowhere"),
    elementwise("isclose", np.isclose, grid(), grid(1e-9), order=0, dtypes=FLOATS),
    elementwise("nan_to_num", _nan_to_num, real(), call=lambda x: lg.nan_to_num(x, nan=1.5)),
    # exponentials, trigonometry
    elementwise("exp", np.exp, real()),
    elementwise("exp2", np.exp2, real()),
    elementwise("exp10", lambda x: np.power(10.0, x), real()),
    elementwise("expm1", np.expm1, real()),
    elementwise("log", np.log, real(0.3, 2)),
    elementwise("log1p", np.log1p, real(-0.6, 2)),
    elementwise("log2", np.log2, real(0.3, 2)),
    elementwise("log10", np.log10, real(0.3, 2)),
    elementwise("logaddexp", np.logaddexp, real(), real()),
    elementwise("cbrt", np.cbrt, away()),
    elementwise("sin", np.sin, real()),
    elementwise("cos", np.cos, real()),
    elementwise("tan", np.tan, real(-1, 1)),
    elementwise("asin", np.arcsin, real(-0.8, 0.8)),
    elementwise("acos", np.arccos, real(-0.8, 0.8)),
    elementwise("atan", np.arctan, real()),
    elementwise("atan2", np.arctan2, away(), away()),
    elementwise("sinh", np.sinh, real()),
    elementwise("cosh", np.cosh, real()),
    elementwise("tanh", np.tanh, real()),
    elementwise("asinh", np.arcsinh, real()),
    elementwise("acosh", np.arccosh, real(1.2, 3)),
    elementwise("atanh", np.arctanh, real(-0.8, 0.8)),
    elementwise("deg2rad", np.deg2rad, real(-200, 200), ulps=2, dtypes=NUMBERS),
    elementwise("rad2deg", np.rad2deg, real(), ulps=2, dtypes=NUMBERS),
    elementwise("sinc", np.sinc, away(0.1), ulps=4, dtypes=FLOATS),
    # special functions
    elementwise("erf", special.erf, real(), dtypes=FLOATS),
    elementwise("erfc", special.erfc, real(), ulps=4, dtypes=FLOATS),
    elementwise("erfinv", special.erfinv, real(-0.8, 0.8), dtypes=FLOATS),
    elementwise("gammaln", special.gammaln, real(0.5, 4), dtypes=FLOATS),
    elementwise("digamma", special.digamma, real(0.5, 4), dtypes=FLOATS),
    elementwise(
        "polygamma", lambda x: special.polygamma(2, x).astype(x.dtype), real(0.7, 4), dtypes=FLOATS,
        call=lambda x: lg.polygamma(2, x),
    ),
    elementwise("polygamma", special.digamma, real(0.7, 4), dtypes=FLOATS, label="zero",
        call=lambda x: lg.polygamma(0, x)),
    elementwise("log_ndtr", special.log_ndtr, real(), ulps=4, dtypes=FLOATS),
    elementwise("i0e", special.i0e, away(), dtypes=FLOATS),
    elementwise("i1e", special.i1e, away(), dtypes=FLOATS),
    elementwise("betaln", _betaln, real(0.7, 3), real(0.7, 3), dtypes=FLOATS, ulps=16),
    # passing on
    elementwise("show", lambda x: x, real(), call=lambda x: lg.show(x, "x"), dtypes=FLOATS),
    elementwise("hook", lambda x: x, real(), call=lambda x: lg.hook(x, lambda array: None), dtypes=FLOATS),
    elementwise("depends_on", lambda x: x, real(), call=lambda x: lg.depends_on(x, [lg.exp(x)]), dtypes=FLOATS),
    elementwise("asarray", lambda x: x, real()),
]


def _var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.var(x, axis=axis, keepdims=keepdims, ddof=1)


def _logsumexp(x: Any, **settings: Any) -> Any:
    return np.log(np.sum(np.exp(x), **settings))


REDUCTIONS = [
    reducing("sum", np.sum, real()),
    reducing("prod", np.prod, away(0.5, 1.5)),
    reducing("max", np.max, apart),
    reducing("min", np.min, apart),
    reducing("all", np.all, grid(low=-1), order=0),
    reducing("any", np.any, grid(low=-1, high=1), order=0),
    reducing("argmax", np.argmax, apart, order=0, axes="one", call=lg.argmax),
    reducing("argmin", np.argmin, apart, order=0, axes="one", call=lg.argmin),
    reducing("count_nonzero", np.count_nonzero, grid(low=-1), order=0),
    reducing("mean", np.mean, real(), ulps=2),
    reducing("average", np.mean, real(), ulps=2, keepdims=False, dtypes=NUMBERS),
    reducing("var", np.var, real(), ulps=4),
    reducing("var", _var, real(), ulps=4, label="sample", call=lambda x, **a: lg.var(x, correction=1, **a)),
    reducing("std", np.std, real(), ulps=4),
    reducing("logsumexp", _logsumexp, real(), ulps=4, dtypes=FLOATS),
    reducing("median", np.median, apart, ulps=1, axes="one", dtypes=NUMBERS),
]
