"""Loops and choices: a body is a graph within the graph, which sees what has been written around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.loops import COUNT, Within, valued
from lazygrad.export.onnx.reading import write_graph
from lazygrad.export.onnx.rules import Several, rule
from lazygrad.export.onnx.rules_arrays import filled
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING, SCAN, SCAN_ACTING, WHILE, WHILE_ACTING

__all__: list[str] = []


def _of_body(writer: Writer, body: Body, given: Sequence[Value]) -> list[Value]:
    """What a body gives for values, by nodes in the writer's graph."""
    found = write_graph(writer, body.graph, dict(zip(body.inputs, given, strict=True)))
    return [value for value in (found[i] for i in body.outputs) if isinstance(value, Value)]


def _results(values: Sequence[Value]) -> Several:
    return values[0] if len(values) == 1 else tuple(values)


@rule(CALL, CALL_ACTING)
def _call(writer: Writer, node: Node, *operands: Value) -> Several:
    """A model has no gradient for which something were to be computed again: the body is written where it stands."""
    return _results(_of_body(writer, node.params["body"], operands))


@rule(COND, COND_ACTING)
def _cond(writer: Writer, node: Node, predicate: Value, *operands: Value) -> Several:
    """If, of two graphs without inputs."""
    branches = []
    for name, body in zip(("if_true", "if_false"), node.params["bodies"], strict=True):
        graph = Within(writer, name)
        branches.append(graph.closed(_of_body(graph.writer, body, graph.seen(operands))))
    specs = node.params["bodies"][0].gives
    names = writer.node("If", [predicate.name], len(specs), then_branch=branches[0], else_branch=branches[1])
    return _results(valued(writer, names, specs))


@rule(WHILE, WHILE_ACTING)
def _while(writer: Writer, node: Node, *operands: Value) -> Several:
    """Loop, whose condition for the next turn is computed at the end of a turn; and before it for the first one."""
    condition, body, carries = node.params["condition"], node.params["body"], node.params["carries"]
    asked, most = len(condition.inputs), node.params["max_steps"]
    first = operands[:carries]
    holds = _of_body(writer, condition, operands[:asked])[0]
    graph = Within(writer, "turn")
    graph.given("turn", (), COUNT)
    graph.given("holds", (), np.bool_)
    before = [graph.given("carry", x.shape, x.dtype) for x in first]
    count = graph.given("turns", (), COUNT)
    after = _of_body(graph.writer, body, [*before, *graph.seen(operands[asked:])])
    again = _of_body(graph.writer, condition, [*after, *graph.seen(operands[carries:asked])])[0]
    more = graph.writer.made("Add", count, graph.writer.number(1, COUNT))
    made = graph.closed([again, *after, more])
    limit = "" if most is None else writer.number(most, COUNT).name
    names = writer.node(
        "Loop", [limit, holds.name, *[x.name for x in first], writer.number(0, COUNT).name], carries + 1, body=made
    )
    found = valued(writer, names, [*body.gives, count.spec])
    if most is not None:  # a turn that would be one too many is an error
        still = _of_body(writer, condition, [*found[:-1], *operands[carries:asked]])[0]
        found = [_unless(writer, still, x) for x in found]
    return tuple(found)


def _unless(writer: Writer, wrong: Value, x: Value) -> Value:
    """``x``; a run fails where ``wrong`` holds, as there is no second one of it."""
    alone = writer.made("Unsqueeze", x, writer.sizes([0]), shape=(1, *x.shape))
    return writer.made("Gather", alone, wrong.astype(COUNT), shape=x.shape, dtype=x.dtype, axis=0)


@rule(SCAN, SCAN_ACTING)
def _scan(writer: Writer, node: Node, *operands: Value) -> Several:
    """Scan, where there is something to go through; else Loop."""
    p = node.params
    body, carries, xs, length = p["body"], p["carries"], p["xs"], p["length"]
    if not length and not p["limited"]:
        stacked = [filled(writer, 0, (0, *y.shape), y.dtype) for y in body.gives[carries:]]
        return _results([*operands[:carries], *stacked])
    if p["limited"] or not xs:
        return _counted(writer, node, operands)
    graph = Within(writer, "turn")
    taken = [graph.given("carry", x.shape, x.dtype) for x in operands[:carries]]
    taken += [graph.given("slice", x.shape[1:], x.dtype) for x in operands[carries : carries + xs]]
    made = graph.closed(_of_body(graph.writer, body, [*taken, *graph.seen(operands[carries + xs :])]))
    specs = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
    ways = [1] if p["reverse"] else [0]
    names = writer.node(
        "Scan",
        [x.name for x in operands[: carries + xs]],
        len(specs),
        body=made,
        num_scan_inputs=xs,
        scan_input_directions=ways * xs,
        scan_output_directions=ways * (len(specs) - carries) or None,
    )
    return _results(valued(writer, names, specs))


def _counted(writer: Writer, node: Node, operands: Sequence[Value]) -> Several:
    """A scan as Loop: over a number of turns that is known when the loop begins."""
    p = node.params
    body, carries, xs, length, limited = p["body"], p["carries"], p["xs"], p["length"], p["limited"]
    turns = operands[0] if limited else writer.number(length, COUNT)
    operands = operands[limited:]
    first, slices, captured = operands[:carries], operands[carries : carries + xs], operands[carries + xs :]
    graph = Within(writer, "turn")
    inner = graph.writer
    turn = graph.given("turn", (), COUNT)
    holds = graph.given("holds", (), np.bool_)
    taken = [graph.given("carry", x.shape, x.dtype) for x in first]
    if p["reverse"]:
        last = inner.made("Sub", graph.seen([turns])[0], inner.number(1, COUNT))
        turn = inner.made("Sub", last, turn)
    taken += [inner.made("Gather", x, turn, shape=x.shape[1:], axis=0) for x in graph.seen(slices)]
    made = graph.closed([holds, *_of_body(inner, body, [*taken, *graph.seen(captured)])])
    specs = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
    always = writer.constant(np.bool_(True), "always")  # left out it means the same, but not to all that read it
    names = writer.node("Loop", [turns.name, always, *[x.name for x in first]], len(specs), body=made)
    found = valued(writer, names, specs)
    return _results([*found[:carries], *[_placed(writer, y, turns, p) for y in found[carries:]]])


def _placed(writer: Writer, y: Value, turns: Value, p: dict[str, Any]) -> Value:
    """What the turns gave one after the other, where their slices are; zeros for turns that were not made."""
    xp, rest = writer.xp, y.shape[1:]
    # Of no turns a runtime does not know the shape.
    y = writer.made("Reshape", y, _sizes(writer, xp.reshape(turns, (1,)), rest), shape=y.shape, allowzero=1)
    if p["reverse"]:
        ends = [writer.sizes([place]) for place in (-1, np.iinfo(np.int64).min, 0, -1)]
        y = writer.made("Slice", y, *ends, shape=y.shape)
    if not p["limited"]:
        return y
    missing = xp.reshape(writer.made("Sub", writer.number(p["length"], COUNT), turns), (1,))
    zeros = writer.made("Expand", writer.number(0, y.dtype), _sizes(writer, missing, rest), shape=y.shape)
    return writer.made("Concat", y, zeros, shape=y.shape, axis=0)


def _sizes(writer: Writer, first: Value, rest: Sequence[int]) -> Value:
    """A shape of which the first size is computed."""
    return writer.made("Concat", first, writer.sizes(rest), shape=(1 + len(rest),), axis=0) if rest else first
