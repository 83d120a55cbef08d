"""Gamma and Poisson numbers, which are tried until one is accepted. Each try of each element has words of its own.

An element is given two words. They are the stream that its tries are drawn from, a block a try; so it depends on
nothing but its place, as in every other draw, and tries are made in lanes as long as a lane is waiting. All is computed
in float64 with operations that are rounded correctly, so that the same tries are accepted everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise, flat
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.comparison import equal, less, where
from lazygrad.ops.elementary import exp, log
from lazygrad.ops.incomplete import _gamma_density, _gammainc_slope
from lazygrad.ops.special import digamma
from lazygrad.ops.variates import exp_of, fraction, log1p_of, log_of, normal_of, uncontracted
from lazygrad.philox import block_at

__all__ = ["LARGEST_RATE"]

# A try of a gamma number is accepted with a probability of 0.95 at least, of a Poisson number 0.77 (at a rate of 10,
# Hörmann 1993, table 2): that none of so many is has one of 2⁻¹³⁵.
TRIES = 64
BEFORE = 1 << 16  # the number of the block that is no try


def _open(xp: Any, w: Any) -> Any:
    """Numbers in (0, 1) of words of 64 bits."""
    return fraction(xp, xp.right_shift(w, 1), 63)


# Gamma.

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


def _accepted(xp: Any, d: Any, w: Any, v: Any, waiting: Any) -> Any:
    """What d is multiplied with for a gamma number of shape parameter d + ⅓, at least 1; and 1 where nobody waits.

    Marsaglia and Tsang (2000), "A simple method for generating gamma variables", section 4.
    """
    c = 1.0 / xp.sqrt(d * 9.0)

    def turn(state: list[Any]) -> tuple[list[Any], Any]:
        number, found, waiting, c, d, w, v = state
        one, other = block_at(xp, number, w, v, 0)
        z, u = normal_of(xp, one), _open(xp, other)
        root = z * c + 1.0
        is_positive = root > 0.0
        root = xp.where(is_positive, root, 1.0)
        cube = root * root * root
        good = is_positive & (log_of(xp, u) < z * z * 0.5 + d * ((1.0 - cube) + log_of(xp, cube)))
        found = xp.where(waiting & good, cube, found)
        waiting = waiting & xp.logical_not(good)
        return [number + 1, found, waiting, c, d, w, v], waiting

    (_, found, *_), _ = xp.repeated(TRIES, [w & 0, d * 0.0 + 1.0, waiting, c, d, w, v], turn)
    return found


@uncontracted
@elementwise(
    vjp=(
        lambda g, y, alpha, w, v, *, log_of_it: g * (_log_slope(alpha, y) if log_of_it else _slope(alpha, y)),
        flat,
        flat,
    ),
    dtype=kept,
)
def _gamma(xp: Any, alpha: Array, w: Array, v: Array, *, log_of_it: bool) -> Any:
    """Gamma numbers of shape parameter alpha and scale 1, or their logarithms, also of those that underflow."""
    given = alpha.astype(np.float64)
    fine = (given > 0.0) & (given < math.inf)
    a = xp.where(fine, given, 1.0)
    is_small = a < 1.0
    d = xp.where(is_small, a + 1.0, a) - 1 / 3
    cube = _accepted(xp, d, w, v, fine)
    word, _ = block_at(xp, (w & 0) + BEFORE, w, v, 0)
    power = xp.where(is_small, log_of(xp, _open(xp, word)) / a, 0.0)  # section 6 of the paper
    # None is drawn of 0, infinity or NaN: they are their own gamma numbers. Below 0 there is none.
    if log_of_it:
        found, own = log_of(xp, d * cube) + power, xp.where(given > 0.0, math.inf, -math.inf)
    else:
        found, own = d * cube * exp_of(xp, power), given
    return xp.where(fine, found, xp.where(given >= 0.0, own, math.nan)).astype(alpha.dtype)


def _slope(alpha: Tensor, y: Tensor) -> Tensor:
    return y * _log_slope(alpha, log(where(equal(y, 0), 1, y)))


# Poisson.

SMALL_RATE = 10.0  # below it, by inversion
LARGEST_RATE = 2.0**62
MOST = 100  # at a rate of 10, more has a probability below 10⁻⁶⁰


def _by_inversion(xp: Any, u: Any, rate: Any, waiting: Any) -> Any:
    """Poisson numbers of rates below 10: the first k whose probabilities up to it are u together."""
    first = exp_of(xp, -rate)

    def turn(state: list[Any]) -> tuple[list[Any], Any]:
        k, term, total, waiting, u, rate = state
        next_term = term * rate / (k + 1.0)
        k, term = xp.where(waiting, k + 1.0, k), xp.where(waiting, next_term, term)
        total = xp.where(waiting, total + term, total)
        waiting = waiting & (u > total)
        return [k, term, total, waiting, u, rate], waiting

    (k, *_), _ = xp.repeated(MOST, [rate * 0.0, first, first, waiting & (u > first), u, rate], turn)
    return k


def _series(x: Any) -> Any:
    """What Stirling's formula leaves out of log Γ(x + 1); what is left out of it is below 3·10⁻¹⁰ from 8 on."""
    square = 1.0 / (x * x)
    return (1 / 12 - (1 / 360 - square * (1 / 1260)) * square) / x


