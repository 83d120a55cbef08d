"""Special functions, computed by SciPy (on a GPU by CuPy)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat, tensors
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.arithmetic import abs, sign
from lazygrad.ops.comparison import less, where

__all__ = [
    "betaln",
    "digamma",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "gammaln",
    "i0e",
    "i1e",
    "log_ndtr",
    "ndtr",
    "ndtri",
    "polygamma",
]


@elementwise(vjp=lambda g, y, x: -2 * g * (x * y), dtype=floating)
def _gaussian(xp: Any, x: Array) -> Any:
    """e^(−x²), to all digits: what rounding takes from x² is given back."""
    return xp.gaussian(x)


@elementwise(vjp=lambda g, y, x: g * (2 / math.sqrt(math.pi)) * _gaussian(x), dtype=floating)
def erf(xp: Any, x: Array) -> Any:
    """Error function."""
    return xp.erf(x)


@elementwise(vjp=lambda g, y, x: g * (-2 / math.sqrt(math.pi)) * _gaussian(x), dtype=floating)
def erfc(xp: Any, x: Array) -> Any:
    """1 − erf(x), precise for large x."""
    return xp.erfc(x)


# A function of x alone; y is its value under erfinv, which is known already. Since erfc|y| = 1 − |x|, which is exact
# where it matters, e^(y²) is erfcx|y| / (1 − |x|): the exponential would make a large error of the small one of y.
@elementwise(vjp=(flat, lambda g, s, y, x: 2 * g * (y * s * s)), dtype=floating)
def _erfinv_slope(xp: Any, y: Array, x: Array) -> Any:
    """½·√π·e^(y²), the derivative of :func:`erfinv`."""
    size = xp.abs(x)
    slope = (math.sqrt(math.pi) / 2) * xp.erfcx(xp.abs(y)) / (1 - size)
    return xp.where(xp.equal(size, 1), np.inf, slope)


@elementwise(vjp=lambda g, y, x: g * _erfinv_slope(y, x), dtype=floating)
def erfinv(xp: Any, x: Array) -> Any:
    """Inverse of erf, for |x| < 1."""
    return xp.erfinv(x)


@elementwise(vjp=(flat, lambda g, s, y, x: 2 * g * (y * s * s)), dtype=floating)
def _erfcinv_slope(xp: Any, y: Array, x: Array) -> Any:
    """−½·√π·e^(y²), the derivative of :func:`erfcinv`; see :func:`_erfinv_slope`."""
    least = xp.minimum(x, 2 - x)
    slope = (-math.sqrt(math.pi) / 2) * xp.erfcx(xp.abs(y)) / least
    return xp.where(xp.equal(least, 0), -np.inf, slope)


@elementwise(vjp=lambda g, y, x: g * _erfcinv_slope(y, x), dtype=floating)
def erfcinv(xp: Any, x: Array) -> Any:
    """Inverse of erfc, for 0 < x < 2; precise for small x, where that is far from 0."""
    return xp.erfcinv(x)


@elementwise(vjp=lambda g, y, x: g * digamma(x), dtype=floating)
def gammaln(xp: Any, x: Array) -> Any:
    """log |Γ(x)|."""
    return xp.gammaln(x)


@elementwise(vjp=lambda g, y, x: g * _polygamma(x, order=1), dtype=floating)
def digamma(xp: Any, x: Array) -> Any:
    """Derivative of log Γ(x)."""
    return xp.digamma(x)


@elementwise(vjp=lambda g, y, x, *, order: g * _polygamma(x, order=order + 1), dtype=floating)
def _polygamma(xp: Any, x: Array, *, order: int) -> Any:
    """Derivative of digamma, ``order`` times over."""
    return xp.polygamma(order, x).astype(x.dtype)


@function
def polygamma(n: int, x: TensorLike) -> Tensor:
    """The ``n``-th derivative of :func:`digamma`; ``n`` is a whole number."""
    return digamma(x) if n == 0 else _polygamma(x, order=int(n))


@elementwise(vjp=lambda g, y, x: -g * (x * y), dtype=floating)
def _normal_density(xp: Any, x: Array) -> Any:
    """φ(x) = e^(−x²/2) / √2π."""
    return xp.gaussian_half(x) * math.sqrt(0.5 / math.pi)


@elementwise(vjp=lambda g, y, x: g * _normal_density(x), dtype=floating)
def ndtr(xp: Any, x: Array) -> Any:
    """Φ(x), the normal distribution function, precise far in the left tail."""
    return xp.ndtr(x)


# Terms of the continued fraction that are enough from a = 2 on, by the size of the type.
_TERMS = {2: 10, 4: 30, 8: 85}


@elementwise(vjp=lambda g, y, x: g * (1 - _mills(x) * y), dtype=floating)
def _mills_beyond(xp: Any, x: Array) -> Any:
    """x + φ(x)/Φ(x), of which nothing is left far in the left tail: there it is 1/(a + 2/(a + 3/(a + …))), a = −x.

    Source: Laplace's continued fraction, Abramowitz & Stegun, 26.2.14.
    """
    z, terms = x.astype(np.float64), _TERMS[x.dtype.itemsize]
    far = z < -2
    a = xp.where(far, -z, 2)
    held = xp.minimum(a, 1e100)
    below: Any = 0.5 * (held + xp.sqrt(held * held + 4.0 * (terms + 1)))  # about what the terms left out come to
    for k in range(terms, 1, -1):
        below = a + k / below
    return xp.where(far, 1 / below, z + xp.mills(z)).astype(x.dtype)


@elementwise(vjp=lambda g, y, x: -g * (y * _mills_beyond(x)), dtype=floating)
def _mills(xp: Any, x: Array) -> Any:
    """φ(x)/Φ(x) = √(2/π) / erfcx(−x/√2), the derivative of :func:`log_ndtr`."""
    return xp.mills(x)


@elementwise(vjp=lambda g, y, x: g * _mills(x), dtype=floating)
def log_ndtr(xp: Any, x: Array) -> Any:
    """log of the normal distribution function, precise far in the left tail."""
    return xp.log_ndtr(x)


# By φ(y)/Φ(y) and the smaller of p and 1 − p, which is exact where it matters; φ would make a large error of that of y.
@elementwise(vjp=(flat, lambda g, s, y, p: g * (y * s * s)), dtype=floating)
def _ndtri_slope(xp: Any, y: Array, p: Array) -> Any:
    """1/φ(y), the derivative of :func:`ndtri`."""
    least = xp.minimum(p, 1 - p)
    held = xp.where(xp.equal(least, 0), 1, least)
    return xp.where(xp.equal(least, 0), np.inf, 1 / (held * xp.mills(-xp.abs(y))))


@elementwise(vjp=lambda g, y, p: g * _ndtri_slope(y, p), dtype=floating)
def ndtri(xp: Any, p: Array) -> Any:
    """Inverse of :func:`ndtr`, for 0 < p < 1: the quantiles of the normal distribution."""
    return xp.ndtri(p)


# With z = −√2·x it is √(2/π)·Φ(z)/φ(z), and erfcx′ = 2x·erfcx − 2/√π = −√2·erfcx·(z + φ(z)/Φ(z)).
@elementwise(vjp=lambda g, y, x: -math.sqrt(2) * g * (y * _mills_beyond(-math.sqrt(2) * x)), dtype=floating)
def erfcx(xp: Any, x: Array) -> Any:
    """erfc(x)·e^(x²), the scaled complement of the error function, which neither over- nor underflows for x > 0."""
    return xp.erfcx(x)


def _hankel(order: int, k: int) -> float:
    """The k-th coefficient of e⁻ˣ·I(x)·√2πx in 1/x (Abramowitz & Stegun, 9.7.1)."""
    return math.prod(-(4 * order**2 - (2 * j - 1) ** 2) / (8 * j) for j in range(1, k + 1))


_GAP = tuple(_hankel(0, k) - _hankel(1, k) for k in range(20))
_FAR = 22.0


def _over(y: Tensor, x: Tensor) -> Tensor:
    """I₁(x)/x, scaled: ½ at 0, where neither has digits."""
    small = less(abs(x), 1e-30)
    return where(small, 0.5, y / where(small, 1, x))


@elementwise(vjp=lambda g, y, x: g * sign(x) * (_over(i1e(x), x) - 2 * y), dtype=floating)
def _bessel_gap(xp: Any, x: Array) -> Any:
    """exp(−|x|)·(I₀(|x|) − I₁(|x|)); the two nearly cancel for large x, where their series are subtracted."""
    z = xp.abs(x.astype(np.float64))
    far = z > _FAR
    held = xp.where(far, z, _FAR)
    series: Any = _GAP[-1]
    for coefficient in _GAP[-2::-1]:
        series = series * (1 / held) + coefficient
    y = xp.where(far, series / xp.sqrt(2 * math.pi * held), xp.i0e(z) - xp.i1e(z))
    return xp.where(xp.isinf(z), 0, y).astype(x.dtype)


@elementwise(vjp=lambda g, y, x: -g * sign(x) * _bessel_gap(x), dtype=floating)
def i0e(xp: Any, x: Array) -> Any:
    """exp(−|x|)·I₀(x), the scaled modified Bessel function of order 0."""
    return xp.i0e(x)


# I₁′ = I₀ − I₁/x.
@elementwise(vjp=lambda g, y, x: g * (_bessel_gap(x) - _over(y, x)), dtype=floating)
def i1e(xp: Any, x: Array) -> Any:
    """exp(−|x|)·I₁(x), the scaled modified Bessel function of order 1."""
    return xp.i1e(x)


# log Γ(x) = (x − ½)·log x − x + ½·log 2π + S(x) and ψ(x) = log x − 1/2x − P(1/x²), S(x) = Σ cₖ/x²ᵏ⁺¹, P likewise
# (Abramowitz & Stegun, 6.1.41 and 6.3.18). For x ≥ 8 these many terms are as good as float64.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188)
_DIGAMMA = (0.0, 1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160, 43867 / 14364)
_LARGE = 8


def _rest(x: Any) -> Any:
    """S(x)."""
    inverse = 1 / x
    square, series = inverse * inverse, _STIRLING[-1]
    for coefficient in _STIRLING[-2::-1]:
        series = series * square + coefficient
    return series * inverse


@elementwise(
    vjp=(
        lambda g, y, a, b: g * (_polygamma(a, order=1) - _polygamma(a + b, order=1)),
        lambda g, y, a, b: -g * _polygamma(a + b, order=1),
    ),
    dtype=floating,
)
def _digamma_less(xp: Any, a: Array, b: Array) -> Any:
    """ψ(a) − ψ(a + b), of positive a and b without a difference of the two.

    Steps ψ(x) = ψ(x + 1) − 1/x lead up to 8; beyond, the series of the two are subtracted term by term. All parts have
    one sign.
    """
    small, step = a.astype(np.float64), b.astype(np.float64)
    fits = xp.logical_and(small > 0, step > 0)
    x, b = xp.where(fits, small, 1), xp.where(fits, step, 1)
    total: Any = 0 * x
    for _ in range(_LARGE):
        below = x < _LARGE
        total = xp.where(below, total + (b / (x + b)) / x, total)
        x = xp.where(below, x + 1, x)
    y = x + b
    apart = (b / y) / x  # 1/x − 1/y
    p, q = 1 / (x * x), 1 / (y * y)
    value, slope = _DIGAMMA[-1] + 0 * x, 0 * x  # P(p), and (P(p) − P(q))/(p − q)
    for coefficient in _DIGAMMA[-2::-1]:
        slope = slope * q + value
        value = value * p + coefficient
    total = total + xp.log1p(b / x) + apart * (0.5 + (1 / x + 1 / y) * slope)
    return xp.where(fits, -total, xp.digamma(small) - xp.digamma(small + step)).astype(a.dtype)


@elementwise(
    vjp=(lambda g, y, a, b: g * _digamma_less(a, b), lambda g, y, a, b: g * _digamma_less(b, a)),
    dtype=floating,
)
def _betaln(xp: Any, a: Array, b: Array) -> Any:
    """log |B(a, b)|.

    Where an operand is large, log Γ of it and of the sum nearly cancel: then their series are subtracted term by term.

    Source: DiDonato & Morris, Algorithm 708, ACM Transactions on Mathematical Software 18 (1992), *betaln*.
    """
    left, right = a.astype(np.float64), b.astype(np.float64)
    low, high = xp.minimum(left, right), xp.maximum(left, right)
    large = xp.logical_and(xp.logical_and(high >= _LARGE, high < np.inf), low > 0)
    both = xp.logical_and(large, low >= _LARGE)
    u, v = xp.where(large, low, 1), xp.where(large, high, _LARGE)
    ratio, logarithm = u / v, xp.log(v)
    more = xp.log1p(ratio)
    rest = _rest(v) - _rest(u + v)
    one = xp.gammaln(u) - u * (logarithm - 1) - (v + (u - 0.5)) * more + rest
    w = xp.where(both, u, _LARGE)
    two = 0.5 * (math.log(2 * math.pi) - logarithm) + (rest + _rest(w)) - v * more
    two = two + (w - 0.5) * xp.log(ratio / (1 + ratio))
    none = xp.gammaln(left) + xp.gammaln(right) - xp.gammaln(left + right)
    none = xp.where(xp.logical_and(xp.equal(high, np.inf), low > 0), -np.inf, none)
    return xp.where(both, two, xp.where(large, one, none)).astype(a.dtype)


@function
@in_floats("a", "b")
def betaln(a: TensorLike, b: TensorLike) -> Tensor:
    """log |B(a, b)|, the logarithm of the beta function."""
    a, b = tensors(a, b)
    return _betaln(a, b)
