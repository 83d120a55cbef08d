"""Numbers of a distribution, each made of a random word of its own: elementwise, and the same bits everywhere.

What is rounded is written in the one order in which it is computed, with operations that IEEE 754 rounds correctly, so
that NumPy, native code and a GPU agree to the last bit. No word gives an infinity, or a NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise, flat
from lazygrad.graph.tensor import Array

__all__ = ["exp_of", "fraction", "log1p_of", "log_of", "normal_of", "uncontracted"]

# The bits of √½, from which on the mantissas of logarithms are counted.
_ROOT_HALF = {4: 0x3F3504F3, 8: 0x3FE6A09E667F3BCD}
_LOG_TERMS = {4: 6, 8: 12}  # of 2·artanh f = 2·(f + f³/3 + …) for |f| ≤ 3 − √8: the rest is below 2⁻²⁷ and 2⁻⁶⁰


def uncontracted(op: Any) -> Any:
    """An op in whose native code no product and sum are rounded as one, so that its bits are NumPy's."""
    op.contracts = False
    return op


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    """Σ cₖ·xᵏ by Horner's rule."""
    total = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        total = total * x + coefficient
    return total


def _dtypes(w: Any) -> tuple[Any, Any]:
    """The whole numbers with a sign, and the floats, of the size of words."""
    return (np.int32, np.float32) if w.dtype.itemsize == 4 else (np.int64, np.float64)


def fraction(xp: Any, below: Any, bits: int) -> Any:
    """(k + ½)/2ᵇⁱᵗˢ of whole numbers k without sign below 2ᵇⁱᵗˢ⁻¹, rounded once or twice."""
    whole, real = _dtypes(below)
    return (below.astype(whole).astype(real) + 0.5) * 2.0**-bits


def _cut(xp: Any, x: Any) -> tuple[Any, Any]:
    """n and m with x = 2ⁿ·m and √½ ≤ m < √2, for positive normal floats."""
    size = x.dtype.itemsize
    whole, mantissa = (np.int32, 23) if size == 4 else (np.int64, 52)
    bits = x.view(whole)
    n = xp.right_shift(xp.subtract(bits, _ROOT_HALF[size]), mantissa)
    m = xp.subtract(bits, xp.left_shift(n, mantissa))
    return n.astype(x.dtype), m.view(x.dtype)


def _minus_log(xp: Any, n: Any, f: Any) -> Any:
    """−(n·log 2 + 2·artanh f)."""
    terms = _LOG_TERMS[f.dtype.itemsize]
    series = _polynomial(f * f, tuple([2.0 / (2 * k + 1) for k in range(terms)]))
    return n * -math.log(2) - f * series


def log_of(xp: Any, x: Any) -> Any:
    """log x of positive normal floats."""
    n, m = _cut(xp, x)
    return -_minus_log(xp, n, (m - 1.0) / (m + 1.0))


def log1p_of(xp: Any, x: Any) -> Any:
    """log(1 + x) for x > −1, where 1 + x is no subnormal number."""
    is_near = xp.abs(x) < 0.25
    n, m = _cut(xp, xp.where(is_near, 1.0, x + 1.0))
    f = xp.where(is_near, x, m - 1.0) / xp.where(is_near, x + 2.0, m + 1.0)
    return -_minus_log(xp, n, f)


_LOG2 = (
    0.6931471803691238,
    1.9082149292705877e-10,
)  # as a sum of two numbers, of which the first has 20 zeros at its end
_EXP_TERMS = tuple([1 / math.factorial(k) for k in range(15)])


def exp_of(xp: Any, x: Any) -> Any:
    """eˣ of float64 that are not positive; below −1400 it is 0."""
    x = xp.maximum(x, -1400.0)
    n = xp.rint(x * (1 / math.log(2)))
    r = (x - n * _LOG2[0]) - n * _LOG2[1]
    whole = n.astype(np.int64)
    half = xp.right_shift(whole, 1)
    # By two powers of two, as one may be below all normal numbers.
    scales = [xp.left_shift(xp.add(part, 1023), 52).view(np.float64) for part in (half, xp.subtract(whole, half))]
    return _polynomial(r, _EXP_TERMS) * scales[0] * scales[1]


@elementwise(vjp=flat)
def _uniform(xp: Any, w: Array, *, dtype: Any) -> Any:
    """Numbers equally likely anywhere in [0, 1): multiples of 2⁻²⁴ of words of 32 bits, of 2⁻⁵³ of words of 64."""
    whole, real = _dtypes(w)
    drop, digits = (8, 24) if w.dtype.itemsize == 4 else (11, 53)
    return xp.right_shift(w, drop).astype(whole).astype(real) * 2.0**-digits


@elementwise(vjp=flat)
def _bernoulli(xp: Any, w: Array, *, below: int, dtype: Any) -> Any:
    """Whether a word is below a number, which may be one more than any."""
    most = 2 ** (8 * w.dtype.itemsize) - 1
    return xp.less(w, w.dtype.type(below)) if below <= most else xp.less_equal(w, w.dtype.type(most))


