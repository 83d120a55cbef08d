"""Searching a plan for the first node that is not finite though its operands are.

The plan, as it runs after all passes, is computed once on NumPy, and every array is kept. From what is returned or
assigned and is bad, the search goes back. An operand is to blame if the node is still bad when all others are mended:
so what a ``where`` does not choose, or a product with a strong zero drops, is not taken for the cause; and a node that
stays bad when all its operands are mended is to blame itself. Positions are followed through ops that work element by
element and through movements. In a loop the search goes back from turn to turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lazygrad.define.kinds import Elementwise, Movement, item
from lazygrad.define.region import Region
from lazygrad.ops.source import placeholder, variable
from lazygrad.plan import layer_of
from lazygrad.searching.computed import Computed, Level, Turn
from lazygrad.searching.finding import Finding, bad, elements, is_bad, ranged
from lazygrad.searching.rows import rows_of

__all__ = ["search"]

FILLS = (None, 0.5, 0.0)  # in place of what is not finite: a finite number of the array's own, or one of these


def search(computed: Computed, kind: str) -> Finding | None:
    """The first node that is bad though its operands are not, on the way to something returned or assigned.

    Raises:
        Exception: what a kernel raises that has no such operand.
    """
    for what, root in _roots(computed):
        if is_bad(kind, computed.arrays[root]):
            return _finding(computed, kind, what, root, _found(computed, kind, root))
    computed.checked()
    if kind == "inf":  # a NaN may come of one
        finding = search(computed, "nan")
        return finding if finding is not None and np.isinf(finding.first[1]) else None
    return None


def _roots(computed: Computed) -> Iterator[tuple[str, int]]:
    """What a run is made for, in words, with its nodes; of one that fails what the node is given that does so."""
    plan = computed.plan
    if computed.failed is not None:
        i, reason = computed.failed
        node = plan.graph.nodes[i]
        yield from ((f"what {node.op.name} is given (it fails: {reason})", j) for j in node.inputs)
        return
    for k, i in enumerate(plan.values):
        yield ("the result" if len(plan.values) == 1 else f"result {k}"), i
    for name, i in plan.updates.items():
        yield f"the new value of variable {name!r}", i


class _Place(NamedTuple):
    """A node, of the step or of a body in one turn, and which of its elements are bad."""

    level: Level
    node: int
    mask: Any

    @property
    def array(self) -> Any:
        return self.level.arrays[self.node]


def _at(level: Level, i: int, kind: str) -> _Place:
    return _Place(level, i, bad(kind, level.arrays[i]))


def _found(computed: Computed, kind: str, root: int) -> _Place:
    """Where the way from a root ends; from a NaN of infinite operands on to what made these, if that was computed."""
    begin = _at(computed, root, kind)
    place = _back(begin, kind)
    is_nan = is_bad("nan", begin.array)
    if is_nan and not _inputs(place) and not is_bad("nan", place.array):
        return _back(_at(computed, root, "nan"), "nan")  # somebody wrote it infinite, as masks are
    if kind != "inf" and is_bad("nan", place.array):
        for j in _inputs(place):
            x = place.level.arrays[j]
            if is_bad("inf", x) and not is_bad("nan", x):
                before = _back(_at(place.level, j, "inf"), "inf")
                if _inputs(before):
                    return before
    return place


def _inputs(place: _Place) -> tuple[int, ...]:
    """The operands of a node; none, if it is given."""
    return () if place.node in place.level.given else place.level.plan.graph.nodes[place.node].inputs


def _back(place: _Place, kind: str) -> _Place:
    """From a node and its bad elements to the node where they begin."""
    while True:
        before = _before(place, kind)
        if before is None:
            return place
        place = before


def _before(place: _Place, kind: str) -> _Place | None:
    """Where the bad elements of a node come from; None if the node makes them itself."""
    level, i, mask = place
    if i in level.given:
        return _at(*level.before(i, kind), kind) if isinstance(level, Turn) else None
    node = level.plan.graph.nodes[i]
    if isinstance(node.op, Region):
        wanted = [k for k, one in enumerate(mask if isinstance(mask, tuple) else (mask,)) if one.any()]
        entered = level.entered(i, kind, wanted)
        if entered is not None:
            return _at(*entered, kind)
    return _blamed(place, kind)


def _blamed(place: _Place, kind: str) -> _Place | None:
    """The operand that makes a node bad, with its elements that do; None if the node does so itself."""
    level, i, mask = place
    node = level.plan.graph.nodes[i]
    operands = [level.arrays[j] for j in node.inputs]
    wild = [k for k, x in enumerate(operands) if is_bad(kind, x)]
    if not wild or all(_still(place, kind, operands, fill) == _count(mask) for fill in FILLS):
        return None
    for k in wild:
        if len(wild) == 1 and not isinstance(node.op, Elementwise):
            return _Place(level, node.inputs[k], _moved(place, k, mask, kind))
        y = _applied(place, [x if number == k else _mended(x, None) for number, x in enumerate(operands)])
        still = None if y is None else _both(bad(kind, y), mask)
        if still is not None and _count(still):
            return _Place(level, node.inputs[k], _moved(place, k, still, kind))
    return None


def _still(place: _Place, kind: str, operands: list[Any], fill: float | None) -> int:
    """How many of the bad elements of a node stay bad if all of its operands are mended."""
    y = _applied(place, [_mended(x, fill) for x in operands])
    return 0 if y is None else _count(_both(bad(kind, y), place.mask))


def _applied(place: _Place, operands: list[Any]) -> Any:
    try:
        return place.level.applied(place.node, operands)
    except Exception:  # a kernel of the user's, with operands that it never had
        return None


def _moved(place: _Place, k: int, mask: Any, kind: str) -> Any:
    """Which elements of an operand make these of a node bad."""
    node = place.level.plan.graph.nodes[place.node]
    own = bad(kind, place.level.arrays[node.inputs[k]])
    if node.op is item:
        return tuple([one & mask if n == node.params["index"] else one & False for n, one in enumerate(own)])
    if isinstance(own, tuple) or isinstance(mask, tuple):
        return own
    if isinstance(node.op, Elementwise):
        found = own & _summed(mask, own.shape)
    elif isinstance(node.op, Movement) and len(node.inputs) == 1:
        places = place.level.applied(place.node, [np.arange(1, own.size + 1).reshape(own.shape)])
        found = np.zeros(own.size + 1, bool)
        found[np.asarray(places, np.int64)[mask]] = True
        found = own & found[1:].reshape(own.shape)
    else:
        return own
    return found if found.any() else own


def _both(one: Any, other: Any) -> Any:
    """The elements that are marked in both."""
    if isinstance(one, tuple):
        return tuple([_both(x, y) for x, y in zip(one, other, strict=True)])
    return one & other


def _count(mask: Any) -> int:
    return sum(map(_count, mask)) if isinstance(mask, tuple) else int(mask.sum())


def _mended(x: Any, fill: float | None) -> Any:
    """An array with a number in place of what is not finite; one of its own, if none is given."""
    if isinstance(x, tuple):
        return tuple([_mended(one, fill) for one in x])
    if x.dtype.kind not in "fc":
        return x
    fine = np.isfinite(x)
    if fine.all():
        return x
    return np.where(fine, x, x.dtype.type(fill) if fill is not None else x[fine].flat[0] if fine.any() else 0.5)


def _summed(mask: Any, shape: tuple[int, ...]) -> Any:
    """Whether any of the elements is marked that an element of an operand was repeated to."""
    ahead = mask.ndim - len(shape)
    mask = mask.any(axis=tuple(range(ahead))) if ahead else mask
    axes = tuple(k for k, size in enumerate(shape) if size == 1 and mask.shape[k] != 1)
    return mask.any(axis=axes, keepdims=True) if axes else mask


# What is said of it.


def _finding(computed: Computed, kind: str, reaches: str, root: int, place: _Place) -> Finding:
    level, i, mask = place
    plan, node, x = level.plan, level.plan.graph.nodes[i], place.array
    if isinstance(x, tuple):
        k = next(k for k, one in enumerate(mask) if one.any())
        x, mask = x[k], mask[k]
    outermost, of_step = place, mask
    while isinstance(outermost.level, Turn):
        outermost = _Place(outermost.level.parent, outermost.level.node, mask)
        of_step = np.zeros(0, bool)
    named = {variable: "variable", placeholder: "argument"}
    op = next((word for source, word in named.items() if node.of(source)), node.op.name)
    origin = layer_of(plan.graph, i)
    about = "" if op in origin.text or not node.inputs else (node.op.__doc__ or "").partition("\n")[0]
    if op == "literal":
        about = "a number of the program, or what follows from such numbers alone"
    return Finding(
        kind=kind,
        op="constant" if op == "_constant" else op,
        name=str(node.params["name"]) if op in named.values() else "",
        origin=origin,
        means=about,
        **elements(x, mask),
        operands=tuple([_operand(level, j) for j in _inputs(place)]),
        parts=rows_of(computed, kind, root, outermost.node, of_step),
        turns=level.turns,
        reaches=reaches,
    )


def _operand(level: Level, j: int) -> str:
    x = level.arrays[j]
    said = ranged(x) if not isinstance(x, tuple) else "; ".join(map(ranged, x))
    what = "what the body is given" if isinstance(level, Turn) and j in level.given else level.plan.graph.describe(j)
    return f"{what}:  {said}"
