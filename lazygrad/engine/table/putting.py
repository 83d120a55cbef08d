"""A node that adds, or writes, elements where indices name them -> the text of its kernel, and what it works on."""

from __future__ import annotations

import numpy as np

from lazygrad.engine.emit.putting import ByIndex, Putting
from lazygrad.engine.lower.index import View, contiguous
from lazygrad.engine.lower.places import parts
from lazygrad.engine.lower.ways import Way, Ways

__all__ = ["putting_of"]


def putting_of(ways: Ways, node: int) -> Putting:
    """What is added, or written, and where."""
    what, (base, values, *indices) = ways.reading[node], ways.nodes[node].inputs
    source, shape = ways.spec(node), ways.spec(values).shape
    views = [ways.view(j) for j in indices]
    joint, pattern = parts(ways, what.pattern, indices)
    start, places, named, axis = 0, [0] * len(shape), list[ByIndex](), 0
    for part, of in pattern:
        if part is None:
            continue
        n, step = source.shape[axis], contiguous(source.shape)[axis]
        axis += 1
        if isinstance(part, slice):
            first, _, stride = part.indices(n)
            start += first * step
            if of is not None:
                places[of] += stride * step
        else:
            view = views[len(named)]
            assert view is not None
            steps = _steps(view, shape, joint)
            named.append(ByIndex(ways.spec(indices[len(named)]).dtype, steps, n, step))
    view = ways.view(values)
    steps = view.steps if view is not None else (0,) * len(shape)
    begin, value = _number(ways, base), _number(ways, values)
    return Putting(what.adds, source.dtype, source.size, begin, value, shape, steps, start, tuple(places), tuple(named))


def _number(ways: Ways, i: int) -> bytes | None:
    """The number that a node is everywhere, if it is one, as it lies in memory."""
    return (
        np.asarray(ways.nodes[i].params["value"], ways.spec(i).dtype).tobytes() if ways.way[i] is Way.NUMBER else None
    )


def _steps(view: View, shape: tuple[int, ...], joint: slice) -> tuple[int, ...]:
    """The steps of an index array along every axis of the values; it is broadcast to some of them."""
    steps = [0] * len(shape)
    first = joint.stop - len(view.shape)
    for axis, (n, step) in enumerate(zip(view.shape, view.steps, strict=True)):
        steps[first + axis] = 0 if n == 1 else step
    return tuple(steps)
