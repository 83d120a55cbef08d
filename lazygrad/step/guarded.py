"""A compiled step of several workers: what one of them raises in it, all raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lazygrad.step.compiled import Compiled

if TYPE_CHECKING:
    from lazygrad.plan import Plan

__all__ = ["Guarded"]


class Guarded(Compiled):
    """A compiled step that several workers run together."""

    def __call__(self, *args: Any, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        """Run the step, on all workers.

        Raises:
            WorkerError: another worker has failed, or does something else.
            LazygradError: as for one worker.
        """
        guard, run = self._store.guard, super().__call__
        return run(*args, feeds=feeds, **kwargs) if guard is None else guard.step(run, *args, feeds=feeds, **kwargs)

    def prepare(self, *args: Any, feeds: dict[str, Any] | None = None, **kwargs: Any) -> Plan:
        """Trace, plan and compile, on all workers."""
        guard, made = self._store.guard, super().prepare
        return made(*args, feeds=feeds, **kwargs) if guard is None else guard.step(made, *args, feeds=feeds, **kwargs)
