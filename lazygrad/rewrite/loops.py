"""Passes over loops: several that go through the same turns as one; and of each only what is read.

The gradient of a loop writes the loop once more, with more results. :func:`joined` makes one of the two. What the
loops compute is compared node by node, as when equal nodes are merged: they are one if each carry becomes the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lazygrad.define.region import Region, extract, parameter, written
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING, SCAN, SCAN_ACTING, Cond, Scan, While
from lazygrad.rewrite.regions import Found, Site, read_results, reordered, rewritten_regions

__all__ = ["joined", "trimmed"]


class Joined(NamedTuple):
    """A scan that stands for several.

    Attributes:
        body: what they compute together.
        carries, xs: how its operands are divided.
        inputs: its operands, nodes of the graph.
        results: for each of the scans, by its node, which results of this one its results are.
    """

    body: Body
    carries: int
    xs: int
    inputs: tuple[int, ...]
    results: dict[int, list[int]]


def joined(graph: Graph) -> Graph:
    """One scan in place of several over the same turns whose carries become the same."""
    groups: dict[Any, list[Joined]] = {}
    held: dict[int, tuple[int, ...]] = {}  # of a scan that has been joined to others: what all of them read
    for i, node in enumerate(graph.nodes):
        if not isinstance(node.op, Scan):
            continue
        p = node.params
        first, carries = int(p["limited"]), p["carries"]
        key = (node.inputs[: first + carries], carries, p["length"], p["reverse"], p["limited"])
        alone = Joined(p["body"], carries, p["xs"], node.inputs, {i: list(range(len(p["body"].outputs)))})
        known = groups.setdefault(key, [])
        for k, other in enumerate(known):
            both = _both(graph, other, alone, first, i, held)
            if both is not None:
                known[k] = both
                held.update(dict.fromkeys(both.results, both.inputs))
                break
        else:
            known.append(alone)
    of = {i: one for known in groups.values() for one in known for i in one.results if len(one.results) > 1}
    if not of:
        return graph
    leaders = {id(one): min(one.results) for one in of.values()}
    order = reordered(graph, {leaders[id(one)]: one.inputs for one in of.values()})
    found: dict[int, list[Tensor]] = {}

    def rewrite(site: Site) -> Found:
        one = of.get(site.number)
        if one is None:
            return None
        if id(one) not in found:
            params = {**site.node.params, "body": one.body, "xs": one.xs}
            operands = [site.where(j) for j in one.inputs]
            found[id(one)] = written(site.graph, SCAN_ACTING if one.body.effects else SCAN, operands, params)
        return [found[id(one)][k] for k in one.results[site.number]]

    return rewritten_regions(graph, rewrite, order)


def _both(
    graph: Graph, one: Joined, other: Joined, first: int, at: int, held: Mapping[int, tuple[int, ...]]
) -> Joined | None:
    """Both scans as one; None if a carry becomes something else in the other, or if the other depends on the one."""
    if one.body.effects and other.body.effects and other.body.memo.get("copy of") is not one.body:
        return None
    carries = one.carries
    last = first + carries + one.xs
    made = Graph(graph.dtype)
    made.nodes, made.origins = list(one.body.graph.nodes), list(one.body.graph.origins)
    places: dict[Any, int] = {}  # the first of equal nodes
    first_of: list[int] = []
    for i, node in enumerate(made.nodes):
        inputs = tuple([first_of[j] for j in node.inputs])
        first_of.append(i if node.op is parameter else places.setdefault((node.op, inputs, node.key), i))
    known = [
        list(zip(one.inputs[first + carries : last], one.body.inputs[carries : carries + one.xs], strict=True)),
        list(zip(one.inputs[last:], one.body.inputs[carries + one.xs :], strict=True)),
    ]
    moved: dict[int, int] = dict(zip(other.body.inputs[:carries], one.body.inputs[:carries], strict=True))
    fresh: list[list[tuple[int, int]]] = [[], []]  # operands that the one has not: xs and captured
    for k, i in enumerate(other.body.inputs[carries:]):
        kind, operand = int(k >= other.xs), other.inputs[first + carries + k]
        place = k - other.xs * kind
        if place < len(known[kind]) and known[kind][place][0] == operand:
            moved[i] = known[kind][place][1]  # one operand may be given twice
            continue
        found = [param for given, param in known[kind] if given == operand]
        if not found:
            old = other.body.graph.nodes[i]
            params = {**old.params, "number": len(made.nodes)}
            found = [len(made.nodes)]
            fresh[kind].append((operand, len(made.nodes)))
            known[kind].append((operand, len(made.nodes)))
            made.nodes.append(Node(parameter, (), params, tuple(params.values()), old.spec))
            made.origins.append(other.body.graph.origins[i])
        moved[i] = found[0]
    for i, node in enumerate(other.body.graph.nodes):
        if i in moved:
            continue
        inputs = tuple([moved[j] for j in node.inputs])
        place = places.setdefault((node.op, inputs, node.key), len(made.nodes))
        if place == len(made.nodes):
            made.nodes.append(Node(node.op, inputs, node.params, node.key, node.spec))
            made.origins.append(other.body.graph.origins[i])
        moved[i] = place
    if [moved[i] for i in other.body.outputs[:carries]] != [first_of[i] for i in one.body.outputs[:carries]]:
        return None
    new = [operand for operands in fresh for operand, _ in operands]
    if _depends(graph, new, one.results, held):
        return None
    outputs = list(one.body.outputs)
    where = list(range(carries))
    for i in other.body.outputs[carries:]:
        given = [first_of[j] if j < len(first_of) else j for j in outputs[carries:]]
        if moved[i] not in given:
            outputs.append(moved[i])
            given.append(moved[i])
        where.append(carries + given.index(moved[i]))
    inputs = (*one.inputs[:last], *[o for o, _ in fresh[0]], *one.inputs[last:], *[o for o, _ in fresh[1]])
    split = carries + one.xs
    entries = [*one.body.inputs[:split], *[i for _, i in fresh[0]], *one.body.inputs[split:], *[i for _, i in fresh[1]]]
    made.open = False
    effects = tuple(dict.fromkeys([*one.body.effects, *[moved[i] for i in other.body.effects]]))
    body = Body(made, tuple(entries), tuple(outputs), effects)
    return Joined(body, carries, one.xs + len(fresh[0]), inputs, {**one.results, at: where})


def _depends(graph: Graph, nodes: Sequence[int], on: Iterable[int], held: Mapping[int, tuple[int, ...]]) -> bool:
    """Whether one of the nodes is computed from another, also by way of scans that have been joined."""
    ends = set(on)
    lowest = min([*ends, *held])
    stack, seen = [i for i in nodes if i >= lowest], set(nodes)
    while stack:
        i = stack.pop()
        if i in ends:
            return True
        more = [j for j in (*graph.nodes[i].inputs, *held.get(i, ())) if j >= lowest and j not in seen]
        seen.update(more)
        stack += more
    return False


def trimmed(graph: Graph) -> Graph:
    """Scans and choices without the results that nothing reads, and without what these alone were computed from."""
    read = read_results(graph)
    if all(_is_trim(graph.nodes[i], found) for i, found in read.items()):
        return graph

    def rewrite(site: Site) -> Found:
        if _is_trim(site.node, site.read):
            return None
        return _trimmed_scan(site) if isinstance(site.node.op, Scan) else _trimmed_branches(site)

    return rewritten_regions(graph, rewrite)


def _is_trim(node: Node, read: set[int]) -> bool:
    """Whether there is nothing to leave out."""
    if isinstance(node.op, While):
        return True
    if isinstance(node.op, Scan):
        outputs, inputs = _needed(node, read)
        return len(outputs) == len(node.params["body"].outputs) and len(inputs) == len(node.params["body"].inputs)
    return len(read) == len(_branches(node)[0].outputs) and len(_taken(node, read)) == len(_branches(node)[0].inputs)


def _needed(node: Node, read: set[int]) -> tuple[list[int], list[int]]:
    """Which outputs and which inputs of a scan's body are needed for the results that are read."""
    body, carries = node.params["body"], node.params["carries"]
    outputs = set(read)
    while True:
        reach = _reach(body, [body.outputs[k] for k in outputs])
        more = outputs | {k for k in range(carries) if body.inputs[k] in reach}
        if more == outputs:
            break
        outputs = more
    inputs = [k for k in range(len(body.inputs)) if (k in outputs if k < carries else body.inputs[k] in reach)]
    return sorted(outputs), inputs


