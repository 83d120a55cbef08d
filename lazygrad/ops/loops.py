"""Loops as functions of functions: each writes one node, whose body is the user's function, written once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.region import BodyGraph
from lazygrad.errors import SpecError
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import Nest, Turn, fail, nested, node, sealed, turn, write
from lazygrad.ops.control import SCAN, SCAN_ACTING

__all__ = ["scan"]


@function
def scan(
    body: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """A carry, handed from turn to turn, and what every turn gives beside it, stacked.

    It is ``for x in xs: carry, y = body(carry, x)``, as one node of the graph: writing it takes as long for a
    thousand turns as for one. The body is called once, to write what a turn does. It may use tensors from outside,
    variables, draws (fresh in every turn), ``show``, and loops. An update op among its ys is made in every turn: the
    next turn reads the new values, and in its place an update op is returned that makes the whole.

    Args:
        body: ``body(carry, x) -> (carry, y)``.
        init: the first carry: tensors, arrays and numbers in tuples, lists and dicts, in any nesting. The carry that
            the body returns has the same nesting, shapes and dtypes.
        xs: what is gone through along its first axis, nested likewise; ``x`` is one slice of each. None: there is
            nothing to go through, and ``x`` is None.
        length: the number of turns; needed where there are no xs.
        reverse: whether to go from the last slice to the first; the ys stand where their slices do.

    Returns:
        The last carry, and the ys: nested as the body returned them, with a leading axis of ``length``.

    Raises:
        SpecError: a carry changes its nesting, a shape or a dtype; the xs are not of one length; or there is none.
        GraphError: the body does not return a pair.
    """
    graph = current_graph("scan")
    over = nested(xs, graph)
    turns = _length(over, length)
    carry, written, it = _turn_written("scan", graph, nested(init, graph), over, body)
    count, first = len(carry.tensors), [*carry.tensors, *[outer for outer, _, _ in it.assigned]]
    captured = list(written.captures.items())
    held = [t.index for t in it.given[:count]] + [own.index for _, own, _ in it.assigned]
    inputs = [*held, *[t.index for t in it.given[count:]], *[inner for _, inner in captured]]
    after = [*it.carry, *[value for _, _, value in it.assigned], *it.ys.tensors]
    made = node(
        SCAN,
        SCAN_ACTING,
        graph,
        [*first, *over.tensors, *[graph.tensor(i) for i, _ in captured]],
        body=sealed(written, inputs, [t.index for t in after]),
        carries=len(first),
        xs=len(over.tensors),
        length=turns,
        reverse=bool(reverse),
    )
    ys = it.ys.stacked(made[len(first) :], it.names, made[count : len(first)])
    return carry.with_leaves(made[:count]), ys


def _turn_written(
    what: str, graph: Graph, carry: Nest, over: Nest, body: Callable[[Any, Any], Any]
) -> tuple[Nest, BodyGraph, Turn]:
    """The carry to begin with, and the body as it was written: again, if a number of Python's was too narrow."""
    slices = [Spec(t.shape[1:], t.dtype) for t in over.tensors]
    while True:
        start, now = len(carry.tensors), carry

        def call(inner: BodyGraph, given: list[Tensor], start: int = start, now: Nest = now) -> Turn:
            x = over.with_leaves(given[start:]) if over.tensors else over.tree
            return turn(what, inner, graph, now, body(now.with_leaves(given[:start]), x), given)

        written, it = write(what, graph, [t.spec for t in carry.tensors] + slices, call)
        if it.widened is None:
            return carry, written, it
        wide = [tensor(t, graph, dtype) for t, dtype in zip(carry.tensors, it.widened, strict=True)]
        carry = carry._replace(tensors=wide)
        written.close()
        graph.written.pop()


def _length(xs: Nest, length: int | None) -> int:
    """The number of turns."""
    for path, t in zip(xs.paths, xs.tensors, strict=True):
        if not t.ndim:
            facts = [f"xs{path}:  {t.spec}   {t.graph.describe(t.index)}"]
            cure = "What is gone through has a first axis, one slice a turn. What is the same in every turn is used "
            fail(SpecError, f"cannot scan over {t.spec}: it has no axes", facts, cure + "in the body as it is.")
    if length is not None and (isinstance(length, bool) or not isinstance(length, (int, np.integer)) or length < 0):
        fail(SpecError, f"cannot scan with length={length!r:.40}", cure="It is a whole number that is not negative.")
    sizes = [t.shape[0] for t in xs.tensors] + ([int(length)] if length is not None else [])
    if not sizes:
        fail(SpecError, "cannot scan: there are no xs, and no length", cure="Give length=, the number of turns.")
    if len(set(sizes)) > 1:
        facts = [
            f"xs{path}:  {t.spec}   {t.graph.describe(t.index)}" for path, t in zip(xs.paths, xs.tensors, strict=True)
        ]
        facts += [f"length:  {length}"] if length is not None else []
        cure = "All are gone through together: their first axes are equal, and equal to length where that is given."
        fail(SpecError, "cannot scan over xs of several lengths", facts, cure)
    return sizes[0]
