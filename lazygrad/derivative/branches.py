"""Derivatives of choices and of calls: of the same kind, whose bodies compute again what they read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from lazygrad.define.region import extract, inside, written
from lazygrad.derivative.joint import Joint, Passes, acts, floats, reached
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING, Cond
from lazygrad.ops.source import zeros_like

__all__ = ["pull_branches", "push_branches"]


def _branches(node: Node) -> tuple[tuple[Body, ...], int]:
    """The bodies, of which one runs, and the number of operands before what they take."""
    return (node.params["bodies"], 1) if isinstance(node.op, Cond) else ((node.params["body"],), 0)


def pull_branches(
    graph: Graph, node: Node, g: dict[int, Tensor], wanted: Sequence[int], passes: Passes
) -> Iterator[tuple[int, Tensor]]:
    """The cotangents of the wanted operands, from those of some of the results."""
    bodies, first = _branches(node)
    wanted = [k for k in wanted if k >= first]
    joints, outputs = [], []
    some: set[int] = set()
    for body in bodies:
        joint = Joint(body, graph)
        path = passes.path(joint.graph, [body.inputs[k - first] for k in wanted], body.outputs)[0] if wanted else set()
        ends = [k for k in sorted(g) if body.outputs[k] in path]
        back = reached(joint, [body.outputs[k] for k in ends], path)
        through = [k for k in wanted if body.inputs[k - first] in back]
        with inside(joint.graph) as inner:
            seeds = {k: joint.seed(body.gives[k]) for k in sorted(g)}
            found = []
            if through:  # one branch may not depend on what the other does
                ys = [inner.tensor(body.outputs[k]) for k in ends]
                xs = [inner.tensor(body.inputs[k - first]) for k in through]
                found = passes.reverse(inner, ys, xs, [seeds[k] for k in ends])
            pulled = dict(zip(through, found, strict=True))
            rest = {k: zeros_like(inner.tensor(body.inputs[k - first])) for k in wanted if k not in pulled}
            outputs.append({k: inner.lifted(pulled[k] if k in pulled else rest[k]).index for k in wanted})
        some |= set(through)
        joints.append(joint)
    kept = [k for k in wanted if k in some]
    if kept:
        given = [g[k] for k in sorted(g)]
        yield from zip(kept, _again(graph, node, joints, [[o[k] for k in kept] for o in outputs], given), strict=True)


def push_branches(graph: Graph, node: Node, moved: dict[int, Tensor], passes: Passes) -> dict[int, Tensor]:
    """The tangents of the results, those that are not zero."""
    bodies, first = _branches(node)
    moved = {k: t for k, t in moved.items() if k >= first}
    joints = [Joint(body, graph) for body in bodies]
    paths = [
        passes.path(joint.graph, [joint.body.inputs[k - first] for k in moved], joint.body.outputs)[0]
        for joint in joints
    ]
    ys = [
        k
        for k, spec in enumerate(bodies[0].gives)
        if floats(spec) and any(j.body.outputs[k] in path for j, path in zip(joints, paths, strict=True))
    ]
    outputs = []
    for joint in joints:
        body = joint.body
        with inside(joint.graph) as inner:
            seeds = [joint.seed(body.takes[k - first]) for k in moved]
            xs = [inner.tensor(body.inputs[k - first]) for k in moved]
            found = passes.forward(inner, [inner.tensor(body.outputs[k]) for k in ys], xs, seeds)
            outputs.append([inner.lifted(t).index for t in found])
    return dict(zip(ys, _again(graph, node, joints, outputs, list(moved.values())), strict=True)) if ys else {}


def _again(
    graph: Graph, node: Node, joints: Sequence[Joint], outputs: Sequence[Sequence[int]], given: Sequence[Tensor]
) -> list[Tensor]:
    """The results of the choice, or the call, that the derivative is."""
    extra = [joint.captured() for joint in joints]
    bodies = []
    for joint, outs, own in zip(joints, outputs, extra, strict=True):
        joint.graph.close()
        inputs: list[int | Spec] = [*joint.body.inputs, *joint.seeds]
        for captured, other in zip(extra, joints, strict=True):
            inputs += [inner if captured is own else cast(Spec, other.graph.nodes[inner].spec) for _, inner in captured]
        bodies.append(extract(joint.graph, inputs, outs, skip=acts))
    outside = [i for captured in extra for i, _ in captured]
    operands = [*[graph.tensor(i) for i in node.inputs], *given, *[graph.tensor(i) for i in outside]]
    acting = any(body.effects for body in bodies)
    if isinstance(node.op, Cond):
        return written(graph, COND_ACTING if acting else COND, operands, {"bodies": tuple(bodies)})
    return written(graph, CALL_ACTING if acting else CALL, operands, {"body": bodies[0]})