# Wichura (1988), "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37, PPND7 and
# PPND16: numerator and denominator of three rational functions, of 0.180625 − q², √(−log p) − 1.6 and √(−log p) − 5.
_CENTRE = {
    4: (
        (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
        (1.0, 17.895169469, 78.757757664, 67.187563600),
    ),
    8: (
        (
            *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4),
            *(4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
        ),
        (
            *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
            *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
        ),
    ),
}
_TAIL = {
    4: (
        (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103),
        (1.0, 0.73700164250, 0.12021132975),
    ),
    8: (
        (
            *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0),
            *(
                1.27045825245236838258e0,
                2.41780725177450611770e-1,
                2.27238449892691845833e-2,
                7.74545014278341407640e-4,
            ),
        ),
        (
            *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
            *(
                1.48103976427480074590e-1,
                1.51986665636164571966e-2,
                5.47593808499534494600e-4,
                1.05075007164441684324e-9,
            ),
        ),
    ),
}
_FAR = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1),
        *(2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)


def normal_of(xp: Any, w: Any) -> Any:
    """Normal numbers of words; see :func:`_normal`."""
    size = w.dtype.itemsize
    top = 2 ** (8 * size - 1)
    beyond = xp.bitwise_and(w, top - 1)
    p, q = (fraction(xp, k, 8 * size) for k in (beyond, xp.bitwise_xor(beyond, top - 1)))  # q = ½ − p
    r = 0.180625 - q * q
    n, m = _cut(xp, p)
    s = xp.sqrt(_minus_log(xp, n, (m - 1.0) / (m + 1.0)))
    above, below = (_polynomial(s - 1.6, c) for c in _TAIL[size])
    if size == 8:  # of words of 32 bits, s is less than 4.8
        is_far = s > 5.0
        above, below = (xp.where(is_far, _polynomial(s - 5.0, c), x) for c, x in zip(_FAR, (above, below), strict=True))
    is_central = q <= 0.425
    above = xp.where(is_central, q * _polynomial(r, _CENTRE[size][0]), above)
    below = xp.where(is_central, _polynomial(r, _CENTRE[size][1]), below)
    z = above / below
    return xp.where(xp.less(beyond, w), -z, z)


@uncontracted
@elementwise(vjp=flat)
def _normal(xp: Any, w: Array, *, dtype: Any) -> Any:
    """Normal numbers of mean 0 and standard deviation 1, by the inverse of their distribution function.

    The first bit is the sign, the others say how much lies further out: at least 2⁻³³ (6.3 standard deviations) of
    words of 32 bits, 2⁻⁶⁵ (9.1) of words of 64. Relative to what they stand for, numbers are right to 5·10⁻⁷ and 10⁻¹⁵.
    """
    return normal_of(xp, w)


@uncontracted
@elementwise(vjp=flat)
def _exponential(xp: Any, w: Array, *, dtype: Any) -> Any:
    """Exponential numbers of mean 1: −log(1 − u) for u = (w + ½)/2ᵇⁱᵗˢ, precise at both ends."""
    bits = 8 * w.dtype.itemsize
    # Halved, so that whole numbers with a sign hold them: the last bit of a word does not count.
    w = xp.right_shift(w, 1)
    u, rest = (fraction(xp, k, bits - 1) for k in (w, xp.bitwise_xor(w, 2 ** (bits - 1) - 1)))
    n, m = _cut(xp, rest)
    # Near 0, 1 − u would be rounded: log(1 − u) = −2·artanh(u/(2 − u)).
    f = xp.where(u < 0.25, -u, m - 1.0) / xp.where(u < 0.25, 2.0 - u, m + 1.0)
    return _minus_log(xp, n, f)


def _upper(xp: Any, w: Any, n: int) -> tuple[Any, Any]:
    """The upper and the lower word of w·n."""
    low, high = xp.bitwise_and(w, 0xFFFFFFFF), xp.right_shift(w, 32)
    n_low, n_high = n & 0xFFFFFFFF, n >> 32
    first = xp.multiply(low, n_low)
    middle = xp.add(xp.multiply(high, n_low), xp.right_shift(first, 32))
    other = xp.add(xp.multiply(low, n_high), xp.bitwise_and(middle, 0xFFFFFFFF))
    upper = xp.add(xp.multiply(high, n_high), xp.add(xp.right_shift(middle, 32), xp.right_shift(other, 32)))
    lower = xp.bitwise_xor(xp.left_shift(other, 32), xp.bitwise_and(first, 0xFFFFFFFF))
    return upper, lower


@elementwise(vjp=flat)
def _integers(xp: Any, w: Array, *, low: int, count: int, dtype: Any) -> Any:
    """Whole numbers from ``low``, ⌊w·count/2⁶⁴⌋ above it, for up to 2³² of them: none is likelier by more than 2⁻³²."""
    found, _ = _upper(xp, w, count)
    return xp.add(found.astype(np.int64), low)


@elementwise(vjp=(flat, flat))
def _many_integers(xp: Any, w: Array, more: Array, *, low: int, count: int, dtype: Any) -> Any:
    """Whole numbers from ``low``, ⌊(2⁶⁴·w + more)·count/2¹²⁸⌋ above it: none is likelier by more than 2⁻⁶⁴."""
    if count == 2**64:
        found = w
    else:
        upper, lower = _upper(xp, w, count)
        carried, _ = _upper(xp, more, count)
        total = xp.add(lower, carried)
        found = xp.add(upper, xp.less(total, lower).astype(np.uint64))
    return xp.add(found.astype(np.int64), low)
