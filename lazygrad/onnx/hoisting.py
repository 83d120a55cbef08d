"""Weights that stand in branches, loops and nodes, as weights of the model: there they can be trained and saved."""

from __future__ import annotations

from typing import Any

from lazygrad.onnx.described import Body, Node

__all__ = ["hoisted", "with_constants"]


def hoisted(body: Body) -> Body:
    """The body, with the arrays of all bodies in it among its own, under names that say where they were."""
    arrays = dict(body.arrays)
    return body._replace(nodes=tuple(_node(node, {}, arrays) for node in body.nodes), arrays=arrays)


def with_constants(body: Body) -> Body:
    """The body, in which floats of ``Constant`` nodes, where there is more than one, are arrays like initializers."""
    arrays, nodes = dict(body.arrays), []
    for node in body.nodes:
        value = node.settings.get("value") if node.op == "Constant" else None
        if value is not None and value.dtype.kind == "f" and value.size > 1:
            arrays[node.outputs[0]] = value
        else:
            inner = {key: with_constants(x) if isinstance(x, Body) else x for key, x in node.settings.items()}
            nodes.append(node._replace(settings=inner))
    return body._replace(nodes=tuple(nodes), arrays=arrays)


def _node(node: Node, names: dict[str, str], arrays: dict[str, Any]) -> Node:
    settings = {
        key: _inner(value, f"{node.name}/{key}", names, arrays) if isinstance(value, Body) else value
        for key, value in node.settings.items()
    }
    return node._replace(inputs=tuple(names.get(name, name) for name in node.inputs), settings=settings)


def _inner(body: Body, place: str, names: dict[str, str], arrays: dict[str, Any]) -> Body:
    own: dict[str, str] = {}
    for name, array in body.arrays.items():
        own[name] = _free(f"{place}/{name}", arrays)
        arrays[own[name]] = array
    # Inputs and what is computed here hide what is so called outside.
    hidden = {each.name for each in body.inputs} | {name for node in body.nodes for name in node.outputs}
    seen = {name: new for name, new in names.items() if name not in hidden} | own
    return Body(
        tuple(_node(node, seen, arrays) for node in body.nodes),
        body.inputs,
        tuple(output._replace(name=seen.get(output.name, output.name)) for output in body.outputs),
        {},
    )


def _free(name: str, taken: dict[str, Any]) -> str:
    """The name, numbered where another array has it: nodes in two bodies may be called alike."""
    found, number = name, 1
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found
