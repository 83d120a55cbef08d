"""Activations with settings."""

from __future__ import annotations

import math
from typing import Any

import lazygrad as lg
from lazygrad.onnx.ops.table import At, op


@op("LeakyRelu")
def leaky_relu(at: At, x: Any, *, alpha: float) -> Any:
    """x above 0, α·x below."""
    return lg.nn.leaky_relu(x, alpha)


@op("PRelu")
def prelu(at: At, x: Any, slope: Any) -> Any:
    """x above 0, slope·x below."""
    return lg.where(x < 0, slope * x, x)


@op("Elu")
def elu(at: At, x: Any, *, alpha: float) -> Any:
    """x above 0, α·(eˣ − 1) below."""
    return lg.nn.elu(x, alpha)


@op("Celu")
def celu(at: At, x: Any, *, alpha: float) -> Any:
    """x above 0, α·(e^(x/α) − 1) below."""
    return lg.nn.celu(x, alpha)


@op("Selu")
def selu(at: At, x: Any, *, alpha: float, gamma: float) -> Any:
    """γ·x above 0, γ·α·(eˣ − 1) below."""
    return gamma * lg.nn.elu(x, alpha)


@op("Gelu")
def gelu(at: At, x: Any, *, approximate: str) -> Any:
    """x·Φ(x)."""
    return lg.nn.gelu(x, approximate=None if approximate == "none" else approximate)


@op("HardSigmoid")
def hard_sigmoid(at: At, x: Any, *, alpha: float, beta: float) -> Any:
    """α·x + β, held between 0 and 1."""
    return lg.clip(alpha * x + beta, 0.0, 1.0)


@op("Swish")
def swish(at: At, x: Any, *, alpha: float) -> Any:
    """x·σ(α·x)."""
    return x * lg.nn.sigmoid(alpha * x)


@op("ThresholdedRelu")
def thresholded_relu(at: At, x: Any, *, alpha: float) -> Any:
    """x above α, else 0."""
    return lg.where(x > alpha, x, 0)


@op("Shrink")
def shrink(at: At, x: Any, *, bias: float, lambd: float) -> Any:
    """x moved towards 0 by the bias where it is beyond λ on either side, else 0."""
    inner = lg.where(x < -lambd, lg.astype(x + bias, x.dtype), lg.zeros_like(x))
    return lg.where(x > lambd, lg.astype(x - bias, x.dtype), inner)


def _flat(at: At, x: Any, axis: int, function: Any) -> Any:
    """A function along an axis; before version 13 along all axes from that one on, together."""
    if at.since >= 13:
        return function(x, axis)
    axis = axis % max(x.ndim, 1)
    rows = lg.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return lg.reshape(function(rows, 1), x.shape)


@op("Softmax")
def softmax(at: At, x: Any, *, axis: int) -> Any:
    """eˣ / Σ eˣ."""
    return _flat(at, x, axis, lambda x, axis: lg.nn.softmax(x, axis=axis))


@op("LogSoftmax")
def log_softmax(at: At, x: Any, *, axis: int) -> Any:
    """x − log Σ eˣ."""
    return _flat(at, x, axis, lambda x, axis: lg.nn.log_softmax(x, axis=axis))


@op("Hardmax")
def hardmax(at: At, x: Any, *, axis: int) -> Any:
    """1 at the first largest element, else 0."""

    def one_hot(x: Any, axis: int) -> Any:
        rows = lg.moveaxis(x, axis, -1)
        found = lg.nn.one_hot(lg.argmax(rows, axis=-1), rows.shape[-1])
        return lg.astype(lg.moveaxis(found, -1, axis), x.dtype)

    return _flat(at, x, axis, one_hot)


@op("SwiGLU")
def swiglu(at: At, gate: Any, x: Any, *, alpha: float) -> Any:
    """x·gate·σ(α·gate)."""
    return swish(at, gate, alpha=alpha) * x
