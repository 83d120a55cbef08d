"""Gamma and Poisson numbers, which are tried until one is accepted. Each try of each element has words of its own.

The tries of a draw read a stream of their own, made of the draw's number; the number of the try stands there where
the number of a draw does. So an element depends on nothing but its place, as in every other draw. What is accepted is
computed in float64 by the array library, wherever the step runs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import flat, opaque
from lazygrad.graph.spec import Kind, Shape
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.comparison import equal, less, where
from lazygrad.ops.elementary import exp, log
from lazygrad.ops.incomplete import _gamma_density, _gammainc_slope
from lazygrad.ops.special import digamma
from lazygrad.ops.variates import fraction, normal_of
from lazygrad.philox import block_at, words

__all__ = ["LARGEST_RATE"]

# A try of a gamma number is accepted with a probability of 0.95 at least, of a Poisson number 0.77 (at a rate of 10,
# Hörmann 1993, table 2): that none of so many is has one of 2⁻¹³⁵.
TRIES = 64
BOOST = 1 << 16  # the number of the try whose words make a shape parameter below 1 of one above


def _stream_of_tries(xp: Any, stream: Any, draw: int) -> Any:
    return words(xp, stream, draw, (2,), np.dtype(np.uint64))


def _uniform(xp: Any, w: Any) -> Any:
    """Numbers in (0, 1) of words of 64 bits."""
    return fraction(xp, xp.right_shift(w, 1), 63)


def _accepted(xp: Any, tries: Any, a: Any) -> tuple[Any, Any]:
    """Gamma numbers of shape parameters ``a`` that are positive and finite, and their logarithms.

    Marsaglia and Tsang (2000), "A simple method for generating gamma variables", sections 4 and 6.
    """
    is_small = a < 1
    d = xp.where(is_small, a + 1, a) - 1 / 3
    c = 1 / xp.sqrt(9 * d)
    v, waiting = xp.ones_like(d), xp.arange(a.size)
    for number in range(TRIES):
        place = waiting.astype(np.uint64)
        one, other = block_at(xp, place, tries[0], tries[1], number)
        z, u = normal_of(xp, one), _uniform(xp, other)
        root = 1 + c[waiting] * z
        cube = xp.where(root > 0, root, 1) ** 3
        scale = d[waiting]
        good = (root > 0) & (xp.log(u) < 0.5 * z * z + scale * (1 - cube + xp.log(cube)))
        v[waiting[good]] = cube[good]
        waiting = waiting[~good]
        if not waiting.size:
            break
    word, _ = block_at(xp, xp.arange(a.size).astype(np.uint64), tries[0], tries[1], BOOST)
    power = xp.where(is_small, xp.log(_uniform(xp, word)) / a, 0)
    return d * v * xp.exp(power), xp.log(d * v) + power


def _kept(kinds: tuple[Kind, ...]) -> Any:
    """The stream and the parameter as they are; the result has the parameter's dtype."""
    return kinds, kinds[1]


def _drawn(stream: Shape, parameter: Shape, *, draw: int, shape: Shape) -> Shape:
    return shape


def _gamma_numbers(xp: Any, stream: Any, alpha: Any, draw: int, shape: Shape, which: int) -> Any:
    a = xp.broadcast_to(alpha, shape).astype(np.float64).reshape(-1)
    fine = (a > 0) & (a < math.inf)
    found = _accepted(xp, _stream_of_tries(xp, stream, draw), xp.where(fine, a, 1))[which]
    # None is drawn of 0, infinity or NaN: they are their own gamma numbers. Below 0 there is none.
    own = xp.where(a >= 0, a if which == 0 else xp.log(xp.abs(a)), math.nan)
    return xp.where(fine, found, own).astype(alpha.dtype).reshape(shape)


_TINY = math.log(1e-9)  # below it, for α ≤ 1, P(α, y) = y^α/Γ(α + 1) as precisely as the slope needs


def _log_slope(alpha: Tensor, log_y: Tensor) -> Tensor:
    """∂(log y)/∂α of a gamma number y whose place P(α, y) stays: −(∂P/∂α)/(y·∂P/∂y).

    Figurnov, Mohamed and Mnih (2018), "Implicit reparameterization gradients", section 3.
    """
    dtype, alpha, log_y = log_y.dtype, alpha.astype(np.float64), log_y.astype(np.float64)
    small = less(log_y, _TINY)
    y = exp(where(small, 0.0, log_y))
    near = (digamma(alpha + 1) - log_y) / alpha
    return where(small, near, -_gammainc_slope(alpha, y) / (_gamma_density(alpha, y) * y)).astype(dtype)


