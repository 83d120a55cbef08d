"""What runs the bodies of loops: node by node, prepared once for a body and a backend."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.define.kinds import Declared, Opaque, Source
from lazygrad.define.region import Region, Run
from lazygrad.errors import Origin, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.guarded import misdeclared
from lazygrad.graph.spec import Spec
from lazygrad.ops.passing import speaks
from lazygrad.plan import Plan, is_random

__all__ = ["BodyPlan", "Hosted", "Silent", "region_kernel", "locate", "owned", "planned"]

Draw = Callable[..., Any]  # draw(number, turn) -> the generator, at the beginning of a draw
Rounded = Callable[[Any], Any] | None
Watch = Callable[[], None] | None


def locate(reason: BaseException, plan: Plan, index: int) -> None:
    """Add to an exception from a kernel which node was being computed, and where the user wrote it."""
    if 0 <= index < len(plan.graph.nodes):
        node = plan.graph.nodes[index]
        told = getattr(reason, "told", None)
        if told is not None:  # an op is declared wrongly: the message says where it was used
            reason.args = misdeclared(*told, at=plan.origin(index)).args
            return
        unplaced = getattr(reason, "unplaced", None)
        if unplaced is not None:  # it is about what the user gave: the message says where
            what, facts, cure = unplaced
            reason.args = (report(what, at=plan.origin(index), facts=facts, cure=cure),)
            return
        operands = ", ".join(str(plan.graph.nodes[j].spec) for j in node.inputs)
        reason.add_note(f"while evaluating {node.op.name}({operands}), {plan.graph.origins[index]}")


class BodyPlan(Plan):
    """The plan of a body, made once.

    Attributes:
        inputs, outputs: the nodes, as in the body.
        effects: likewise; they happen in every turn.
    """

    def __init__(self, body: Body, shared: bool = False) -> None:
        wanted = Graph(body.graph.dtype)
        wanted.nodes, wanted.origins = body.graph.nodes, body.graph.origins
        super().__init__(wanted, [*body.inputs, *body.outputs, *body.effects], shared=shared)
        roots = self.graph.roots
        first, last = len(body.inputs), len(body.inputs) + len(body.outputs)
        self.inputs, self.outputs, self.effects = roots[:first], roots[first:last], roots[last:]

    def _static(self) -> bytearray:
        """As of any plan, but for what may fail: it is not computed before the body is, which may never be."""
        static = super()._static()
        for i, node in enumerate(self.graph.nodes):
            may_fail = isinstance(node.op, Opaque)
            static[i] = bool(static[i]) and not may_fail and all(static[j] for j in node.inputs)
        return static


def planned(body: Body) -> BodyPlan:
    """The plan of a body, kept on it."""
    found = body.memo.get("plan")
    if found is None:
        found = body.memo["plan"] = BodyPlan(body)
    return cast(BodyPlan, found)


class Step:
    """One node of a body, ready to be computed."""

    __slots__ = ("dies", "node", "operands", "run")

    def __init__(self, node: int, operands: tuple[int, ...], run: Callable[..., Any], dies: tuple[int, ...]) -> None:
        self.node = node
        self.operands = operands
        self.run = run
        self.dies = dies


class Prepared:
    """A body's nodes sorted by how often they are computed: once for good, once a loop, once a turn."""

    def __init__(self, body: Body, changing: int) -> None:
        self.plan = plan = planned(body)
        nodes = plan.graph.nodes
        held = set(plan.inputs[changing:])
        self.once: list[int] = []
        self.invariant: list[int] = []
        self.turn: list[int] = []
        kind = dict.fromkeys(plan.inputs[:changing], 2) | dict.fromkeys(held, 1)
        for i, node in enumerate(nodes):
            if i in kind:
                continue
            kind[i] = self._kind(node, kind)
            (self.once, self.invariant, self.turn)[kind[i]].append(i)
        self.kind = kind
        kept = {*plan.inputs, *plan.outputs}
        last = {j: i for i in self.turn for j in nodes[i].inputs}
        self.dies = {
            i: tuple([j for j in set(nodes[i].inputs) if kind[j] == 2 and j not in kept and last[j] == i])
            for i in self.turn
        }

    @staticmethod
    def _kind(node: Node, kind: dict[int, int]) -> int:
        if is_random(node) or not node.op.pure or isinstance(node.op, Region):
            return 2
        if isinstance(node.op, Source):
            return 0
        return max((kind[j] for j in node.inputs), default=0)


def prepared(body: Body, changing: int) -> Prepared:
    """Kept on the body."""
    key = ("prepared", changing)
    found = body.memo.get(key)
    if found is None:
        found = body.memo[key] = Prepared(body, changing)
    return cast(Prepared, found)


