"""The gamma and beta functions, what is made of them, and zeta."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import floating
from lazygrad.graph.tensor import Array, Tensor, TensorLike
from lazygrad.ops.special import _digamma_less, digamma, gammaln

__all__ = ["beta", "binom", "factorial", "gamma", "multigammaln", "zeta"]


@elementwise(vjp=lambda g, y, x: g * (y * digamma(x)), dtype=floating)
def gamma(xp: Any, x: Array) -> Any:
    """Γ(x), the gamma function; beyond 171 it is infinite in float64, and :func:`gammaln` its logarithm."""
    return xp.gamma(x)


@elementwise(vjp=lambda g, y, x: g * (y * digamma(x + 1)), dtype=floating)
def factorial(xp: Any, x: Array) -> Any:
    """x! = Γ(x + 1) = x·Γ(x), of any number but the negative whole ones."""
    return xp.where(xp.abs(x) > 1, x * xp.gamma(x), xp.gamma(x + 1))


@elementwise(
    vjp=(lambda g, y, a, b: g * (y * _digamma_less(a, b)), lambda g, y, a, b: g * (y * _digamma_less(b, a))),
    dtype=floating,
)
def beta(xp: Any, a: Array, b: Array) -> Any:
    """B(a, b) = Γ(a)·Γ(b) / Γ(a + b), the beta function; :func:`betaln` is its logarithm."""
    return xp.beta(a, b)


@elementwise(
    vjp=(
        lambda g, y, n, k: -g * (y * _digamma_less(n - k + 1, k)),
        lambda g, y, n, k: g * (y * (digamma(n - k + 1) - digamma(k + 1))),
    ),
    dtype=floating,
)
def binom(xp: Any, n: Array, k: Array) -> Any:
    """n over k, the binomial coefficient Γ(n + 1) / (Γ(k + 1)·Γ(n − k + 1)), of real numbers too."""
    return xp.binom(n, k)


@function
@in_floats("a")
def multigammaln(a: TensorLike, d: int) -> Tensor:
    """log of the gamma function of ``d`` dimensions, ¼·d(d − 1)·log π + Σ log Γ(a − j/2) for j from 0 to d − 1.

    Args:
        a: numbers above (d − 1)/2.
        d: a whole number, 1 or more.

    Raises:
        SpecError: ``d`` is not one.
    """
    if isinstance(d, bool) or not hasattr(d, "__index__") or int(d) < 1:
        cure = "d is the number of dimensions: a whole number, 1 or more."
        raise SpecError(report(f"cannot multigammaln with d={d!r:.60}", at=here(), cure=cure))
    d, a = int(d), tensor(a)
    total = gammaln(a) + 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(1, d):
        total = total + gammaln(a - 0.5 * j)
    return total


@elementwise(vjp=(None, lambda g, y, s, q: -g * (s * _hurwitz(s + 1, q))), dtype=floating)
def _hurwitz(xp: Any, s: Array, q: Array) -> Any:
    """Σ (q + k)⁻ˢ for k = 0, 1, 2, …"""
    return xp.zeta(s, q)


@function
@in_floats("s", "q")
def zeta(s: TensorLike, q: TensorLike = 1.0) -> Tensor:
    """Hurwitz's zeta function Σ (q + k)⁻ˢ for k = 0, 1, 2, … and s > 1; with q = 1, Riemann's.

    It has all derivatives for q, and none for s: asking for that is a GradientError.
    """
    return _hurwitz(s, q)
