"""What the functions of :mod:`lazygrad.engine.lanes.functions` are held against: samples, exact values, and errors.

Errors are in units of the last place (ulp) of the exact value rounded to the type, gradual underflow included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

Array = np.ndarray[Any, Any]

__all__ = ["BESIDE", "SPECIAL", "dense", "errors", "exact", "intervals", "random_bits", "reference", "scale"]

# Functions that are differences of two terms where they have zeros: their errors are counted in ulp of the terms,
# where these are more than the result.
BESIDE: dict[str, Callable[..., Array]] = {
    "logaddexp": lambda x, y: np.fmax(np.abs(x), np.abs(y)),
    "gammaln": lambda x: np.where(x < 0, scipy.special.gammaln(1 + np.abs(x)), 0.0),
    "digamma": lambda x: np.where(x < 0, 1 + np.log1p(np.abs(x)), 0.0),
}

_UNIT = ((-1.0, 1.0), (-0.01, 0.01), (0.5, 0.500001), (0.99, 1.0), (-1.0, -0.9999))
_ANY = ((-1.0, 1.0), (-10.0, 10.0), (-0.01, 0.01), (-1000.0, 1000.0), (0.25, 0.75))
_POSITIVE = ((0.0, 2.0), (0.5, 1.5), (0.999, 1.001), (0.0, 1000.0), (0.65, 0.72))
_EXPONENT = ((-1.0, 1.0), (-10.0, 10.0), (-104.0, 89.0), (-746.0, 710.0), (-0.36, 0.36))
_ANGLE = ((-1.6, 1.6), (-10.0, 10.0), (-1e3, 1e3), (-1e6, 1e6), (-3e8, 3e8))
_INTERVALS = {
    **dict.fromkeys(("arcsin", "arccos", "arctanh", "erfinv"), _UNIT),
    **dict.fromkeys(("log", "log2", "log10", "arccosh", "power"), _POSITIVE),
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "tanh"), _EXPONENT),
    **dict.fromkeys(("sin", "cos", "tan"), _ANGLE),
    "erfc": (*_ANY, (0.0, 10.5), (0.0, 27.5)),
    **dict.fromkeys(("gaussian", "gaussian_half"), ((-1.0, 1.0), (0.0, 10.5), (0.0, 27.5), (0.0, 38.6))),
    **dict.fromkeys(("ndtr", "log_ndtr", "mills"), (*_ANY, (-38.6, 10.0), (-14.5, 10.0))),
    "gelu_exponential": ((-1.0, 1.0), (0.0, 12.0), (0.0, 22.0)),
    "erfcx": (*_ANY, (-26.6, 100.0), (-9.3, 0.0), (0.0, 30.0)),
    "log1p": (*_UNIT, *_POSITIVE),
    "arccosh": ((1.0, 1.01), (1.0, 2.0), (1.0, 100.0)),
    "gammaln": ((0.5, 2.5), (0.0, 10.0), (-10.0, 0.0), (0.0, 1e3), (-300.0, 0.0)),
    "digamma": ((1.0, 2.0), (1.46, 1.463), (0.0, 10.0), (-10.0, 0.0), (0.0, 1e3), (-300.0, 0.0)),
}
_SECOND = {"power": ((-2.0, 2.0), (-100.0, 100.0), (-1e3, 1e3), (-10.0, 10.0), (-1e3, 1e3))}

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, -1e-30)


def intervals(name: str, operand: int = 0) -> tuple[tuple[float, float], ...]:
    """Where the function does what it is for, and where its formula changes."""
    return _SECOND.get(name, _ANY) if operand else _INTERVALS.get(name, _ANY)


def random_bits(dtype: Any, count: int, seed: int) -> Array:
    """All bit patterns alike: every exponent, denormal numbers, infinities and NaN."""
    whole = np.dtype(f"u{np.dtype(dtype).itemsize}")
    return np.random.default_rng(seed).integers(0, np.iinfo(whole).max, count, whole, endpoint=True).view(dtype)


def dense(name: str, dtype: Any, count: int, operands: int = 1) -> list[Array]:
    """``count`` samples: a third of random bits, the others uniform in the intervals; for angles, near zeros too."""
    found = []
    for operand in range(operands):
        random = np.random.default_rng(operand + 1)
        spans = intervals(name, operand)
        pieces = [random_bits(dtype, count // 3, seed=operand + 7)]
        if spans is _ANGLE:
            multiples = np.round(10 ** random.uniform(0, 15, count // 6)) * (np.pi / 2)
            hardest = 6381956970095103 * 2.0**797  # in float64 nearest to a multiple of π/2 (Muller, 2016, table 11.1)
            hard = [hardest, -hardest] if np.dtype(dtype) == np.float64 else []
            pieces.append(np.concatenate([multiples, hard]).astype(dtype))
        left = count - sum(map(len, pieces))
        pieces += [random.uniform(low, high, left // len(spans) + 1).astype(dtype) for low, high in spans]
        found.append(np.concatenate(pieces)[:count])
    return found


def _long(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function in long double, rounded to the type of its argument."""
    return lambda x: function(np.asarray(x).astype(np.longdouble)).astype(np.asarray(x).dtype)


def _gelu_argument(x: Any, root: Any) -> Any:
    """√(8/π)·(x + 0.044715·x³), given the root."""
    return root * (x + type(root)("0.044715") * x**3)


