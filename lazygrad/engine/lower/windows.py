"""Windows over two axes as statements, where workers are many: each number that comes out is made by itself.

A sum or maximum of every window is a fold over the window. Windows that are laid back where they came from add up: of
each number that comes out, the fold goes over the places that it may have in a window, and takes 0 where there is none.
Lanes are neighbours in what comes out, whatever axes it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from lazygrad.define.kinds import Declared, Elementwise
from lazygrad.engine.lower.describe import limits
from lazygrad.engine.lower.index import Affine, Index, View, identity
from lazygrad.engine.lower.kernels import Anywhere, Apply, Counter, Element, Fold, Part, Statement, Taken
from lazygrad.engine.lower.ways import Ways
from lazygrad.graph.spec import Shape, Spec
from lazygrad.ops.arithmetic import maximum

__all__ = ["windowed"]

PLACE = np.dtype(np.int64)
LENGTH = 20  # instructions that say where an element lies, about


def _in_window(
    xp: Any, n: Any, i: Any, j: Any, *, counts: Any, batch: Any, steps: Any, stride: Any, dilation: Any
) -> Any:
    """Where element (i, j) of window ``n`` lies."""
    n, i, j = n.astype(PLACE), i.astype(PLACE), j.astype(PLACE)
    line, column = xp.floor_divide(n, counts[1]), xp.remainder(n, counts[1])
    row = xp.remainder(line, counts[0]) * stride[0] + i * dilation[0]
    place = row * steps[0] + (column * stride[1] + j * dilation[1]) * steps[1]
    return _beside(xp, place, xp.floor_divide(line, counts[0]), batch)


def _of_windows(
    xp: Any, n: Any, i: Any, j: Any, *, counts: Any, sizes: Any, batch: Any, steps: Any, stride: Any, dilation: Any
) -> Any:
    """Where the number lies that stands at (i, j) of a window and belongs to element ``n``; −1 if there is none."""
    n, i, j = n.astype(PLACE), i.astype(PLACE), j.astype(PLACE)
    line = xp.floor_divide(n, sizes[1])
    row, column = xp.remainder(line, sizes[0]) - i * dilation[0], xp.remainder(n, sizes[1]) - j * dilation[1]
    p, q = xp.floor_divide(row, stride[0]), xp.floor_divide(column, stride[1])
    there = (row >= 0) & (column >= 0) & (p < counts[0]) & (q < counts[1])
    there = there & xp.equal(p * stride[0], row) & xp.equal(q * stride[1], column)
    place = i * steps[0] + j * steps[1] + p * steps[2] + q * steps[3]
    return xp.where(there, _beside(xp, place, xp.floor_divide(line, sizes[0]), batch), -1)


def _beside(xp: Any, place: Any, which: Any, batch: Any) -> Any:
    """A place in array ``which`` of a batch, whose axes have sizes and steps."""
    for size, step in reversed(batch):
        place = place + xp.remainder(which, size) * step
        which = xp.floor_divide(which, size)
    return place


def _or_nothing(xp: Any, place: Any, x: Any) -> Any:
    """A number, or 0 where it has no place."""
    return xp.where(place < 0, x.dtype.type(0), x)


IN_WINDOW, OF_WINDOWS, OR_NOTHING = (Elementwise(f, None, None, None) for f in (_in_window, _of_windows, _or_nothing))


def windowed(ways: Ways, i: int) -> Statement:
    """The statement of node ``i``, which folds windows or lays them back."""
    node, spec, (j,) = ways.nodes[i], ways.spec(i), ways.nodes[i].inputs
    given, how, view = ways.spec(j), ways.reading[i].how, ways.view(j)
    assert view is not None
    settings: dict[str, Any] = {name: node.params[name] for name in ("stride", "dilation")}
    first, last = view.steps[:2], view.steps[-2:]
    if how == "back":
        size = given.shape[:2]
        settings |= {"counts": given.shape[-2:], "sizes": spec.shape[-2:], "steps": (*first, *last)}
        settings["batch"] = _axes(given.shape[2:-2], view.steps[2:-2])
    else:
        size = node.params["size"]
        settings |= {"counts": spec.shape[-2:], "steps": last, "batch": _axes(given.shape[:-2], view.steps[:-2])}
    shape = (spec.size, *size)
    elements = _elements(i, shape, view, given, settings, how == "back")
    neutral: Any = 0
    if how == "max":
        neutral = -math.inf if spec.dtype.kind == "f" else limits(spec.dtype)[0]
    fold = Fold(
        node.op,
        "max" if how == "max" else "sum",
        cast(Declared, maximum) if how == "max" else None,
        neutral,
        spec.dtype,
    )
    return Statement(
        i, shape, j, axes=(1, 2), target=Part(i, Affine((0,), ((1,),))), elements=elements, result=len(elements) - 1,
        spec=Spec((spec.size,), spec.dtype), fold=fold,
    )  # fmt: skip


def _axes(shape: Shape, steps: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Sizes and steps of axes; those whose elements lie one after the other are one."""
    found: list[tuple[int, int]] = []
    for n, step in zip(shape, steps, strict=True):
        if found and found[-1][1] == n * step:
            found[-1] = (found[-1][0] * n, step)
        elif n != 1:
            found.append((n, step))
    return tuple(found)


def _elements(
    i: int, shape: tuple[int, ...], view: View, given: Spec, settings: dict[str, Any], back: bool
) -> tuple[Element, ...]:
    """A number of a window, found by its place."""
    loops = identity(shape, range(3))

    def at(number: int) -> tuple[Index, ...]:  # unlike the index of any element that lies in memory
        return (*loops, *[Index()] * 8, Index(number))

    op, key = OF_WINDOWS if back else IN_WINDOW, tuple(sorted(settings.items()))
    counters = [Counter(i, at(k), along) for k, along in enumerate(loops)]
    place = Apply(i, at(3), op, settings, key, (0, 1, 2), PLACE, LENGTH)
    source = Anywhere(view, given.dtype)
    extent = 1 + sum((n - 1) * step for n, step in zip(view.shape, view.steps, strict=True))
    taken = Taken(i, at(5), 4, Index(view.start), ((3, extent, 1),), given.dtype, LENGTH // 2)
    found: list[Element] = [*counters, place, source, taken]
    if back:
        found.append(Apply(i, at(6), OR_NOTHING, {}, (), (3, 5), given.dtype, 2))
    return tuple(found)
