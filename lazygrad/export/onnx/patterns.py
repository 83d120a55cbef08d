"""Several nodes that are one operator of ONNX: convolution, which is a product of windows here, gelu and softmax.

A pattern is looked for at its last node. The nodes before it have been written already; where nothing else reads them
they are left out in the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.rules import Several, spec_of
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Graph, Node
from lazygrad.nn.windows import _fold, _windows
from lazygrad.ops.arithmetic import add, multiply, subtract
from lazygrad.ops.elementary import _apart, exp, log
from lazygrad.ops.movement import _pad, permute_dims, reshape
from lazygrad.ops.passing import stop_gradient
from lazygrad.ops.products import _matmul
from lazygrad.ops.reduction import max, sum
from lazygrad.ops.special import ndtr

__all__ = ["pattern"]

Values = Sequence[Several]


def pattern(writer: Writer, graph: Graph, i: int, values: Values) -> Value | None:
    """The value of a node, if it is the last one of a pattern."""
    match: Callable[..., Value | None] | None = _AT.get(graph.nodes[i].op)
    return None if match is None else match(writer, graph, graph.nodes[i], values)


def _before(graph: Graph, node: Node, op: Any, which: int = 0, **settings: Any) -> Node | None:
    """The node that an operand is, if it is of an op, with these settings."""
    found = graph.nodes[node.inputs[which]]
    return found if found.of(op) and all(found.params[name] == value for name, value in settings.items()) else None


def _value(values: Values, i: int) -> Value:
    found = values[i]
    assert isinstance(found, Value)
    return found


def _as(graph: Graph, values: Values, i: int, shape: tuple[int, ...]) -> Value:
    """A value in a shape that it had perhaps before it was reshaped."""
    node = graph.nodes[i]
    if node.of(reshape) and spec_of(graph.nodes[node.inputs[0]]).shape == shape:
        return _value(values, node.inputs[0])
    value = _value(values, i)
    return value.writer.xp.reshape(value, shape)


def _convolved(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """Filters times the windows of every image, laid out as images."""
    product = _before(graph, node, _matmul)
    return (
        None if product is None else _conv(writer, graph, product, values, spec_of(node).shape, (2, 3, 4, 0, 1, 5, 6))
    )


def _convolved_flat(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """Filters times the windows of every image, where the rows and columns of the result are one axis."""
    windows = _windows_of(graph, node, (2, 3, 4, 0, 1, 5, 6))
    shape = spec_of(node).shape
    if windows is None or len(shape) != 4:
        return None
    n, groups, depth, _ = shape
    found = _conv(writer, graph, node, values, (n, groups * depth, *spec_of(windows).shape[-2:]), (2, 3, 4, 0, 1, 5, 6))
    return None if found is None else writer.xp.reshape(found, shape)


def _windows_of(graph: Graph, product: Node, axes: tuple[int, ...]) -> Node | None:
    """The windows that filters are multiplied with, if the axes were moved in that way."""
    columns = _before(graph, product, reshape, 1)
    moved = None if columns is None else _before(graph, columns, permute_dims, axes=axes)
    return None if moved is None else _before(graph, moved, _windows)


def _convolved_together(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """Filters times the windows of all images, which are laid out as images afterwards."""
    laid = _before(graph, node, reshape) if tuple(node.params["axes"]) == (1, 0, 2, 3) else None
    product = None if laid is None else _before(graph, laid, _matmul)
    return (
        None if product is None else _conv(writer, graph, product, values, spec_of(node).shape, (3, 4, 0, 1, 2, 5, 6))
    )


def _conv(
    writer: Writer, graph: Graph, product: Node | None, values: Values, shape: tuple[int, ...], axes: tuple[int, ...]
) -> Value | None:
    seen = None if product is None else _windows_of(graph, product, axes)
    if product is None or seen is None:
        return None
    filters = _value(values, product.inputs[0])
    if filters.ndim != 3 or filters.dtype != np.float32 or len(spec_of(seen).shape) != 7:
        return None
    images = seen.inputs[0]
    n, groups, depth, *sizes = spec_of(graph.nodes[images]).shape
    (high, wide), rows = seen.params["size"], spec_of(seen).shape[-2:]
    if filters.shape != (groups, filters.shape[1], depth * high * wide):
        return None
    out = groups * filters.shape[1]
    if shape != (n, out, *rows):
        return None
    x = _as(graph, values, images, (n, groups * depth, *sizes))
    ends = (0, 0), (0, 0)
    padded = _padded(graph, images, x.shape)
    if padded is not None:
        before, after = padded.params["before"], padded.params["after"]
        if not any((*before[:2], *after[:2])):
            x, ends = _value(values, padded.inputs[0]), (tuple(before[2:]), tuple(after[2:]))
    return writer.made(
        "Conv",
        x,
        _as(graph, values, product.inputs[0], (out, depth, high, wide)),
        shape=shape,
        kernel_shape=[high, wide],
        strides=list(seen.params["stride"]),
        dilations=list(seen.params["dilation"]),
        pads=[*ends[0], *ends[1]],
        group=groups,
    )


def _biased(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """A convolution, and a number for every channel added: Conv takes these too."""
    shape = spec_of(node).shape
    for which in (0, 1):
        images, column = (graph.nodes[node.inputs[k]] for k in (which, 1 - which))
        match = {reshape: _convolved, permute_dims: _convolved_together}.get(images.op)  # type: ignore[call-overload]
        if match is None or len(shape) != 4 or not column.of(reshape) or spec_of(images).shape != shape:
            continue
        if spec_of(column).shape == (shape[1], 1, 1):
            bias = _as(graph, values, node.inputs[1 - which], (shape[1],))
            found: Value | None = match(writer, graph, images, values)
            if found is not None:
                writer.nodes[-1].input.append(bias.name)
                return found
    return None


def _padded(graph: Graph, images: int, shape: tuple[int, ...]) -> Node | None:
    """The node that pads the images with zeros, if there is one."""
    node = graph.nodes[images]
    if node.of(reshape):
        node = graph.nodes[node.inputs[0]]
    return node if node.of(_pad) and spec_of(node).shape == shape else None


def _laid_back(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """Filters times images, laid back as windows: the transpose of a convolution."""
    moved = _before(graph, node, permute_dims, axes=(2, 3, 0, 1, 4, 5))
    laid = None if moved is None else _before(graph, moved, reshape)
    product = None if laid is None else _before(graph, laid, _matmul)
    if laid is None or product is None or spec_of(product).dtype != np.float32 or spec_of(product).ndim != 4:
        return None
    n, out, high, wide, *sizes = spec_of(laid).shape
    filters = _value(values, product.inputs[0])
    if filters.ndim != 3 or filters.shape[0] * filters.shape[1] != out * high * wide:
        return None
    groups, _, depth = filters.shape
    shape = (groups * depth, out // groups, high, wide)
    turned = _before(graph, product, permute_dims, 0, axes=(0, 2, 1))
    if turned is not None:
        weights = _as(graph, values, turned.inputs[0], shape)
    else:
        weights = writer.xp.reshape(writer.xp.transpose(filters, (0, 2, 1)), shape)
    return writer.made(
        "ConvTranspose",
        _as(graph, values, product.inputs[1], (n, groups * depth, *sizes)),
        weights,
        shape=spec_of(node).shape,
        kernel_shape=[high, wide],
        strides=list(node.params["stride"]),
        dilations=list(node.params["dilation"]),
        group=groups,
    )


def _gelu(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """x·Φ(x), by the error function; Φ alone is written so that it keeps its digits where it is small."""
    for which in (0, 1):
        gate = _before(graph, node, ndtr, which)
        if gate is not None and gate.inputs[0] == node.inputs[1 - which] and spec_of(node).dtype == np.float32:
            x, xp = _value(values, gate.inputs[0]), writer.xp
            return x * 0.5 * (1 + xp.erf(x * math.sqrt(0.5)))
    return None


def _less_largest(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """x less its largest element. Beside NaN all that softmax makes of it is NaN, be the largest what it is."""
    held = _before(graph, node, stop_gradient, 1)
    largest = _before(graph, node, max, 1) if held is None else _before(graph, held, max)
    if largest is None or largest.inputs[0] != node.inputs[0] or not largest.params["keepdims"]:
        return None
    x, xp = _value(values, node.inputs[0]), writer.xp
    if x.dtype not in (np.float32, np.float64):
        return None
    top = xp.reduced("ReduceMax", x, largest.params["axis"], True)
    return xp.where(xp.equal(x, top), 0, x - top)


def _logarithm(graph: Graph, node: Node) -> tuple[int, int] | None:
    """The operand and the axis of a logarithm of softmax in float32, c − log Σ eᶜ.

    In float64 runtimes lose a NaN on the way, so that it is written out.
    """
    logarithm = _before(graph, node, log, 1) if node.of(subtract) else None
    total = None if logarithm is None else _before(graph, logarithm, sum, keepdims=True)
    exponential = None if total is None else _before(graph, total, exp)
    if total is None or exponential is None or exponential.inputs[0] != node.inputs[0]:
        return None
    axes = total.params["axis"]
    return (node.inputs[0], axes[0]) if len(axes) == 1 and spec_of(node).dtype == np.float32 else None


def _log_softmax(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """LogSoftmax."""
    found = _logarithm(graph, node)
    return None if found is None else writer.made("LogSoftmax", _value(values, found[0]), axis=found[1])


def _softmax(writer: Writer, graph: Graph, node: Node, values: Values) -> Value | None:
    """Softmax."""
    found = _logarithm(graph, graph.nodes[node.inputs[0]])
    return None if found is None else writer.made("Softmax", _value(values, found[0]), axis=found[1])


_AT: dict[Any, Callable[..., Value | None]] = {
    reshape: _convolved,
    _matmul: _convolved_flat,
    permute_dims: _convolved_together,
    _fold: _laid_back,
    add: _biased,
    multiply: _gelu,
    _apart: _less_largest,
    subtract: _log_softmax,
    exp: _softmax,
}
