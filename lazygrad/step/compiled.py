"""A compiled step: traced and planned once for each signature of its arguments."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary

import numpy as np

from lazygrad.engine.progress import Progress
from lazygrad.engine.runner import Runner
from lazygrad.engine.tier import Tier, policy
from lazygrad.errors import TraceError, report
from lazygrad.graph.graph import Graph, freeze
from lazygrad.graph.registry import here
from lazygrad.graph.tensor import Tensor
from lazygrad.plan import Plan
from lazygrad.step.arranged import of_worker
from lazygrad.step.called import check_step, find_again
from lazygrad.step.closures import Closure
from lazygrad.step.context import Context
from lazygrad.step.effects import called
from lazygrad.step.evaluator import Update, check_feeds
from lazygrad.step.exporting import Exporting
from lazygrad.step.inspected import Inspected
from lazygrad.step.scaling import checked_precision
from lazygrad.step.sent import Sent
from lazygrad.step.signatures import Signatures, signature
from lazygrad.step.traced import Traced
from lazygrad.store.store import EVALUATED
from lazygrad.trees import leaves, rebuilt, structure

if TYPE_CHECKING:
    from lazygrad.environment import VariableEnvironment

__all__ = ["Compiled"]

MISSED = object()  # what the quick way returns if it is not to be gone
MAX_SIGNATURES = 64  # the least recently used is forgotten first
MAX_BOUND = 64  # steps with settings given for good, likewise
# Nodes that NumPy would compute one by one in the first run, from which on it waits for native code instead: about a
# second of them, as compiling takes. Sixty numbers carried through 614 turns are 830,000 with their gradient: the
# first result came after 7.5 s beside the compiler, and comes after 3.2 s behind it (both on a busy machine).
LONG = 500_000


class Compiled(Exporting, Inspected):
    """A step that is traced at the first call with arguments of new shapes, dtypes or values.

    Called like the step, without the context. Arrays may change from call to call; everything else is
    part of the signature.
    """

    def __init__(
        self,
        env: VariableEnvironment,
        step: Callable[..., Any],
        wait: bool = False,
        precision: str | None = None,
        synchronous: bool = True,
    ) -> None:
        check_step(step)
        self._precision = None if precision is None else checked_precision(precision, env.dtype)
        functools.update_wrapper(self, getattr(step, "func", step), updated=())
        self._env, self._store = env, env._store
        self._step = step
        self._wait, self._synchronous = bool(wait), bool(synchronous)
        self._entries: OrderedDict[Any, Traced] = OrderedDict()
        self._last: Traced | None = None
        self._signatures = Signatures(step)
        self._closure = Closure(step)
        self._quick: Callable[[tuple[Any, ...]], Any] | None = None
        self._bound: WeakValueDictionary[Any, Compiled] = WeakValueDictionary()
        self._recent: OrderedDict[Any, Compiled] = OrderedDict()  # of these, the ones that are kept
        self._derived: OrderedDict[Any, Any] = OrderedDict()  # what others have made of the step
        _all.add(self)

    def bound(self, **settings: Any) -> Compiled:
        """The same step with some of its keyword arguments given for good, such as ``train=True``.

        Asking twice gives the same compiled step. Those that were asked for last are kept; one that is not, and that
        nobody else holds, is traced anew when it is asked for again.

        Args:
            settings: Python numbers, text and the like, not arrays.
        """
        key = tuple((name, freeze(value)) for name, value in sorted(settings.items()))
        with self._store.lock:
            found = self._bound.get(key)
            if found is None:
                options = self._wait, self._precision, self._synchronous
                found = type(self)(self._env, functools.partial(self._step, **settings), *options)
                self._bound[key] = found
            self._recent[key] = found
            self._recent.move_to_end(key)
            if len(self._recent) > MAX_BOUND:
                _, forgotten = self._recent.popitem(last=False)
                forgotten._forget()
            return found

    def _forget(self) -> None:
        """Let go of what it was compiled for; if it is called again, it is traced again."""
        for entry in self._entries.values():
            entry.native.give_up()
        self._entries.clear()
        self._quick = None

    def __call__(self, *args: Any, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Run the step.

        Raises:
            TraceError: the step asks for a value, or returns nothing to compute; or an argument that
                is not an array cannot be part of a signature.
            LateError: an earlier call of a step that is not synchronous had failed; this one was not made.
            FeedError: a placeholder has no array, or one that does not fit.
        """
        store = self._store
        with store.lock:
            if self._quick is not None and feeds is None and not kwargs:
                result = self._quick(args)
                if result is not MISSED:
                    return result
            store.check_idle(late=not self._synchronous)
            check_feeds(feeds)
            arrays, key = self._sign(args, kwargs, feeds)
            entry = self._entries.get(key)
            if entry is None or entry.version != store.version:
                store.check_idle()
                return self._first(key, args, kwargs, feeds or {}, arrays)
            with contextlib.suppress(KeyError):  # a handler of a signal has called it with many other signatures
                self._entries.move_to_end(key)
            self._last = entry
            inputs = entry.inputs(arrays, feeds, self._store.backend)
            quick = self._quickly(entry, args, arrays) if feeds is None and not kwargs else None
            result = store.transact(entry.runner, inputs, entry.pack)
            self._quick = quick
            return result

    def _sign(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], feeds: dict[str, Any] | None
    ) -> tuple[list[Any], tuple[Any, Any]]:
        """The arrays among the arguments, and the key of all else that a trace depends on.

        If the step reads other objects than it did, all that was traced is forgotten.
        """
        closure = self._closure
        if closure.same is not None and not closure.same() and not closure.look():
            self._signatures.other(closure.others)
            self._forget()
        arrays, key = signature(args, kwargs, feeds, self._store.backend)
        return arrays, (key, closure.key)

    def _quickly(self, entry: Traced, args: tuple[Any, ...], arrays: Sequence[Any]) -> Any:
        """The way of a call like the last one, where native code does all of it.

        What is left for Python is to find the addresses for the side on which the variables lie, and to commit.
        """
        store, runner = self._store, entry.runner
        native = entry.native
        if native.checked or any(type(a) is not np.ndarray for a in args) or not native.is_ready():
            return None
        sources = [which if kind == "argument" else entry.constants[which] for kind, which in entry.sources]
        read = {which for kind, which in entry.sources if kind == "argument"}
        if any(kind == "feed" for kind, _ in entry.sources):
            return None
        # Native code looks at the arrays that it reads; the others are compared here.
        unread = [(which, a.shape, a.dtype) for which, a in enumerate(args) if which not in read]
        touched, same, draws = store.touched(runner), self._closure.same, runner.plan.draws
        count, version, flips, pack = len(args), entry.version, runner.flips, entry.pack
        sides: dict[int, Any] = {}  # for each side on which the variables lie what runs the step there
        ways: dict[Any, Any] = {}  # for each state that, and the state that follows

        def way(state: Any) -> Any:
            side = state[0] & touched
            run = sides.get(side)
            if run is None:
                binding = native.binding(side)
                run = None if binding is None else binding.quick(sources)
                if run is None:
                    return None, None
                sides[side] = run
            if len(ways) > 64:
                ways.clear()
            if draws:  # every run has a state of its own
                store.drawing.begin(store.draws, state[1])
                return run, store.after(flips, draws)
            found = ways[state] = run, store.after(flips)
            return found

        def quickly(args: tuple[Any, ...]) -> Any:
            if store.executing or len(args) != count or store.version != version:
                return MISSED
            if same is not None and not same():
                return MISSED
            for which, shape, dtype in unread:
                a = args[which]
                if type(a) is not np.ndarray or a.shape != shape or a.dtype != dtype:
                    return MISSED
            try:
                store.executing = EVALUATED  # before anything is read: from here on nobody else runs a step
                state = store.state
                run, new = ways.get(state) or way(state)
                values = None if run is None else run(args)
                if values is None:
                    return MISSED
                result = pack(values)
                store.state = new
                return result
            finally:
                store.executing = ""

        return quickly

    def _first(
        self, key: Any, args: Any, kwargs: Any, feeds: dict[str, Any], arrays: Sequence[Any], run: bool = True
    ) -> Any:
        """Trace, plan, and run for the first time; a failure leaves nothing behind."""
        env = self._env
        graph = Graph(env.dtype)
        context = Context(env, graph, feeds, True, self._precision)

        def traced_and_run() -> tuple[Traced, Any]:
            entry = self._traced(context, args, kwargs)
            plan, native = entry.runner.plan, entry.native
            self._signatures.add(args, kwargs, feeds, self._closure.kinds)
            self._signatures.say(args, kwargs, feeds, self._closure.kinds, self._store.version)
            wait = self._wait or context.among.size > 1  # all workers compute with the same rounding
            native.ask(plan, wait=wait or not run or policy() == "wait" or plan.evaluations > LONG)
            if not run:
                return entry, None
            inputs = entry.inputs(arrays, feeds, self._store.backend)
            return entry, self._store.transact(entry.runner, inputs, entry.pack)

        try:
            entry, result = env._write(graph, traced_and_run)
        except Exception as reason:
            self._signatures.explain(reason, args, kwargs)
            raise
        self._closure.settle(called(graph))
        key = (key[0], self._closure.key)
        entry.version = self._store.version
        entry.native.begin()  # after the run, so that the two do not slow each other down
        self._entries[key] = self._last = entry
        if len(self._entries) > MAX_SIGNATURES:
            _, forgotten = self._entries.popitem(last=False)
            forgotten.native.give_up()
        return result

    def _traced(self, context: Context, args: tuple[Any, ...], kwargs: dict[str, Any], shared: bool = True) -> Traced:
        """The step as it is written in a context, and planned."""
        result = context.call(self._step, args, kwargs)
        native = Tier(self._store.backend, getattr(self._step, "__name__", "a step"), self._synchronous)
        arranged = of_worker(context) if context.among.size > 1 else None
        plan = Plan(context.graph, context.asked(result), shared, native.code, arranged)
        return Traced.of(context, Runner(plan, self._store.backend, native), native, _packer(result))

    def prepare(self, *args: Any, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Plan:
        """Trace, plan and compile for arguments like these, and compute nothing; the plan.

        Raises:
            TraceError, FeedError: as a call would.
        """
        store = self._store
        with store.lock:
            store.check_idle()
            check_feeds(feeds)
            arrays, key = self._sign(args, kwargs, feeds)
            entry = self._entries.get(key)
            if entry is None or entry.version != store.version:
                self._first(key, args, kwargs, feeds or {}, arrays, run=False)
            else:
                self._last = entry
                entry.native.ask(entry.runner.plan, wait=True)
            return self.plan

    def wait(self) -> None:
        """Return when native code is in place for every signature there has been, or cannot be had."""
        for entry in list(self._entries.values()):
            entry.native.wait()

    def synchronize(self) -> None:
        """Return when it is known that no call of a step that is not synchronous has failed.

        Raises:
            LateError: one had.
        """
        with self._store.lock:
            self._store.settle()

    def cancel(self) -> None:
        """Stop compiling, at once, for every signature there has been: they run on NumPy from now on.

        What is native already stays so, and new signatures are compiled.
        """
        for entry in list(self._entries.values()):
            entry.native.give_up("it was cancelled")

    @property
    def progress(self) -> Progress:
        """How far native code for the signature of the last call is: nodes, kernels, kernels done, seconds left.

        Raises:
            TraceError: there was no call yet.
        """
        return self._known().native.progress()

    @property
    def is_native(self) -> bool:
        """Whether the signature of the last call is run by native code from now on."""
        return self._last is not None and self._last.native.is_ready()

    @property
    def plan(self) -> Plan:
        """The plan of the last call.

        Raises:
            TraceError: there was none yet.
        """
        return self._known().runner.plan

    def source(self, language: str = "python") -> str:
        """The source of what runs the signature of the last call.

        Args:
            language: ``"python"`` for the program of NumPy calls; ``"llvm"`` for the kernels of native code, in
                LLVM's language. It waits until they are compiled.

        Raises:
            TraceError: there was no call yet; or no native code, and why.
        """
        entry = self._known()
        if language == "python":
            return entry.runner.source()
        if language != "llvm":
            raise TraceError(report(f"cannot show source in {language!r}", at=here(), cure="Say 'python' or 'llvm'."))
        native = entry.native
        native.wait()
        if not native.is_ready() or native.loaded is None:
            raise TraceError(report("there is no native code", at=here(), cure=f"Why: {native.why_not}."))
        return native.loaded.text()

    def _known(self) -> Traced:
        if self._last is None:
            cure = "Call the compiled step once: it is planned for the arguments it is called with."
            raise TraceError(report("the step has not been compiled yet", at=here(), cure=cure))
        return self._last

    def __reduce__(self) -> Any:
        # A copy, or what is unpickled, is traced and compiled anew, for its own environment.
        find_again(self.__wrapped__, Compiled)  # type: ignore[attr-defined]
        return _sent, self._parts()

    def __copy__(self) -> Compiled:
        return type(self)(*self._parts())

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        return _sent(*copy.deepcopy(self._parts(), memo))

    def _parts(self) -> tuple[Any, ...]:
        return self._env, self._step, self._wait, self._precision, self._synchronous

    def __repr__(self) -> str:
        return f"<Compiled {getattr(self._step, '__name__', 'step')}, {len(self._entries)} signatures>"


def _sent(env: VariableEnvironment, step: Callable[..., Any], *options: Any) -> Compiled:
    """What comes out of a pickle, or a copy."""
    return Compiled(env, step if isinstance(step, Sent) else Sent(step), *options)


def _packer(tree: Any) -> Callable[[Sequence[Any]], Any]:
    """A function that puts arrays in place of the tensors that the step returned; what is only shown follows them."""
    if type(tree) is Tensor:
        return lambda values: values[0]
    found = [leaf for _, leaf in leaves(tree)]
    tensors = [i for i, leaf in enumerate(found) if type(leaf) is Tensor]
    template = [None if type(leaf) in (Tensor, Update) else leaf for leaf in found]

    def packed(values: Sequence[Any]) -> Any:
        filled = list(template)
        for i, value in zip(tensors, values, strict=False):
            filled[i] = value
        return tuple(filled) if flat else rebuilt(shape, filled)

    flat = type(tree) is tuple and structure(tree) == (tuple, *[None] * len(found))
    shape = rebuilt(tree, template)
    return packed


def _forgotten() -> None:
    # A forked process has no workers, which binding hires anew.
    for compiled in list(_all):
        compiled._quick = None
        for entry in compiled._entries.values():
            entry.native.unbind()


_all: WeakSet[Compiled] = WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forgotten)
