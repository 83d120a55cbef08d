"""What is written for one example, written again for many: node by node, by the rules for ops.

An op without a rule becomes a scan over the examples, whose body is that op. So every op is right, and those with a
rule are fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.define.kinds import Declared, item
from lazygrad.define.region import BodyGraph, inside, results
from lazygrad.derivative.batch_rules import Each, batch_rule_of, whole
from lazygrad.graph.body import Body, bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import node as region
from lazygrad.ops.bodies import sealed, write
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING, SCAN, SCAN_ACTING, Call, Cond, Scan
from lazygrad.ops.movement import moveaxis

__all__ = ["of_each"]


def of_each(graph: Graph, source: Graph, given: dict[int, Each], size: int) -> list[Any]:
    """The nodes of ``source`` for many examples, written into ``graph``.

    Args:
        graph: the one that is being written.
        source: what is done with one example, which has no rules of the user's.
        given: for every parameter of it what is given.
        size: how many examples there are.

    Returns:
        For every node its value; where it has several results, a list of them.
    """
    now: list[Any] = []
    before = graph.origin
    try:
        for i, node in enumerate(source.nodes):
            graph.origin = source.origins[i]
            now.append(given[i] if i in given else _written(graph, node, now, size))
    finally:
        graph.origin = before
    return now


def _written(graph: Graph, node: Node, now: Sequence[Any], size: int) -> Any:
    """The value of one node, or a list of several."""
    if node.of(item):
        return now[node.inputs[0]][node.params["index"]]
    operands: list[Each] = [now[j] for j in node.inputs]
    drawn = _draws(node)
    if not drawn and not any(x.batched for x in operands):  # once for all examples
        made = graph.apply(node.op, tuple([x.tensor.index for x in operands]), node.params, node.key)
        return _values(node, results(made), [False] * _count(node))
    found: Tensor | None = None
    rule = None if drawn else batch_rule_of(node)
    if rule is not None:
        found = rule(node, operands, size)
    if found is not None:
        return _values(node, results(found), [True] * _count(node))
    several = _region(graph, node, operands, size)
    if several is None:
        several = [Each(t, True) for t in _scanned(graph, node, operands, size)]
    return several[0] if isinstance(node.spec, Spec) else several


def _count(node: Node) -> int:
    return 1 if isinstance(node.spec, Spec) else len(node.spec)


def _values(node: Node, tensors: Sequence[Tensor], batched: Sequence[bool]) -> Any:
    found = [Each(t, b) for t, b in zip(tensors, batched, strict=True)]
    return found[0] if isinstance(node.spec, Spec) else found


def _draws(node: Node) -> bool:
    """Whether a kernel that draws by itself is in it: it draws for each example."""
    if isinstance(node.op, Declared) and node.op.random:
        return True
    return any(_draws(inner) for body in bodies(node) for inner in body.graph.nodes)


# Example by example.


def _scanned(graph: Graph, node: Node, operands: Sequence[Each], size: int) -> list[Tensor]:
    """The results of a node, by a scan whose body is that node."""
    sliced = [k for k, x in enumerate(operands) if x.batched]
    order = [*sliced, *[k for k, x in enumerate(operands) if not x.batched]]

    def call(inner: BodyGraph, given: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        inner.origin = graph.origin
        places = tuple([given[order.index(k)].index for k in range(len(operands))])
        return given, results(inner.apply(node.op, places, node.params, node.key))

    inner, (given, ys) = write("a function of each example", graph, [operands[k].spec for k in order], call)
    body = sealed(inner, [t.index for t in given], [t.index for t in ys])
    return scanned_body(graph, body, [operands[k].tensor for k in order], len(sliced), size)


def scanned_body(graph: Graph, body: Body, operands: Sequence[Tensor], sliced: int, size: int) -> list[Tensor]:
    """What a body gives for each example; the first operands are those of which every example has its own."""
    settings = {"body": body, "carries": 0, "xs": sliced, "length": size, "reverse": False, "limited": False}
    return region(SCAN, SCAN_ACTING, graph, operands, **settings)


# Loops and choices of many examples at once, where all take the same way.


def _region(graph: Graph, node: Node, operands: Sequence[Each], size: int) -> list[Each] | None:
    """The results of a loop or a choice; None where each example may take a way of its own."""
    if any(body.graph.rules for body in bodies(node)) or _draws(node):
        return None
    if isinstance(node.op, Scan):
        return _scan(graph, node, operands, size)
    if isinstance(node.op, Call):
        body = _Many(graph, node.params["body"], size)
        flags = body.write(_said(operands))
        made = region(CALL, CALL_ACTING, graph, [x.tensor for x in operands], body=body.sealed(flags))
        return [Each(t, b) for t, b in zip(made, flags, strict=True)]
    if isinstance(node.op, Cond) and not operands[0].batched:
        both = [_Many(graph, body, size) for body in node.params["bodies"]]
        found = [body.write(_said(operands[1:])) for body in both]
        flags = [a or b for a, b in zip(*found, strict=True)]
        settings = {"bodies": tuple([body.sealed(flags) for body in both])}
        made = region(COND, COND_ACTING, graph, [x.tensor for x in operands], **settings)
        return [Each(t, b) for t, b in zip(made, flags, strict=True)]
    return None


class _Many:
    """A body, written again for many examples."""

    def __init__(self, graph: Graph, body: Body, size: int) -> None:
        self.graph, self.body, self.size = graph, body, size

    def write(self, given: Sequence[tuple[Spec, bool]]) -> list[bool]:
        """Write it, for inputs of which some are there for every example; for each output whether it is.

        Args:
            given: for each input the spec of one example, and whether every example has its own.
        """
        specs = [Spec((self.size, *spec.shape), spec.dtype) if own else spec for spec, own in given]

        def call(inner: BodyGraph, begun: list[Tensor]) -> tuple[list[Tensor], list[Each]]:
            begins = {i: Each(t, own) for i, t, (_, own) in zip(self.body.inputs, begun, given, strict=True)}
            now = of_each(inner, self.body.graph, begins, self.size)
            return begun, [now[i] for i in self.body.outputs]

        self.inner, (self.begun, self.found) = write("a function of each example", self.graph, specs, call)
        return [x.batched for x in self.found]

    def drop(self) -> None:
        """Forget what was written."""
        self.inner.close()
        self.graph.written.pop()

    def sealed(self, flags: Sequence[bool]) -> Body:
        """The body, whose outputs are there for every example where that is said."""
        with inside(self.inner) as inner:
            inner.origin = self.graph.origin
            ends = [whole(x, self.size) if flag else x.tensor for x, flag in zip(self.found, flags, strict=True)]
        return sealed(self.inner, [t.index for t in self.begun], [t.index for t in ends])


def _scan(graph: Graph, node: Node, operands: Sequence[Each], size: int) -> list[Each] | None:
    """All examples go from turn to turn together: a carry is there for every example if it ever becomes so."""
    params = node.params
    limited, carries, xs = int(params["limited"]), params["carries"], params["xs"]
    if limited and operands[0].batched:
        return None
    begun, last = list(operands[limited : limited + carries]), limited + carries + xs
    slices, captured = operands[limited + carries : last], operands[last:]
    while True:
        body = _Many(graph, params["body"], size)
        turns = [(Spec(x.shape[1:], x.spec.dtype), x.batched) for x in slices]
        flags = body.write([*_said(begun), *turns, *_said(captured)])
        more = [k for k in range(carries) if flags[k] and not begun[k].batched]
        if not more:
            break
        body.drop()
        for k in more:
            begun[k] = Each(whole(begun[k], size), True)
    flags = [*[x.batched for x in begun], *flags[carries:]]
    rows = [moveaxis(x.tensor, 0, 1) if x.batched else x.tensor for x in slices]  # the turns are in front
    first, rest = ([x.tensor for x in [*operands[:limited], *begun]], [x.tensor for x in captured])
    made = region(SCAN, SCAN_ACTING, graph, [*first, *rows, *rest], **{**params, "body": body.sealed(flags)})
    ends = []
    for k, (t, own) in enumerate(zip(made, flags, strict=True)):
        ends.append(Each(moveaxis(t, 1, 0) if own and k >= carries else t, own))
    return ends


def _said(xs: Sequence[Each]) -> list[tuple[Spec, bool]]:
    return [(x.spec, x.batched) for x in xs]
