"""Derivatives of loops: a scan's is a scan, in reverse the other way round; a loop with a condition is seen as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lazygrad.define.region import extract, inside, results, written
from lazygrad.derivative.joint import Joint, Passes, acts, floats, reached
from lazygrad.errors import GradientError, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.arithmetic import add
from lazygrad.ops.control import SCAN, SCAN_ACTING, WHILE, WHILE_ACTING, Scan
from lazygrad.ops.source import zeros_like

__all__ = ["Course", "pull_scan", "push_scan", "push_while"]


class Course(NamedTuple):
    """A scan, or a loop with a condition seen as a scan over as many turns as it took."""

    body: Body
    carries: int
    xs: int
    length: int
    reverse: bool
    turns: tuple[int, ...]  # the node that says how many turns there are, if any does
    inputs: tuple[int, ...]  # the operands that the body takes

    @classmethod
    def of(cls, graph: Graph, node: Node, index: int) -> Course:
        """The loop that a node is.

        Raises:
            GradientError: it has a condition, and nothing says how many turns there may be.
        """
        p = node.params
        if isinstance(node.op, Scan):
            first = int(p["limited"])
            turns = node.inputs[:first]
            return cls(p["body"], p["carries"], p["xs"], p["length"], p["reverse"], turns, node.inputs[first:])
        if p["max_steps"] is None:
            raise GradientError(_no_reverse(graph, index))
        count = results(graph.tensor(index))[-1]
        carries, asked = p["carries"], len(p["condition"].inputs)
        inputs = (*node.inputs[:carries], *node.inputs[asked:])
        return cls(p["body"], carries, 0, p["max_steps"], False, (count.index,), inputs)

    def places(self, node: Node) -> list[int]:
        """Which operands of the node are those that the body takes."""
        if isinstance(node.op, Scan):
            return list(range(len(self.turns), len(node.inputs)))
        return [*range(self.carries), *range(len(node.params["condition"].inputs), len(node.inputs))]

    def settings(self, body: Body, carries: int, xs: int, reverse: bool) -> dict[str, Any]:
        """The settings of another scan over the same turns."""
        settings = {"body": body, "carries": carries, "xs": xs, "length": self.length, "reverse": reverse}
        return {**settings, "limited": bool(self.turns)}

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


def _varying(joint: Joint, loop: Course, wanted: Sequence[int], passes: Passes) -> tuple[set[int], set[int]]:
    """The carries that change with the wanted operands, and the nodes that do, in some turn."""
    inputs, outputs = loop.body.inputs, loop.body.outputs
    found = {k for k in wanted if k < loop.carries}
    while True:
        start = [inputs[k] for k in {*wanted, *found}]
        path = passes.path(joint.graph, start, outputs)[0] if start else set()
        more = {k for k in range(loop.carries) if outputs[k] in path and floats(joint.graph.nodes[outputs[k]].spec)}
        if more <= found:
            return found, path
        found |= more


class Cotangents(NamedTuple):
    """Where cotangents go in a loop: positions among results, and among operands."""

    carries: list[int]  # whose cotangent goes from turn to turn
    ys: list[int]  # whose cotangent comes in with every turn
    through: list[int]  # what they reach

    @classmethod
    def of(cls, joint: Joint, loop: Course, given: Sequence[int], wanted: Sequence[int], passes: Passes) -> Cotangents:
        """From the results that have one to the wanted operands."""
        inputs, outputs = loop.body.inputs, loop.body.outputs
        varying, path = _varying(joint, loop, wanted, passes)
        ys = [k for k in given if k >= loop.carries and outputs[k] in path]
        active = varying.intersection(given)
        while True:  # a carry has a cotangent, in some turn, if the results of a later turn are computed from it
            back = reached(joint, [outputs[k] for k in [*active, *ys]], path)
            more = {k for k in varying if inputs[k] in back} | active
            if more == active:
                break
            active = more
        through = [k for k in range(len(inputs)) if inputs[k] in back and (k in varying or k in wanted)]
        return cls(sorted(active), ys, through)


def pull_scan(
    graph: Graph, loop: Course, g: dict[int, Tensor], wanted: Sequence[int], passes: Passes
) -> Iterator[tuple[int, Tensor]]:
    """The cotangents of the wanted operands of a loop, from those of some of its results.

    Those of carries go from turn to turn, backwards; those of what is captured are added up; those of slices stand
    where these do.
    """
    body, xs = loop.body, loop.carries + loop.xs
    joint = Joint(body, graph)
    held, ys, through = Cotangents.of(joint, loop, sorted(g), wanted, passes)
    if not through:
        return
    sums, slices = [k for k in through if k >= xs], [k for k in through if loop.carries <= k < xs]
    with inside(joint.graph) as inner:
        arriving = [joint.seed(body.gives[k]) for k in held]
        beside = [joint.seed(body.gives[k]) for k in ys]
        ends = [inner.tensor(body.outputs[k]) for k in [*held, *ys]]
        starts = [inner.tensor(body.inputs[k]) for k in through]
        found = passes.reverse(inner, ends, starts, [*arriving, *beside])
        pulled = {k: inner.lifted(t) for k, t in zip(through, found, strict=True)}
        before = [joint.seed(body.takes[k]) for k in sums]
        last = [pulled[k] if k in pulled else inner.lifted(zeros_like(inner.tensor(body.inputs[k]))) for k in held]
        last += [inner.lifted(add(b, pulled[k])) for b, k in zip(before, sums, strict=True)]
    init = [g[k] if k in g else _zeros_of(graph, loop, k) for k in held]
    derived = Derived(
        held=[t.index for t in [*arriving, *before]],
        going=[t.index for t in beside],
        outputs=[t.index for t in last] + [pulled[k].index for k in slices],
        init=init + [_zeros_of(graph, loop, k) for k in sums],
        xs=[g[k] for k in ys],
        reverse=not loop.reverse,
    )
    got = zip([*held, *sums, *slices], _derived_scan(graph, loop, joint, derived), strict=True)
    yield from ((k, t) for k, t in got if k in wanted)


def _zeros_of(graph: Graph, loop: Course, k: int) -> Tensor:
    """Zeros like an operand."""
    return zeros_like(graph.tensor(loop.inputs[k]))


class Derived(NamedTuple):
    """What a derivative's loop is made of, beside what it reads of the loop: nodes of the joint graph, and tensors."""

    held: list[int]
    going: list[int]
    outputs: list[int]
    init: list[Tensor]
    xs: list[Tensor]
    reverse: bool


