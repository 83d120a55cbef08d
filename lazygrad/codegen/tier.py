"""When native code is made of a plan, and when it takes over.

A plan runs at once on NumPy while a thread beside compiles it; native code takes over at the next run after it is
ready. Where there is no native code (no llvmlite, or LLVM fails) NumPy goes on.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lazygrad.backends.base import Backend
from lazygrad.codegen.background import Job, submit
from lazygrad.errors import BackendError, DefinitionError, report
from lazygrad.ops.source import assign
from lazygrad.plan import Plan

__all__ = ["Refused", "Tier", "policy"]

BINDINGS = 8  # combinations of arrays for which addresses are kept


class Refused(Exception):
    """A kernel found that the step fails; NumPy knows why."""


def policy() -> str:
    """What ``LAZYGRAD_NATIVE`` says: ``auto`` (if not set), ``wait`` or ``off``.

    Raises:
        BackendError: it says something else.
    """
    said = os.environ.get("LAZYGRAD_NATIVE", "") or "auto"
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
        from lazygrad.codegen.explain import explained

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
        self.loaded: Any = None
        self.why_not = "it was not asked for"
        self.checked = os.environ.get("LAZYGRAD_CHECK") == "1" and all(
            n.op.pure or n.of(assign) for n in plan.graph.nodes
        )
        self.done: dict[int, Any] = {}  # what hooks gave in the last run
        self.at = -1  # the node of the call back that is under way
        self._asked = False
        self._job: Job | None = None
        self._bindings: dict[int, Any] = {}

    def ask(self, wait: bool) -> None:
        """Have native code made, beside the program or before this returns."""
        if not self._asked:
            self._asked = True
            said = policy()
            if self.backend.name != "numpy":
                self.why_not = f"arrays lie on the {self.backend.name} backend"
            elif said == "off":
                self.why_not = "LAZYGRAD_NATIVE is off"
            elif importlib.util.find_spec("llvmlite") is None:
                self.why_not = "llvmlite is not installed"
            else:
                self.why_not = "it is still being compiled"
                self._job = Job(self._make) if wait else submit(self._make)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when native code is in place, or cannot be had."""
        if self._job is not None:
            self._job.wait()
            self.is_ready()

    def give_up(self) -> None:
        """Compile nothing for a plan that will not be run again."""
        if self._job is not None:
            self._job.cancel()
            self._job, self.why_not = None, "the plan was forgotten"

    def _make(self) -> Any:
        from lazygrad.codegen.bound import Loaded
        from lazygrad.codegen.llvm import machine
        from lazygrad.codegen.native import Native

        native = Native(self.plan, machine().width)
        self.plan.native = Described(native.nbytes, native)
        return Loaded(native, self.backend.xp)

    def is_ready(self) -> bool:
        """Whether native code runs the plan from now on."""
        if self._job is not None and self._job.is_done:
            job, self._job = self._job, None
            if job.failure is None:
                self.loaded = job.result
            else:
                self.why_not = f"it could not be compiled: {type(job.failure).__name__}: {job.failure}"
                if isinstance(job.failure, DefinitionError):  # NumPy says so too
                    return False
                text = f"{job.failure}".splitlines()[0] if f"{job.failure}" else ""
                what = f"a step runs on NumPy, as it could not be compiled ({type(job.failure).__name__}: {text})"
                warnings.warn(what, RuntimeWarning, stacklevel=2)
        return self.loaded is not None

    def bound(self, parity: int) -> Any:
        """The code on the arrays that ``parity`` names, if it has been run on them."""
        return self._bindings.get(parity)

    def run(
        self,
        inputs: Sequence[Any],
        parity: int,
        live: Callable[[], dict[str, Any]],
        spare: Callable[[], dict[str, Any]],
        draw: Callable[[int], Any],
    ) -> Sequence[Any]:
        """Run the native code; see :meth:`lazygrad.execute.Runner.run`.

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