def _log_probability(xp: Any, k: Any, rate: Any) -> Any:
    """The logarithm of λᵏ·e^(−λ)/k!."""
    is_small = k < 16.0
    # From 16 on, with k = λ·(1 + y), the large terms are λ·(y − (1 + y)·log(1 + y)), which are rounded little.
    x = xp.where(is_small, 16.0, k)
    y = (x - rate) / rate
    far = rate * (y - (y + 1.0) * log1p_of(xp, y)) - 0.5 * log_of(xp, x * (2 * math.pi)) - _series(x)
    k = xp.where(is_small, k, 0.0)
    product = k + 1.0
    for number in range(2, 9):
        product = product * (k + float(number))
    x = k + 8.0
    factorial = ((x + 0.5) * log_of(xp, x) - x) + (_series(x) + 0.5 * math.log(2 * math.pi)) - log_of(xp, product)
    return xp.where(is_small, (k * log_of(xp, rate) - rate) - factorial, far)


def _by_tries(xp: Any, rate: Any, w: Any, v: Any, waiting: Any) -> Any:
    """Poisson numbers of rates from 10 on.

    Hörmann (1993), "The transformed rejection method for generating Poisson random variables", algorithm PTRS.
    """
    b = xp.sqrt(rate) * 2.53 + 0.931

    def turn(state: list[Any]) -> tuple[list[Any], Any]:
        number, found, waiting, rate, b, w, v = state
        a, inverse, sure = b * 0.02483 - 0.059, 1.1328 / (b - 3.4) + 1.1239, 0.9277 - 3.6224 / (b - 2.0)
        one, other = block_at(xp, number, w, v, 0)
        u, height = _open(xp, one) - 0.5, _open(xp, other)
        left = xp.maximum(0.5 - xp.abs(u), 2.0**-64)
        k = xp.floor((a * 2.0 / left + b) * u + rate + 0.43)
        whole = xp.maximum(k, 0.0)
        place = log_of(xp, height * inverse / (a / (left * left) + b))
        below = place <= _log_probability(xp, whole, rate)
        at_once = (left >= 0.07) & (height <= sure)
        good = at_once | ((k >= 0.0) & ((left >= 0.013) | (height <= left)) & below)
        found = xp.where(waiting & good, whole, found)
        waiting = waiting & xp.logical_not(good)
        return [number + 1, found, waiting, rate, b, w, v], waiting

    (_, found, *_), _ = xp.repeated(TRIES, [w & 0, xp.floor(rate), waiting, rate, b, w, v], turn)
    return found


@uncontracted
@elementwise(vjp=(None, flat, flat), dtype=kept)
def _poisson(xp: Any, rate: Array, w: Array, v: Array, *, dtype: Any) -> Any:
    """Poisson numbers; a rate below 0, or NaN, counts as 0, and one above 2⁶² as 2⁶²."""
    at = xp.where(rate > 0.0, xp.minimum(rate, LARGEST_RATE), 0.0)
    is_large = at >= SMALL_RATE
    word, _ = block_at(xp, (w & 0) + BEFORE, w, v, 0)
    few = _by_inversion(xp, _open(xp, word), xp.where(is_large, 0.0, at), xp.logical_not(is_large))
    many = _by_tries(xp, xp.where(is_large, at, SMALL_RATE), w, v, is_large)
    return xp.where(is_large, many, few).astype(np.int64)