def _derived_scan(graph: Graph, loop: Course, joint: Joint, derived: Derived) -> list[Tensor]:
    """The results of the scan that the derivative is; the scan itself is written anew if something must be kept."""
    extra = joint.captured()
    joint.graph.close()
    captured = loop.captured
    kept = joint.split(derived.outputs, loop.going, [*captured, *[inner for _, inner in extra]])
    stacks = _kept(graph, loop, joint, kept, extra)
    first, last = loop.carries, loop.carries + loop.xs
    inputs = [*derived.held, *derived.going, *kept, *loop.going, *captured, *[inner for _, inner in extra]]
    made = extract(joint.graph, inputs, derived.outputs, skip=acts)
    operands = [
        *derived.init,
        *derived.xs,
        *stacks,
        *[graph.tensor(i) for i in loop.inputs[first:last]],
        *[graph.tensor(i) for i in loop.inputs[last:]],
        *[graph.tensor(outside) for outside, _ in extra],
    ]
    settings = loop.settings(made, len(derived.held), len(derived.going) + len(kept) + loop.xs, derived.reverse)
    op = SCAN_ACTING if made.effects else SCAN
    return written(graph, op, [*[graph.tensor(i) for i in loop.turns], *operands], settings)


def _kept(
    graph: Graph, loop: Course, joint: Joint, kept: Sequence[int], extra: Sequence[tuple[int, int]]
) -> list[Tensor]:
    """What the derivative reads of the loop, stacked: the loop once more, with more ys.

    Its body begins with the nodes of the loop's, in their order: by that a pass sees that both are one.
    """
    if not kept:
        return []
    body = loop.body
    richer, used = _longer(joint, [*body.outputs, *kept], [inner for _, inner in extra])
    inputs = [*loop.turns, *loop.inputs, *[outside for outside, inner in extra if inner in used]]
    if loop.turns and richer.effects:  # it was heard when the loop with the condition ran
        richer = extract(richer.graph, richer.inputs, richer.outputs, skip=acts)
    richer.memo["copy of"] = body
    op = SCAN_ACTING if richer.effects else SCAN
    settings = loop.settings(richer, loop.carries, loop.xs, loop.reverse)
    return written(graph, op, [graph.tensor(i) for i in inputs], settings)[len(body.outputs) :]


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


