"""Ops of onnxruntime on whole numbers that stand for floats; its quantisers write them."""

# They are computed in floats, so what is rounded at the end may be the next number of the two around it.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.activations import softmax
from lazygrad.onnx.ops.quantized import dequantize, dynamic_quantize, product, quantize
from lazygrad.onnx.ops.recurrent import lstm
from lazygrad.onnx.ops.table import MICROSOFT, At, Fixed, Known, op


@op("DequantizeLinear", domain=MICROSOFT)
def floats(at: At, x: Fixed, scale: Fixed, zero: Fixed = None, *, axis: Any = None) -> Any:
    """(q − zero)·scale."""
    return dequantize(at, x, scale, zero, axis=axis, block_size=None, output_dtype=None)


@op("QuantizeLinear", domain=MICROSOFT)
def whole(at: At, x: Any, scale: Fixed, zero: Fixed = None, *, axis: Any = None) -> Any:
    """The nearest whole numbers, held in their range."""
    settings = {"output_dtype": None, "precision": None, "saturate": None}
    return quantize(at, x, scale, zero, axis=axis, block_size=None, **settings)


def _two(name: str, function: Callable[..., Any]) -> None:
    @op(name, domain=MICROSOFT)
    def applied(
        at: At,
        a: Any,
        scale_a: Fixed,
        zero_a: Fixed,
        b: Any,
        scale_b: Fixed,
        zero_b: Fixed,
        scale: Fixed,
        zero: Fixed = None,
    ) -> Any:
        return whole(at, function(floats(at, a, scale_a, zero_a), floats(at, b, scale_b, zero_b)), scale, zero)


_two("QLinearAdd", lg.add)
_two("QLinearMul", lg.multiply)


@op("QLinearSigmoid", domain=MICROSOFT)
def sigmoid(at: At, x: Any, scale_x: Fixed, zero_x: Fixed, scale: Fixed, zero: Fixed = None) -> Any:
    """σ(x) in bytes."""
    return whole(at, lg.nn.sigmoid(floats(at, x, scale_x, zero_x)), scale, zero)


@op("QLinearLeakyRelu", domain=MICROSOFT)
def leaky_relu(
    at: At, x: Any, scale_x: Fixed, zero_x: Fixed, scale: Fixed, zero: Fixed = None, *, alpha: float = 0.01
) -> Any:
    """x above 0, α·x below, in bytes."""
    return whole(at, lg.nn.leaky_relu(floats(at, x, scale_x, zero_x), alpha), scale, zero)


@op("QLinearSoftmax", domain=MICROSOFT)
def softmax_of_bytes(
    at: At, x: Any, scale_x: Fixed, zero_x: Fixed, scale: Fixed, zero: Fixed, *, axis: int = -1, opset: int = 13
) -> Any:
    """eˣ / Σ eˣ in bytes, as ONNX' op means it in that version."""
    node = at.node._replace(since=opset)
    return whole(at, softmax(at._replace(node=node), floats(at, x, scale_x, zero_x), axis=axis), scale, zero)


@op("QLinearConcat", domain=MICROSOFT)
def concat(at: At, scale: Fixed, zero: Fixed, *parts: Any, axis: int) -> Any:
    """Tensors of bytes one after another; each comes with its scale and its zero."""
    each = [floats(at, *parts[k : k + 3]) for k in range(0, len(parts), 3)]
    return whole(at, lg.concat(each, axis=axis), scale, zero)


@op("QLinearGlobalAveragePool", domain=MICROSOFT)
def global_average_pool(
    at: At, x: Any, scale_x: Fixed, zero_x: Fixed, scale: Fixed, zero: Fixed, *, channels_last: int = 0
) -> Any:
    """The mean of each channel, in bytes."""
    axes = tuple(range(1, x.ndim - 1)) if channels_last else tuple(range(2, x.ndim))
    return whole(at, lg.mean(floats(at, x, scale_x, zero_x), axis=axes, keepdims=True), scale, zero)


