"""Ops of onnxruntime that stand for several of ONNX; its optimizer puts them into the models that it saves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lazygrad as lg
from lazygrad.errors import ExportError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.ops.normalization import layer_normalization, rms_normalization
from lazygrad.onnx.ops.products import gemm
from lazygrad.onnx.ops.table import MICROSOFT, At, Weight, op
from lazygrad.onnx.ops.windows import conv

# What follows a convolution, or a product, in one op; with the numbers that they take.
FOLLOWING: dict[str, Callable[..., Any]] = {
    "Relu": lg.nn.relu,
    "Tanh": lg.tanh,
    "Sigmoid": lg.nn.sigmoid,
    "LeakyRelu": lambda x, alpha=0.01: lg.nn.leaky_relu(x, alpha),
    "Clip": lambda x, low, high: lg.clip(x, low, high),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: lg.clip(alpha * x + beta, 0.0, 1.0),
}


def _followed(at: At, x: Any, name: str | None, numbers: Sequence[float]) -> Any:
    if not name:
        return x
    if name not in FOLLOWING:
        what = f"cannot import {at.node}: there is no activation {name!r:.40}"
        raise ExportError(report(what, at=here(), cure=f"Known are {', '.join(FOLLOWING)}."))
    return FOLLOWING[name](x, *numbers)


@op("FusedConv", domain=MICROSOFT)
def fused_conv(
    at: At,
    x: Any,
    w: Weight,
    bias: Any = None,
    added: Any = None,
    *,
    activation: Any = None,
    activation_params: Any = (),
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    """An activation of a convolution, to which a tensor may be added before."""
    settings = {"auto_pad": auto_pad, "dilations": dilations, "group": group}
    y = conv(at, x, w, bias, kernel_shape=kernel_shape, pads=pads, strides=strides, **settings)
    return _followed(at, y if added is None else y + added, activation, activation_params)


@op("FusedGemm", domain=MICROSOFT)
def fused_gemm(
    at: At,
    a: Any,
    b: Weight,
    c: Any = None,
    *,
    activation: Any = None,
    activation_alpha: Any = None,
    activation_beta: Any = None,
    activation_gamma: Any = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Any:
    """An activation of α·A·B + β·C."""
    numbers = [x for x in (activation_alpha, activation_beta, activation_gamma) if x is not None]
    y = gemm(at, a, b, c, alpha=alpha, beta=beta, transA=transA, transB=transB)
    return _followed(at, y, activation, numbers)


@op("FusedMatMul", domain=MICROSOFT)
def fused_matmul(
    at: At,
    a: Any,
    b: Weight,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Any:
    """α·A·B of many matrices, whose rows may be the first axis, or the last one, in place of the last but one."""

    def laid(x: Any, first: int, last: int) -> Any:
        x = lg.moveaxis(x, 0, -2) if first else x
        return lg.swapaxes(x, -1, -2) if last and x.ndim > 1 else x

    y = lg.matmul(laid(a, transBatchA, transA), laid(b, transBatchB, transB))
    return y if alpha == 1 else lg.astype(alpha * y, y.dtype)


@op("Gelu", domain=MICROSOFT)
def gelu(at: At, x: Any) -> Any:
    """x·Φ(x)."""
    return lg.nn.gelu(x)


@op("BiasGelu", domain=MICROSOFT)
def bias_gelu(at: At, x: Any, bias: Any) -> Any:
    """x·Φ(x) of a sum."""
    return lg.nn.gelu(x + bias)


@op("FastGelu", domain=MICROSOFT)
def fast_gelu(at: At, x: Any, bias: Any = None) -> Any:
    """x·Φ(x) by tanh, perhaps of a sum."""
    return lg.nn.gelu(x if bias is None else x + bias, approximate="tanh")


@op("QuickGelu", domain=MICROSOFT)
def quick_gelu(at: At, x: Any, *, alpha: float = 1.702) -> Any:
    """x·σ(α·x)."""
    return x * lg.nn.sigmoid(alpha * x)


@op("LayerNormalization", domain=MICROSOFT)
def plain_layer_normalization(
    at: At, x: Any, scale: Any, shift: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    """ONNX's own op, which onnxruntime writes into models of opsets that do not have it yet."""
    return layer_normalization(at, x, scale, shift, axis=axis, epsilon=epsilon, stash_type=stash_type)


@op("SimplifiedLayerNormalization", domain=MICROSOFT)
def simplified_layer_normalization(
    at: At, x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    """x / √(mean of x² + ε), scaled."""
    _one_output(at)
    return rms_normalization(at, x, scale, axis=axis, epsilon=epsilon, stash_type=stash_type)


@op("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(
    at: At, x: Any, skip: Any, scale: Any, shift: Any = None, bias: Any = None, *, epsilon: float = 1e-12
) -> Any:
    """A sum, normalised along the last axis; beside it the sum."""
    total = x + skip if bias is None else x + skip + bias
    y = layer_normalization(at._replace(outputs=1), total, scale, shift, axis=-1, epsilon=epsilon, stash_type=1)
    return _with_sum(at, y, total)


@op("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(
    at: At, x: Any, skip: Any, scale: Any, bias: Any = None, *, epsilon: float = 1e-12
) -> Any:
    """A sum, divided by its length along the last axis; beside it the sum."""
    total = x + skip if bias is None else x + skip + bias
    return _with_sum(at, rms_normalization(at, total, scale, axis=-1, epsilon=epsilon, stash_type=1), total)


def _one_output(at: At) -> None:
    if at.wants(1) or at.wants(2):
        raise ExportError(report(f"cannot import {at.node}: only what it normalises is known here", at=here()))


def _with_sum(at: At, y: Any, total: Any) -> Any:
    _one_output(at)
    return (y, None, None, total)[: max(at.outputs, 1)]
