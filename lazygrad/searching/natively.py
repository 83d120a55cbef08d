"""Searching native code for what it makes bad, and NumPy does not: sums in another order, the edge of a dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.cpu.binding import Loaded
from lazygrad.plan import layer_of
from lazygrad.searching.computed import Computed
from lazygrad.searching.finding import Finding, bad, elements, is_bad, ranged

__all__ = ["searched_natively"]

MEANS = "what native code makes of it, and NumPy does not: it sums in another order, and rounds otherwise"


def searched_natively(
    loaded: Loaded, computed: Computed, inputs: Sequence[Any], live: dict[str, Any], spare: dict[str, Any], kind: str
) -> Finding | None:
    """The first node that native code makes bad, but not NumPy, if what is returned or assigned becomes bad.

    Args:
        loaded: the native code.
        computed: the same plan on NumPy, where none of that is bad.
        inputs: arrays for the inputs of the plan.
        live, spare: arrays for its variables that nobody else has.
        kind: what is bad.
    """
    from lazygrad.engine.cpu.clocked import Clocked  # loads the driver

    plan, found = computed.plan, list[tuple[int, Any]]()

    def seen(i: int, array: Any) -> None:
        if not found and is_bad(kind, array) and not is_bad(kind, computed.arrays[i]):
            found.append((i, np.array(array)))

    clocked = Clocked(loaded, live, spare, computed.draw)
    with np.errstate(all="ignore"):
        values = clocked.watched(inputs, seen)
    roots = {f"result {k}" if len(values) > 1 else "the result": x for k, x in enumerate(values)}
    roots |= {f"the new value of variable {name!r}": x for name, x in spare.items()}
    nodes = [*plan.values, *plan.updates.values()]
    for (reaches, x), root in zip(roots.items(), nodes, strict=True):
        if not is_bad(kind, x):
            continue
        i, array = found[0] if found else (root, np.asarray(x))
        node = plan.graph.nodes[i]
        operands = tuple([f"{plan.graph.describe(j)}:  {ranged(computed.arrays[j])}" for j in node.inputs])
        return Finding(
            kind=kind, op=node.op.name, name="", origin=layer_of(plan.graph, i), means=MEANS,
            **elements(array, bad(kind, array)), operands=operands, parts=(), turns=(), reaches=reaches,
        )  # fmt: skip
    return None
