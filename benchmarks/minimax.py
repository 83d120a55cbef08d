"""The polynomials of :mod:`lazygrad.engine.lanes.functions`, derived again: ``python -m benchmarks.minimax [NAME …]``.

Each is the polynomial whose greatest weighted error on an interval is least, found by Remez's exchange
(Remez, 1934; Muller, *Elementary Functions*, 2016, chapter 3) in fifty digits. Then its coefficients are rounded: on an
interval that begins at 0 one by one from the lowest power up, the rest fitted again each time, so that they make up
for the rounding. The error printed is that of the rounded polynomial.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np
from mpmath import mp, mpf

from lazygrad.engine.lanes.functions import (
    error_function,
    exponential,
    gamma,
    hyperbolic,
    inverse_trigonometric,
    logarithm,
    powers,
    trigonometric,
)
from lazygrad.engine.lanes.registers import F32, F64

mp.dps = 70

Function = Callable[[Any], Any]


class Fit(NamedTuple):
    """A polynomial asked for: ``target`` on the interval, with the error times ``weight`` to be small."""

    target: Function
    interval: tuple[Any, Any]
    degree: int
    weight: Function = lambda x: mpf(1)


def remez(values: list[Any], weights: list[Any], points: list[Any], powers: range) -> list[Any]:
    """Coefficients of ``powers`` that fit the values at the points with the least greatest weighted error."""
    count = len(powers) + 1
    nodes = [round((1 - np.cos(np.pi * (k + 0.5) / count)) / 2 * (len(points) - 1)) for k in range(count)]
    coefficients: list[Any] = []
    for _ in range(30):
        matrix, right = mpmath.matrix(count, count), mpmath.matrix(count, 1)
        for row, node in enumerate(nodes):
            for column, exponent in enumerate(powers):
                matrix[row, column] = points[node] ** exponent * weights[node]
            matrix[row, count - 1] = (-1) ** row
            right[row] = values[node] * weights[node]
        coefficients = list(mpmath.lu_solve(matrix, right))[:-1]
        terms = [mpf(0)] * powers.start + coefficients
        errors = [w * (v - mpmath.polyval(terms[::-1], x)) for v, w, x in zip(values, weights, points)]
        found = _extremes(errors, count)
        if found == nodes:
            break
        nodes = found
    return coefficients


def _extremes(errors: list[Any], count: int) -> list[int]:
    """Where the error alternates in sign with the greatest sizes."""
    stretches: list[int] = []
    for k, error in enumerate(errors):
        if not stretches or (errors[stretches[-1]] > 0) != (error > 0):
            stretches.append(k)
        elif abs(error) > abs(errors[stretches[-1]]):
            stretches[-1] = k
    while len(stretches) > count:
        stretches.pop(0 if abs(errors[stretches[0]]) < abs(errors[stretches[-1]]) else -1)
    if len(stretches) < count:
        raise ArithmeticError("the error does not alternate often enough")
    return stretches


def fitted(fit: Fit, dtype: Any, density: int = 40) -> tuple[list[float], float]:
    """Coefficients, lowest power first, as numbers of ``dtype``; and the greatest weighted error they leave."""
    low, high = (mpf(end) for end in fit.interval)
    size = density * (fit.degree + 2)
    points = [(low + high) / 2 - (high - low) / 2 * mpmath.cos(mpmath.pi * (mpf(k) + 0.5) / size) for k in range(size)]
    values, weights = [mpf(fit.target(x)) for x in points], [abs(fit.weight(x)) for x in points]
    done: list[Any] = []
    while len(done) <= fit.degree:
        rest = [v - mpmath.polyval(done[::-1], x) if done else v for v, x in zip(values, points)]
        found = remez(rest, weights, points, range(len(done), fit.degree + 1))
        one_by_one = low == 0 and fit.degree - len(done) > 0
        done += [mpf(float(np.dtype(dtype).type(float(c)))) for c in (found[:1] if one_by_one else found)]
    error = max(w * abs(v - mpmath.polyval(done[::-1], x)) for v, w, x in zip(values, weights, points))
    return [float(c) for c in done], float(error)


def relative(target: Function, interval: tuple[Any, Any], degree: int) -> Fit:
    """A fit of which the relative error counts."""
    return Fit(target, interval, degree, lambda x: 1 / target(x))


def odd(function: Function, first: Any, second: Any, end: Any, degree: int) -> Fit:
    """P of f(x) = x + x³·P(x²) up to ``end``, by the relative error of f; ``first`` and ``second`` are P near 0."""

    def target(z: Any) -> Any:
        x = mp.sqrt(z)
        return first + second * z if z < 1e-18 else (function(x) - x) / (x * z)

    return Fit(target, (0, mpf(end) ** 2), degree, lambda z: z * mp.sqrt(z) / function(mp.sqrt(z)) if z else 0)


def near_zero(target: Function, *series: Any) -> Function:
    """``target``, but where it divides 0 by 0 a power series."""
    return lambda x: target(x) if abs(x) > 1e-14 else mpmath.polyval([mpf(c) for c in series[::-1]], x)


def atanh(start: int, degree: int) -> Fit:
    """The tail of 2·atanh(s) from s^start on, in s², beside 2s."""
    first = [mpf(2) / k for k in range(3, start, 2)]

    def tail(z: Any) -> Any:
        s = mp.sqrt(z)
        return (mp.atanh(s) * 2 - 2 * s - sum(c * s ** (2 * k + 3) for k, c in enumerate(first))) / s**start

    power_of_z = (start - 1) // 2
    end = "0.02944"  # just above (3 - √8)²
    return Fit(
        near_zero(tail, mpf(2) / start, mpf(2) / (start + 2)), (0, mpf(end)), degree, lambda z: z**power_of_z / 2
    )


third, half_ln2 = mpf(1) / 3, mp.log(2) / 2 * mpf("1.002")
root = mp.findroot(mp.digamma, mpf("1.46163"))
tail_of_exp = near_zero(lambda r: (mp.expm1(r) - r) / r**2, 0.5, third / 2, third / 8)


def exp_tail(degree: int, of: Function = mp.exp) -> Fit:
    """T of eʳ = 1 + r + r²·T(r)."""
    return Fit(tail_of_exp, (-half_ln2, half_ln2), degree, lambda r: r**2 / of(r) if r else mpf(0))


def log_tail(degree: int) -> Fit:
    """P of log(1 + f) = f - f²/2 + f³·P(f)."""
    target = near_zero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, third, -0.25, 0.2)
    end = third + mpf("1e-5")
    return Fit(target, (-end, end), degree, lambda f: f**3 / mp.log1p(f) if f else mpf(0))


def exp2_tail(degree: int) -> Fit:
    """T of 2ʳ = 1 + r·T(r)."""
    target = near_zero(lambda r: (mpf(2) ** r - 1) / r, mp.log(2), mp.log(2) ** 2 / 2)
    return Fit(target, (-0.501, 0.501), degree, lambda r: r / mpf(2) ** r)


def erf_small(degree: int) -> Fit:
    """P of erf x = x + x·P(x²)."""
    first = 2 / mp.sqrt(mp.pi)
    target = near_zero(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, first - 1, -first / 3)
    return Fit(target, (0, mpf(0.9) ** 2), degree, lambda z: 1 / (target(z) + 1))


def erf_large(end: Any, degree: int) -> Fit:
    """p of erf x = 1 - e^-p(x)."""
    return Fit(lambda a: -mp.log(mp.erfc(a)), (0.9, end), degree, lambda a: mp.erfc(a) / mp.erf(a))


def erfc_scaled(centre: int, end: Any, degree: int) -> Fit:
    """erfc(a)·e^(a²)·(1 + 2a) in t = (a - c)/(a + c)."""

    def target(t: Any) -> Any:
        a = centre * (1 + t) / (1 - t)
        return (1 + 2 * a) * mp.erfc(a) * mp.exp(a * a)

    return relative(target, (-1, (mpf(end) - centre) / (mpf(end) + centre)), degree)


def erfinv(centre: Any, low: Any, high: Any, degree: int, of_root: bool) -> Fit:
    """The quotient of erfinv x and x in w = -log(1 - x²) or √w, about a centre."""

    def target(u: Any) -> Any:
        w = (u + mpf(centre)) ** (2 if of_root else 1)
        x = mp.sqrt(-mp.expm1(-w))
        return mp.sqrt(mp.pi) / 2 if w < mpf("1e-20") else mp.erfinv(x) / x

    return relative(target, (mpf(low), mpf(high)), degree)


def stirling(degree: int) -> Fit:
    """S of log Γ(x) = (x - ½)·log x - x + ½·log 2π + S(1/x²)/x."""

    def target(z: Any) -> Any:
        x = 1 / mp.sqrt(z)
        return (mp.loggamma(x) - (x - 0.5) * mp.log(x) + x - mp.log(2 * mp.pi) / 2) * x

    return relative(near_zero(target, mpf(1) / 12, -mpf(1) / 360), (0, mpf(1) / 64), degree)


def digamma_stirling(degree: int) -> Fit:
    """S of ψ(x) = log x - 1/2x - S(1/x²)/x²."""

    def target(z: Any) -> Any:
        x = 1 / mp.sqrt(z)
        return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / z

    return relative(near_zero(target, mpf(1) / 12, -mpf(1) / 120), (0, mpf(1) / 64), degree)


TAN = functools.partial(odd, mp.tan, third, mpf(2) / 15, mp.sqrt((mp.pi / 4 + mpf("1e-6")) ** 2))
ARCSIN = functools.partial(odd, mp.asin, third / 2, mpf(3) / 40, mp.sqrt(mpf("0.2501")))
ARCTAN = functools.partial(odd, mp.atan, -third, mpf(1) / 5, mpf("0.5"))
SINH = functools.partial(odd, mp.sinh, third / 2, mpf(1) / 120, mp.sqrt(mpf(1.0001)))
SIN = functools.partial(odd, mp.sin, -third / 2, mpf(1) / 120)

# Name, what is asked for, the type of the coefficients, and those that the functions have.
FITS: list[tuple[str, Fit, Any, Sequence[float]]] = [
    ("exp", exp_tail(4), F32, exponential.EXP[F32]),
    ("exp", exp_tail(10), F64, exponential.EXP[F64]),
    ("expm1", exp_tail(4, mp.expm1), F32, exponential.EXPM1[F32]),
    ("expm1", exp_tail(10, mp.expm1), F64, exponential.EXPM1[F64]),
    ("exp2", exp2_tail(5), F32, exponential.EXP2[F32]),
    ("exp2", exp2_tail(11), F64, exponential.EXP2[F64]),
    ("log", log_tail(7), F32, logarithm.LOG[F32]),
    ("log", atanh(3, 6), F64, logarithm.LOG[F64]),
    ("sin", SIN(mpf("1.5755"), 3), F32, trigonometric.SIN[F32]),
    ("sin", SIN(mpf("1.5709"), 7), F64, trigonometric.SIN[F64]),
    ("tan", TAN(6), F64, trigonometric.TAN[F32]),
    ("tan", TAN(13), F64, trigonometric.TAN[F64]),
    ("arcsin", ARCSIN(4), F32, inverse_trigonometric.ARCSIN[F32]),
    ("arcsin", ARCSIN(12), F64, inverse_trigonometric.ARCSIN[F64]),
    ("arctan", ARCTAN(5), F32, inverse_trigonometric.ARCTAN[F32]),
    ("arctan", ARCTAN(12), F64, inverse_trigonometric.ARCTAN[F64]),
    ("sinh", SINH(3), F32, hyperbolic.SINH[F32]),
    ("sinh", SINH(6), F64, hyperbolic.SINH[F64]),
    ("power", atanh(5, 6), F64, powers.LOG),
    ("power", atanh(3, 3), F64, powers.LOG_SHORT),
    ("power", exp_tail(5), F64, powers.EXP_SHORT),
    ("cbrt", relative(lambda m: m ** (-third), (1, 2), 4), F64, powers.INVERSE_CBRT),
    ("erf", erf_small(5), F32, error_function.ERF_SMALL[F32]),
    ("erf", erf_small(11), F64, error_function.ERF_SMALL[F64]),
    ("erf", erf_large(3.95, 6), F32, error_function.ERF_LARGE[F32]),
    ("erf", erf_large(5.95, 17), F64, error_function.ERF_LARGE[F64]),
    ("erfc", erfc_scaled(2, "10.3", 9), F64, error_function.ERFC[F32]),
    ("erfc", erfc_scaled(4, 28, 21), F64, error_function.ERFC[F64]),
    ("erfinv", erfinv("2.5", -2.5, 2.5, 9, False), F64, error_function.ERFINV[F32][0].coefficients),
    ("erfinv", erfinv("3.17", -0.935, 0.935, 10, True), F64, error_function.ERFINV[F32][1].coefficients),
    ("erfinv", erfinv("3.125", "-3.125", "3.125", 21, False), F64, error_function.ERFINV[F64][0].coefficients),
    ("erfinv", erfinv("3.25", -0.7501, 0.7501, 17, True), F64, error_function.ERFINV[F64][1].coefficients),
    ("erfinv", erfinv("5", -1.001, 1.1, 15, True), F64, error_function.ERFINV[F64][2].coefficients),
    ("gammaln", relative(near_zero(lambda t: mp.loggamma(2 + t) / t, 1 - mp.euler, mp.zeta(2) / 2 - 0.5),
                         (-0.75, 0.5), 20), F64, gamma.NEAR_TWO),
    ("gammaln", stirling(6), F64, gamma.STIRLING),
    ("digamma", relative(lambda u: mp.digamma(u + 1.5) / (u + 1.5 - root), (-0.5, 0.5), 21), F64, gamma.NEAR_ROOT),
    ("digamma", digamma_stirling(7), F64, gamma.DIGAMMA_STIRLING),
]  # fmt: skip


def main() -> None:
    """Derive all, or some, and say whether the functions have the same coefficients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    asked = parser.parse_args()
    for name, fit, dtype, kept in FITS:
        if not asked.names or name in asked.names:
            found, error = fitted(fit, dtype)
            same = [float(dtype.type(c)) for c in kept] == found
            print(f"{name} {dtype}, degree {fit.degree}: error 2^{np.log2(error):.1f}; ", end="")
            print("the same" if same else "NOT THE SAME")
            print("    " + ", ".join(str(dtype.type(c)) if dtype == F32 else repr(c) for c in found), flush=True)


if __name__ == "__main__":
    main()
