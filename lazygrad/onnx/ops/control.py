"""Branches and loops, whose bodies are graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

import lazygrad as lg
from lazygrad.define.kinds import tensor
from lazygrad.errors import ExportError, LazygradError, report
from lazygrad.graph.registry import here
from lazygrad.onnx.described import Body
from lazygrad.onnx.ops.table import At, op

UNROLLED = 16  # turns that are written one after another, where their number is known


def _known(x: Any) -> bool:
    return not isinstance(x, lg.Tensor)


def _tensor(at: At, x: Any) -> Any:
    if isinstance(x, list):
        what = f"cannot import {at.node}: it gives a sequence, and which one is known when it is run"
        raise ExportError(report(what, at=here(), cure="Give the condition as a truth value beside the step."))
    return tensor(x)


def _truth(x: Any) -> bool:
    return bool(np.asarray(x).reshape(-1)[0])


def _single(x: Any) -> Any:
    return lg.reshape(x, ())


@op("If", mixed=True)
def if_(at: At, condition: Any, *, then_branch: Body, else_branch: Body) -> Any:
    """What one of two branches gives; one that is known to be taken is written alone."""
    if _known(condition):
        return at.body(then_branch if _truth(condition) else else_branch)

    def written(branch: Body) -> Any:
        return lambda: tuple(_tensor(at, y) for y in at.body(branch))

    try:
        return tuple(lg.cond(_single(condition), written(then_branch), written(else_branch)))
    except LazygradError as error:
        # A branch that is not taken need not fit: a model for two sampling rates has one for each.
        said = (
            f"Both branches of {at.node} are written, as its condition is not known while the step is.\n"
            "    What decides it may be given as an array beside the step: then only the one that is taken is written."
        )
        if "Both branches" not in str(error.args[0]):
            error.args = (f"{error.args[0]}\n    {said}", *error.args[1:])
        raise


@op("Loop", mixed=True)
def loop(at: At, count: Any = None, condition: Any = None, *carry: Any, body: Body) -> Any:
    """Turns, as many as are asked for, as long as a condition holds; and what they give beside, stacked."""
    begun = np.array(True) if condition is None else condition
    if (count is None or _known(count)) and _known(begun):
        turns = None if count is None else int(np.asarray(count).reshape(-1)[0])
        if not _truth(begun):
            turns = 0
        if turns is not None and (turns <= UNROLLED or any(isinstance(x, list) for x in carry)):
            found = _unrolled(at, turns, carry, body)
            if found is not None:
                return found
        if turns is not None and _goes_on(at, carry, body):
            return _counted(at, turns, carry, body)
    return _while(at, count, begun, carry, body)


def _unrolled(at: At, turns: int, carry: tuple[Any, ...], body: Body) -> tuple[Any, ...] | None:
    """All turns, one after another; None where a condition is only known when it is run."""
    given: list[list[Any]] = [[] for _ in body.outputs[1 + len(carry) :]]
    for turn in range(turns):
        goes_on, *after = at.body(body, np.array(turn, np.int64), np.array(True), *carry)
        if not _known(goes_on):
            return None
        carry, beside = tuple(after[: len(carry)]), after[len(carry) :]
        for rows, row in zip(given, beside, strict=True):
            rows.append(row)
        if not _truth(goes_on):
            break
    return (*carry, *(_stacked(at, rows) for rows in given))


def _stacked(at: At, rows: list[Any]) -> Any:
    if not rows:
        raise ExportError(
            report(f"cannot import {at.node}: it has no turns, so what they give has no shape", at=here())
        )
    return np.stack(rows) if all(map(_known, rows)) else lg.stack(rows)


def _goes_on(at: At, carry: tuple[Any, ...], body: Body) -> bool:
    """Whether the condition that the body gives is known to hold: it hands on the one it was given, or a constant."""
    given = body.outputs[0].name
    made = {name: node for node in body.nodes for name in node.outputs}
    while given in made and made[given].op in ("Identity", "Cast"):
        given = made[given].inputs[0]
    if given == body.inputs[1].name:
        return True
    if given in body.arrays:
        return _truth(body.arrays[given])
    return given in made and made[given].op == "Constant" and _truth(made[given].settings.get("value", False))


def _counted(at: At, turns: int, carry: tuple[Any, ...], body: Body) -> tuple[Any, ...]:
    def turn(states: Any, number: Any) -> Any:
        _, *after = at.body(body, number, np.array(True), *states)
        after = [tensor(x) for x in after]
        return after[: len(carry)], after[len(carry) :]

    last, beside = lg.scan(turn, [tensor(x) for x in carry], lg.arange(turns))
    return (*last, *beside)


def _while(at: At, count: Any, begun: Any, carry: tuple[Any, ...], body: Body) -> tuple[Any, ...]:
    if len(body.outputs) > 1 + len(carry):
        what = f"cannot import {at.node}: it stacks what its turns give, and how many there are is known when it is run"
        raise ExportError(report(what, at=here(), cure="Give the number of turns as an array beside the step."))
    limit = None if count is None else count if _known(count) else _single(count)

    def holds(states: Any) -> Any:
        number, goes_on, *_ = states
        return goes_on if limit is None else lg.logical_and(goes_on, number < limit)

    def turn(states: Any) -> Any:
        number, goes_on, *rest = states
        after, *new = at.body(body, number, goes_on, *rest)
        return [number + 1, _single(tensor(after)), *(tensor(x) for x in new)]

    most = int(np.asarray(count).reshape(-1)[0]) if count is not None and _known(count) else None
    start = [tensor(np.array(0, np.int64)), _single(tensor(begun)), *(tensor(x) for x in carry)]
    return tuple(lg.while_loop(holds, turn, start, max_steps=most)[2:])


@op("Scan", mixed=True)
def scan(
    at: At,
    *operands: Any,
    body: Body,
    num_scan_inputs: int,
    scan_input_axes: Any,
    scan_input_directions: Any,
    scan_output_axes: Any,
    scan_output_directions: Any,
    directions: Any,
) -> Any:
    """States, handed on while axes of tensors are gone through, and what the turns give, stacked."""
    if at.since < 9:
        return _by_rows(at, operands, body, num_scan_inputs, directions)
    count = len(operands) - num_scan_inputs
    states, over = [tensor(x) for x in operands[:count]], [tensor(x) for x in operands[count:]]
    axes, ways = scan_input_axes or (0,) * len(over), scan_input_directions or (0,) * len(over)
    xs = [lg.moveaxis(x, axis, 0) for x, axis in zip(over, axes, strict=True)]
    xs = [lg.flip(x, 0) if way else x for x, way in zip(xs, ways, strict=True)]
    last, ys = _scanned(at, states, xs, body)
    axes, ways = scan_output_axes or (0,) * len(ys), scan_output_directions or (0,) * len(ys)
    ys = [lg.flip(y, 0) if way else y for y, way in zip(ys, ways, strict=True)]
    return (*last, *(lg.moveaxis(y, 0, axis) for y, axis in zip(ys, axes, strict=True)))


def _scanned(at: At, states: list[Any], xs: list[Any], body: Body) -> Any:
    def turn(held: Any, now: Any) -> Any:
        after = [tensor(x) for x in at.body(body, *held, *now)]
        return after[: len(states)], after[len(states) :]

    return lg.scan(turn, states, xs)


def _by_rows(at: At, operands: tuple[Any, ...], body: Body, inputs: int, directions: Any) -> Any:
    """Version 8: a scan for every row of a batch; all have the whole length."""
    lengths, *rest = operands
    if lengths is not None or any(directions or ()):
        what = f"cannot import {at.node}: lengths, and directions, of version 8 are not known here"
        raise ExportError(report(what, at=here(), cure="Convert the model to a newer opset."))
    rows = []
    for k in range(rest[0].shape[0]):
        each = [tensor(x)[k] for x in rest]
        count = len(each) - inputs
        last, ys = _scanned(at, each[:count], each[count:], body)
        rows.append((*last, *ys))
    return tuple(lg.stack(list(column)) for column in zip(*rows, strict=True))
