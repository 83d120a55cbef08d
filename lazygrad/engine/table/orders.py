"""A node that sorts, adds up as it goes, or searches among edges -> the text of its kernel, and what it works on."""

from __future__ import annotations

from typing import cast

from lazygrad.engine.emit.sorting import Running, Searching, Sorting
from lazygrad.engine.emit.sorting.form import Along
from lazygrad.engine.lower.index import View
from lazygrad.engine.lower.ways import Ways
from lazygrad.engine.trace.reading import Searched, Summed

__all__ = ["order_of"]


def order_of(ways: Ways, node: int) -> Sorting | Running | Searching:
    """What is sorted, added up or searched."""
    it, what = ways.nodes[node], ways.reading[node]
    views = [cast(View, ways.view(j)) for j in it.inputs]
    dtype, other = (ways.spec(j).dtype for j in (it.inputs[0], it.inputs[-1]))
    if isinstance(what, Searched):
        edges, _ = views
        return Searching(what.right, edges.shape[0], edges.steps[0], dtype, other, ways.spec(node).size)
    (view,), to = views, cast(View, ways.view(node)).steps
    sorted_axis = what.axis % len(view.shape)
    batch = [
        Along(n, step, there)
        for axis, (n, step, there) in enumerate(zip(view.shape, view.steps, to, strict=True))
        if axis != sorted_axis and n > 1
    ]
    along, beside = _merged(batch), 1
    if isinstance(what, Summed) and along and along[-1].step == along[-1].to == 1:
        along, beside = along[:-1], along[-1].size
    found = Sorting(dtype, view.shape[sorted_axis], view.steps[sorted_axis], to[sorted_axis], along)
    return Running(found, beside) if isinstance(what, Summed) else found


def _merged(batch: list[Along]) -> tuple[Along, ...]:
    """Axes that can be gone along as one, as one."""
    found: list[Along] = []
    for along in batch:
        before = found[-1] if found else None
        if before is not None and (before.step, before.to) == (along.step * along.size, along.to * along.size):
            found[-1] = Along(before.size * along.size, along.step, along.to)
        else:
            found.append(along)
    return tuple(found)
