"""Searching among edges: half of those that are left is cut off in every turn, for as many numbers as there are lanes.

How many are left does not depend on what is found, so there is no branch, and all lanes are done at once.
"""

from __future__ import annotations

from lazygrad.engine.emit.sorting.form import Searching
from lazygrad.engine.emit.sorting.keys import ordered
from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import I64, Register

__all__ = ["search"]


def search(w: Arithmetic, form: Searching, first: Register, last: Register) -> None:
    """Write the search for some of the numbers, the first of which is before the last."""
    edges, numbers, target = (w.argument(k) for k in range(3))
    wide = form.size >= w.width
    with w.loop(first, last, w.width if wide else 1) as i:
        # The last turn begins earlier, so that all its lanes count.
        at = w.select(i > form.size - w.width, form.size - w.width, i) if wide else i
        x = ordered(w.load(numbers, at, form.dtype, wide).astype(form.compared))
        w.store(_place(w, form, edges, x), target, at, wide=wide)


def _place(w: Arithmetic, form: Searching, edges: Register, x: Register) -> Register:
    """The place of each number: how many edges stand before it."""

    def passed(place: Register) -> Register:
        edge = ordered(w.load(edges, place * form.step, form.edges).astype(form.compared))
        return w.binary("le" if form.right else "lt", edge, x)

    place, left = w.constant(0, I64, wide=x.wide), form.n
    while left > 1:
        half = left // 2
        place = w.select(passed(place + (half - 1)), place + half, place)
        left -= half
    return place + passed(place).astype(I64)
