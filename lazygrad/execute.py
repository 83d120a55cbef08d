"""Running a plan: node by node, or as the program that was written for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.codegen.step import Program
from lazygrad.errors import DefinitionError, report
from lazygrad.kinds import Declared
from lazygrad.plan import Plan
from lazygrad.spec import Spec

__all__ = ["Runner", "interpret"]

MAX_PROGRAM = 20_000  # nodes; longer plans are interpreted, as Python's compiler takes ever longer with them


def interpret(plan: Plan, backend: Backend, bound: dict[int, Any], draw: Callable[[int], Any]) -> list[Any]:
    """The array of every node that is kept, computed node by node; each dies after its last use.

    This is the plain reading of a plan, by which every other is judged. It also checks that each kernel
    returns what its op declares.
    """
    xp = backend.xp
    arrays: list[Any] = [None] * len(plan.graph.nodes)
    for i, array in bound.items():
        arrays[i] = array
    i = -1
    try:
        for i, node in enumerate(plan.graph.nodes):
            if arrays[i] is not None:
                continue
            operands = [arrays[j] for j in node.inputs]
            op = node.op
            if isinstance(op, Declared) and op.random:
                y = op.kernel(draw(node.params["draw"]), *map(backend.to_numpy, operands), **node.params)
                y = backend.asarray(y)
            else:
                y = op.kernel(xp, *operands, **node.params)
            spec = node.spec
            if isinstance(spec, Spec):
                if isinstance(y, np.generic) or not hasattr(y, "flags"):
                    y = backend.asarray(y)
                if y.shape != spec.shape or y.dtype != spec.dtype:
                    _wrong(plan, i, str(Spec(y.shape, y.dtype)))
            elif not isinstance(y, (tuple, list)):
                _wrong(plan, i, type(y).__name__)
            elif tuple(Spec(part.shape, part.dtype) for part in y) != spec:
                _wrong(plan, i, ", ".join(str(Spec(part.shape, part.dtype)) for part in y))
            arrays[i] = y
            for j in plan.dying[i]:
                arrays[j] = None
    except Exception as reason:
        locate(reason, plan, i)
        raise
    return arrays


def _wrong(plan: Plan, index: int, got: str) -> None:
    node = plan.graph.nodes[index]
    declared = node.spec if isinstance(node.spec, Spec) else ", ".join(map(str, node.spec))
    raise DefinitionError(
        report(
            f"op {node.op.name!r} declares {declared}, but its kernel returned {got}",
            at=plan.origin(index),
            cure="Correct its shape or dtype rule, or cast in the kernel.",
        )
    )


def locate(reason: BaseException, plan: Plan, index: int) -> None:
    """Add to an exception from a kernel which node was being computed, and where the user wrote it."""
    if 0 <= index < len(plan.graph.nodes):
        node = plan.graph.nodes[index]
        operands = ", ".join(str(plan.graph.nodes[j].spec) for j in node.inputs)
        reason.add_note(f"while evaluating {node.op.name}({operands}), {plan.graph.origins[index]}")


class Runner:
    """A plan with what it takes to run it again and again on one environment's arrays.

    The first run interprets; a program is written for the second. So what runs once costs no more than
    running it once, and what runs often costs little more than its arithmetic.
    """

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan = plan
        self.backend = backend
        self.runs = 0
        self.program: Program | None = None
        self.arena: Any = None
        self.bindings: dict[int, Callable[..., Any]] = {}
        self.touched: int | None = None  # bits of the variables it reads or changes, set by the environment
        self.flips = 0  # bits of those it changes
        self.input_nodes = sorted([*plan.placeholders.values(), *plan.constants])
        self.input_specs = [plan.spec(i) for i in self.input_nodes]

    def run(
        self,
        inputs: Sequence[Any],
        parity: int,
        live: Callable[[], dict[str, Any]],
        spare: Callable[[], dict[str, Any]],
        draw: Callable[[int], Any],
    ) -> Sequence[Any]:
        """Compute values, and write updates into the spare arrays; nothing else is changed.

        Args:
            inputs: arrays for ``input_nodes``, contiguous and of their specs.
            parity: which of its two arrays each variable's value lies in; names a binding.
            live, spare: the arrays of the variables by name, asked for where there is no binding yet.
            draw: the generator for a draw's number.

        Returns:
            The arrays of the plan's values, which nothing will change any more.
        """
        self.runs += 1
        if self.backend.name != "numpy" or self.runs == 1 or len(self.plan.graph.nodes) > MAX_PROGRAM:
            return self._interpret(inputs, live(), spare(), draw)
        step = self.bindings.get(parity)
        if step is None:
            step = self._bind(parity, live(), spare(), draw)
        try:
            return cast(Sequence[Any], step(*inputs))
        except Exception as reason:
            self._locate(reason)
            raise

    def _interpret(self, inputs: Sequence[Any], live: Any, spare: Any, draw: Any) -> Sequence[Any]:
        plan = self.plan
        bound = dict(zip(self.input_nodes, inputs, strict=True))
        bound.update({i: live[name] for name, i in plan.variables.items()})
        arrays = interpret(plan, self.backend, bound, draw)
        for name, i in plan.updates.items():
            spare[name][...] = arrays[i]
        return [arrays[i].copy() for i in plan.values]

    def _bind(self, parity: int, live: Any, spare: Any, draw: Any) -> Callable[..., Any]:
        if self.program is None:
            program = Program(self.plan, self.backend.xp)
            self.arena = _aligned(program.nbytes)
            self.program = program  # last, so that an interrupt leaves no program without its arena
        if len(self.bindings) >= 8:
            self.bindings.clear()
        step = self.bindings[parity] = self.program.bind(live, spare, draw, self.arena)
        return step

    def _locate(self, reason: BaseException) -> None:
        trace = reason.__traceback__
        while trace is not None and self.program is not None:
            if trace.tb_frame.f_code.co_filename == self.program.filename:
                node = self.program.node_at(trace.tb_lineno)
                if node is not None:
                    locate(reason, self.plan, node)
                return
            trace = trace.tb_next


def _aligned(nbytes: int) -> Any:
    """A block of bytes that begins at a multiple of 64."""
    block = np.empty(nbytes + 64, np.uint8)
    start = -block.ctypes.data % 64
    return block[start : start + nbytes]