@opaque(
    shape=_drawn,
    dtype=_kept,
    vjp=(flat, lambda g, y, stream, alpha: g * (y * _log_slope(alpha, log(where(equal(y, 0), 1, y))))),
)
def _gamma(xp: Any, stream: Array, alpha: Array, *, draw: int, shape: Shape) -> Any:
    """Gamma numbers of shape parameter alpha and scale 1."""
    return _gamma_numbers(xp, stream, alpha, draw, shape, 0)


@opaque(shape=_drawn, dtype=_kept, vjp=(flat, lambda g, y, stream, alpha: g * _log_slope(alpha, y)))
def _log_gamma(xp: Any, stream: Array, alpha: Array, *, draw: int, shape: Shape) -> Any:
    """Logarithms of gamma numbers of shape parameter alpha and scale 1, also of those that underflow."""
    return _gamma_numbers(xp, stream, alpha, draw, shape, 1)


# Poisson.

SMALL_RATE = 10.0  # below it, by inversion
LARGEST_RATE = 2.0**62


def _by_inversion(xp: Any, word: Any, rate: Any) -> Any:
    """Poisson numbers of rates below 10: the first k whose probabilities up to it exceed a uniform number."""
    u, k = _uniform(xp, word), xp.zeros(rate.size, np.float64)
    term = xp.exp(-rate)
    total = term
    for number in range(1, 100):  # at a rate of 10, more has a probability below 10⁻⁶⁰
        beyond = u > total
        if not bool(beyond.any()):
            break
        k = xp.where(beyond, number, k)
        term = term * rate / number
        total = total + term
    return k


_FACTORIALS = np.array([math.lgamma(k + 1) for k in range(16)])


def _log_probability(xp: Any, k: Any, rate: Any) -> Any:
    """The logarithm of λᵏ·e^(−λ)/k!, by Stirling's series from 16 on: what is left out is below 10⁻¹¹."""
    x = xp.maximum(k, 1)
    square = x * x
    series = (1 / 12 - (1 / 360 - (1 / 1260) / square) / square) / x
    # With k = λ·(1 + y) the large terms are λ·(y − (1 + y)·log(1 + y)), which takes the rounding from them.
    y = (x - rate) / rate
    far = rate * (y - (1 + y) * xp.log1p(y)) - 0.5 * xp.log(2 * math.pi * x) - series
    near = k * xp.log(rate) - rate - xp.asarray(_FACTORIALS)[xp.minimum(k, 15).astype(np.int64)]
    return xp.where(k < 16, near, far)


def _by_tries(xp: Any, tries: Any, places: Any, rate: Any) -> Any:
    """Poisson numbers of rates from 10 on.

    Hörmann (1993), "The transformed rejection method for generating Poisson random variables", algorithm PTRS.
    """
    b = 0.931 + 2.53 * xp.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    sure = 0.9277 - 3.6224 / (b - 2)
    found, waiting = xp.floor(rate), xp.arange(rate.size)
    for number in range(TRIES):
        one, other = block_at(xp, places[waiting], tries[0], tries[1], number)
        u, v = _uniform(xp, one) - 0.5, _uniform(xp, other)
        at = rate[waiting]
        left = xp.maximum(0.5 - xp.abs(u), 2.0**-64)
        k = xp.floor((2 * a[waiting] / left + b[waiting]) * u + at + 0.43)
        whole = xp.maximum(k, 0)
        height = xp.log(v * inverse[waiting] / (a[waiting] / (left * left) + b[waiting]))
        below = height <= _log_probability(xp, whole, at)
        at_once = (left >= 0.07) & (v <= sure[waiting])
        good = at_once | ((k >= 0) & ((left >= 0.013) | (v <= left)) & below)
        found[waiting[good]] = whole[good]
        waiting = waiting[~good]
        if not waiting.size:
            break
    return found


@opaque(shape=_drawn, dtype=lambda kinds: (kinds, np.dtype(np.int64)), vjp=(flat, None))
def _poisson(xp: Any, stream: Array, rate: Array, *, draw: int, shape: Shape) -> Any:
    """Poisson numbers; a rate below 0, or NaN, counts as 0, and one above 2⁶² as 2⁶²."""
    at = xp.broadcast_to(rate, shape).astype(np.float64).reshape(-1)
    at = xp.where(at > 0, xp.minimum(at, LARGEST_RATE), 0)
    tries = _stream_of_tries(xp, stream, draw)
    places = xp.arange(at.size).astype(np.uint64)
    word, _ = block_at(xp, places, tries[0], tries[1], BOOST)
    large = at >= SMALL_RATE
    found = _by_inversion(xp, word, xp.where(large, 0, at))
    found[large] = _by_tries(xp, tries, places[large], at[large])
    return found.astype(np.int64).reshape(shape)
