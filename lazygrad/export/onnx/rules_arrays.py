"""Arrays that are made by rule, moved, joined and sorted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.loops import counted
from lazygrad.export.onnx.rules import rule, spec_of
from lazygrad.export.onnx.whole import widened
from lazygrad.export.onnx.writer import Unwritten, Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.ops.cumulative import _cumulative_sum
from lazygrad.ops.editing import _convolve
from lazygrad.ops.indexing import _diagonal, _on_diagonal
from lazygrad.ops.movement import _concat, _pad, broadcast_to, permute_dims, reshape
from lazygrad.ops.passing import _after
from lazygrad.ops.sorting import _argsort, _searchsorted
from lazygrad.ops.source import _arange, _eye, _full, _linspace, _literal

__all__ = ["filled", "zeros_around"]


def filled(writer: Writer, value: Any, shape: Any, dtype: Any) -> Value:
    """One number, over and over."""
    return writer.xp.broadcast_to(writer.number(value, dtype), shape)


def zeros_around(writer: Writer, x: Value, before: Sequence[int], after: Sequence[int]) -> Value:
    """Zeros around an array, or less of it where their numbers are negative."""
    wide = x.astype(widened(x.dtype))
    ends = writer.constant(np.array([*before, *after], np.int64), "pads")
    shape = tuple(a + n + b for a, n, b in zip(before, x.shape, after, strict=True))
    return writer.made("Pad", wide, ends, shape=shape).astype(x.dtype)


@rule(_literal)
def literal(writer: Writer, node: Node) -> Value:
    """A number; it may be one for all elements."""
    value = np.asarray(node.params["value"], node.params["dtype"])
    if value.ndim:
        raise Unwritten("it is no single number")
    y = writer.number(value, value.dtype)
    return writer.xp.broadcast_to(y, spec_of(node).shape)


@rule(_full)
def full(writer: Writer, node: Node) -> Value:
    """A number, expanded."""
    return filled(writer, node.params["value"], node.params["shape"], node.params["dtype"])


@rule(_arange)
def arange(writer: Writer, node: Node) -> Value:
    """start + step·n, computed in the dtype that NumPy takes for it."""
    start, step, dtype = node.params["start"], node.params["step"], np.dtype(node.params["dtype"])
    wide = np.result_type(np.int64, start, step)
    numbers = writer.xp.astype(counted(writer, node.params["shape"][0]), wide)
    return writer.xp.cast(start + step * numbers, dtype)


@rule(_linspace)
def linspace(writer: Writer, node: Node) -> Value:
    """start + n·step in float64, the last one exact."""
    p = node.params
    count, (start, stop) = p["shape"][0], (float(p["start"]), float(p["stop"]))
    parts = count - 1 if p["endpoint"] else count
    numbers = writer.xp.astype(counted(writer, count), np.float64)
    # Of one number there is no step: the first is written apart, as one is not told from many when the model runs.
    y = writer.xp.where(
        writer.xp.equal(numbers, 0), start, numbers * ((stop - start) / parts if parts else 0.0) + start
    )
    if p["endpoint"]:
        last = writer.xp.logical_and(numbers > 0, writer.xp.equal(numbers, count - 1))
        y = writer.xp.where(last, stop, y)
    dtype = np.dtype(p["dtype"])
    return writer.xp.cast(writer.xp.floor(y) if dtype.kind in "iu" else y, dtype)


@rule(_eye)
def eye(writer: Writer, node: Node) -> Value:
    """Where column − row is the shift."""
    rows, columns = node.params["shape"]
    return writer.xp.astype(on_diagonal_places(writer, rows, columns, node.params["shift"]), node.params["dtype"])


def on_diagonal_places(writer: Writer, rows: int, columns: int, shift: int) -> Value:
    """Whether an element lies on a diagonal."""
    row = writer.xp.reshape(counted(writer, rows), (rows, 1))
    return writer.xp.equal(counted(writer, columns) - row, shift)


@rule(reshape)
def reshaped(writer: Writer, node: Node, x: Value) -> Value:
    """Reshape."""
    return writer.xp.reshape(x, spec_of(node).shape)


@rule(permute_dims)
def permuted(writer: Writer, node: Node, x: Value) -> Value:
    """Transpose."""
    return writer.xp.transpose(x, node.params["axes"])


@rule(broadcast_to)
def expanded(writer: Writer, node: Node, x: Value) -> Value:
    """Expand."""
    return writer.xp.broadcast_to(x, spec_of(node).shape)


@rule(_pad)
def padded(writer: Writer, node: Node, x: Value) -> Value:
    """Pad, by zeros."""
    return zeros_around(writer, x, node.params["before"], node.params["after"])


@rule(_concat)
def joined(writer: Writer, node: Node, *xs: Value) -> Value:
    """Concat."""
    return writer.xp.concatenate(xs, node.params["axis"])


@rule(_cumulative_sum)
def running_sum(writer: Writer, node: Node, x: Value) -> Value:
    """CumSum."""
    return writer.xp.cumsum(x, node.params["axis"])


@rule(_after)
def after(writer: Writer, node: Node, x: Value, *others: Value) -> Value:
    """The operand itself: nothing happens in what is exported."""
    return x


@rule(_argsort)
def argsort(writer: Writer, node: Node, x: Value) -> Value:
    """TopK of all elements, the smallest first; the ones that are equal keep their order, and NaN comes last."""
    axis = node.params["axis"] % x.ndim
    count = writer.constant(np.array([x.shape[axis]], np.int64), "sizes")
    wide = writer.xp.comparable(x)
    names = writer.node("TopK", [wide.name, count], 2, axis=axis, largest=0, sorted=1)
    return Value(writer, names[1], spec_of(node))


@rule(_searchsorted)
def searchsorted(writer: Writer, node: Node, edges: Value, x: Value) -> Value:
    """How many edges are smaller, or not larger."""
    xp, right = writer.xp, node.params["right"]
    dtype = np.result_type(edges.dtype, x.dtype)
    return _places(xp, xp.astype(edges, dtype), xp.astype(x, dtype), right)


def _places(xp: Any, edges: Value, x: Value, right: bool) -> Value:
    """Of operands of one dtype; NaN stands last."""
    x = xp.reshape(x, (*x.shape, 1))
    before = xp.logical_not(x < edges) if right else edges < x
    if x.dtype.kind == "f":
        known = xp.logical_not(xp.isnan(edges))
        after = xp.logical_or(xp.isnan(x), known)
        before = xp.logical_and(before, after) if right else xp.where(xp.isnan(x), known, before)
    return xp.sum(xp.astype(before, np.int64), axis=(x.ndim - 1,))  # type: ignore[no-any-return]


@rule(_convolve)
def convolve(writer: Writer, node: Node, a: Value, v: Value) -> Value:
    """The windows of one vector, with zeros around it, times the other from behind."""
    xp, (m,), (n,) = writer.xp, a.shape, v.shape
    dtype = spec_of(node).dtype
    ends = writer.constant(np.array([n - 1, n - 1], np.int64), "pads")
    wide = xp.astype(a, widened(dtype))
    around = writer.made("Pad", wide, ends, shape=(m + 2 * n - 2,), dtype=wide.dtype)
    places = xp.reshape(counted(writer, m + n - 1), (m + n - 1, 1)) + (n - 1) - counted(writer, n)
    seen = writer.made("Gather", around, places, shape=(m + n - 1, n), dtype=wide.dtype)
    y = xp.matmul(xp.astype(seen, dtype), xp.reshape(xp.astype(v, dtype), (n, 1)))
    return xp.reshape(y, (m + n - 1,))


@rule(_diagonal)
def diagonal(writer: Writer, node: Node, x: Value) -> Value:
    """The elements on a diagonal, in a flat list of all by their places."""
    shape, offset = spec_of(node).shape, node.params["offset"]
    columns = x.shape[-1]
    start = max(offset, 0) + columns * max(-offset, 0)
    flat = writer.xp.reshape(x, (*x.shape[:-2], x.shape[-2] * columns))
    places = counted(writer, shape[-1]) * (columns + 1) + start
    return writer.made("Gather", flat, places, shape=shape, dtype=x.dtype, axis=x.ndim - 2)


@rule(_on_diagonal)
def on_diagonal(writer: Writer, node: Node, x: Value) -> Value:
    """Each row is repeated, and kept where it meets the diagonal."""
    rows, columns = node.params["size"]
    offset, count, xp = node.params["offset"], x.shape[-1], writer.xp
    if not count:
        return filled(writer, 0, spec_of(node).shape, x.dtype)
    # The element of a row, or the nearest that there is, as other rows have none.
    place = xp.maximum(xp.minimum(counted(writer, rows) + min(offset, 0), count - 1), 0)
    row = writer.made("Gather", x, place, shape=(*x.shape[:-1], rows), dtype=x.dtype, axis=x.ndim - 1)
    inside = on_diagonal_places(writer, rows, columns, offset)
    return xp.where(inside, xp.reshape(row, (*row.shape, 1)), xp.value(0, x.dtype))
