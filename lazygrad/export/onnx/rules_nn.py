"""What networks are made of, where ONNX has it: windows, pools, and activations."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Declared
from lazygrad.engine.trace.tracing import traced
from lazygrad.export.onnx.loops import counted
from lazygrad.export.onnx.rules import rule, spec_of
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.nn.activations import _gelu_gate, relu, softplus
from lazygrad.nn.windows import _window_max, _window_sum, _windows, count
from lazygrad.ops.elementary import sigmoid
from lazygrad.ops.halves import _halved

__all__: list[str] = []


@rule(relu)
def rectified(writer: Writer, node: Node, x: Value) -> Value:
    """Relu."""
    return writer.made("Relu", x)


def _kernel(op: Any, writer: Writer, node: Node, x: Value) -> Value:
    found: Value = traced(cast(Declared, op), writer.xp, [x], node.params)
    return found


@rule(sigmoid)
def logistic(writer: Writer, node: Node, x: Value) -> Value:
    """Sigmoid; in float64, where runtimes have less than all digits of it, by the formula."""
    return _kernel(sigmoid, writer, node, x) if x.dtype == np.float64 else writer.made("Sigmoid", x)


@rule(softplus)
def softened(writer: Writer, node: Node, x: Value) -> Value:
    """Softplus; in float64, where it overflows in runtimes, by the formula."""
    return _kernel(softplus, writer, node, x) if x.dtype == np.float64 else writer.made("Softplus", x)


@rule(_halved)
def halved(writer: Writer, node: Node, x: Value) -> Value:
    """Cast to 16 bits and back."""
    from onnx import TensorProto

    name = writer.node("Cast", [x.name], to=getattr(TensorProto, node.params["to"].upper()))
    return writer.made("Cast", name, shape=x.shape, dtype=x.dtype, to=TensorProto.FLOAT)


def viewed(writer: Writer, x: Value, size: Any, stride: Any, dilation: Any) -> Value:
    """Every window: rows are gathered, then columns."""
    rows, columns = count(x.shape, size, stride, dilation)
    places = []
    for k, (n, along) in enumerate(zip(size, (rows, columns), strict=True)):
        first = writer.xp.reshape(counted(writer, n) * dilation[k], (n, 1))
        places.append(first + counted(writer, along) * stride[k])
    lead = x.shape[:-2]
    y = writer.made("Gather", x, places[0], shape=(*lead, size[0], rows, x.shape[-1]), dtype=x.dtype, axis=len(lead))
    shape = (*lead, size[0], rows, size[1], columns)
    y = writer.made("Gather", y, places[1], shape=shape, dtype=x.dtype, axis=len(lead) + 2)
    d = len(lead)
    return writer.xp.transpose(y, [d, d + 2, *range(d), d + 1, d + 3])


@rule(_gelu_gate)
def gelu_gate(writer: Writer, node: Node, x: Value) -> Value:
    """The logistic function of √(8/π)·(x + 0.044715·x³); in float64 as it is computed here, with all digits."""
    if x.dtype == np.float64:
        return _kernel(_gelu_gate, writer, node, x)
    return writer.made("Sigmoid", math.sqrt(8 / math.pi) * (x + 0.044715 * (x * x * x)))


@rule(_windows)
def windows(writer: Writer, node: Node, x: Value) -> Value:
    """Gather, along both axes."""
    return viewed(writer, x, node.params["size"], node.params["stride"], node.params["dilation"])


@rule(_window_sum)
def window_sum(writer: Writer, node: Node, x: Value) -> Value:
    """The mean of a window (AveragePool) times its size, or the sum of its elements."""
    p = node.params
    if x.dtype != np.float32 or x.ndim != 4 or p["dilation"] != (1, 1):
        y = viewed(writer, x, p["size"], p["stride"], p["dilation"])
        return writer.xp.sum(y, axis=(0, 1))
    settings = {"kernel_shape": list(p["size"]), "strides": list(p["stride"])}
    y = writer.made("AveragePool", x, shape=spec_of(node).shape, **settings)
    return y * float(p["size"][0] * p["size"][1])


@rule(_window_max)
def window_max(writer: Writer, node: Node, x: Value) -> Value:
    """MaxPool; runtimes do not agree about NaN in it."""
    p = node.params
    if x.dtype not in (np.float32, np.float64) or x.ndim != 4:
        y = viewed(writer, x, p["size"], p["stride"], p["dilation"])
        return writer.xp.max(y, axis=(0, 1))
    settings = {"kernel_shape": list(p["size"]), "strides": list(p["stride"]), "dilations": list(p["dilation"])}
    return writer.made("MaxPool", x, shape=spec_of(node).shape, **settings)
