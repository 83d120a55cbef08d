"""Activation functions, none of which overflows.

All work element by element but :func:`softmax` and :func:`log_softmax`. Floats keep their dtype, whole numbers
become float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import function, here
from lazygrad.graph.spec import floating, normalize_axis
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.nn.checks import fitting
from lazygrad.ops.arithmetic import abs, multiply, negative, subtract
from lazygrad.ops.comparison import clip, where
from lazygrad.ops.elementary import _apart, exp, expm1, log, sigmoid, tanh
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.reduction import max, sum
from lazygrad.ops.special import ndtr

__all__ = [
    "elu",
    "gelu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]


@elementwise(vjp=lambda g, y, x: where(y > 0, g, 0), dtype=floating)
def relu(xp: Any, x: Array) -> Any:
    """Rectified linear unit, max(x, 0); its derivative at 0 is 0."""
    return xp.maximum(x, 0)


@elementwise(vjp=lambda g, y, x: g * sigmoid(x), dtype=floating)
def softplus(xp: Any, x: Array) -> Any:
    """log(1 + eˣ), a smooth relu."""
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


@function
@in_floats("x")
def leaky_relu(x: Any, slope: Any = 0.01) -> Tensor:
    """x above 0, ``slope``·x below (Maas et al. 2013). ``slope`` is a number or a tensor that broadcasts."""
    x = tensor(x)
    return where(x > 0, x, slope * x)


@function
@in_floats("x")
def elu(x: Any, alpha: Any = 1.0) -> Tensor:
    """Exponential linear unit: x above 0, ``alpha``·(eˣ − 1) below (Clevert et al. 2016)."""
    x = tensor(x)
    above = x > 0
    # eˣ is taken of 0 where x is chosen: it could overflow there, and its cotangent be 0·∞.
    return where(above, x, alpha * expm1(where(above, 0, x)))


@function
@in_floats("x")
def selu(x: Any) -> Tensor:
    """Scaled :func:`elu`, which keeps mean 0 and variance 1 (Klambauer et al. 2017, equation 14)."""
    x = tensor(x)
    above = x > 0
    return where(above, 1.0507009873554805 * x, 1.7580993408473768 * expm1(where(above, 0, x)))


_GELU = math.sqrt(8 / math.pi)


def _gelu_small(xp: Any, x: Array) -> Any:
    """The smaller of σ(z) and σ(−z) for z = √(8/π)(x + 0.044715x³); z itself would be rounded too much."""
    e = xp.gelu_exponential(x)
    return e / (1 + e)


# With z′ = √(8/π)(1 + 3·0.044715x²): σ′ = σ(z)σ(−z)·z′ and σ″ = −σ(z)σ(−z)·(tanh(z/2)·z′² − z″).
@elementwise(
    vjp=lambda g, y, x: (
        -g * (y * (_gelu_turned(x) * (_GELU * (1 + 0.134145 * (x * x))) - 0.26829 * x / (1 + 0.134145 * (x * x))))
    ),
    dtype=floating,
)
def _gelu_slope(xp: Any, x: Array) -> Any:
    """The derivative of :func:`_gelu_gate`."""
    small = _gelu_small(xp, x)
    held = xp.where(small > 0, x, 0)  # x² may be infinite where nothing is left
    return (_GELU * (1 + 0.134145 * held * held)) * (small * (1 - small))


@elementwise(vjp=lambda g, y, x: 2 * g * _gelu_slope(x), dtype=floating)
def _gelu_turned(xp: Any, x: Array) -> Any:
    """2σ(z) − 1 = tanh(z/2)."""
    z = _GELU * (x + 0.044715 * (x * x * x))
    return xp.tanh(0.5 * z)


@elementwise(vjp=lambda g, y, x: g * _gelu_slope(x), dtype=floating)
def _gelu_gate(xp: Any, x: Array) -> Any:
    """σ(√(8/π)(x + 0.044715x³)) = ½(1 + tanh(√(2/π)(x + 0.044715x³)))."""
    small = _gelu_small(xp, x)
    return xp.where(x < 0, small, 1 - small)


@function
@in_floats("x")
def gelu(x: Any, approximate: str | None = None) -> Tensor:
    """x·Φ(x), with Φ the normal distribution function (Hendrycks & Gimpel 2016).

    Args:
        x: a tensor.
        approximate: ``"tanh"`` for the paper's ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    Raises:
        SpecError: ``approximate`` is something else.
    """
    x = tensor(x)
    if approximate == "tanh":
        return multiply(x, _gelu_gate(x))
    if approximate not in (None, "none"):
        cure = "approximate is 'tanh', or None for the exact function."
        raise SpecError(report(f"cannot gelu with approximate={approximate!r}", at=here(), cure=cure))
    return multiply(x, ndtr(x))


@function
@in_floats("x")
def silu(x: Any) -> Tensor:
    """x·sigmoid(x), also called swish (Elfwing et al. 2018)."""
    x = tensor(x)
    return multiply(x, sigmoid(x))


@function
@in_floats("x")
def mish(x: Any) -> Tensor:
    """x·tanh(softplus(x)) (Misra 2019)."""
    x = tensor(x)
    return multiply(x, tanh(softplus(x)))


@function
@in_floats("x")
def log_sigmoid(x: Any) -> Tensor:
    """log of :func:`sigmoid`, without underflow."""
    return negative(softplus(negative(x)))


@elementwise(vjp=lambda g, y, x: g / (1 + abs(x)) / (1 + abs(x)), dtype=floating)
def softsign(xp: Any, x: Array) -> Any:
    """x / (1 + |x|)."""
    size = xp.abs(x)
    return xp.where(size < np.inf, x / (1 + size), xp.sign(x))


@function
def hard_tanh(x: Any) -> Tensor:
    """x held between −1 and 1."""
    return clip(x, -1.0, 1.0)


@function
def relu6(x: Any) -> Tensor:
    """x held between 0 and 6."""
    return clip(x, 0.0, 6.0)


def centered(x: Tensor, axis: int) -> Tensor:
    """``x`` less its largest element along ``axis``, which changes no softmax.

    Then eˣ cannot overflow, and what is small beside the largest element keeps its digits.
    """
    if not x.shape[axis]:  # there is no largest of no elements, and nothing to shift
        return x
    # Where the largest is infinite, what equals it becomes 0 like any largest: ∞ − ∞ would be NaN.
    return _apart(x, stop_gradient(max(x, axis=axis, keepdims=True)))


@function
@in_floats("x")
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """log of :func:`softmax`: x − log Σ eˣ along ``axis``, without overflow.

    Raises:
        SpecError: ``x`` has no such axis.
    """
    x = tensor(x)
    with fitting("log_softmax", x=x):
        place = normalize_axis(axis, x.ndim)
    x = centered(x, place)
    return subtract(x, log(sum(exp(x), axis=place, keepdims=True)))


@function
@in_floats("x")
def softmax(x: Any, axis: int = -1) -> Tensor:
    """eˣ / Σ eˣ along ``axis``: positive numbers of sum 1.

    Raises:
        SpecError: ``x`` has no such axis.
    """
    x = tensor(x)
    with fitting("softmax", x=x):
        place = normalize_axis(axis, x.ndim)
    return exp(log_softmax(x, place))