def _trimmed_scan(site: Site) -> Found:
    node, p = site.node, site.node.params
    body, carries, last = p["body"], p["carries"], p["carries"] + p["xs"]
    outputs, inputs = _needed(node, site.read)
    new = extract(body.graph, [body.inputs[k] for k in inputs], [body.outputs[k] for k in outputs], body.effects)
    first = int(p["limited"])
    operands = [*site.operands[:first], *[site.operands[first + k] for k in inputs]]
    held, going = len([k for k in inputs if k < carries]), len([k for k in inputs if carries <= k < last])
    found = written(site.graph, _op(node, new), operands, {**p, "body": new, "carries": held, "xs": going})
    return [found[outputs.index(k)] if k in outputs else None for k in range(len(body.outputs))]


def _op(node: Node, *bodies: Body) -> Region:
    """The op of a node, in the form for bodies that act or that do not."""
    acts = any(body.effects for body in bodies)
    both = {"scan": (SCAN, SCAN_ACTING), "cond": (COND, COND_ACTING), "checkpoint": (CALL, CALL_ACTING)}
    return both[node.op.name][acts]


def _branches(node: Node) -> tuple[Body, ...]:
    return node.params["bodies"] if isinstance(node.op, Cond) else (node.params["body"],)


def _taken(node: Node, read: set[int]) -> list[int]:
    """Which inputs of the bodies of a choice are needed."""
    needed: set[int] = set()
    for body in _branches(node):
        reach = _reach(body, [body.outputs[k] for k in read])
        needed |= {k for k, i in enumerate(body.inputs) if i in reach}
    return sorted(needed)


def _trimmed_branches(site: Site) -> Found:
    node, outputs = site.node, sorted(site.read)
    bodies, inputs = _branches(node), _taken(node, site.read)
    first = int(isinstance(node.op, Cond))
    new = [extract(b.graph, [b.inputs[k] for k in inputs], [b.outputs[k] for k in outputs], b.effects) for b in bodies]
    operands = [*site.operands[:first], *[site.operands[first + k] for k in inputs]]
    params = {"bodies": tuple(new)} if first else {"body": new[0]}
    found = written(site.graph, _op(node, *new), operands, params)
    return [found[outputs.index(k)] if k in outputs else None for k in range(len(bodies[0].outputs))]


def _reach(body: Body, ends: Sequence[int]) -> set[int]:
    """The nodes that some are computed from, those included, and what happens in any case."""
    seen = {*ends, *body.effects}
    stack = list(seen)
    while stack:
        for j in body.graph.nodes[stack.pop()].inputs:
            if j not in seen:
                seen.add(j)
                stack.append(j)
    return seen
