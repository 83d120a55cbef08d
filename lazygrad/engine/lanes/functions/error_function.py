"""The error function, its complement and its inverse.

Minimax fits (``benchmarks/minimax.py``) in variables in which the functions are smooth: erf x = 1 - e^-p(x); the
scaled complement erfc(x)·e^(x²)·(1 + 2x) in (x - 4)/(x + 4) (Shepherd & Laframboise, *Chebyshev approximation of
(1 + 2x)·exp(x²)·erfc(x)*, Mathematics of Computation 36, 1981); the inverse in w = -log(1 - x²) (Giles, *Approximating
the erfinv function*, GPU Computing Gems 2, 2011).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.functions.core import FORMAT, Coefficients, clamped, exactly, listed, polynomial
from lazygrad.engine.lanes.functions.exponential import EXP, RANGE, power_of_two, scaled, split
from lazygrad.engine.lanes.functions.logarithm import log
from lazygrad.engine.lanes.registers import F32, F64, Register

__all__ = [
    "erf",
    "erfc",
    "erfcx",
    "erfinv",
    "gaussian",
    "gaussian_half",
    "near_complement",
    "scaled_complement",
    "square_exponential",
]


class Piece(NamedTuple):
    """A polynomial in the distance from ``centre``, good up to ``end``."""

    centre: float
    end: float
    coefficients: Sequence[float]


# erf x = x + x·P(x²) for |x| ≤ 0.9: relative error 2^-26.1 and 2^-56.3.
ERF_SMALL: Coefficients = {
    F32: (0.12837915, -0.37612504, 0.11281922, -0.026770493, 0.004998959, -0.00060207996),
    F64: (0.1283791670955126, -0.3761263890318411, 0.11283791670972039, -0.02686617064826057, 0.005223977655077754,
          -0.0008548328652323553, 0.00012055388226668034, -1.4926830038334917e-05, 1.6477636065635313e-06,
          -1.647971042698575e-07, 1.5098353877819052e-08, -1.082516794916342e-09),
}  # fmt: skip

# -log(erfc x) from there to ERF_ONE: 2^-27.6 and 2^-55.5 of erf x.
ERF_LARGE: Coefficients = {
    F32: (0.00016650654, 1.127797, 0.63697654, 0.104113236, -0.022314982, 0.0030654287, -0.00019821296),
    F64: (2.4295729827176363e-07, 1.1283765748422887, 0.6366325953908444, 0.1027336248431703, -0.01904717541594906,
          -0.00033182278350956404, 0.0018333430543214996, -0.0007036137646870096, 9.242226577942149e-05,
          4.1631375229055836e-05, -3.126031199137568e-05, 1.1278067912680097e-05, -2.7608673939725157e-06,
          4.867197176260167e-07, -6.147642821496146e-08, 5.31178734578619e-09, -2.820968985672086e-10,
          6.955012939464985e-12),
}  # fmt: skip
ERF_ONE = {F32: 3.95, F64: 5.95}  # from here on erf x rounds to 1

# erfc(x)·e^(x²)·(1 + 2x) in (x - c)/(x + c), with c = 2 up to 10.3 for results in float32, and c = 4 up to 28 for
# those in float64: relative error 2^-26.1 and 2^-54.0.
ERFC: Coefficients = {
    F32: (1.2769783944833064, -0.0927639891316877, -0.16603149746603277, 0.16405550286717638, -0.05420346521926428,
          -0.008060400069165757, 0.00862851197324616, 0.0013130772411800815, -0.0012260930210542373,
          -0.0003983260811790445),
    F64: (1.2329951186255526, -0.13962111684056316, 0.0153796521026059, 0.0680970542547629, -0.10103906603555154,
          0.09373283499622868, -0.06633036582836936, 0.03716751556545966, -0.01619773387854715, 0.005031969789260389,
          -0.0007577744538169321, -0.0001992560258576518, 0.0001506263893161777, -2.4400231346399998e-05,
          -1.1234158955728222e-05, 5.708997550878964e-06, 3.1345540735698486e-07, -8.199760950680224e-07,
          5.5610621153992875e-08, 1.015201513227759e-07, -8.220636701531318e-09, -8.44192584983742e-09),
}  # fmt: skip
ERFC_CENTRE = {F32: 2.0, F64: 4.0}
ERFC_ZERO = {F32: 10.3, F64: 28.0}

# erfinv(x)/x in w = -log(1 - x²) where w < ``end``, about ``centre``; elsewhere in √w. For results in float32 the
# relative errors are 2^-27.4 and 2^-29.3, for those in float64 2^-51.7, 2^-52.3 and 2^-51.3.
ERFINV = {
    F32: (
        Piece(2.5, 5.0, (
            1.5014093592824247, 0.24664028615490122, -0.004177386777424264, -0.0012527418802151088,
            0.00021834443527028274, -4.963347176987189e-06, -3.4627034762539572e-06, 4.6617058866356795e-07,
            2.3232528833948358e-08, -8.791055675165496e-09,
        )),
        Piece(3.17, np.inf, (
            3.003501290854992, 1.0043221178110227, 0.006376450719848542, -0.004666460917254694,
            0.0032609625007553153, -0.0021959337807127763, 0.0011688455924569656, -0.00034761783451479,
            -7.025485055989547e-05, 0.00011026797979183006, -2.952691703943665e-05,
        )),
    ),
    F64: (
        Piece(3.125, 6.25, (
            1.6536545626831027, 0.24015818242559042, -0.0060336708714291195, -0.0007407025341727309,
            0.00018673420802858086, -1.3882523347554966e-05, -1.3654691894649983e-06, 4.2347876196106554e-07,
            -2.9070380082101557e-08, -4.1126244364435044e-09, 1.0512177457141253e-09, -5.415745702557977e-11,
            -1.2976939627936569e-11, 2.6342369911772037e-12, -8.114231390249112e-14, -4.064548037925674e-14,
            6.587691663772581e-15, 2.933970119251097e-17, -1.292478019249401e-16, 1.0766478141521374e-17,
            1.099934208981322e-18, -1.606782980952572e-19,
        )),
        Piece(3.25, 4.0, (
            3.0838856104922208, 1.0052589676941572, 0.005370914553583496, -0.003751208507375147,
            0.0024914420965716534, -0.0016882755612715624, 0.000953289368659168, -0.00035503745738274924,
            2.4031234092148705e-05, 6.828445432768729e-05, -4.731897238417954e-05, 1.247671444654819e-05,
            2.9259936060218644e-06, -4.016700957340774e-06, 1.497753550572457e-06, 2.124535331075782e-08,
            -2.699949466705593e-07, 8.944938192108356e-08,
        )),
        Piece(5.0, np.inf, (
            4.849906401408584, 1.0103004648645237, -0.0001387193184355958, -0.00021503011891674207,
            7.599527922133669e-05, -1.9681782097243766e-05, 4.526044587436999e-06, -9.929645430956945e-07,
            2.2907644681249606e-07, -6.775435393574224e-08, 2.8994819325659404e-08, -1.490731652273861e-08,
            7.795827385259402e-09, -3.822842591043369e-09, 1.3978487427566049e-09, -2.4710795226560583e-10,
        )),
    ),
}  # fmt: skip


@listed
@exactly
def erf(x: Register) -> Register:
    """Error function."""
    writer, dtype = x.writer, x.dtype
    a = writer.abs(x)
    small = writer.fma(a, polynomial(a * a, ERF_SMALL[dtype]), a)
    s = split(-polynomial(clamped(a, None, ERF_ONE[dtype]), ERF_LARGE[dtype]), FORMAT[dtype].bias)
    e = polynomial(s.r, (1.0, 1.0, *EXP[dtype]))
    large = writer.fma(-e, power_of_two(s.whole, x), 1.0)
    return writer.copysign(writer.select(a < 0.9, small, large), x)


def square_exponential(a: Register, factor: float) -> Register:
    """exp(−factor·a²) for a power of two, of a ≥ 0; what rounding takes from a² is given back."""
    dtype = a.dtype
    held = clamped(a, None, math.sqrt(-RANGE[dtype][0] / factor))  # beyond, it is 0
    half = held * factor
    square = half * held
    s = split(-square, 2 * FORMAT[dtype].bias)
    e = polynomial(s.r - a.writer.fma(half, held, -square), (1.0, 1.0, *EXP[dtype]))
    return scaled(e, s.whole)


def near_complement(a: Register, dtype: np.dtype[Any]) -> Register:
    """erfc(a)·e^(a²) of a ≥ 0 in float64, for results of ``dtype``, as far as erfc(a) is not 0."""
    centre = ERFC_CENTRE[dtype]
    held = clamped(a, None, ERFC_ZERO[dtype])
    return polynomial((held - centre) / (held + centre), ERFC[dtype]) / a.writer.fma(held, 2.0, 1.0)


def scaled_complement(a: Register, dtype: np.dtype[Any]) -> Register:
    """erfc(a)·e^(a²) of a ≥ 0 in float64, for results of ``dtype``.

    Beyond the fit it is 1/(a·√π)·(1 − z + 3z² − 15z³ + …) with z = 1/2a² (Abramowitz & Stegun, 7.1.23).
    """
    writer, end = a.writer, ERFC_ZERO[dtype]
    near = near_complement(a, dtype)
    inverse = 1.0 / clamped(a, end, None)
    z = inverse * inverse * 0.5
    far = (inverse * (1 / math.sqrt(math.pi))) * polynomial(z, (1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0))
    return writer.select(a > end, far, near)


@listed
@exactly
def gaussian(x: Register) -> Register:
    """e^(−x²)."""
    return square_exponential(x.writer.abs(x), 1.0)


@listed
@exactly
def gaussian_half(x: Register) -> Register:
    """e^(−x²/2)."""
    return square_exponential(x.writer.abs(x), 0.5)


@listed
@exactly
def erfcx(x: Register) -> Register:
    """The scaled complement, erfc(x)·e^(x²); of negative ``x`` it is 2·e^(x²) less that of −x."""
    writer, dtype = x.writer, x.dtype
    z = x.astype(F64)
    a = writer.abs(z)
    held = clamped(a, None, 27.0)
    square = held * held
    s = split(square, 2 * FORMAT[F64].bias)
    e = scaled(polynomial(s.r + writer.fma(held, held, -square), (1.0, 1.0, *EXP[F64])), s.whole)
    y = scaled_complement(a, dtype)
    y = writer.select(z < 0.0, (e + e) - y, y)
    y = writer.select(a.equals(np.inf), writer.select(z < 0.0, writer.like(np.inf, z), 0.0), y)
    return y.astype(dtype)


@listed
@exactly
def erfc(x: Register) -> Register:
    """1 - erf x, precise for large x. Float32 is computed as float64.

    What rounding takes from x² is given back to the exponent. Near 0, where the fit is steep, 1 - erf x is better.
    """
    writer, dtype = x.writer, x.dtype
    z = x.astype(F64)
    a = clamped(writer.abs(z), None, ERFC_ZERO[dtype])
    centre = ERFC_CENTRE[dtype]
    g = polynomial((a - centre) / (a + centre), ERFC[dtype]) / writer.fma(a, 2.0, 1.0)
    square = a * a
    s = split(-square, 2 * FORMAT[F64].bias)
    e = polynomial(s.r - writer.fma(a, a, -square), (1.0, 1.0, *EXP[F64]))
    y = scaled(e * g, s.whole)
    y = writer.select(z < 0.0, 2.0 - y, y)
    if dtype == F64:
        small = writer.fma(-z, polynomial(z * z, ERF_SMALL[F64]), 1.0 - z)
        y = writer.select(a < 0.5, small, y)
    return y.astype(dtype)


@listed
@exactly
def erfinv(x: Register) -> Register:
    """Inverse of erf. Float32 is computed as float64."""
    writer, dtype = x.writer, x.dtype
    z = x.astype(F64)
    w = -log(writer.fma(-z, z, 1.0))
    first, *others = ERFINV[dtype]
    y = polynomial(w - first.centre, first.coefficients)
    root, start = writer.sqrt(w), w >= first.end
    for piece in others:
        y = writer.select(start, polynomial(root - piece.centre, piece.coefficients), y)
        start = root >= piece.end
    y = writer.select(writer.abs(z).equals(1.0), np.inf, y)
    return (z * y).astype(dtype)
