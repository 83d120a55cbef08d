"""Special functions, computed by SciPy (on a GPU by CuPy)."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.kinds import tensors
from lazygrad.ops.arithmetic import sign, square
from lazygrad.ops.comparison import equal, where
from lazygrad.ops.elementary import exp
from lazygrad.precision import in_floats
from lazygrad.registry import function
from lazygrad.spec import floating
from lazygrad.tensor import Array, Tensor, TensorLike

__all__ = ["betaln", "digamma", "erf", "erfc", "erfinv", "gammaln", "i0e", "i1e", "log_ndtr", "polygamma"]


@elementwise(vjp=lambda g, y, x: g * (2 / math.sqrt(math.pi)) * exp(-square(x)), dtype=floating)
def erf(xp: Any, x: Array) -> Any:
    """Error function."""
    return xp.erf(x)


@elementwise(vjp=lambda g, y, x: g * (-2 / math.sqrt(math.pi)) * exp(-square(x)), dtype=floating)
def erfc(xp: Any, x: Array) -> Any:
    """1 − erf(x), precise for large x."""
    return xp.erfc(x)


@elementwise(vjp=lambda g, y, x: g * (math.sqrt(math.pi) / 2) * exp(square(y)), dtype=floating)
def erfinv(xp: Any, x: Array) -> Any:
    """Inverse of erf, for |x| < 1."""
    return xp.erfinv(x)


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


@elementwise(
    vjp=lambda g, y, x: g * exp(-0.5 * square(x) - y - 0.5 * math.log(2 * math.pi)),
    dtype=floating,
)
def log_ndtr(xp: Any, x: Array) -> Any:
    """log of the normal distribution function, precise far in the left tail."""
    return xp.log_ndtr(x)


@elementwise(vjp=lambda g, y, x: g * (i1e(x) - sign(x) * y), dtype=floating)
def i0e(xp: Any, x: Array) -> Any:
    """exp(−|x|)·I₀(x), the scaled modified Bessel function of order 0."""
    return xp.i0e(x)


def _i1e_slope(y: Tensor, x: Tensor) -> Tensor:
    # I₁′ = I₀ − I₁/x, and I₁(x)/x → ½ at 0.
    zero = equal(x, 0)
    return i0e(x) - where(zero, 0.5, y / where(zero, 1, x)) - sign(x) * y


@elementwise(vjp=lambda g, y, x: g * _i1e_slope(y, x), dtype=floating)
def i1e(xp: Any, x: Array) -> Any:
    """exp(−|x|)·I₁(x), the scaled modified Bessel function of order 1."""
    return xp.i1e(x)


@function
@in_floats("a", "b")
def betaln(a: TensorLike, b: TensorLike) -> Tensor:
    """log |B(a, b)|, the logarithm of the beta function."""
    a, b = tensors(a, b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)
