"""When native code is made of a plan, and when it takes over.

A plan runs at once on NumPy while a thread beside compiles it; native code takes over at the next run after it is
ready. Where there is no native code (no llvmlite, or LLVM fails) NumPy goes on. Nothing here raises after a run: what
can fail is done at the beginning of the next.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lazygrad import settings
from lazygrad.backends.base import Backend
from lazygrad.engine.background import Cancelled, Job, submit
from lazygrad.engine.progress import Progress
from lazygrad.errors import BackendError, DefinitionError, report
from lazygrad.ops.source import assign
from lazygrad.plan import Plan

__all__ = ["Tier", "policy"]

BINDINGS = 8  # combinations of arrays for which addresses are kept


def policy() -> str:
    """What ``LAZYGRAD_NATIVE`` says: ``auto`` (if not set), ``wait`` or ``off``.

    Raises:
        BackendError: it says something else.
    """
    said = settings.native()
    if said not in ("auto", "wait", "off"):
        cure = "It is 'auto' (compile beside), 'wait' (compile before the first run) or 'off' (NumPy alone)."
        raise BackendError(report(f"cannot use LAZYGRAD_NATIVE={said!r}", cure=cure))
    return said


class Described(NamedTuple):
    """What a plan tells of its native code."""

    nbytes: int
    native: Any

    def explain(self) -> str:
        """Its kernels, in words."""
        from lazygrad.engine.cpu.explain import explained

        return explained(self.native)


class Tier:
    """The native code of a plan: not asked for, being made, ready, or not to be had.

    Attributes:
        checked: whether every run is compared with one on NumPy, as ``LAZYGRAD_CHECK=1`` asks; not where a hook
            would be called twice.
    """

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan = plan
        self.backend = backend
        self.name = "a step"
        self.loaded: Any = None
        self.why_not = "it was not asked for"
        self.checked = settings.is_checked() and all(n.op.pure or n.of(assign) for n in plan.graph.nodes)
        self.done: dict[int, Any] = {}  # what hooks gave in the last run
        self.at = -1  # the node of the call back that is under way
        self._is_wanted = False  # asked for, and not begun
        self._is_asked = False
        self._job: Job | None = None
        self._meter: Any = None
        self._bindings: dict[int, Any] = {}

    def ask(self, wait: bool) -> None:
        """Have native code made, beside the program or before this returns.

        Raises:
            BackendError: ``LAZYGRAD_NATIVE`` says what it cannot.
        """
        if not self._is_asked:
            said = policy()
            if self.backend.name != "numpy":
                self.why_not = f"arrays lie on the {self.backend.name} backend"
            elif said == "off":
                self.why_not = "LAZYGRAD_NATIVE is off"
            elif importlib.util.find_spec("llvmlite") is None:
                self.why_not = "llvmlite is not installed"
            else:
                self.why_not = "it is still being compiled"
                self._is_wanted = True
            self._is_asked = True
        if wait:
            try:
                self.wait()
            except KeyboardInterrupt:
                self.give_up()
                self._is_asked = False
                raise

    def begin(self) -> None:
        """Begin with what was asked for, beside the program; it does not fail.

        The first time in a process that is left to the next run, which imports the compiler first.
        """
        if self._is_wanted and "lazygrad.engine.cpu.making" in sys.modules:
            self._begin()

    def _begin(self) -> None:
        from lazygrad.engine.cpu import cache_folder, llvm_process

        if cache_folder.is_empty():
            llvm_process.start()  # while the rest is imported
        from lazygrad.engine.cpu import making

        meter = self._meter = making.Meter(self.name, len(self.plan.graph.nodes))
        self._job = submit(lambda job: self._make(job, meter), making.stop)
        self._is_wanted = False

    def wait(self) -> None:
        """Return when native code is in place, or cannot be had."""
        if self._is_wanted:
            self._begin()
        if self._job is not None:
            self._job.wait()
            self.is_ready()

    def give_up(self, why: str = "the plan was forgotten") -> None:
        """Stop compiling; the plan runs on NumPy."""
        job, self._job, self._is_wanted = self._job, None, False
        if self.loaded is None and self._is_asked:
            self.why_not = why
        if job is not None:
            job.cancel()

    def progress(self) -> Progress:
        """How far the compilation is; of no kernels if nothing is compiled."""
        return Progress(len(self.plan.graph.nodes), 0, 0, None) if self._meter is None else self._meter.progress()

    def _make(self, job: Job, meter: Any) -> Any:
        from lazygrad.engine.cpu.making import made

        return made(self.plan, meter, job.check)

    def is_ready(self) -> bool:
        """Whether native code runs the plan from now on. It is put in place here, by the thread that runs the plan."""
        if self._is_wanted:
            self._begin()
        job = self._job
        if job is not None and job.is_done:
            failure = job.failure
            if failure is None:
                try:
                    self._load(job.result)
                except Exception as reason:
                    failure = reason
            self._job = None
            if failure is not None:
                self._say(failure)
        return self.loaded is not None

    def _load(self, made: Any) -> None:
        from lazygrad.engine.cpu.making import Loaded

        native = made.native
        self.loaded = Loaded(native, self.backend.xp, made.compiled)
        self.plan.native = Described(native.nbytes, native)

    def _say(self, failure: BaseException) -> None:
        self.why_not = f"it could not be compiled: {type(failure).__name__}: {failure}"
        if isinstance(failure, (Cancelled, DefinitionError)):  # the process ends; NumPy says so too
            return
        text = f"{failure}".splitlines()[0] if f"{failure}" else ""
        what = f"a step runs on NumPy, as it could not be compiled ({type(failure).__name__}: {text})"
        warnings.warn(what, RuntimeWarning, stacklevel=3)

    def bound(self, parity: int) -> Any:
        """The code on the arrays that ``parity`` names, if it has been run on them."""
        return self._bindings.get(parity)

    def unbind(self) -> None:
        """Forget the arrays that the code has been run on."""
        self._bindings.clear()

    def run(
        self,
        inputs: Sequence[Any],
        parity: int,
        live: Callable[[], dict[str, Any]],
        spare: Callable[[], dict[str, Any]],
        draw: Callable[[int], Any],
    ) -> Sequence[Any]:
        """Run the native code; see :meth:`lazygrad.engine.runner.Runner.run`.

        Raises:
            Refused: the step fails, and NumPy knows why.
        """
        bound = self._bindings.get(parity)
        if bound is None:
            bound = self.loaded.bind(live(), spare(), draw)
            if len(self._bindings) >= BINDINGS:
                self._bindings.clear()
            self._bindings[parity] = bound
        try:
            return bound.step(*inputs)  # type: ignore[no-any-return]
        finally:
            self.at, self.done = bound.at, bound.done
