"""Activations made of pieces, of halves, and of random numbers: those of PyTorch and ``jax.nn`` beside the usual ones.

At a kink the derivative is that of the piece which the function's description names for the point itself.
"""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import elementwise
from lazygrad.define.kinds import tensor
from lazygrad.define.precision import in_floats
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Mismatch, floating, normalize_axis
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.nn.activations import sigmoid, softmax, tanh
from lazygrad.nn.checks import fitting, number
from lazygrad.nn.embedding import one_hot
from lazygrad.ops.arithmetic import hypot, multiply, negative, square
from lazygrad.ops.comparison import clip, where
from lazygrad.ops.elementary import expm1, log
from lazygrad.ops.movement import astype, split
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.random import Random
from lazygrad.ops.reduction import argmax

__all__ = [
    "celu",
    "glu",
    "gumbel_softmax",
    "hard_shrink",
    "hard_sigmoid",
    "hard_swish",
    "rrelu",
    "soft_shrink",
    "softmin",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh_shrink",
    "threshold",
]


@function
@in_floats("x")
def celu(x: Any, alpha: Any = 1.0) -> Tensor:
    """x above 0, ``alpha``·(e^(x/alpha) − 1) below, which is smooth for every alpha (Barron 2017)."""
    x = tensor(x)
    above = x > 0
    return where(above, x, alpha * expm1(where(above, 0, x) / alpha))


@function
@in_floats("x")
def glu(x: Any, axis: int = -1) -> Tensor:
    """Gated linear unit: the first half of x along ``axis`` times the sigmoid of the second (Dauphin et al. 2017).

    Raises:
        SpecError: ``x`` has no such axis, or an odd number of elements along it.
    """
    x = tensor(x)
    with fitting("glu", x=x):
        place = normalize_axis(axis, x.ndim)
        if x.shape[place] % 2:
            raise Mismatch(f"Axis {axis} is halved: its size, {x.shape[place]}, must be even.")
    value, gate = split(x, 2, axis=place)
    return multiply(value, sigmoid(gate))


@function
@in_floats("x")
def hard_sigmoid(x: Any) -> Tensor:
    """(x + 3)/6 held between 0 and 1; its derivative at −3 and 3 is 1/6."""
    return clip(tensor(x) + 3, 0.0, 6.0) / 6


@function
@in_floats("x")
def hard_swish(x: Any) -> Tensor:
    """x times :func:`hard_sigmoid`, also called hard_silu (Howard et al. 2019): 0 below −3, x above 3.

    Its derivative at −3 and 3 is that of the parabola between them, −½ and 1½.
    """
    x = tensor(x)
    out = x < -3
    held = where(out, 0, x)
    return where(out, 0, held * (clip(held + 3, 0.0, 6.0) / 6))


@function
@in_floats("x")
def hard_shrink(x: Any, lambd: Any = 0.5) -> Tensor:
    """x where it is beyond ``lambd`` on either side, else 0; its derivative at ±lambd is 0."""
    x = tensor(x)
    return where((x > lambd) | (x < -lambd) | (x != x), x, 0)


@function
@in_floats("x")
def soft_shrink(x: Any, lambd: Any = 0.5) -> Tensor:
    """x moved towards 0 by ``lambd``, and 0 where it is nearer; its derivative at ±lambd is 0."""
    x = tensor(x)
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, where(x != x, x, 0)))


def _tangent(count: int) -> list[float]:
    """The coefficients of x³, x⁵, … of tanh x: those of tan x with other signs, whose derivatives are whole numbers."""
    slopes = [1]  # tan′ at 0, then every second derivative, as tan′ = 1 + tan²
    for n in range(1, count + 1):
        slopes.append(sum(math.comb(2 * n, 2 * k + 1) * slopes[k] * slopes[n - 1 - k] for k in range(n)))
    return [(-1) ** n * slopes[n] / math.factorial(2 * n + 1) for n in range(1, count + 1)]


_TANH = _tangent(15)


