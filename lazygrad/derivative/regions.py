"""Derivatives of loops: each is a loop again.

A body is differentiated once, as a graph: cotangents (or tangents) become inputs of it, and the ordinary reverse (or
forward) pass goes through its nodes. What that wrote falls into two parts. One depends on no cotangent: it can be
computed while the loop itself runs. The other, which is linear in the cotangents, becomes the body of the derivative's
loop; it reads only a few nodes of the first part, and only these are kept, turn by turn. What is cheap, or the same in
every turn, is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

from lazygrad.define.kinds import Declared, Movement, Source
from lazygrad.define.region import BodyGraph, Region, extract, inside, results
from lazygrad.errors import GradientError, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING, SCAN, SCAN_ACTING, Call, Cond, Scan
from lazygrad.ops.passing import _after, _hook, _show
from lazygrad.ops.source import zeros_like

__all__ = ["pull", "push"]

# From a graph, results, what they are differentiated for, and seeds: the derivatives.
Pass = Callable[[Graph, list[Tensor], list[Tensor], list[Tensor]], list[Tensor]]
Path = Callable[[Graph, Iterable[int], Iterable[int]], tuple[set[int], list[int]]]


class Passes(NamedTuple):
    """What the walks over graphs supply: both modes, and the nodes between what is varied and what is wanted."""

    reverse: Pass
    forward: Pass
    path: Path


def pull(
    graph: Graph, node: Node, g: dict[int, Tensor], depends: set[int], passes: Passes, index: int
) -> Iterator[tuple[int, Tensor]]:
    """The cotangents of the operands that are in ``depends``, from those of some of the results."""
    wanted = [k for k, j in enumerate(node.inputs) if j in depends and _floats(graph.nodes[j].spec)]
    if isinstance(node.op, Scan):
        pulled = _pull_scan(graph, node, g, wanted, passes)
    elif isinstance(node.op, (Cond, Call)):
        pulled = _pull_branches(graph, node, g, wanted, passes)
    else:
        raise GradientError(_no_reverse(graph, index))
    for k, cotangent in pulled:
        yield node.inputs[k], cotangent


def push(graph: Graph, node: Node, tangents: dict[int, Tensor], passes: Passes, index: int) -> dict[int, Tensor]:
    """The tangents of the results, those that are not zero, from the tangents of operands."""
    moved = {k: tangents[j] for k, j in enumerate(node.inputs) if j in tangents and _floats(graph.nodes[j].spec)}
    if isinstance(node.op, Scan):
        return _push_scan(graph, node, moved, passes)
    if isinstance(node.op, (Cond, Call)):
        return _push_branches(graph, node, moved, passes)
    raise GradientError(_no_reverse(graph, index))


def _no_reverse(graph: Graph, index: int) -> str:
    return report(
        "cannot differentiate a while_loop without max_steps: how many turns are to be kept is not known",
        at=graph.origins[index],
        cure="Give max_steps, a number of turns that it never exceeds; or put lg.stop_gradient around what it starts "
        "from.",
    )


def _floats(spec: Any) -> bool:
    return isinstance(spec, Spec) and spec.dtype.kind == "f"


# A body that is being differentiated.


class Joint:
    """A body with its derivative behind it, as one graph.

    Attributes:
        graph: the nodes; those of the body come first, with their numbers.
        size: how many nodes the body has.
        seeds: the parameters that stand for cotangents or tangents.
    """

    def __init__(self, body: Body, outer: Graph) -> None:
        self.body = body
        self.graph = made = BodyGraph(outer, (), "a loop that is differentiated")
        made.nodes = list(body.graph.nodes)
        made.origins = list(body.graph.origins)
        made.rules = dict(body.graph.rules)
        made.same = {**body.graph.same, id(body.graph): (body.graph, range(len(made.nodes)))}
        made.impure = list(body.graph.impure)
        made.numbered = len(body.inputs)
        self.size = len(made.nodes)
        self.seeds: list[int] = []

    def seed(self, spec: Spec) -> Tensor:
        """A new parameter that stands for a cotangent, a tangent, or a sum of them."""
        made = self.graph.parameter(spec)
        self.seeds.append(made.index)
        return made

    def captured(self) -> list[tuple[int, int]]:
        """What the derivative captured beside what the body did: nodes outside, and the parameters here."""
        return list(self.graph.captures.items())

    def split(self, outputs: Iterable[int], given: Sequence[int], invariant: Sequence[int]) -> list[int]:
        """The nodes of the body's own part that ``outputs`` read and that have to be kept.

        Args:
            outputs: nodes, most of which depend on seeds.
            given: parameters that the derivative's loop is given too, turn by turn.
            invariant: parameters that are the same in every turn.
        """
        nodes = self.graph.nodes
        linear, same = set(self.seeds), set(invariant)
        for i, node in enumerate(nodes):
            if not linear.isdisjoint(node.inputs):
                linear.add(i)
            if i not in same and _is_same(node, same):
                same.add(i)
        known = set(given) | same
        kept: dict[int, None] = {}
        seen: set[int] = set()
        stack = list(outputs)
        while stack:
            i = stack.pop()
            if i in seen or (i in known and i not in same):
                continue
            seen.add(i)
            node = nodes[i]
            if i in linear or i in same or _is_cheap(node):
                stack += node.inputs
            else:
                kept[i] = None
        return sorted(kept)


def _is_same(node: Node, same: set[int]) -> bool:
    """Whether a node has the same value in every turn."""
    op = node.op
    if isinstance(op, Source):
        return not op.given and not op.random
    return bool(node.inputs) and op.pure and not _draws(node) and same.issuperset(node.inputs)


def _draws(node: Node) -> bool:
    return (isinstance(node.op, Declared) and node.op.random) or isinstance(node.op, Region)


def _is_cheap(node: Node) -> bool:
    """Whether computing a node again costs less than keeping it."""
    return isinstance(node.op, Movement) and bool(node.inputs) and node.op.view is not None


def _acts(node: Node) -> bool:
    """Whether a node only hands its operand on, and was heard when the loop ran."""
    return node.of(_show) or node.of(_hook) or node.of(_after)


# Scans.


class Shape(NamedTuple):
    """How the operands and results of a scan are divided."""

    body: Body
    carries: int
    xs: int
    length: int
    reverse: bool

    @property
    def held(self) -> list[int]:
        """The parameters that are carries."""
        return list(self.body.inputs[: self.carries])

    @property
    def going(self) -> list[int]:
        """The parameters that are slices of xs."""
        return list(self.body.inputs[self.carries : self.carries + self.xs])

    @property
    def captured(self) -> list[int]:
        """The parameters that are the same in every turn."""
        return list(self.body.inputs[self.carries + self.xs :])


def _varying(joint: Joint, shape: Shape, wanted: Sequence[int], passes: Passes) -> tuple[set[int], set[int]]:
    """The carries that change with the wanted operands, and the nodes that do, in some turn."""
    inputs, outputs = shape.body.inputs, shape.body.outputs
    found = {k for k in wanted if k < shape.carries}
    while True:
        start = [inputs[k] for k in {*wanted, *found}]
        path = passes.path(joint.graph, start, outputs)[0] if start else set()
        more = {k for k in range(shape.carries) if outputs[k] in path and _floats(joint.graph.nodes[outputs[k]].spec)}
        if more <= found:
            return found, path
        found |= more


def _reached(joint: Joint, ends: Iterable[int], path: set[int]) -> set[int]:
    """The nodes on the path that the ends are computed from."""
    seen = {i for i in ends if i in path}
    stack = list(seen)
    while stack:
        for j in joint.graph.nodes[stack.pop()].inputs:
            if j in path and j not in seen:
                seen.add(j)
                stack.append(j)
    return seen


def _pull_scan(
    graph: Graph, node: Node, g: dict[int, Tensor], wanted: Sequence[int], passes: Passes
) -> Iterator[tuple[int, Tensor]]:
    shape = Shape(**node.params)
    body, carries = shape.body, shape.carries
    inputs, outputs = body.inputs, body.outputs
    joint = Joint(body, graph)
    varying, path = _varying(joint, shape, wanted, passes)
    ys = [k for k in sorted(g) if k >= carries and outputs[k] in path]
    active = {k for k in varying if k in g}
    while True:  # carries whose cotangent is not zero in some turn
        reached = _reached(joint, [outputs[k] for k in [*active, *ys]], path)
        more = {k for k in varying if inputs[k] in reached} | active
        if more == active:
            break
        active = more
    held = sorted(active)
    if not held and not ys:
        return
    through = [k for k in range(len(inputs)) if inputs[k] in reached and (k in varying or k in wanted)]
    with inside(joint.graph) as inner:
        arriving = [joint.seed(body.gives[k]) for k in held]
        beside = [joint.seed(body.gives[k]) for k in ys]
        found = passes.reverse(
            inner,
            [inner.tensor(outputs[k]) for k in [*held, *ys]],
            [inner.tensor(inputs[k]) for k in through],
            [*arriving, *beside],
        )
        pulled = {k: inner.lifted(t) for k, t in zip(through, found, strict=True)}
        nothing = {k: inner.lifted(zeros_like(inner.tensor(inputs[k]))) for k in held if k not in pulled}
        sums = [k for k in through if k >= carries + shape.xs]
        before = [joint.seed(body.takes[k]) for k in sums]
        after = [inner.lifted(add(b, pulled[k])) for b, k in zip(before, sums, strict=True)]
    slices = [k for k in through if carries <= k < carries + shape.xs]
    last = [(pulled[k] if k in pulled else nothing[k]).index for k in held] + [t.index for t in after]
    derived = Derived(
        held=[t.index for t in [*arriving, *before]],
        going=[t.index for t in beside],
        outputs=last + [pulled[k].index for k in slices],
        init=[g[k] if k in g else _zeros_of(graph, node, k) for k in held]
        + [zeros_like(graph.tensor(node.inputs[k])) for k in sums],
        xs=[g[k] for k in ys],
        reverse=not shape.reverse,
    )
    got = _derived_scan(graph, node, shape, joint, derived)
    for place, k in enumerate(held):
        if k in wanted:
            yield k, got[place]
    for place, k in enumerate(sums):
        yield k, got[len(held) + place]
    for place, k in enumerate(slices):
        yield k, got[len(last) + place]


def _zeros_of(graph: Graph, node: Node, k: int) -> Tensor:
    """Zeros like the first carry."""
    return zeros_like(graph.tensor(node.inputs[k]))


class Derived(NamedTuple):
    """What a derivative's loop is made of, beside what it reads of the loop: nodes of the joint graph, and tensors."""

    held: list[int]
    going: list[int]
    outputs: list[int]
    init: list[Tensor]
    xs: list[Tensor]
    reverse: bool


