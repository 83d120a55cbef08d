"""Numbers shifted and scaled to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.table import At, Kept, op


def _laid(p: Any, ndim: int) -> Any:
    """Numbers for channels, the second axis."""
    return lg.reshape(p, (1, -1) + (1,) * (ndim - 2))


@op("BatchNormalization")
def batch_normalization(
    at: At,
    x: Any,
    scale: Any,
    shift: Any,
    mean: Kept,
    variance: Kept,
    *,
    epsilon: float,
    momentum: float,
    training_mode: Any,
    spatial: Any,
) -> Any:
    """Each channel by its statistics: those of the file, or of the batch if the model says that it is trained."""
    if not training_mode:
        settings = {} if spatial is None or spatial else {"axis": 0}
        return lg.nn.batch_norm(x, scale, shift, mean, variance, eps=epsilon, **settings)
    axes = tuple(i for i in range(x.ndim) if i != 1)
    center, spread = lg.mean(x, axis=axes), lg.var(x, axis=axes)
    y = lg.nn.batch_norm(x, scale, shift, center, spread, eps=epsilon)
    moved = [old * momentum + new * (1 - momentum) for old, new in ((mean, center), (variance, spread))]
    return (y, *moved)[: max(at.outputs, 1)]


@op("InstanceNormalization")
def instance_normalization(at: At, x: Any, scale: Any, shift: Any, *, epsilon: float) -> Any:
    """Each channel of each example."""
    y = lg.nn.normalize(x, axis=tuple(range(2, x.ndim)), eps=epsilon)
    return y * _laid(scale, x.ndim) + _laid(shift, x.ndim)


@op("GroupNormalization")
def group_normalization(
    at: At, x: Any, scale: Any, shift: Any, *, epsilon: float, num_groups: int, stash_type: Any
) -> Any:
    """Each group of channels of each example; scale and shift are of groups in version 18, of channels from 21 on."""
    if at.since < 21:
        scale, shift = (lg.repeat(p, x.shape[1] // num_groups) for p in (scale, shift))
    return lg.nn.group_norm(x, num_groups, scale, shift, eps=epsilon)


@op("LayerNormalization")
def layer_normalization(
    at: At, x: Any, scale: Any, shift: Any = None, *, axis: int, epsilon: float, stash_type: Any
) -> Any:
    """The axes from one on, together; beside them the mean and 1/√(variance + ε)."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = lg.astype(x, np.float32) if x.dtype.itemsize < 4 else x
    mean = lg.mean(wide, axis=axes, keepdims=True)
    rest = lg.rsqrt(lg.mean(lg.square(wide - mean), axis=axes, keepdims=True) + epsilon)
    y = lg.astype((wide - mean) * rest, x.dtype) * scale
    y = y if shift is None else y + shift
    return (y, mean, rest)[: max(at.outputs, 1)] if at.outputs > 1 else y


@op("RMSNormalization")
def rms_normalization(at: At, x: Any, scale: Any, *, axis: int, epsilon: float, stash_type: Any) -> Any:
    """x / √(mean of x² + ε) over the axes from one on, scaled."""
    axes = tuple(range(axis % x.ndim, x.ndim))
    wide = lg.astype(x, np.float32) if x.dtype.itemsize < 4 else x
    rest = lg.rsqrt(lg.mean(lg.square(wide), axis=axes, keepdims=True) + epsilon)
    return lg.astype(wide * rest, x.dtype) * scale


@op("LRN")
def lrn(at: At, x: Any, *, alpha: float, beta: float, bias: float, size: int) -> Any:
    """x / (b + α/n · Σ x² over n channels around)ᵝ (Krizhevsky et al. 2012)."""
    before, after = (size - 1) // 2, math.ceil((size - 1) / 2)
    squares = lg.pad(lg.square(x), [(0, 0), (before, after), *((0, 0),) * (x.ndim - 2)])
    total = squares[:, : x.shape[1]]
    for k in range(1, size):
        total = total + squares[:, k : k + x.shape[1]]
    return x / (bias + alpha / size * total) ** beta


@op("LpNormalization")
def lp_normalization(at: At, x: Any, *, axis: int, p: int) -> Any:
    """x divided by its length along an axis; 0 where that is 0."""
    size = lg.abs(x) if p == 1 else lg.square(x)
    length = lg.sum(size, axis=axis, keepdims=True)
    length = length if p == 1 else lg.sqrt(length)
    return lg.where(length == 0, lg.zeros_like(x), x / lg.where(length == 0, 1, length))


@op("MeanVarianceNormalization")
def mean_variance_normalization(at: At, x: Any, *, axes: Any) -> Any:
    """(x − mean) / (√variance + 1e-9)."""
    over = tuple(axes)
    return (x - lg.mean(x, axis=over, keepdims=True)) / (
        lg.sqrt(lg.var(x, axis=over, keepdims=True)) + np.asarray(1e-9, x.dtype)
    )
