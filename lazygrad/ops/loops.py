"""Loops as functions of functions: each writes one node, whose body is the user's function, written once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.region import TURN, BodyGraph, inside
from lazygrad.errors import GraphError, SpecError
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.registry import function
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import Nest, Turn, check_nesting, fail, is_leaf, nested, node, sealed, turn, write
from lazygrad.ops.choices import checkpoint
from lazygrad.ops.control import SCAN, SCAN_ACTING, WHILE, WHILE_ACTING
from lazygrad.ops.movement import concat, reshape
from lazygrad.ops.source import arange, literal
from lazygrad.trees import leaves, rebuilt

__all__ = ["fori_loop", "scan", "while_loop"]


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
    begun, over = nested(init, graph), nested(xs, graph)
    turns, plain = _length(over, length), getattr(body, "checkpointed", None)
    if plain is not None and turns > 3:
        draws = graph.outermost.draws
        carry, tried, it = _turn_written("scan", graph, begun, over, plain)
        tried.close()
        graph.outermost.draws = draws
        graph.written.pop()
        if not it.assigned:
            return _in_segments(carry, over, turns, bool(reverse), plain)
    return _scanned("scan", graph, begun, over, turns, bool(reverse), body)


def _in_segments(
    init: Nest, over: Nest, length: int, reverse: bool, body: Callable[[Any, Any], Any]
) -> tuple[Any, Any]:
    """A scan of scans of about √length turns, each of which is computed again for the gradient.

    So what is kept is a carry for each segment, and all of one segment while that is differentiated. A draw is keyed
    by the turn of both scans, so its numbers are others than without.
    """
    size = math.isqrt(length - 1) + 1
    count = length // size
    cut = [t[: count * size] for t in over.tensors]
    rest = over.with_leaves([t[count * size :] for t in over.tensors]) if over.tensors else over.tree
    rows = [reshape(t, (count, size, *t.shape[1:])) for t in cut]
    whole = over.with_leaves(rows) if rows else over.tree

    @checkpoint
    def segment(carry: Any, xs: Any, turns: int = size) -> Any:
        return scan(body, carry, xs, length=turns, reverse=reverse)

    carry, last = init.with_leaves(init.tensors), length - count * size
    after: Any = None
    if reverse and last:
        carry, after = segment(carry, rest, last)
    carry, ys = scan(lambda c, x: segment(c, x), carry, whole, length=count, reverse=reverse)
    if not reverse and last:
        carry, after = segment(carry, rest, last)
    one, other = [[y for _, y in leaves(tree) if y is not None] for tree in (ys, after if last else ys)]
    flat = [reshape(y, (count * size, *y.shape[2:])) for y in one]
    found = [concat([a, b]) for a, b in zip(flat, other, strict=True)] if last else flat
    rest_of = iter(found)
    return carry, rebuilt(ys, [None if y is None else next(rest_of) for _, y in leaves(ys)])


def _scanned(
    what: str, graph: Graph, init: Nest, over: Nest, length: int, reverse: bool, body: Callable[[Any, Any], Any]
) -> tuple[Any, Any]:
    """The last carry and the ys of a new scan."""
    carry, written, it = _turn_written(what, graph, init, over, body)
    count, first = len(carry.tensors), [*carry.tensors, *[outer for outer, _, _ in it.assigned]]
    captured = list(written.captures.items())
    held = [t.index for t in it.given[:count]] + [own.index for _, own, _ in it.assigned]
    counted = [] if written.turn is None else [arange(length, dtype=TURN.dtype)]
    slices = [t.index for t in [*it.given[count:], *([] if written.turn is None else [written.turn])]]
    inputs = [*held, *slices, *[inner for _, inner in captured]]
    after = [*it.carry, *[value for _, _, value in it.assigned], *it.ys.tensors]
    made = node(
        SCAN,
        SCAN_ACTING,
        graph,
        [*first, *over.tensors, *counted, *[graph.tensor(i) for i, _ in captured]],
        body=sealed(written, inputs, [t.index for t in after]),
        carries=len(first),
        xs=len(slices),
        length=length,
        reverse=reverse,
        limited=False,
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

        written, it = write(what, graph, [t.spec for t in carry.tensors] + slices, call, repeats=True)
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


# Loops with a condition, and with a counter.


@function
def while_loop(
    condition: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, max_steps: int | None = None
) -> Any:
    """A carry, handed from turn to turn as long as ``condition(carry)`` holds.

    It is ``while condition(carry): carry = body(carry)``, as one node of the graph. Both functions are called once.

    Args:
        condition: of the carry a single boolean.
        body: of the carry the next one, of the same nesting, shapes and dtypes.
        init: the first carry: tensors, arrays and numbers in tuples, lists and dicts, in any nesting.
        max_steps: how many turns there may be. It is needed for a gradient, which keeps room for so many.

    Returns:
        The first carry for which the condition does not hold.

    Raises:
        SpecError: a carry changes its nesting, a shape or a dtype; or the condition is no single boolean.
        LoopError: when it is run, the condition still holds after ``max_steps`` turns.
    """
    graph = current_graph("loop")
    steps = None if max_steps is None else _whole("max_steps", max_steps)
    if all(leaf is None for _, leaf in leaves(init)):
        cure = "Begin with at least one number: nothing else can change from turn to turn, and end the loop."
        fail(SpecError, "cannot loop: there is no carry", cure=cure)
    carry, written, it = _turn_written("loop", graph, nested(init, graph), nested(None, graph), _paired(body))
    if it.assigned:
        cure = "Carry the value, and assign it after the loop; or scan, which makes updates in every turn."
        fail(GraphError, "cannot loop: the body of a while_loop updates a variable", cure=cure)
    specs, count = [t.spec for t in carry.tensors], len(carry.tensors)
    asked, (given, holds) = write(
        "while_loop",
        graph,
        specs,
        lambda inner, given: (given, _holds(inner, condition(carry.with_leaves(given)))),
        repeats=True,
    )
    operands, after = list(carry.tensors), list(it.carry)
    given_to = [given, it.given]
    if asked.turn is not None or written.turn is not None:  # one draws: the turns are counted
        operands.append(literal(graph, 0, TURN.dtype))
        for inner, listed in zip((asked, written), given_to, strict=True):
            listed.append(inner.turns()[-1])
        with inside(written):
            after.append(given_to[1][-1] + 1)
    sealing = []
    for inner, given_, outs in zip((asked, written), given_to, ([holds], after), strict=True):
        captured = list(inner.captures.items())
        inputs = [*[t.index for t in given_], *[own for _, own in captured]]
        sealing.append(sealed(inner, inputs, [t.index for t in outs]))
        operands += [graph.tensor(i) for i, _ in captured]
    settings = {"condition": sealing[0], "body": sealing[1], "carries": len(after), "max_steps": steps}
    return carry.with_leaves(node(WHILE, WHILE_ACTING, graph, operands, **settings)[:count])


def _paired(body: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda carry, _: (body(carry), None)


def _holds(inner: BodyGraph, found: Any) -> Tensor:
    """What a condition returned, as a tensor of its body.

    Raises:
        SpecError: it is no single boolean.
    """
    t = inner.lifted(tensor(found, inner)) if is_leaf(found) else None
    if t is None or t.shape or t.dtype != np.bool_:
        got = str(t.spec) if t is not None else f"a {type(found).__name__}"
        facts = [f"condition:  {t.spec}   {inner.describe(t.index)}"] if t is not None else []
        cure = "Compare numbers, and combine what is compared with lg.all or lg.any, so that one bool[] comes out."
        fail(SpecError, f"cannot loop while {got}: a condition is a single boolean", facts, cure)
    return t


@function
def fori_loop(start: Any, stop: Any, body: Callable[[Any, Any], Any], init: Any) -> Any:
    """A carry, handed from turn to turn for every whole number from ``start`` up to but not including ``stop``.

    It is ``for i in range(start, stop): carry = body(i, carry)``, as one node of the graph.

    Args:
        start, stop: whole numbers, or tensors of one. Where one is a tensor it is a :func:`while_loop`, which has no
            gradient in reverse.
        body: ``body(i, carry) -> carry``, of the same nesting, shapes and dtypes; ``i`` is an int64 tensor.
        init: the first carry: tensors, arrays and numbers in tuples, lists and dicts, in any nesting.

    Raises:
        SpecError: a bound is no whole number; or a carry changes its nesting, a shape or a dtype.
    """
    graph = current_graph("loop")

    def counted(carry: Any, _: Any = None) -> Any:
        after = body(*carry)
        check_nesting("loop", init, after)
        return carry[0] + 1, after

    if all(isinstance(bound, (int, np.integer)) and not isinstance(bound, bool) for bound in (start, stop)):
        begun = nested(init, graph)
        tensors = [literal(graph, int(start), np.int64), *begun.tensors]
        pair = Nest((0, init), ["", *begun.paths], tensors, [False, *begun.weak])
        length = max(0, int(stop) - int(start))
        done = _scanned("loop", graph, pair, nested(None, graph), length, False, lambda c, _: (counted(c), None))
        return done[0][1]
    bounds = []
    for name, bound in (("start", start), ("stop", stop)):
        t = tensor(bound) if is_leaf(bound) else None
        if t is None or t.shape or t.dtype.kind not in "iu":
            got = t.spec if t is not None else type(bound).__name__
            fail(SpecError, f"cannot loop: {name} is {got}", cure="Bounds are whole numbers, or tensors of one.")
        bounds.append(tensor(t, dtype=np.dtype(np.int64)))
    return while_loop(lambda carry: carry[0] < bounds[1], counted, (bounds[0], init))[1]


def _whole(name: str, value: Any) -> int:
    """A setting that is a whole number and not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        cure = "It is a whole number that is not negative."
        fail(SpecError, f"cannot loop with {name}={value!r:.40}", cure=cure)
    return int(value)