# What neither NumPy nor SciPy has.
_OURS: dict[str, Callable[..., Any]] = {
    "gaussian": _long(lambda x: np.exp(-x * x)),
    "gaussian_half": _long(lambda x: np.exp(-0.5 * x * x)),
    "mills": lambda x: np.where(x < -1e15, -x, np.sqrt(2 / np.pi) / scipy.special.erfcx(-x * np.sqrt(0.5))).astype(
        x.dtype
    ),
    "gelu_exponential": _long(lambda x: np.exp(-np.abs(_gelu_argument(x, np.sqrt(8 / np.longdouble(np.pi)))))),
}


def reference(name: str) -> Callable[..., Any]:
    """NumPy's or SciPy's function, or what it is said with theirs."""
    if name in _OURS:
        return _OURS[name]
    return getattr(np, name, None) or getattr(scipy.special, {"digamma": "psi"}.get(name, name))  # type: ignore[no-any-return]


def _scaled_complement(context: Any, x: Any) -> Any:
    """erfc(x)·e^(x²), by its series where mpmath's would take long (Abramowitz & Stegun, 7.1.23)."""
    if x < 1e3:
        return context.erfc(x) * context.exp(x * x)
    z = 1 / (2 * x * x)
    return (1 - z * (1 - 3 * z * (1 - 5 * z * (1 - 7 * z * (1 - 9 * z))))) / (x * context.sqrt(context.pi))


def exact(name: str, *xs: Array) -> list[Any]:
    """Values of float64 arguments to forty digits and more, as numbers of mpmath; None where not finite."""
    import mpmath

    context = mpmath.mp.clone()
    context.prec = 160
    others: dict[str, Callable[..., Any]] = {
        "exp2": lambda x: context.mpf(2) ** x,
        "log2": lambda x: context.log(x, 2),
        "logaddexp": lambda x, y: max(x, y) + context.log1p(context.exp(-abs(x - y))),
        "arctan2": context.atan2,
        "cbrt": lambda x: context.sign(x) * context.cbrt(abs(x)),
        "erf": lambda x: context.erf(max(-99, min(x, 99))),  # mpmath fails for huge ones
        "erfc": lambda x: context.erfc(max(-99, min(x, 99))),
        "gaussian": lambda x: context.exp(-x * x),
        "gaussian_half": lambda x: context.exp(-x * x / 2),
        "gelu_exponential": lambda x: context.exp(-abs(_gelu_argument(x, context.sqrt(8 / context.pi)))),
        "erfcx": lambda x: _scaled_complement(context, x),
        "ndtr": lambda x: context.erfc(max(-99, min(-x / context.sqrt(2), 99))) / 2,
        "log_ndtr": lambda x: (
            context.log(_scaled_complement(context, -x / context.sqrt(2)) / 2) - x * x / 2
            if x < 0
            else context.log1p(-context.erfc(min(x, 99) / context.sqrt(2)) / 2)
        ),
        "mills": lambda x: (
            context.sqrt(2 / context.pi) / _scaled_complement(context, -x / context.sqrt(2))
            if x < 99
            else context.mpf(0)
        ),
        "gammaln": lambda x: (
            context.loggamma(x) if x > 0 else context.log(context.pi / abs(context.sinpi(x))) - context.loggamma(1 - x)
        ),
    }
    function = others.get(name) or getattr(context, name.replace("arc", "a"))
    with np.errstate(all="ignore"):
        finite = np.isfinite(reference(name)(*xs)) & np.all([np.isfinite(x) for x in xs], axis=0)
    rows = zip(*[x.tolist() for x in xs])
    return [function(*map(context.mpf, row)) if ok else None for ok, row in zip(finite, rows)]


def scale(name: str, dtype: Any, wanted: Array, *xs: Array) -> Array:
    """One ulp of the wanted results, of a greater number where :data:`BESIDE` says so."""
    beside = BESIDE.get(name)
    with np.errstate(all="ignore"):
        size = np.abs(wanted) if beside is None else np.fmax(np.abs(wanted), beside(*xs))
        size = np.minimum(size, float(np.finfo(dtype).max)).astype(dtype)
        return np.spacing(np.where(np.isnan(size), 1, size).astype(dtype)).astype(np.float64)


def errors(name: str, got: Array, wanted: Any, *xs: Array) -> Array:
    """Errors in ulp. Where NaN or ∞ is wanted, 0 if it came and ∞ if not.

    ``wanted`` is an array of more digits than ``got`` has, or what :func:`exact` gives.
    """
    dtype = got.dtype
    limit = float(np.finfo(dtype).max)
    with np.errstate(all="ignore"):
        plain = reference(name)(*[x.astype(np.float64) for x in xs]) if isinstance(wanted, list) else wanted
        if isinstance(wanted, list):
            rough = np.array([p if w is None else float(w) for p, w in zip(plain, wanted)])
            unit = scale(name, dtype, rough, *xs)
            pairs = zip(got.tolist(), wanted, unit.tolist())
            off = np.array([0.0 if w is None or not np.isfinite(g) else abs(float((g - w) / u)) for g, w, u in pairs])
        else:
            rough = wanted
            off = np.abs(got.astype(wanted.dtype) - wanted) / scale(name, dtype, wanted, *xs).astype(wanted.dtype)
        # Just beyond the greatest number, rounding may go either way.
        edge = np.abs(rough) >= limit * (1 - 4 * float(np.finfo(dtype).eps))
        rounded = rough.astype(dtype)
        same = (got == rounded) | (np.isnan(got) & np.isnan(rough))
        beyond = ~np.isfinite(rounded) | ~np.isfinite(got)
        near = edge & np.isfinite(rough) & (np.abs(got) >= limit * (1 - 4 * float(np.finfo(dtype).eps)))
        return np.where(beyond, np.where(same | near, 0.0, np.inf), off).astype(np.float64)
