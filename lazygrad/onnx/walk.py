"""Nodes of a model, written into the graph of a step one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.errors import ExportError, LazygradError, SpecError, report
from lazygrad.graph.registry import author, here
from lazygrad.graph.tensor import Tensor
from lazygrad.onnx import bodies, known
from lazygrad.onnx.described import Body, Node, Value
from lazygrad.onnx.ops import table

__all__ = ["walk"]


def walk(body: Body, values: Mapping[str, Value], context: Any, path: str) -> tuple[Value, ...]:
    """What a body gives.

    Args:
        body: the nodes.
        values: what the names stand for that it does not compute: inputs and weights, and those around it.
        context: of the step.
        path: of the layer.
    """
    found = {**values, **{name: array for name, array in body.arrays.items() if name not in values}, "": None}
    for node in body.nodes:
        with _written(node, path):
            outputs = _outputs(node, found, context, path)
        found.update(zip(node.outputs, outputs, strict=False))
        found[""] = None
    return tuple(found[output.name] for output in body.outputs)


@contextmanager
def _written(node: Node, path: str) -> Iterator[None]:
    """While it lasts, nodes are those of the part of the model that the node is in, and errors name it."""
    before, scope = author.layer, node.scope
    author.layer = f"{path}/{scope}" if scope else path
    try:
        yield
    except LazygradError as error:
        if error.args and not hasattr(error, "of_onnx"):
            error.args = (f"{error.args[0]}\n    It is of {node} in the model.", *error.args[1:])
            error.of_onnx = node.name  # type: ignore[attr-defined]
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as reason:
        what = f"cannot import {node}: its settings and operands do not fit together"
        raise SpecError(report(what, at=here(), cure=" ".join(str(reason).split())[:300])) from reason
    except MemoryError as reason:
        what = f"cannot import {node}: what is worked out for it while the step is written is too large"
        raise SpecError(report(what, at=here(), cure=" ".join(str(reason).split())[:300])) from reason
    finally:
        author.layer = before


def _outputs(node: Node, values: dict[str, Value], context: Any, path: str) -> tuple[Value, ...]:
    operands = [values[name] for name in node.inputs]
    form = table.ops().get((node.domain, node.op))
    if form is None:
        return _said_by_others(node, operands, context, f"{path}/{node.scope}" if node.scope else path)
    found = known.computed(node, operands) if _is_known(form, node, operands) else None
    if found is not None:
        return found
    count = max((k + 1 for k, name in enumerate(node.outputs) if name), default=0)

    def inner(body: Body, given: Sequence[Value]) -> tuple[Value, ...]:
        named = dict(zip([each.name for each in body.inputs], given, strict=True))
        return walk(body, {**values, **named}, context, path)

    given = [_operand(form, node, place, value) for place, value in enumerate(operands)]
    if len(given) > len(form.operands) and not form.variadic:
        what = f"cannot import {node}: it has {len(given)} operands, of which {len(form.operands)} are known here"
        raise ExportError(report(what, at=here()))
    settings = _settings(form, node)
    result = form.function(table.At(node, count, context, inner), *given, **settings)
    return result if isinstance(result, tuple) else (result,)


def _said_by_others(node: Node, operands: list[Value], context: Any, path: str) -> tuple[Value, ...]:
    """What the nodes give by which ONNX says an op that is not in the table."""
    if operands and not node.bodies and not any(isinstance(x, (Tensor, list)) for x in operands):
        found = known.computed(node, operands)
        if found is not None:
            return found
    body = bodies.function_of(node, operands)
    names = [each.name for each in body.inputs]
    given = dict(zip(names, [*operands, *[None] * (len(names) - len(operands))], strict=True))
    return walk(body, given, context, path)


def _is_known(form: table.Form, node: Node, operands: Sequence[Value]) -> bool:
    """Whether what a node gives can be computed at once."""
    if form.draws or form.mixed or node.bodies or any(isinstance(x, (Tensor, list)) for x in operands):
        return False
    if form.grows is not None:
        return form.grows(*operands) <= known.MOST
    if all(map(form.is_known, range(len(form.operands)))):
        return True
    return bool(operands) and sum(np.size(x) for x in operands) <= known.MOST


def _operand(form: table.Form, node: Node, place: int, value: Value) -> Value:
    if form.is_known(place):
        if isinstance(value, Tensor):
            facts = [f"{form.named(place)}:  {value.spec}   {value.graph.describe(value.index)}"]
            cure = "What decides about shapes is an array of NumPy, or a number, not an argument of the step."
            what = f"cannot import {node}: its {form.named(place)!r} is not known while the step is written"
            raise ExportError(report(what, at=here(), facts=facts, cure=cure))
        return value
    return tensor(value) if isinstance(value, (np.ndarray, np.generic)) and not form.mixed else value


def _settings(form: table.Form, node: Node) -> dict[str, Any]:
    """The settings that the function takes; one that it does not know must be as if it were left out."""
    if form.every:
        return node.settings
    for name, value in node.settings.items():
        if name not in form.settings and not _is_default(node, name, value):
            what = f"cannot import {node}: its setting {name!r} is {value!r:.60}, which has no form here"
            raise ExportError(report(what, at=here(), cure="Export the model without it."))
    return {name: node.settings.get(name, form.defaults.get(name)) for name in form.settings}


def _is_default(node: Node, name: str, value: Any) -> bool:
    from onnx.defs import get_schema, has
    from onnx.helper import get_attribute_value

    if not has(node.op, node.domain):
        return False
    default = get_schema(node.op, node.opset, node.domain).attributes[name].default_value
    if not default.type:
        return False
    found = get_attribute_value(default)
    return bool((found.decode() if isinstance(found, bytes) else found) == value)