def push_scan(graph: Graph, loop: Course, moved: dict[int, Tensor], passes: Passes) -> dict[int, Tensor]:
    """The tangents of the results of a scan, those that are not zero: those of carries go along with these."""
    body, carries = loop.body, loop.carries
    inputs, outputs = body.inputs, body.outputs
    joint = Joint(body, graph)
    varying, path = _varying(joint, loop, list(moved), passes)
    held = sorted(varying)
    ys = [k for k in range(carries, len(outputs)) if outputs[k] in path and floats(joint.graph.nodes[outputs[k]].spec)]
    slices = [k for k in moved if carries <= k < carries + loop.xs]
    others = [k for k in moved if k >= carries + loop.xs]
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
        init=[moved[k] if k in moved else _zeros_of(graph, loop, k) for k in held],
        xs=[moved[k] for k in slices],
        reverse=loop.reverse,
    )
    got = _derived_scan(graph, loop, joint, derived)
    return dict(zip([*held, *ys], got, strict=True))


def push_while(graph: Graph, node: Node, moved: dict[int, Tensor], passes: Passes) -> dict[int, Tensor]:
    """The tangents are more carries, of the loop written once more."""
    body, condition, carries = node.params["body"], node.params["condition"], node.params["carries"]
    asked = len(condition.inputs)
    operands = (*node.inputs[:carries], *node.inputs[asked:])
    loop = Course(body, carries, 0, 0, False, (), operands)
    moved = {k if k < carries else k - asked + carries: t for k, t in moved.items() if k < carries or k >= asked}
    joint = Joint(body, graph)
    held = sorted(_varying(joint, loop, list(moved), passes)[0])
    others = [k for k in moved if k >= carries]
    with inside(joint.graph) as inner:
        seeds = {k: joint.seed(body.takes[k]) for k in [*held, *others]}
        ys = [inner.tensor(body.outputs[k]) for k in held]
        found = passes.forward(inner, ys, [inner.tensor(body.inputs[k]) for k in seeds], list(seeds.values()))
        pushed = [inner.lifted(t).index for t in found]
    extra = joint.captured()
    joint.graph.close()
    own = [*body.inputs[:carries], *[seeds[k].index for k in held]]
    rest = [*body.inputs[carries:], *[seeds[k].index for k in others], *[inside_ for _, inside_ in extra]]
    made = extract(joint.graph, [*own, *rest], [*body.outputs, *pushed])
    beside = [body.takes[k] for k in held]
    asking = extract(
        condition.graph, [*condition.inputs[:carries], *beside, *condition.inputs[carries:]], condition.outputs
    )
    init = [moved[k] if k in moved else _zeros_of(graph, loop, k) for k in held]
    given = [*[graph.tensor(j) for j in node.inputs[:carries]], *init]
    given += [graph.tensor(j) for j in node.inputs[carries:]]
    given += [*[moved[k] for k in others], *[graph.tensor(outside) for outside, _ in extra]]
    settings = {**node.params, "condition": asking, "body": made, "carries": carries + len(held)}
    got = written(graph, WHILE_ACTING if made.effects or asking.effects else WHILE, given, settings)
    return dict(zip(held, got[carries:], strict=False))


def _no_reverse(graph: Graph, index: int) -> str:
    return report(
        "cannot differentiate a while_loop without max_steps: how many turns are to be kept is not known",
        at=graph.origins[index],
        cure="Give max_steps, a number of turns that it never exceeds; or put lg.stop_gradient around what it starts "
        "from.",
    )