def _derived_scan(graph: Graph, node: Node, shape: Shape, joint: Joint, derived: Derived) -> list[Tensor]:
    """The results of the scan that the derivative is; the scan itself is written anew if something must be kept."""
    extra = joint.captured()
    joint.graph.close()
    captured = shape.captured
    kept = joint.split(derived.outputs, shape.going, [*captured, *[inner for _, inner in extra]])
    stacks = _kept(graph, node, shape, joint, kept, extra)
    first, last = shape.carries, shape.carries + shape.xs
    inputs = [*derived.held, *derived.going, *kept, *shape.going, *captured, *[inner for _, inner in extra]]
    made = extract(joint.graph, inputs, derived.outputs, _acts)
    operands = [
        *derived.init,
        *derived.xs,
        *stacks,
        *[graph.tensor(i) for i in node.inputs[first:last]],
        *[graph.tensor(i) for i in node.inputs[last:]],
        *[graph.tensor(outside) for outside, _ in extra],
    ]
    settings = {
        "body": made,
        "carries": len(derived.held),
        "xs": len(derived.going) + len(kept) + shape.xs,
        "length": shape.length,
        "reverse": derived.reverse,
    }
    op = SCAN_ACTING if made.effects else SCAN
    return results(graph.apply(op, tuple([t.index for t in operands]), settings))


