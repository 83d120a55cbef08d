"""Running a plan: node by node, or as the program that was written for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from lazygrad.backends.base import Backend, Device
from lazygrad.define.kinds import Declared
from lazygrad.define.region import Region
from lazygrad.engine.agreement import NUDGES, disagreement, nudge
from lazygrad.engine.checks.declarations import check
from lazygrad.engine.machine import locate, region_kernel
from lazygrad.engine.memory import aligned
from lazygrad.engine.numpy.step import Program
from lazygrad.engine.refused import Overtaken, Refused
from lazygrad.engine.tier import Tier
from lazygrad.errors import BackendError, LateError, report
from lazygrad.graph.spec import Spec
from lazygrad.ops.source import assign
from lazygrad.plan import Plan
from lazygrad.store.draws import Drawing
from lazygrad.values.foreign import on_device

__all__ = ["Runner", "interpret"]

MAX_PROGRAM = 20_000  # nodes; longer plans are interpreted, as Python's compiler takes ever longer with them


def interpret(
    plan: Plan,
    backend: Backend,
    given: dict[int, Any],
    draw: Drawing,
    rounded: Callable[[Any], Any] | None = None,
    fixed: dict[int, Any] | None = None,
    watch: Callable[[], None] | None = None,
) -> list[Any]:
    """The array of every node that is kept, computed node by node; each dies after its last use.

    What a node gives, in a loop too, is passed through ``rounded``, if that is given: so it can be seen what rounding
    does. What is the same in every run is put into ``fixed``, if that is given. ``watch`` is called before every turn.

    This is the plain reading of a plan, by which every other is judged. It also checks that each kernel
    returns what its op declares.
    """
    arrays: list[Any] = [None] * len(plan.graph.nodes)
    if plan.stream is not None:
        given = {**given, plan.stream: backend.asarray(draw.stream)}
    for i, array in given.items():
        arrays[i] = array
    i = -1
    try:
        for i, node in enumerate(plan.graph.nodes):
            if arrays[i] is not None:
                continue
            y = _computed(plan, i, [arrays[j] for j in node.inputs], backend, draw, rounded, watch)
            spec = node.spec
            if isinstance(spec, Spec):
                y = _checked(plan, i, spec, y, backend)
            else:
                plan.check(i, y)
            arrays[i] = y if rounded is None or not node.inputs or not isinstance(spec, Spec) else rounded(y)
            if fixed is not None and plan.static[i]:
                fixed[i] = y
            for j in plan.dying[i]:
                arrays[j] = None
    except Exception as reason:
        locate(reason, plan, i)
        raise
    return arrays


def _computed(
    plan: Plan,
    i: int,
    operands: Sequence[Any],
    backend: Backend,
    draw: Drawing,
    rounded: Callable[[Any], Any] | None,
    watch: Callable[[], None] | None,
) -> Any:
    """What the kernel of a node gives."""
    node = plan.graph.nodes[i]
    op = node.op
    if isinstance(op, Declared) and op.random:
        found = op.kernel(draw(node.params["draw"]), *map(backend.to_numpy, operands), **node.params)
        return backend.asarray(found)
    if isinstance(op, Region):
        return region_kernel(plan, i, backend, draw, rounded=rounded, watch=watch)(*operands)
    if i in plan.of_halves:
        return backend.xp.matmul_of_halves(*operands)
    return op.kernel(backend.xp, *operands, **node.params)


def _same_bits(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    one, other = [np.ascontiguousarray(x).reshape(-1).view(np.uint8) for x in (a, b)]
    return np.array_equal(one, other)


def _checked(plan: Plan, index: int, spec: Spec, y: Any, backend: Backend) -> Any:
    """What a kernel returned, as an array; DefinitionError if its op declares another one."""
    if isinstance(y, np.generic) or not hasattr(y, "flags"):
        y = backend.asarray(y)
    if y.shape != spec.shape or y.dtype != spec.dtype:
        raise plan.misdeclared(index, str(Spec(y.shape, y.dtype)))
    return y


class Runner:
    """A plan with what it takes to run it again and again on one environment's arrays.

    The first run interprets; a program is written for the second. So what runs once costs no more than
    running it once, and what runs often costs little more than its arithmetic. Native code takes over when it
    was asked for and is ready.
    """

    def __init__(self, plan: Plan, backend: Backend, native: Tier | None = None) -> None:
        if any(not getattr(node.op, "own", True) for node in plan.graph.nodes):
            check(plan)
        self.plan = plan
        self.backend = backend
        self.runs = 0
        self.program: Program | None = None
        self.arena: Any = None
        self.bindings: dict[int, Callable[..., Any]] = {}
        self.fixed: dict[int, Any] | None = None  # on a device: what is the same in every run, made there once
        self._sent: dict[int, tuple[Any, Any]] = {}  # constants, as they were given and as they lie on the device
        self.native = native
        self.number = 1  # of a run since it was last known that none had failed; set by the environment
        self.is_late = False  # whether the last run may still turn out to have failed
        self.last: Sequence[Any] = ()  # its inputs, if it may
        # Whether there are loops, and a run that is left in the middle has done nothing.
        acts = any(not node.op.pure and not node.of(assign) for node in plan.graph.nodes)
        self.loops = not acts and any(isinstance(node.op, Region) for node in plan.graph.nodes)
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
        draw: Drawing,
    ) -> Sequence[Any]:
        """Compute values, and write updates into the spare arrays; nothing else is changed.

        Args:
            inputs: arrays for ``input_nodes``, contiguous and of their specs.
            parity: which of its two arrays each variable's value lies in; names a binding.
            live, spare: the arrays of the variables by name, asked for where there is no binding yet.
            draw: what random numbers are drawn from.

        Returns:
            The arrays of the plan's values, which nothing will change any more.
        """
        self.runs += 1
        self.is_late = False
        native = self.native
        if native is not None and native.is_ready():
            try:
                if native.checked:
                    return self._compare(native, inputs, parity, live, spare, draw)
                self.last, self.is_late = inputs if native.is_late else (), native.is_late
                return native.run(inputs, parity, live, spare, draw, self.number)
            except Refused:  # NumPy says why
                return self._interpret(inputs, live(), spare(), draw, done=native.done)
            except BackendError:
                raise
            except Exception as reason:
                locate(reason, self.plan, native.at)
                raise
        if native is not None and self.loops and native.watch is not None:
            try:
                return self._interpret(inputs, live(), spare(), draw, watch=native.watch)
            except Overtaken:
                return self.run(inputs, parity, live, spare, draw)
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

    def full(self, reason: MemoryError) -> Exception:
        """The error that a device has not the memory for a run; of NumPy, which says it well, its own."""
        if self.backend.name == "numpy" or isinstance(reason, BackendError):
            return reason
        needed = [f"needed:  {self.plan.peak_bytes:,} bytes in which it works, beside variables, inputs and results"]
        return cast(Device, self.backend).full("cannot run a step", needed, reason)

    @property
    def may_be_late(self) -> bool:
        """Whether a run may still turn out to have failed after it was committed."""
        return self.native is not None and not self.native.synchronous

    def has_failed(self) -> bool:
        """Whether it is known already, without waiting, that one of the runs that are late has failed."""
        return self.native is not None and self.native.failure(wait=False) > 0

    def failed(self) -> int:
        """The number of the first of them that has, or 0; waits until it is known."""
        assert self.native is not None
        return self.native.failure(wait=True)

    def explain(self, inputs: Sequence[Any], parity: int, live: Any, spare: Any, draw: Drawing) -> Sequence[Any]:
        """As :meth:`run`, node by node, which says why a run fails."""
        return self._interpret(inputs, live(), spare(), draw)

    def late_error(self, failed: int, count: int, why: Exception | None) -> LateError:
        """That of ``count`` runs the one with the number ``failed`` has failed, and of it ``why``, if that is known."""
        name, lost = self.native.name if self.native else "a step", count - failed + 1
        last = "it is the last one" if lost == 1 else f"the {lost - 1} after it have done nothing"
        facts = [f"call:  {failed} of {count} since it was last waited for; {last}"]
        facts += [f"why:   {type(why).__name__}: {f'{why}'.splitlines()[0]}"] if why is not None and f"{why}" else []
        cure = "Variables and draws are as they were before that call. Compiled without synchronous=False a step "
        cure += "raises in the call that fails, and says where."
        return LateError(report(f"a call of {name} had failed on the GPU", facts=facts, cure=cure), lost)

    def _interpret(
        self,
        inputs: Sequence[Any],
        live: Any,
        spare: Any,
        draw: Any,
        rounded: Callable[[Any], Any] | None = None,
        done: dict[int, Any] | None = None,
        watch: Callable[[], None] | None = None,
    ) -> Sequence[Any]:
        plan = self.plan
        if self.backend.name != "numpy":
            cast(Device, self.backend).check()
        given = dict(zip(self.input_nodes, inputs, strict=True))
        given.update({i: live[name] for name, i in plan.variables.items()})
        given.update(done or {})
        given.update(self.fixed or {})
        fixed: dict[int, Any] | None = {} if self.backend.name != "numpy" and self.fixed is None else None
        arrays = interpret(plan, self.backend, given, draw, rounded, fixed, watch)
        if fixed is not None:
            self.fixed = fixed
        for name, i in plan.updates.items():
            spare[name][...] = arrays[i]
        return [arrays[i].copy() for i in plan.values]

    def _compare(
        self, native: Tier, inputs: Sequence[Any], parity: int, live: Any, spare: Any, draw: Any
    ) -> Sequence[Any]:
        """The native run, after one on NumPy that must give the same.

        Raises:
            BackendError: it does not.
        """
        names = [self.plan.graph.describe(i) for i in self.plan.values]
        names += [f"variable {name!r}" for name in spare()]

        def run_on_numpy(rounded: Callable[[Any], Any] | None = None) -> list[Any]:
            values = self._interpret(inputs, live(), spare(), draw, rounded)
            return [host(array).copy() for array in (*values, *spare().values())]

        def nudged_on_host(array: Any) -> Any:
            return self.backend.asarray(nudge(host(array), rng))

        host, rng = self.backend.to_numpy, np.random.default_rng(0)
        expected = run_on_numpy()
        nudged: list[list[Any]] = []
        values = native.run(inputs, parity, live, spare, draw)
        found = [host(array).copy() for array in (*values, *spare().values())]
        if any(disagreement(a, b) for a, b in zip(found, expected, strict=True)):
            for _ in range(NUDGES):
                nudged.append(run_on_numpy(nudged_on_host))
            for array, own in zip(spare().values(), found[len(values) :], strict=True):
                array[...] = self.backend.asarray(own)
        for what, a, b, *others in zip(names, found, expected, *nudged, strict=True):
            difference = disagreement(a, b, others)
            if difference is not None:
                cure = "This is a fault of lazygrad: please report it. LAZYGRAD_NATIVE=off runs the step on NumPy."
                facts = [f"{what}:  {difference}"]
                raise BackendError(report("native code and NumPy disagree", facts=facts, cure=cure))
        return values

    def sent(self, i: int, array: Any) -> Any:
        """The constant at node ``i`` as an array of the backend, sent there again only if it is another one."""
        if self.backend.name == "numpy" or on_device(array):
            return self.backend.asarray(array)
        before, sent = self._sent.get(i, (None, None))
        if before is None or not _same_bits(before, array):
            sent = self.backend.asarray(array)
            self._sent[i] = (array, sent)
        return sent

    def source(self) -> str:
        """The source of the program, written if it was not; on a device there is none, and the graph is shown."""
        if self.backend.name != "numpy":
            return f"# on {self.backend.name}: interpreted one by one\n{self.plan.graph}"
        if len(self.plan.graph.nodes) > MAX_PROGRAM:
            return f"# more than {MAX_PROGRAM:,} nodes: interpreted one by one\n{self.plan.graph}"
        return (self.program or Program(self.plan, self.backend.xp)).source

    def _bind(self, parity: int, live: Any, spare: Any, draw: Any) -> Callable[..., Any]:
        if self.program is None:
            program = Program(self.plan, self.backend.xp)
            self.arena = aligned(program.nbytes)
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
