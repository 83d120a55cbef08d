"""Functions that kernels need and array libraries lack, or have with errors, said with what they have.

Each takes the namespace ``xp``, the module of special functions (SciPy's or CuPy's), and operands. Float32 is
computed as float64; half precision as the library does it, which is float32.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.backends import incomplete
from lazygrad.rewrite.sharing import FAR

__all__ = ["FUNCTIONS"]

ROOT_HALF = math.sqrt(0.5)


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(xp: Any, special: Any, x: Any) -> Any:
        if x.dtype == np.float64:
            return function(xp, special, x)
        return function(xp, special, x.astype(np.float64)).astype(x.dtype)

    return wrapped


def _square_exponential(xp: Any, x: Any, factor: float) -> Any:
    """exp(−factor·x²) for a power of two: x = h + l with few digits in h, and x² = h² + l·(x + h) with h² exact."""
    held = xp.minimum(xp.abs(x), 64.0)
    high = xp.rint(held * 16) * 0.0625
    return xp.exp(-factor * high * high) * xp.exp(-factor * (held - high) * (held + high))


@_in_double
def gaussian(xp: Any, special: Any, x: Any) -> Any:
    """e^(−x²)."""
    return _square_exponential(xp, x, 1.0)


@_in_double
def gaussian_half(xp: Any, special: Any, x: Any) -> Any:
    """e^(−x²/2)."""
    return _square_exponential(xp, x, 0.5)


@_in_double
def erfc(xp: Any, special: Any, x: Any) -> Any:
    """1 − erf x. Where it is small, by the scaled one: the library's loses digits of x²."""
    far = x > 1.5
    held = xp.where(far, x, 2)
    return xp.where(far, _square_exponential(xp, held, 1.0) * special.erfcx(held), special.erfc(x))


@_in_double
def erfcx(xp: Any, special: Any, x: Any) -> Any:
    """The scaled complement erfc(x)·e^(x²): near 0 the product, left of it 2·e^(x²) less that of −x.

    There the library's has larger errors.
    """
    near, left = xp.abs(x) < 1, x <= -1
    held = xp.where(near, x, 0)
    scaled = special.erfcx(xp.where(left, -x, x))
    y = xp.where(left, 2 * _square_exponential(xp, xp.where(left, x, 0), -1.0) - scaled, scaled)
    return xp.where(near, xp.exp(held * held) * special.erfc(held), y)


@_in_double
def gammaln(xp: Any, special: Any, x: Any) -> Any:
    """log |Γ(x)|; the library's overflows for denormal numbers, where it is −log |x|."""
    small = xp.logical_and(xp.abs(x) < 1e-300, x != 0)
    return xp.where(small, -xp.log(xp.abs(xp.where(small, x, 1))), special.gammaln(x))


def beta(xp: Any, special: Any, a: Any, b: Any) -> Any:
    """The beta function; by gamma functions where these are finite, as the library's loses two digits there.

    What rounding takes from a + b is given back: Γ(s + e) is about Γ(s)·(1 + e·ψ(s)).
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    near = xp.logical_and(xp.logical_and(x > 1e-300, y > 1e-300), x + y < 170)
    u, v = xp.where(near, x, 1), xp.where(near, y, 1)
    small, large = xp.minimum(u, v), xp.maximum(u, v)
    total = large + small
    lost = small - (total - large)
    exact = special.gamma(small) * (special.gamma(large) / special.gamma(total)) * (1 - lost * special.psi(total))
    return xp.where(near, exact, special.beta(x, y)).astype(a.dtype)


def _tail(xp: Any, special: Any, x: Any) -> tuple[Any, Any]:
    """erfcx(|x|/√2), and with e^(−x²/2)/2 the smaller of Φ(x) and Φ(−x)."""
    z = xp.abs(x) * ROOT_HALF
    scaled = erfcx(xp, special, z)
    return scaled, 0.5 * xp.where(z < 1, special.erfc(z), _square_exponential(xp, x, 0.5) * scaled)


@_in_double
def ndtr(xp: Any, special: Any, x: Any) -> Any:
    """The normal distribution function Φ."""
    _, small = _tail(xp, special, x)
    return xp.where(x < 0, small, 1 - small)


@_in_double
def log_ndtr(xp: Any, special: Any, x: Any) -> Any:
    """log Φ(x)."""
    scaled, small = _tail(xp, special, x)
    left = xp.where(x < 0, x, 0)
    scaled = xp.where(x < 0, scaled, 1)
    # log(erfcx/2) is of no account where erfcx underflows.
    return xp.where(x < 0, xp.log(xp.maximum(0.5 * scaled, 1e-300)) - (0.5 * left) * left, xp.log1p(-small))


@_in_double
def mills(xp: Any, special: Any, x: Any) -> Any:
    """φ(x)/Φ(x), the derivative of log Φ."""
    scaled, small = _tail(xp, special, x)
    density = math.sqrt(0.5 / math.pi) * _square_exponential(xp, x, 0.5)
    # erfcx(z) is 1/(z·√π) long before it underflows.
    far = x < -1e15
    left = xp.where(far, -x, math.sqrt(2 / math.pi) / xp.where(far, 1, scaled))
    return xp.where(x < 0, left, density / (1 - small))


# √(8/π) and 0.044715·√(8/π), each as a sum of two numbers.
GELU = (1.5957691216057308, -9.96930880911092e-17), (0.07135481627260025, -6.175149918155315e-19)


def _product(a: Any, b: Any) -> tuple[Any, Any]:
    """a·b exactly, as a sum of two numbers (Dekker, 1971)."""
    high = a * b
    parts = []
    for x in (a, b):
        c = 134217729.0 * x
        first = c - (c - x)
        parts.append((first, x - first))
    (p, q), (r, s) = parts
    return high, ((p * r - high) + p * s + q * r) + q * s


@_in_double
def gelu_exponential(xp: Any, special: Any, x: Any) -> Any:
    """exp(−|z|) for z = √(8/π)·(x + 0.044715·x³), the argument of the gate of gelu by tanh.

    An exponential makes a large relative error of what rounding takes from z; so it is given back.
    """
    (first, first_low), (third, third_low) = GELU
    a = xp.minimum(xp.abs(x), 24.0)
    square, square_low = _product(a, a)
    cubic, low = _product(third + 0 * a, square)
    factor = first + cubic
    part = factor - first
    low = (first - (factor - part)) + (cubic - part) + low + third * square_low + third_low * square + first_low
    z, z_low = _product(a, factor)
    return xp.exp(-z) * (1 - (z_low + a * low))


def tanh_seed(xp: Any, special: Any, x: Any) -> Any:
    """½·(e^2|x| − 1) with the sign of x, and far out a power of two times e^|x|: see :class:`Far`."""
    far = FAR[x.dtype.itemsize]
    a = xp.abs(x)
    if type(a) is np.ndarray and not (a > far.start).any():  # on a GPU the question would be a wait
        e = np.expm1(a + a)
        e *= 0.5
        return np.copysign(e, x, out=e)
    a = xp.minimum(a, far.held)
    near = a <= far.start
    e = xp.expm1(xp.where(near, 2 * a, a))
    return xp.copysign(xp.where(near, 0.5 * e, 2.0**far.shift * e), x)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(gaussian, gaussian_half, erfc, erfcx, gammaln, ndtr, log_ndtr, mills, gelu_exponential, tanh_seed),
        beta,
    )
} | incomplete.FUNCTIONS