@elementwise(vjp=lambda g, y, x: g * square(tanh(x)), dtype=floating)
def tanh_shrink(xp: Any, x: Array) -> Any:
    """x − tanh x; near 0 by its series, as there both are nearly equal."""
    near = xp.abs(x) < 0.5
    held = xp.where(near, x, 0)
    s = held * held
    series: Any = -_TANH[-1]
    for c in _TANH[-2::-1]:
        series = series * s - c
    return xp.where(near, held * s * series, x - xp.tanh(x))


@function
@in_floats("x")
def threshold(x: Any, threshold: Any, value: Any) -> Tensor:
    """x above ``threshold``, else ``value``; its derivative at the threshold is 0."""
    x = tensor(x)
    return where((x > threshold) | (x != x), x, value)


@function
@in_floats("x")
def softmin(x: Any, axis: int = -1) -> Tensor:
    """e⁻ˣ / Σ e⁻ˣ along ``axis``; see :func:`softmax`."""
    return softmax(negative(x), axis)


@function
@in_floats("x")
def squareplus(x: Any, b: Any = 4.0) -> Tensor:
    """(x + √(x² + b))/2, a smooth relu without exponentials (Barron 2021); ``b`` is positive."""
    x = tensor(x)
    root = hypot(x, tensor(b, x.graph, x.dtype) ** 0.5)
    below = x < 0  # there the two nearly cancel
    return where(below, 0.5 * b / (root - where(below, x, 0)), 0.5 * (x + root))


@function
@in_floats("x")
def sparse_plus(x: Any) -> Tensor:
    """0 up to −1, (x + 1)²/4 up to 1, x beyond: smooth, and 0 where it is small."""
    x = tensor(x)
    held = clip(x, -1.0, 1.0)
    return where(x > 1, x, 0.25 * square(held + 1))


@function
@in_floats("x")
def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1)/2 held between 0 and 1, the derivative of :func:`sparse_plus`; its own at −1 and 1 is ½."""
    return clip(0.5 * (tensor(x) + 1), 0.0, 1.0)


@function
@in_floats("x")
def rrelu(x: Any, lower: float = 1 / 8, upper: float = 1 / 3, train: bool = False) -> Tensor:
    """x above 0, below it times a slope that is drawn anew for each element (Xu et al. 2015).

    Args:
        x: a tensor.
        lower: the least slope, a number from 0 to 1.
        upper: the greatest, likewise, and not below ``lower``.
        train: whether slopes are drawn; if not, the slope is (lower + upper)/2 everywhere.

    Raises:
        SpecError: ``lower`` or ``upper`` is out of range.
    """
    x = tensor(x)
    with fitting("rrelu", x=x):
        low = number("lower", lower, 0, 1)
        high = number("upper", upper, low, 1)
    slope: Any = 0.5 * (low + high)
    if train:
        slope = Random(x.graph).uniform(x.shape, low=low, high=high, dtype=x.dtype)
    return where(x > 0, x, slope * x)


@function
@in_floats("logits")
def gumbel_softmax(logits: Any, temperature: Any = 1.0, hard: bool = False, axis: int = -1) -> Tensor:
    """A class drawn with the probabilities softmax(logits), softened so that it has derivatives (Jang et al. 2017).

    Args:
        logits: a tensor.
        temperature: a positive number, or a 0-d tensor; towards 0 the result is nearer to one class.
        hard: whether the result is 0 and 1 alone; its derivatives are those of the soft one.
        axis: of the classes.

    Returns:
        The shape of ``logits``, of sum 1 along ``axis``; drawn afresh at every run.

    Raises:
        SpecError: ``logits`` has no such axis.
    """
    x = tensor(logits)
    with fitting("gumbel_softmax", logits=x):
        place = normalize_axis(axis, x.ndim)
    noise = -log(Random(x.graph).exponential(x.shape, dtype=x.dtype))
    soft = softmax((x + noise) / temperature, place)
    if not hard:
        return soft
    chosen = one_hot(argmax(soft, axis=place), soft.shape[place], axis=place)
    return astype(chosen, soft.dtype) + (soft - stop_gradient(soft))
