"""What a compiled step tells of itself: where its time goes. It works on copies, and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.engine.runner import Runner
from lazygrad.errors import SpecError, report
from lazygrad.graph.registry import here
from lazygrad.store.draws import Drawing
from lazygrad.store.store import Store

if TYPE_CHECKING:
    from lazygrad.profiling.profile import Profile

__all__ = ["copied", "profiled"]


def copied(store: Store, runner: Runner, parity: int, run: int) -> tuple[dict[str, Any], dict[str, Any], Drawing]:
    """Copies of the variables that a plan reads, arrays for those that it changes, and what a run draws from."""
    plan = runner.plan
    live = {name: store.find(name).live(parity).copy() for name in plan.variables}
    spare = {name: store.backend.xp.zeros_like(store.find(name).live(parity)) for name in plan.updates}
    draw = Drawing()
    draw.begin(store.draws, run)
    return live, spare, draw


def profiled(name: str, store: Store, runner: Runner, inputs: Sequence[Any], runs: Any) -> Profile:
    """The profile of a plan, on copies.

    Raises:
        SpecError: ``runs`` is no whole number from 1 on.
    """
    from lazygrad.engine.cpu.driver import threads
    from lazygrad.profiling import measure

    if isinstance(runs, bool) or not isinstance(runs, (int, np.integer)) or runs < 1:
        raise SpecError(report(f"cannot profile {runs!r} runs", at=here(), cure="It is a whole number, 1 or more."))
    live, spare, draw = copied(store, runner, store.state.parity, store.state.runs)
    given = measure.Given(name, runner.plan, inputs, live, spare, draw, threads())
    tier = runner.native
    if store.backend.name == "numpy" and tier is not None and tier.is_ready():
        loaded: Any = tier.loaded
        return measure.native(given, loaded, int(runs))
    return measure.interpreted(given, store.backend, int(runs))
