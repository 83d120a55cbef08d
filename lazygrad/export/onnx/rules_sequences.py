"""The recursions of connectionist temporal classification as Scan: what one time makes of the time before is their own.

Arrays are (N, T, L), and ``ways`` and ``weights`` have one for each number of states that a step goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.loops import counted
from lazygrad.export.onnx.rules import rule
from lazygrad.export.onnx.rules_arrays import filled
from lazygrad.export.onnx.writer import Value, Writer, graph_of
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.nn.recursion import _backward, _forward, _recursion, combined, likelier, part

__all__: list[str] = []

Turn = Callable[[Writer, Value, Value, list[Value]], Value]


@rule(_recursion)
def recursion(writer: Writer, node: Node, said: Value, ways: Value) -> Value:
    """From the first state on."""
    count, _, width = said.shape
    zero, none = (writer.xp.value(x, said.dtype) for x in (0, -np.inf))
    first = writer.xp.where(writer.xp.equal(counted(writer, width), 0), zero, none)

    def turn(inner: Writer, last: Value, said: Value, ways: list[Value]) -> Value:
        return likelier(inner.xp, [_moved(inner, last, k, -np.inf) for k in range(3)], ways, said)  # type: ignore[no-any-return]

    return _through(writer, turn, writer.xp.broadcast_to(first, (count, width)), said, ways)


@rule(_forward)
def forward(writer: Writer, node: Node, u: Value, weights: Value) -> Value:
    """From zeros on."""

    def turn(inner: Writer, last: Value, u: Value, weights: list[Value]) -> Value:
        return combined(inner.xp, [_moved(inner, last, k, 0) for k in range(3)], weights, u)  # type: ignore[no-any-return]

    count, _, width = u.shape
    return _through(writer, turn, filled(writer, 0, (count, width), u.dtype), u, weights)


@rule(_backward)
def backward(writer: Writer, node: Node, g: Value, weights: Value) -> Value:
    """From the last time back, with the weights of the time after; there is none after the last, where zeros come."""
    ends = writer.constant(np.array([0, 0, -1, 0, 0, 0, 1, 0], np.int64), "pads")
    after = writer.made("Pad", weights, ends)

    def turn(inner: Writer, last: Value, g: Value, weights: list[Value]) -> Value:
        for k, weight in enumerate(weights):
            g = g + _moved(inner, part(inner.xp, weight, last), -k, 0)
        return g

    count, _, width = g.shape
    return _through(writer, turn, filled(writer, 0, (count, width), g.dtype), g, after, reverse=True)


def _moved(writer: Writer, x: Value, by: int, fill: float) -> Value:
    """x(s − by), with a number where there is no such state."""
    width = x.shape[1]
    by = max(-width, min(by, width))
    if not by:
        return x
    ends = writer.constant(np.array([0, by, 0, -by], np.int64), "pads")
    return writer.made("Pad", x, ends, writer.number(fill, x.dtype))


def _through(writer: Writer, turn: Turn, first: Value, x: Value, beside: Value, reverse: bool = False) -> Value:
    """What ``turn`` makes at each time of the time before, for all times."""
    inner, (count, _, width) = writer.sub(), x.shape
    last = Value(inner, inner.fresh("last"), first.spec)
    now = Value(inner, inner.fresh("now"), first.spec)
    steps = beside.shape[0]
    along = Value(inner, inner.fresh("along"), Spec((steps, count, width), beside.dtype))
    found = turn(inner, last, now, _each(inner, along))
    body = graph_of(inner, inner.fresh("time"), [last, now, along], [found, found])
    settings: dict[str, Any] = {
        "num_scan_inputs": 2,
        "scan_input_axes": [1, 2],
        "scan_input_directions": [int(reverse)] * 2,
        "scan_output_axes": [1],
        "scan_output_directions": [int(reverse)],
    }
    names: Sequence[str] = writer.node("Scan", [first.name, x.name, beside.name], 2, body=body, **settings)
    return Value(writer, names[1], x.spec)


def _each(writer: Writer, x: Value) -> list[Value]:
    """The slices along the first axis."""
    places = [writer.number(k, np.int64) for k in range(x.shape[0])]
    return [writer.made("Gather", x, k, shape=x.shape[1:], dtype=x.dtype, axis=0) for k in places]