def _kept(
    graph: Graph, node: Node, shape: Shape, joint: Joint, kept: Sequence[int], extra: Sequence[tuple[int, int]]
) -> list[Tensor]:
    """What the derivative reads of the loop, stacked: the loop once more, with more ys.

    Its body begins with the nodes of the loop's, in their order: by that a pass sees that both are one.
    """
    if not kept:
        return []
    body = shape.body
    richer, used = _longer(joint, [*body.outputs, *kept], [inner for _, inner in extra])
    inputs = [*node.inputs, *[outside for outside, inner in extra if inner in used]]
    op = SCAN_ACTING if richer.effects else SCAN
    made = graph.apply(op, tuple(inputs), {**node.params, "body": richer})
    return results(made)[len(body.outputs) :]


def _longer(joint: Joint, outputs: Sequence[int], extra: Sequence[int]) -> tuple[Body, set[int]]:
    """The body with more outputs, and with the nodes of the joint graph that these need; those of ``extra`` it has."""
    body, nodes = joint.body, joint.graph.nodes
    needed = set(range(joint.size))
    stack = [i for i in outputs if i not in needed]
    while stack:
        i = stack.pop()
        if i not in needed:
            needed.add(i)
            stack += nodes[i].inputs
    made = Graph(joint.graph.dtype)
    moved: dict[int, int] = {}
    for i in sorted(needed):
        old = nodes[i]
        moved[i] = len(made.nodes)
        places = tuple([moved[j] for j in old.inputs])
        made.nodes.append(old if places == old.inputs else Node(old.op, places, old.params, old.key, old.spec))
        made.origins.append(joint.graph.origins[i])
        if not old.op.pure:
            made.impure.append(moved[i])
        if i in joint.graph.rules:
            made.rules[moved[i]] = joint.graph.rules[i]
    made.same = joint.graph.same
    made.open = False
    used = [i for i in extra if i in needed]
    inputs = [*body.inputs, *[moved[i] for i in used]]
    return Body(made, tuple(inputs), tuple([moved[i] for i in outputs]), body.effects), set(used)


