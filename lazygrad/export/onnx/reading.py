"""A graph written node by node: ops that have a rule by it, all others by running their kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazygrad.define.kinds import Declared, item
from lazygrad.engine.trace.tracing import NotTraced, traced
from lazygrad.errors import ExportError, report
from lazygrad.export.onnx import rules_arrays, rules_indexing, rules_matrices, rules_nn
from lazygrad.export.onnx.matrices import Small
from lazygrad.export.onnx.namespace import Namespace
from lazygrad.export.onnx.patterns import pattern
from lazygrad.export.onnx.rules import RULES, Several
from lazygrad.export.onnx.small import by_elements
from lazygrad.export.onnx.writer import Unwritten, Value, Writer
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Mismatch, Spec
from lazygrad.ops.streams import _stream

__all__ = ["write_graph", "writer_of"]

_RULED = (rules_arrays, rules_indexing, rules_matrices, rules_nn)  # their rules are known once they are imported


def writer_of(opset: int, word: str = "value") -> Writer:
    """A writer of a new model; values that are written for no op are called ``word``."""
    return Writer(opset, Namespace, write_graph, word=word)


def write_graph(writer: Writer, graph: Graph, given: Mapping[int, Value]) -> list[Several]:
    """Write all nodes of a graph.

    Args:
        writer: of the graph of ONNX that they are written into.
        graph: of a plan, or a body.
        given: for its nodes that are given from outside (variables, placeholders, constants, parameters) their values.

    Returns:
        For each node its value, or a tuple of those of its results.

    Raises:
        ExportError: a node has no form in ONNX: it says the user's line.
    """
    values: list[Several] = []
    for i, node in enumerate(graph.nodes):
        if i in given:
            values.append(given[i])
            continue
        try:
            with writer.at(graph.origins[i], node.op.name):
                found: Several | None = pattern(writer, graph, i, values)
                if found is None:
                    found = _written(writer, node, [values[j] for j in node.inputs])
                values.append(_checked(node, found))
        except (Unwritten, NotTraced, Mismatch) as reason:
            raise ExportError(
                report(
                    f"cannot export {node.op.name} to ONNX",
                    at=graph.origins[i],
                    facts=[f"operand:  {graph.nodes[j].spec}   {graph.describe(j)}" for j in node.inputs][:4],
                    cure=f"It has no form there: {reason}.",
                )
            ) from reason
    return values


def _written(writer: Writer, node: Node, operands: list[Any]) -> Several:
    if node.of(item):
        found: Value = operands[0][node.params["index"]]
        return found
    write = RULES.get(node.op)
    if write is not None:
        return write(writer, node, *operands)
    op = node.op
    if not isinstance(op, Declared) or op.random or not op.pure or node.of(_stream):
        raise Unwritten(_why(node))
    specs = (node.spec,) if isinstance(node.spec, Spec) else node.spec
    if not any(spec.size for spec in specs):  # whatever the op is
        made = tuple([writer.xp.nothing(spec.shape, spec.dtype) for spec in specs])
        return made[0] if isinstance(node.spec, Spec) else made
    written = len(writer.nodes)
    try:
        result = traced(op, writer.xp, operands, node.params)
    except Small:
        del writer.nodes[written:]
        return by_elements(writer, node, operands)
    return tuple(result) if isinstance(result, (tuple, list)) else writer.xp.value(result)


def _why(node: Node) -> str:
    if getattr(node.op, "random", False) or node.of(_stream):
        return "ONNX has random numbers, but not these: give them as an argument"
    if not node.op.pure:
        return "it does something beside computing a value"
    return "no rule says how it is written"


def _checked(node: Node, found: Several) -> Several:
    """What was written, in the dtypes and the shapes that the node has."""
    specs = (node.spec,) if isinstance(node.spec, Spec) else node.spec
    values = found if isinstance(found, tuple) else (found,)
    made = []
    for spec, value in zip(specs, values, strict=True):
        if value.dtype != spec.dtype:
            value = value.astype(np.dtype(spec.dtype))
        if value.shape != spec.shape:  # a number that was read where all elements are the same
            value = value.writer.xp.broadcast_to(value, spec.shape)
        made.append(value)
    return tuple(made) if isinstance(found, tuple) else made[0]