class Hosted:
    """A machine: runs the bodies of one region, in one run of the step.

    Args:
        backend: whose arrays they are.
        draw: the generator for the number of a draw and that of a turn.
        origin: where the user wrote the region.
        what: what messages call it.
        outer: the number of the turn of the loop around it.
        rounded: what every node gives is passed through it, if it is given.
        watch: called before every turn, if it is given.
    """

    def __init__(
        self,
        backend: Backend,
        draw: Draw,
        origin: Origin,
        what: str,
        outer: int = 0,
        rounded: Rounded = None,
        watch: Watch = None,
    ) -> None:
        self.backend = backend
        self.xp = backend.xp
        self.draw = draw
        self.origin = origin
        self.what = what
        self.outer = outer
        self.rounded = rounded
        self.watch = watch

    def bound(self, body: Body, captured: Sequence[Any]) -> Run:
        """The body as a function of a turn's number and of its other inputs."""
        changing = len(body.inputs) - len(captured)
        ready = prepared(body, changing)
        plan = ready.plan
        first: list[Any] = [None] * len(plan.graph.nodes)
        at = [0]  # the turn, for draws
        for i, array in zip(plan.inputs[changing:], captured, strict=True):
            first[i] = array
        begun = [False]
        steps = [Step(i, plan.graph.nodes[i].inputs, self._node(plan, i, at), ready.dies[i]) for i in ready.turn]
        inputs, outputs, watch = plan.inputs[:changing], plan.outputs, self.watch

        def run(turn: int, given: Sequence[Any]) -> list[Any]:
            if watch is not None:
                watch()
            if not begun[0]:  # not before there is a turn, as it may fail
                self._run(ready, [*ready.once, *ready.invariant], first, at)
                begun[0] = True
            values = first.copy()
            at[0] = turn
            for i, array in zip(inputs, given, strict=True):
                values[i] = array
            step = None
            try:
                for step in steps:
                    values[step.node] = step.run(*[values[j] for j in step.operands])
                    for j in step.dies:
                        values[j] = None
            except Exception as reason:
                self._located(reason, plan, step, turn)
                raise
            return [values[i] for i in outputs]

        return run

    def _run(self, ready: Prepared, chosen: Sequence[int], values: list[Any], at: list[int]) -> None:
        """Compute what is the same in all turns."""
        nodes = ready.plan.graph.nodes
        i = -1
        try:
            for i in chosen:
                values[i] = self._node(ready.plan, i, at)(*[values[j] for j in nodes[i].inputs])
        except Exception as reason:
            locate(reason, ready.plan, i)
            raise

    def _node(self, plan: Plan, i: int, at: list[int]) -> Callable[..., Any]:
        """What computes a node."""
        kernel, rounded, node = self._kernel(plan, i, at), self.rounded, plan.graph.nodes[i]
        if rounded is None or not node.inputs or not isinstance(node.spec, Spec) or isinstance(node.op, Region):
            return kernel
        return lambda *operands: rounded(kernel(*operands))

    def _kernel(self, plan: Plan, i: int, at: list[int]) -> Callable[..., Any]:
        """The kernel of a node, with its settings."""
        node = plan.graph.nodes[i]
        op, backend = node.op, self.backend
        if isinstance(op, Region):
            return lambda *operands: op.kernel(self.inner(plan, i, at[0]), *operands, **node.params)
        if is_random(node):
            number = node.params["draw"]

            def drawn(*operands: Any) -> Any:
                generator = self.draw(number, self.outer * (1 << 32) + at[0])
                return backend.asarray(op.kernel(generator, *map(backend.to_numpy, operands), **node.params))

            return drawn
        kernel = functools.partial(op.kernel, backend.xp, **node.params)
        if isinstance(op, Declared) and not op.own:
            return functools.partial(_checked, plan, i, kernel, backend)
        if isinstance(node.spec, Spec) and not node.spec.shape:  # NumPy gives a scalar there, which is no array
            return lambda *operands: backend.asarray(kernel(*operands))
        return kernel

    def inner(self, plan: Plan, i: int, turn: int) -> Hosted:
        """What runs the bodies of a region in a body, in a turn of that."""
        outer = self.outer * (1 << 32) + turn
        node = plan.graph.nodes[i]
        return type(self)(self.backend, self.draw, plan.origin(i), node.op.name, outer, self.rounded, self.watch)

    def _located(self, reason: Exception, plan: Plan, step: Step | None, turn: int) -> None:
        if step is not None:
            locate(reason, plan, step.node)
        if self.what in ("scan", "while_loop"):
            reason.add_note(f"in turn {turn} of the {self.what}, {self.origin}")


class Silent(Hosted):
    """A machine that shows nothing and calls no hooks: for what looks at a step, and is no run of it."""

    def _kernel(self, plan: Plan, i: int, at: list[int]) -> Callable[..., Any]:
        if speaks(plan.graph.nodes[i]):
            return lambda x: x
        return super()._kernel(plan, i, at)


def _checked(plan: Plan, i: int, kernel: Callable[..., Any], backend: Backend, *operands: Any) -> Any:
    """What a kernel of the user's returned, if it is what its op declares."""
    result = kernel(*operands)
    if isinstance(plan.graph.nodes[i].spec, Spec):
        if isinstance(result, np.generic) or not hasattr(result, "flags"):
            result = backend.asarray(result)
        plan.check(i, [result])
    else:
        plan.check(i, result)
    return result


def owned(results: Sequence[Any], operands: Sequence[Any]) -> tuple[Any, ...]:
    """Results of a kernel in memory of their own: one may be an operand, whose memory is soon another's."""
    kept = {id(x) for x in operands}
    return tuple([y.copy() if id(y) in kept or getattr(y, "base", None) is not None else y for y in results])


def region_kernel(
    plan: Plan,
    index: int,
    backend: Backend,
    draw: Draw,
    rounded: Rounded = None,
    watch: Watch = None,
    kind: type[Hosted] = Hosted,
) -> Callable[..., Any]:
    """The kernel of a region, as a function of its operands; ``kind`` is that of the machine that runs its bodies."""
    node = plan.graph.nodes[index]
    machine = kind(backend, draw, plan.origin(index), node.op.name, 0, rounded, watch)
    return functools.partial(node.op.kernel, machine, **node.params)