@op("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_to_float(
    at: At,
    a: Any,
    b: Any,
    scale_a: Fixed,
    scale_b: Fixed,
    zero_a: Fixed = None,
    zero_b: Fixed = None,
    bias: Any = None,
) -> Any:
    """The product of what the bytes stand for."""
    y = lg.astype(product(a, zero_a, b, zero_b), scale_a.dtype) * scale_a * scale_b
    return y if bias is None else y + bias


@op("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_matmul(at: At, a: Any, b: Any, scale_b: Fixed, zero_b: Fixed = None, bias: Any = None) -> Any:
    """The product of floats, which become bytes for it, with bytes."""
    q, scale, zero = dynamic_quantize(at, a)
    return matmul_to_float(at, q, b, scale, scale_b, zero, zero_b, bias)


@op("MatMulNBits", domain=MICROSOFT)
def matmul_of_bits(
    at: At,
    x: Any,
    packed: Known,
    scales: Known,
    zeros: Known = None,
    order: Any = None,
    bias: Any = None,
    *,
    K: int,
    N: int,
    accuracy_level: int = 0,
    bits: int = 4,
    block_size: int,
    weight_prepacked: int = 0,
) -> Any:
    """The product with weights of few bits, (N, K), of which each block of a row has a scale and a zero."""
    if order is not None or weight_prepacked:
        what = f"cannot import {at.node}: weights in an order of their own have no form here"
        raise ExportError(report(what, at=here(), cure="Quantise the model without g_idx, and not for one processor."))
    blocks = -(-K // block_size)
    q = _unpacked(packed.reshape(N, -1), bits)[:, : blocks * block_size].reshape(N, blocks, block_size)
    shift: Any = 2 ** (bits - 1)
    if zeros is not None and zeros.dtype == np.uint8:
        shift = _unpacked(zeros.reshape(N, -1), bits)[:, :blocks, None]
    elif zeros is not None:
        shift = zeros.reshape(N, blocks, 1)
    weight = ((q - shift) * scales.reshape(N, blocks, 1)).reshape(N, -1)[:, :K].astype(scales.dtype)
    y = lg.matmul(x, weight.T)
    return y if bias is None else y + bias


def _unpacked(rows: Any, bits: int) -> Any:
    """The numbers in rows of bytes, those in the low bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return ((rows[:, :, None] >> shifts) & (2**bits - 1)).reshape(rows.shape[0], -1).astype(np.float32)


@op("DynamicQuantizeLSTM", domain=MICROSOFT)
def lstm_of_bytes(
    at: At,
    x: Any,
    w: Any,
    r: Any,
    b: Any,
    lengths: Any,
    h: Any,
    c: Any,
    p: Any,
    scale_w: Fixed,
    zero_w: Fixed,
    scale_r: Fixed,
    zero_r: Fixed,
    *,
    activation_alpha: Any = None,
    activation_beta: Any = None,
    activations: Any = None,
    clip: Any = None,
    direction: str = "forward",
    hidden_size: Any = None,
    input_forget: int = 0,
) -> Any:
    """An LSTM whose weights are bytes, (directions, inputs, gates·hidden); inputs and states stay floats here."""

    def laid(q: Any, scale: Any, zero: Any) -> Any:
        shape = (scale.shape[0], 1, -1)
        weight = (lg.astype(q, np.float32) - lg.reshape(lg.astype(zero, np.float32), shape)) * lg.reshape(scale, shape)
        return lg.swapaxes(weight, 1, 2)

    settings = {"activation_alpha": activation_alpha, "activation_beta": activation_beta, "activations": activations}
    settings |= {"clip": clip, "direction": direction, "hidden_size": hidden_size, "input_forget": input_forget}
    asked = {**settings, "layout": 0}
    asked_at = at._replace(node=at.node._replace(settings=asked))
    return lstm(
        asked_at, x, laid(w, scale_w, zero_w), laid(r, scale_r, zero_r), b, lengths, h, c, p, layout=0, **settings
    )
