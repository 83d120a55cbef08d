"""Whether a solution has come to its end; told when it is run."""

from __future__ import annotations

from typing import Any

from lazygrad.define import opaque
from lazygrad.define.kinds import flat
from lazygrad.errors import DataError, LoopError, placed
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array

__all__: list[str] = []


@opaque(shape=lambda x, going, stuck, t, end, size, max_steps: x, dtype=kept, vjp=flat)
def arrived(xp: Any, x: Array, going: Array, stuck: Array, t: Array, end: Array, size: Array, *, max_steps: int) -> Any:
    """``x``, if the solution has come to its end.

    Raises:
        LoopError: ``max_steps`` were tried before that.
        DataError: the steps had become too small before that.
    """

    def why(_: Any) -> Exception:
        facts = [f"reached:  t = {float(t):.6g} of {float(end):.6g}", f"step:     {float(size):.3g}"]
        if bool(stuck):
            what = f"odeint cannot go on from t = {float(t):.6g}: its steps become too small to change t"
            cure = "Look at f there: the solution may grow without bound or have a jump, or f gives NaN."
            return placed(DataError, what, facts, cure)
        what = f"odeint has tried max_steps={max_steps:,} steps, and is not at the end"
        cure = "Give more max_steps or a larger rtol and atol; a stiff equation needs very many steps."
        return placed(LoopError, what, facts, cure)

    return xp.checked(x, xp.logical_or(stuck, going), why)
