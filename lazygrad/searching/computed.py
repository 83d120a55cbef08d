"""A plan, computed once on NumPy with every array kept, and the turns of the loops in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.backends.numpy import NumpyBackend
from lazygrad.define.kinds import Declared
from lazygrad.define.region import Region, Run
from lazygrad.engine.machine import BodyPlan, Hosted, Silent, locate, planned, region_kernel
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Node
from lazygrad.ops.control import Cond, Scan, While
from lazygrad.ops.halves import _halved
from lazygrad.ops.movement import _astype
from lazygrad.ops.passing import speaks
from lazygrad.plan import Plan
from lazygrad.searching.finding import is_bad
from lazygrad.store.draws import Drawing

__all__ = ["Computed", "Level", "Turn", "widened"]


class Level:
    """Arrays for all nodes of a plan: of that of a step, or of that of a body in one turn.

    Attributes:
        plan: whose nodes they are.
        arrays: one a node; a tuple of a node with several results.
        given: the nodes that are not computed here.
        turns: the numbers of the turns that the loops around are in, the outermost first.
        outer: the turn in one number, for draws.
        backend, draw: what it is computed with.
    """

    plan: Plan
    arrays: list[Any]
    given: dict[int, Any]
    turns: tuple[int, ...] = ()
    outer: int = 0
    backend: Backend
    draw: Drawing

    def applied(self, i: int, operands: Sequence[Any]) -> Any:
        """What the kernel of a node gives for these operands."""
        raise NotImplementedError

    def entered(self, i: int, kind: str, wanted: Sequence[int]) -> tuple[Turn, int] | None:
        """The turn of a node with bodies in which it becomes bad, and the node of the body that is so.

        Args:
            i: the node.
            kind: what is bad.
            wanted: the numbers of the results that are.

        Returns:
            Of what each turn gives beside the carry, the last one that is bad; of a carry, the first in a row of turns
            that ends with the last one. None, if no turn gives what is bad.
        """
        recorder = _Recorder(self, i, kind)
        for number in reversed(range(len(recorder.seen))):
            bad = recorder.seen[number][1]
            for k in wanted:
                if k < len(bad) and bad[k]:
                    return self.begun(recorder, number, k)
        return None

    def begun(self, recorder: _Recorder, number: int, k: int) -> tuple[Turn, int]:
        """The first in a row of runs in which an output is bad, if it is a carry; else that run."""
        node = self.plan.graph.nodes[recorder.node]
        if k < node.params.get("carries", 0):
            while (before := recorder.before(number)) is not None and recorder.seen[before][1][k]:
                number = before
        turn = Turn(self, _Recorder(self, recorder.node, recorder.kind, number))
        return turn, turn.outputs[k]


class Computed(Level):
    """A plan, computed once on NumPy, with every array.

    Args:
        plan: what is run.
        given: NumPy arrays of its variables, placeholders and constants, by node.
        draw: what random numbers are drawn from.
        hooks: whether what shows a value or calls a hook does so: once, whatever is computed from it afterwards.
        wide: whether all floats are float64, and no cast of floats rounds them.

    Attributes:
        failed: a node whose kernel raises as its operands are not finite, with what it raises; None if there is none.

    Raises:
        Exception: what a kernel raises whose operands are finite, with the user's line.
    """

    failed: tuple[int, Exception] | None = None

    def __init__(
        self,
        plan: Plan,
        given: dict[int, Any],
        draw: Drawing,
        hooks: bool = False,
        wide: bool = False,
    ) -> None:
        self.plan, self.draw, self.wide = plan, draw, wide
        self.backend = NumpyBackend()
        self.given = {i: widened(x) for i, x in given.items()} if wide else dict(given)
        if plan.stream is not None:
            self.given[plan.stream] = draw.stream
        self.arrays = [None] * len(plan.graph.nodes)
        silent = _Wide if wide else Silent
        self._machine: type[Hosted] = Hosted if hooks else silent
        for i, node in enumerate(plan.graph.nodes):
            if i in self.given:
                self.arrays[i] = self.given[i]
                continue
            operands = tuple([self.arrays[j] for j in node.inputs])
            try:
                self.arrays[i] = self.applied(i, operands)
            except Exception as reason:
                if not is_bad("finite", operands):
                    raise
                self.failed = i, reason
                break
        self._machine = silent

    def checked(self) -> Computed:
        """The same, if it has been computed to the end.

        Raises:
            Exception: what a kernel has raised.
        """
        if self.failed is not None:
            raise self.failed[1]
        return self

    def applied(self, i: int, operands: Sequence[Any]) -> Any:
        """What the kernel of a node gives for these operands."""
        node = self.plan.graph.nodes[i]
        op = node.op
        if self._machine is not Hosted and speaks(node):
            return operands[0]
        if self.wide and _is_rounding(node):
            return operands[0].astype(np.float64)
        try:
            with np.errstate(all="ignore"):
                if isinstance(op, Region):
                    given = self.plan, i, self.backend, self.draw
                    y = region_kernel(*given, rounded=widened if self.wide else None, kind=self._machine)(*operands)
                elif isinstance(op, Declared) and op.random:
                    y = op.kernel(self.draw(node.params["draw"]), *operands, **node.params)
                else:
                    y = op.kernel(self.backend.xp, *operands, **node.params)
        except Exception as reason:
            locate(reason, self.plan, i)
            raise
        if isinstance(y, (tuple, list)):
            return tuple(y)
        return widened(y) if self.wide else np.asarray(y)

    def again(self, changed: dict[int, Any], upto: int) -> Any:
        """The array of a node if some of what is given were other arrays."""
        arrays: dict[int, Any] = {}
        nodes = self.plan.graph.nodes
        for i in range(upto + 1):
            if i in changed:
                arrays[i] = changed[i]
            elif i not in self.given and any(j in arrays for j in nodes[i].inputs):
                arrays[i] = self.applied(i, [arrays.get(j, self.arrays[j]) for j in nodes[i].inputs])
        return arrays.get(upto, self.arrays[upto])


class Turn(Level):
    """A body of a node, as it was computed in one run of it.

    Attributes:
        parent, node: where the node stands that has the body.
    """

    plan: BodyPlan

    def __init__(self, parent: Level, recorder: _Recorder) -> None:
        self.parent, self.node, self._recorder = parent, recorder.node, recorder
        self.body, self.arrays, self._turn = recorder.kept
        self.plan = planned(self.body)
        self.backend, self.draw = parent.backend, parent.draw
        self.outer = parent.outer * (1 << 32) + self._turn
        is_loop = isinstance(self._made.op, (Scan, While))
        self.turns = (*parent.turns, self._turn) if is_loop else parent.turns
        self.given = {i: self.arrays[i] for i in self.plan.inputs}

    @property
    def _made(self) -> Node:
        return self.parent.plan.graph.nodes[self.node]

    @property
    def outputs(self) -> Sequence[int]:
        """The nodes whose values the body gives."""
        return self.plan.outputs

    def applied(self, i: int, operands: Sequence[Any]) -> Any:
        """What the kernel of a node gives for these operands."""
        with np.errstate(all="ignore"):
            return _whole(self._recorder._node(self.plan, i, [self._turn])(*operands))

    def before(self, i: int, kind: str) -> tuple[Level, int]:
        """Where what the body is given comes from: the turn in which a carry became bad, or an operand of the node."""
        place = list(self.plan.inputs).index(i)
        if place < self._made.params.get("carries", 0):
            recorder = _Recorder(self.parent, self.node, kind)
            earlier = recorder.before(self._recorder.number)
            if earlier is not None and recorder.seen[earlier][1][place]:
                return self.parent.begun(recorder, earlier, place)
        return self.parent, self._made.inputs[self._operand(place)]

    def _operand(self, place: int) -> int:
        """Which operand of the node an input of the body is, or is at first."""
        op, params = self._made.op, self._made.params
        if isinstance(op, Cond):
            return 1 + place
        if isinstance(op, While) and self.body is params["body"] and place >= params["carries"]:
            return len(params["condition"].inputs) + place - int(params["carries"])
        return place + int(params.get("limited", False))


def widened(x: Any) -> Any:
    """An array; of floats as float64."""
    x = np.asarray(x)
    return x.astype(np.float64) if x.dtype.kind == "f" and x.dtype != np.float64 else x


def _is_rounding(node: Node) -> bool:
    """Whether a node casts to floats, which may be short ones, or rounds them to half of their bits."""
    return node.of(_halved) or (node.of(_astype) and np.dtype(node.params["dtype"]).kind == "f")


class _Wide(Silent):
    """A machine that computes in float64."""

    def _kernel(self, plan: Plan, i: int, at: list[int]) -> Callable[..., Any]:
        return (lambda x: x.astype(np.float64)) if _is_rounding(plan.graph.nodes[i]) else super()._kernel(plan, i, at)


class _Reached(Exception):
    """The run has been whose arrays are kept."""


class _Recorder(Silent):
    """A machine that has run the bodies of a node, and remembers of every run what it gave that is bad.

    Args:
        level: where the node stands.
        node: its number.
        kind: what is bad.
        number: of the run whose arrays are kept, and which is the last one then.
    """

    kept: tuple[Body, list[Any], int]  # a body, the arrays of its nodes, the turn

    def __init__(self, level: Level, node: int, kind: str, number: int = -1) -> None:
        it = level.plan.graph.nodes[node]
        super().__init__(level.backend, level.draw, level.plan.origin(node), it.op.name, level.outer)
        self.node, self.kind, self.number = node, kind, number
        self.seen: list[tuple[Body, list[bool]]] = []  # of every run
        try:
            with np.errstate(all="ignore"):
                it.op.kernel(self, *[level.arrays[j] for j in it.inputs], **it.params)
        except _Reached:
            pass

    def before(self, number: int) -> int | None:
        """The run of the same body before one."""
        body = self.seen[number][0]
        return next((n for n in reversed(range(number)) if self.seen[n][0] is body), None)

    def inner(self, plan: Plan, i: int, turn: int) -> Hosted:
        """What runs the bodies of a region in a body: it need not be remembered."""
        outer = self.outer * (1 << 32) + turn
        return Silent(self.backend, self.draw, plan.origin(i), plan.graph.nodes[i].op.name, outer)

    def bound(self, body: Body, captured: Sequence[Any]) -> Run:
        """The body, node by node."""
        plan = planned(body)
        count, inputs, at = len(plan.graph.nodes), plan.inputs, [0]
        held = dict(zip(inputs[len(inputs) - len(captured) :], captured, strict=True))
        kernels = {i: self._node(plan, i, at) for i in range(count) if i not in set(inputs)}

        def run(turn: int, given: Sequence[Any]) -> list[Any]:
            at[0] = turn
            arrays: list[Any] = [None] * count
            for i, array in [*zip(inputs, given, strict=False), *held.items()]:
                arrays[i] = _whole(array)
            for i, kernel in kernels.items():
                arrays[i] = _whole(kernel(*[arrays[j] for j in plan.graph.nodes[i].inputs]))
            outputs = [arrays[i] for i in plan.outputs]
            self.seen.append((body, [is_bad(self.kind, y) for y in outputs]))
            if len(self.seen) - 1 == self.number:
                self.kept = body, arrays, turn
                raise _Reached
            return outputs

        return run


def _whole(y: Any) -> Any:
    """Arrays, where NumPy gives numbers."""
    return tuple(y) if isinstance(y, (tuple, list)) else np.asarray(y)
