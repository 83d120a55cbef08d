"""Whole numbers that stand for floats: x = (q − zero)·scale."""

# Sums of products of bytes are exact in float64 as long as there are fewer than 2³⁷ of them.

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.onnx.ops.elementwise import _dtype
from lazygrad.onnx.ops.table import At, Fixed, op
from lazygrad.onnx.ops.windows import convolved


def _laid(p: Any, x: Any, axis: int, block: int) -> Any:
    """Numbers for the whole tensor, for each slice along an axis, or for blocks of these, beside the tensor."""
    if p is None or not p.ndim or p.size == 1:
        return p if p is None else lg.reshape(p, ())
    if block:
        whole = lg.repeat(p, block, axis=axis)
        return whole[(slice(None),) * (axis % x.ndim) + (slice(0, x.shape[axis]),)]
    shape = [1] * x.ndim
    shape[axis] = p.shape[0]
    return lg.reshape(p, tuple(shape))


def _saturated(x: Any, dtype: Any) -> Any:
    limits = np.iinfo(dtype)
    return lg.astype(lg.clip(x, float(limits.min), float(limits.max)), dtype)


@op("QuantizeLinear")
def quantize(
    at: At,
    x: Any,
    scale: Fixed,
    zero: Fixed = None,
    *,
    axis: Any,
    block_size: Any,
    output_dtype: Any,
    precision: Any,
    saturate: Any,
) -> Any:
    """The nearest whole numbers, held in their range."""
    dtype = np.dtype(np.uint8) if zero is None else zero.dtype
    dtype = _dtype(at, output_dtype) if output_dtype else dtype
    axis, block = 1 if axis is None else axis, block_size or 0
    y = lg.round(x / _laid(lg.astype(scale, x.dtype), x, axis, block))
    shift = _laid(zero, x, axis, block)
    return _saturated(y if shift is None else y + lg.astype(shift, y.dtype), dtype)


@op("DequantizeLinear")
def dequantize(
    at: At, x: Fixed, scale: Fixed, zero: Fixed = None, *, axis: Any, block_size: Any, output_dtype: Any
) -> Any:
    """(q − zero)·scale."""
    axis, block = 1 if axis is None else axis, block_size or 0
    dtype = _dtype(at, output_dtype) if output_dtype else scale.dtype
    y = lg.astype(x, np.float32)
    shift = _laid(zero, x, axis, block)
    y = y if shift is None else y - lg.astype(shift, np.float32)
    return lg.astype(y * lg.astype(_laid(scale, x, axis, block), np.float32), dtype)


@op("DynamicQuantizeLinear")
def dynamic_quantize(at: At, x: Any) -> Any:
    """Bytes for the range of the numbers, which 0 is in; with scale and zero."""
    low, high = lg.minimum(lg.min(x), 0), lg.maximum(lg.max(x), 0)
    scale = (high - low) / 255
    zero = _saturated(lg.round(-low / scale), np.dtype(np.uint8))
    y = _saturated(lg.round(x / scale) + lg.astype(zero, x.dtype), np.dtype(np.uint8))
    return y, scale, zero


def _shifted(q: Any, zero: Any, axis: int) -> Any:
    """q − zero in float64, where zero may be for each slice along an axis."""
    wide = lg.astype(q, np.float64)
    if zero is None:
        return wide
    zero = lg.astype(zero, np.float64)
    if zero.ndim == 1 and zero.size > 1:
        shape = [1] * q.ndim
        shape[axis] = zero.size
        zero = lg.reshape(zero, tuple(shape))
    return wide - (lg.reshape(zero, ()) if zero.size == 1 else zero)


def product(a: Any, zero_a: Any, b: Any, zero_b: Any) -> Any:
    """The product of what bytes stand for before they are scaled, in float64."""
    return lg.matmul(_shifted(a, zero_a, -2), _shifted(b, zero_b, -1))


@op("MatMulInteger")
def matmul_integer(at: At, a: Any, b: Any, zero_a: Fixed = None, zero_b: Fixed = None) -> Any:
    """The product of what the bytes stand for, in whole numbers."""
    return lg.astype(product(a, zero_a, b, zero_b), np.int32)


@op("QLinearMatMul")
def qlinear_matmul(
    at: At,
    a: Any,
    scale_a: Fixed,
    zero_a: Fixed,
    b: Any,
    scale_b: Fixed,
    zero_b: Fixed,
    scale: Fixed,
    zero: Fixed,
) -> Any:
    """The product of two tensors of bytes, in bytes."""
    y = product(a, zero_a, b, zero_b)
    if scale_a.size > 1:
        scale_a = lg.reshape(scale_a, (-1, 1))
    y = y * lg.astype(scale_a, np.float64) * lg.astype(scale_b, np.float64) / lg.astype(scale, np.float64)
    return _saturated(lg.round(y) + lg.astype(zero, np.float64), zero.dtype)


@op("ConvInteger")
def conv_integer(
    at: At,
    x: Any,
    w: Any,
    zero_x: Fixed = None,
    zero_w: Fixed = None,
    *,
    auto_pad: str,
    dilations: Any,
    group: int,
    kernel_shape: Any,
    pads: Any,
    strides: Any,
) -> Any:
    """A convolution of bytes, in whole numbers."""
    settings = (auto_pad, dilations, group, pads, strides)
    return lg.astype(lg.round(convolved(at, _shifted(x, zero_x, 1), _shifted(w, zero_w, 0), *settings)), np.int32)


@op("QLinearConv")
def qlinear_conv(
    at: At,
    x: Any,
    scale_x: Fixed,
    zero_x: Fixed,
    w: Any,
    scale_w: Fixed,
    zero_w: Fixed,
    scale: Fixed,
    zero: Fixed,
    bias: Any = None,
    *,
    auto_pad: str,
    dilations: Any,
    group: int,
    kernel_shape: Any,
    pads: Any,
    strides: Any,
) -> Any:
    """A convolution of bytes, in bytes."""
    settings = (auto_pad, dilations, group, pads, strides)
    y = convolved(at, _shifted(x, zero_x, 1), _shifted(w, zero_w, 0), *settings)
    channels = (-1,) + (1,) * (w.ndim - 2)
    y = y if bias is None else y + lg.reshape(lg.astype(bias, np.float64), channels)
    factor = lg.astype(scale_x, np.float64) * lg.astype(scale_w, np.float64) / lg.astype(scale, np.float64)
    factor = lg.reshape(factor, () if factor.size == 1 else channels)
    return _saturated(lg.round(y * factor) + lg.astype(zero, np.float64), zero.dtype)
