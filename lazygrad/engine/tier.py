"""When native code is made of a plan, and when it takes over.

A plan runs at once on NumPy while a thread beside compiles it; native code takes over at the next run after it is
ready. Where there is no native code (no llvmlite, or LLVM fails) NumPy goes on. Nothing here raises after a run: what
can fail is done at the beginning of the next.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from lazygrad import settings
from lazygrad.backends.base import Backend, Device
from lazygrad.engine.background import Cancelled, Job, submit
from lazygrad.engine.cpu.meter import Meter
from lazygrad.engine.forks import await_from_now_on, importing
from lazygrad.engine.progress import Progress
from lazygrad.engine.refused import Overtaken
from lazygrad.errors import BackendError, DefinitionError, report
from lazygrad.ops.source import assign
from lazygrad.plan import NativeCode, Plan
from lazygrad.store.draws import Drawing

if TYPE_CHECKING:
    from lazygrad.engine.cpu import making as cpu
    from lazygrad.engine.cuda import making as cuda

    Loaded = cpu.Loaded | cuda.DeviceLoaded
    Made = cpu.Made | cuda.DeviceMade

__all__ = ["Tier", "policy"]

BINDINGS = 8  # combinations of arrays for which addresses are kept
PATIENCE = 0.02  # seconds that a loop is interpreted before native code is made beside it


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


class Tier:
    """The native code of a plan: not asked for, being made, ready, or not to be had.

    Args:
        backend: on which the plan runs.
        name: of the step, in what is said of it.
        synchronous: whether a run waits to see that it has not failed; a CPU knows.

    Attributes:
        checked: whether every run is compared with one on NumPy, as ``LAZYGRAD_CHECK=1`` asks; not where a hook
            would be called twice.
    """

    def __init__(self, backend: Backend, name: str, synchronous: bool = True) -> None:
        self.backend = backend
        self.name = name
        self.synchronous = synchronous
        self.loaded: Loaded | None = None
        self.why_not = "it was not asked for"
        self.checked = False
        self.done: dict[int, Any] = {}  # what hooks gave in the last run
        self.at = -1  # the node of the call back that is under way
        self._wanted: Plan | None = None  # asked for, and not begun
        self._is_asked = False
        self._job: Job | None = None
        self._meter: Meter | None = None
        self._code: NativeCode | None = None
        self._bindings: dict[int, Any] = {}

    def ask(self, plan: Plan, wait: bool) -> None:
        """Have native code made of the plan: before this returns, or after :meth:`begin`, beside the program.

        Raises:
            BackendError: ``LAZYGRAD_NATIVE`` says what it cannot.
        """
        if not self._is_asked:
            said = policy()
            if said == "off":
                self.why_not = "LAZYGRAD_NATIVE is off"
            elif importlib.util.find_spec("llvmlite") is None:
                self.why_not = "llvmlite is not installed"
            else:
                self.why_not = "it is still being compiled"
                self._wanted = plan
            self.checked = settings.is_checked() and all(n.op.pure or n.of(assign) for n in plan.graph.nodes)
            self._meter = Meter(self.name, len(plan.graph.nodes))
            self._is_asked = True
        if wait:
            try:
                self.wait()
            except KeyboardInterrupt:
                self.give_up()
                self._is_asked = False
                raise

    def begin(self) -> None:
        """Begin with what was asked for, beside the program; it does not fail."""
        plan = self._wanted
        if plan is not None:
            await_from_now_on()
            self._job = submit(lambda job: self._make(job, plan))
            self._wanted = None

    @property
    def watch(self) -> Callable[[], None] | None:
        """What a loop calls before every turn while the plan is interpreted; None if there is nothing to wait for.

        A loop that takes long has native code made beside it, and is left when that is ready (Overtaken).
        """
        if self.checked or self.backend.name != "numpy" or (self._wanted is None and self._job is None):
            return None
        since = time.perf_counter()

        def watched() -> None:
            if self._wanted is not None:
                if time.perf_counter() - since > PATIENCE:
                    self.begin()
            elif self._job is not None and self._job.is_done and self._job.failure is None:
                raise Overtaken

        return watched

    def wait(self) -> None:
        """Return when native code is in place, or cannot be had."""
        self.begin()
        if self._job is not None:
            self._job.wait()
            self.is_ready()

    def give_up(self, why: str = "the plan was forgotten") -> None:
        """Stop compiling; the plan runs on NumPy."""
        job, self._job, self._wanted = self._job, None, None
        if self.loaded is None and self._is_asked:
            self.why_not = why
        if job is not None:
            job.cancel()

    def progress(self) -> Progress:
        """How far the compilation is; of no kernels if nothing is compiled."""
        return Progress(0, 0, 0, None) if self._meter is None else self._meter.progress()

    def _make(self, job: Job, plan: Plan) -> Made:
        """The object code of the plan, in the thread beside the program, which imports what compiles."""
        assert self._meter is not None
        if self.backend.name != "numpy":
            with importing():
                from lazygrad.engine.cuda import making as device
            job.check()
            synchronous = self.synchronous or self.checked
            return device.made(plan, self._meter, job.check, cast(Device, self.backend), synchronous)
        with importing():
            from lazygrad.engine.cpu import cache_folder, llvm_process

            if cache_folder.is_empty():
                llvm_process.start()  # while the rest is imported
            from lazygrad.engine.cpu import making

            making.prepare(plan)
        job.check()
        job.leave = making.stop
        return making.made(plan, self._meter, job.check)

    def is_ready(self) -> bool:
        """Whether native code runs the plan from now on. It is put in place here, by the thread that runs the plan."""
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

    def _load(self, made: Made) -> None:
        self.loaded, self._code = made.load(self.backend.xp), made

    def code(self) -> NativeCode | None:
        """What a plan says of its native code, if that is in place."""
        return self._code

    def _say(self, failure: BaseException) -> None:
        self.why_not = f"it could not be compiled: {type(failure).__name__}: {failure}"
        if isinstance(failure, (Cancelled, DefinitionError)):  # the process ends; NumPy says so too
            return
        text = f"{failure}".splitlines()[0] if f"{failure}" else ""
        where = "on NumPy" if self.backend.name == "numpy" else "node by node"
        what = f"a step runs {where}, as it could not be compiled ({type(failure).__name__}: {text})"
        warnings.warn(what, RuntimeWarning, stacklevel=3)

    @property
    def is_late(self) -> bool:
        """Whether what runs the plan says only later that a run has failed."""
        return self.loaded is not None and self.loaded.is_late

    def failure(self, wait: bool) -> int:
        """Of the runs that are late the number of the first that failed; 0 if none has, as far as it is known."""
        return cast("cuda.DeviceLoaded", self.loaded).failure(wait)

    def binding(self, parity: int) -> Any:
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
        draw: Drawing,
        number: int = 1,
    ) -> Sequence[Any]:
        """Run the native code; see :meth:`lazygrad.engine.runner.Runner.run`.

        ``number`` counts runs since it was last known that none had failed.

        Raises:
            Refused: the step fails, and NumPy knows why.
        """
        binding = self._bindings.get(parity)
        if binding is None:
            assert self.loaded is not None
            binding = self.loaded.bind(live(), spare(), draw)
            if len(self._bindings) >= BINDINGS:
                self._bindings.clear()
            self._bindings[parity] = binding
        if self.is_late:
            cast("cuda.DeviceLoaded", self.loaded).begin(number)
        try:
            return binding.step(*inputs)
        finally:
            self.at, self.done = binding.at, binding.done