def _push_scan(graph: Graph, node: Node, moved: dict[int, Tensor], passes: Passes) -> dict[int, Tensor]:
    shape = Shape(**node.params)
    body, carries = shape.body, shape.carries
    inputs, outputs = body.inputs, body.outputs
    joint = Joint(body, graph)
    varying, path = _varying(joint, shape, list(moved), passes)
    held = sorted(varying)
    ys = [k for k in range(carries, len(outputs)) if outputs[k] in path and _floats(joint.graph.nodes[outputs[k]].spec)]
    slices = [k for k in moved if carries <= k < carries + shape.xs]
    others = [k for k in moved if k >= carries + shape.xs]
    with inside(joint.graph) as inner:
        seeds = {k: joint.seed(body.takes[k]) for k in [*held, *slices, *others]}
        found = passes.forward(
            inner,
            [inner.tensor(outputs[k]) for k in [*held, *ys]],
            [inner.tensor(inputs[k]) for k in seeds],
            list(seeds.values()),
        )
        pushed = [inner.lifted(t).index for t in found]
        for k in others:  # a seed that is the same in every turn is captured
            joint.graph.captures[moved[k].index] = seeds[k].index
    derived = Derived(
        held=[seeds[k].index for k in held],
        going=[seeds[k].index for k in slices],
        outputs=pushed,
        init=[moved[k] if k in moved else _zeros_of(graph, node, k) for k in held],
        xs=[moved[k] for k in slices],
        reverse=shape.reverse,
    )
    got = _derived_scan(graph, node, shape, joint, derived)
    return dict(zip([*held, *ys], got, strict=True))


# Choices and calls: the derivative's bodies compute again what they read.


def _branches(node: Node) -> tuple[tuple[Body, ...], int]:
    """The bodies, of which one runs, and the number of operands before what they take."""
    return (node.params["bodies"], 1) if isinstance(node.op, Cond) else ((node.params["body"],), 0)


def _pull_branches(
    graph: Graph, node: Node, g: dict[int, Tensor], wanted: Sequence[int], passes: Passes
) -> Iterator[tuple[int, Tensor]]:
    bodies, first = _branches(node)
    wanted = [k for k in wanted if k >= first]
    joints, outputs, reached = [], [], set()
    for body in bodies:
        joint = Joint(body, graph)
        path = passes.path(joint.graph, [body.inputs[k - first] for k in wanted], body.outputs)[0] if wanted else set()
        ends = [k for k in sorted(g) if body.outputs[k] in path]
        back = _reached(joint, [body.outputs[k] for k in ends], path)
        through = [k for k in wanted if body.inputs[k - first] in back]
        with inside(joint.graph) as inner:
            seeds = {k: joint.seed(body.gives[k]) for k in sorted(g)}
            found = passes.reverse(
                inner,
                [inner.tensor(body.outputs[k]) for k in ends],
                [inner.tensor(body.inputs[k - first]) for k in through],
                [seeds[k] for k in ends],
            )
            pulled = dict(zip(through, found, strict=True))
            rest = {k: zeros_like(inner.tensor(body.inputs[k - first])) for k in wanted if k not in pulled}
            outputs.append({k: inner.lifted(pulled[k] if k in pulled else rest[k]).index for k in wanted})
        reached |= set(through)
        joints.append(joint)
    kept = [k for k in wanted if k in reached]
    if kept:
        given = [g[k] for k in sorted(g)]
        yield from zip(kept, _again(graph, node, joints, [[o[k] for k in kept] for o in outputs], given), strict=True)


def _push_branches(graph: Graph, node: Node, moved: dict[int, Tensor], passes: Passes) -> dict[int, Tensor]:
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
        if _floats(spec) and any(j.body.outputs[k] in path for j, path in zip(joints, paths, strict=True))
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
        bodies.append(extract(joint.graph, inputs, outs, _acts))
    outside = [i for captured in extra for i, _ in captured]
    operands = (*node.inputs, *[t.index for t in given], *outside)
    acts = any(body.effects for body in bodies)
    if isinstance(node.op, Cond):
        return results(graph.apply(COND_ACTING if acts else COND, operands, {"bodies": tuple(bodies)}))
    return results(graph.apply(CALL_ACTING if acts else CALL, operands, {"body": bodies[0]}))
