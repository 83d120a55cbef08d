"""Windows laid back where they were taken from, and convolutions as one node."""

from __future__ import annotations

import numpy as np

from lazygrad.export.onnx.rules import rule
from lazygrad.export.onnx.rules_arrays import filled, zeros_around
from lazygrad.export.onnx.whole import widened
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.nn.windows import _fold

__all__: list[str] = []


@rule(_fold)
def folded(writer: Writer, node: Node, columns: Value) -> Value:
    """For every place in a window the elements there, zeros between them and around, are added up."""
    xp, p = writer.xp, node.params
    (high, wide, *lead, rows, across), sizes, steps = columns.shape, p["shape"], p["stride"]
    dtype = columns.dtype
    y = columns.astype(widened(dtype))
    if steps != (1, 1):
        apart = [0] * (len(lead) + 2), [0] * (len(lead) + 2)
        y = xp.reshape(y, (high, wide, *lead, rows, 1, across, 1))
        y = zeros_around(writer, y, [*apart[0], 0, 0, 0, 0], [*apart[1], 0, steps[0] - 1, 0, steps[1] - 1])
    own = rows * steps[0], across * steps[1]
    y = xp.reshape(y, (high * wide, *lead, *own))
    total = filled(writer, 0, (*lead, *sizes), y.dtype)
    for i in range(high):
        for j in range(wide):
            part = writer.made("Gather", y, writer.number(i * wide + j, np.int64), shape=(*lead, *own), dtype=y.dtype)
            begin = [i * p["dilation"][0], j * p["dilation"][1]]
            end = [n - b - o for n, b, o in zip(sizes, begin, own, strict=True)]
            total = total + zeros_around(writer, part, [0] * len(lead) + begin, [0] * len(lead) + end)
    return total.astype(dtype)
