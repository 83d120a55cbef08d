"""Whether a solution has come to its end; told when it is run."""

from __future__ import annotations

from typing import Any

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat
from lazygrad.errors import DataError, LoopError, placed
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array

__all__: list[str] = []


@elementwise(dtype=kept, vjp=flat)
def arrived(xp: Any, x: Array, going: Array, stuck: Array, t: Array, end: Array, size: Array, *, max_steps: int) -> Any:
    """``x``, if the solution has come to its end.

    Raises:
        LoopError: ``max_steps`` were tried before that.
        DataError: the steps had become too small before that.
    """
    # Of several solutions each has its places, which are numbers and so equal to themselves.
    wrong = xp.logical_or(xp.logical_or(stuck, going), xp.not_equal(x, x))

    def why(_: Any) -> Exception:
        lost, now, last, step = (xp.broadcast_to(v, wrong.shape)[wrong].ravel()[0] for v in (stuck, t, end, size))
        facts = [f"reached:  t = {float(now):.6g} of {float(last):.6g}", f"step:     {float(step):.3g}"]
        if bool(lost):
            what = f"odeint cannot go on from t = {float(now):.6g}: its steps become too small to change t"
            cure = "Look at f there: the solution may grow without bound or have a jump, or f gives NaN."
            return placed(DataError, what, facts, cure)
        what = f"odeint has tried max_steps={max_steps:,} steps, and is not at the end"
        cure = "Give more max_steps or a larger rtol and atol; a stiff equation needs very many steps."
        return placed(LoopError, what, facts, cure)

    return xp.checked(x, wrong, why)
