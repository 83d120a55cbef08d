"""Plan -> object code: what the thread beside the program does.

The thread imports this, and SciPy, while forks wait. As they wait for nothing else, and because the plan's own kernels
may do anything, the thread computes nothing: what is done with object code in
this process (:class:`~lazygrad.engine.cpu.binding.Loaded`) is done by the thread that runs the step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from lazygrad.engine.cpu import driver
from lazygrad.engine.cpu.addresses import addresses
from lazygrad.engine.cpu.binding import Loaded
from lazygrad.engine.cpu.cache import object_code
from lazygrad.engine.cpu.compiler import Stopped, stop
from lazygrad.engine.cpu.llvm import machine
from lazygrad.engine.cpu.meter import Meter
from lazygrad.engine.lanes.target import cpu
from lazygrad.engine.lower.classify import decomposes
from lazygrad.engine.table.explain import explained
from lazygrad.engine.table.lower import lowered
from lazygrad.engine.table.native import Module, Native
from lazygrad.plan import Plan

__all__ = ["Loaded", "Made", "Meter", "made", "prepare", "stop"]


class Made(NamedTuple):
    """A plan's native code, not yet in memory."""

    native: Native
    compiled: list[tuple[Module, bytes]]  # its modules with their object code

    def load(self, xp: Any) -> Loaded:
        """The code in memory; ``xp`` is the namespace with which calls back are made."""
        return Loaded(self.native, xp, self.compiled)

    @property
    def nbytes(self) -> int:
        """Bytes of its arena."""
        return self.native.nbytes

    def explain(self) -> str:
        """Its kernels, in words."""
        return explained(self.native)


def made(plan: Plan, meter: Meter, check: Callable[[], None]) -> Made:
    """The object code of a plan.

    Args:
        plan: what to compile.
        meter: is told how far it is.
        check: is called now and then, and raises if it is to be given up.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text.
    """

    def look() -> None:
        check()
        meter.look()

    native = lowered(plan, cpu(machine().width, lapack=bool(_lapack(plan))), look)
    modules = native.modules()
    meter.known(len(native.functions))
    length = sum(len(module.text) for module in modules)
    _insisting(driver.compiled, check)
    compiled = []
    for module in modules:
        compiled.append((module, _insisting(functools.partial(object_code, module.text), check)))
        meter.step(len(module.names), len(module.text) / length)
    return Made(native, compiled)


def prepare(plan: Plan) -> None:
    """Import what native code of the plan calls: SciPy, where matrices are decomposed."""
    _lapack(plan)


def _lapack(plan: Plan) -> dict[str, int]:
    return addresses() if decomposes(plan.graph) else {}


def _insisting(compile: Callable[[], bytes], check: Callable[[], None]) -> bytes:
    while True:
        check()
        try:
            return compile()
        except Stopped:  # this may have been meant for what was compiled before
            continue
