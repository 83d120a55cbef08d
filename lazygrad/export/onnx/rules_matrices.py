"""The exponential of matrices: how often it is squared is found when the model runs."""

from __future__ import annotations

import numpy as np

from lazygrad.export.onnx.factors import identity
from lazygrad.export.onnx.loops import COUNT, turns
from lazygrad.export.onnx.matrices import solved
from lazygrad.export.onnx.rules import rule
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.graph import Node
from lazygrad.ops.linalg import PADE_NORM, expm, pade

__all__: list[str] = []


@rule(expm)
def exponential(writer: Writer, node: Node, a: Value) -> Value:
    """Of a matrix over a power of two, squared as often in a Loop."""
    xp = writer.xp
    if not a.size:
        return a
    size = xp.max(xp.sum(xp.abs(a), axis=a.ndim - 2))
    known = xp.logical_and(size > 0, size < np.inf)
    often = xp.maximum(xp.ceil(xp.log(xp.where(known, size, PADE_NORM) / PADE_NORM) / float(np.log(2))), 0)
    one = identity(writer, a.shape[-2:], a.dtype)
    y = solved(writer, *pade(a * xp.power(xp.full_like(often, 0.5), often), one))
    return turns(writer, xp.astype(often, COUNT), [y], lambda graph, k, before: [before[0] @ before[0]])[0]
