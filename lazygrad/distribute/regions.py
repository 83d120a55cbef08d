"""How loops and choices are shared out: their bodies are those of one worker, if nothing is exchanged in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lazygrad.define.region import results
from lazygrad.distribute.sharing import Inside, Sharing
from lazygrad.distribute.states import PART, WHOLE, Split, State, Value
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Node
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.control import Call, Cond, Scan, While

__all__ = ["shared_region"]

TRIES = 8  # times that the states of carries may become others

Bodies = Callable[[Body, Sequence[State], Sequence[State | None]], tuple[Body, list[State]]]


def shared_region(to: Sharing, node: Node, given: Sequence[Value], body: Bodies) -> list[Value] | None:
    """The results of a region of which some operands are not whole; None where it has to be computed whole.

    Args:
        to: what is written with.
        node, given: the region as it was, and its operands.
        body: gives a body for inputs in certain states, and the states of its outputs.

    Raises:
        Inside: likewise.
    """
    if isinstance(node.op, Scan):
        return _scan(to, node, given, body)
    if isinstance(node.op, While):
        return _while(to, node, given, body)
    if isinstance(node.op, Cond):
        return _cond(to, node, given, body)
    if isinstance(node.op, Call):
        found, states = body(
            node.params["body"], [_calm(v.state) for v in given], [None] * len(node.params["body"].outputs)
        )
        y = to.again(node, [_as(to, v, _calm(v.state)) for v in given], body=found)
        return _values(node, y, states)
    return None


def _calm(state: State) -> State:
    """Parts are added up before a body is given them."""
    return WHOLE if state is PART else state


def _as(to: Sharing, value: Value, state: State) -> Tensor:
    if state == value.state:
        return value.local
    if state is WHOLE:
        return to.whole(value)
    return to.part(value) if state is PART else to.split(value, state)


def _values(node: Node, y: Tensor, states: Sequence[State]) -> list[Value]:
    specs = [node.spec] if isinstance(node.spec, Spec) else list(node.spec)
    found = zip(results(y), states, specs, strict=True)
    return [Value(t, state, spec.shape) for t, state, spec in found]


def _met(one: State, other: State) -> State:
    """The state in which a carry can be before and after a turn."""
    if one == other or other is WHOLE:
        return one
    if one is WHOLE:
        return other
    raise Inside


def _carried(turn: Callable[[Sequence[State]], list[State]], states: list[State]) -> list[State]:
    """The states of carries that a turn leaves as they are."""
    for _ in range(TRIES):
        after = [_met(one, other) for one, other in zip(states, turn(states), strict=True)]
        if after == states:
            return states
        states = after
    raise Inside


def _scan(to: Sharing, node: Node, given: Sequence[Value], body: Bodies) -> list[Value] | None:
    params = node.params
    first = int(params["limited"])
    carries, xs = params["carries"], params["xs"]
    last = first + carries + xs
    slices: list[State] = []
    for v in given[first + carries : last]:
        if v.split is not None and v.split.axis == 0:  # the turns themselves
            slices.append(WHOLE)
        else:
            slices.append(v.split.at(v.split.axis - 1) if v.split is not None else WHOLE)
    taken = [_calm(v.state) for v in given[last:]]
    beside = len(params["body"].outputs) - carries

    def turn(states: Sequence[State]) -> list[State]:
        return body(params["body"], [*states, *slices, *taken], [None] * (carries + beside))[1][:carries]

    states = _carried(turn, [_calm(v.state) for v in given[first : first + carries]])
    found, after = body(params["body"], [*states, *slices, *taken], [*states, *[None] * beside])
    whole = [s.at(s.axis + 1) if isinstance(s, Split) else s for s in slices]
    wanted = [*[WHOLE] * first, *states, *whole, *taken]
    y = to.again(node, [_as(to, v, state) for v, state in zip(given, wanted, strict=True)], body=found)
    stacked = [s.at(s.axis + 1) if isinstance(s, Split) else s for s in after[carries:]]
    return _values(node, y, [*states, *stacked])


def _while(to: Sharing, node: Node, given: Sequence[Value], body: Bodies) -> list[Value] | None:
    params = node.params
    carries, asked = params["carries"], len(params["condition"].inputs)
    taken = [_calm(v.state) for v in given[carries:]]
    inner = taken[asked - carries :]

    def turn(states: Sequence[State]) -> list[State]:
        return body(params["body"], [*states, *inner], [None] * carries)[1]

    states = _carried(turn, [_calm(v.state) for v in given[:carries]])
    condition, _ = body(params["condition"], [*states, *taken[: asked - carries]], [WHOLE])
    found, _ = body(params["body"], [*states, *inner], states)
    operands = [_as(to, v, state) for v, state in zip(given, [*states, *taken], strict=True)]
    return _values(node, to.again(node, operands, condition=condition, body=found), [*states, WHOLE])


def _cond(to: Sharing, node: Node, given: Sequence[Value], body: Bodies) -> list[Value] | None:
    states = [WHOLE, *[_calm(v.state) for v in given[1:]]]
    count = len(node.params["bodies"][0].outputs)
    each = [body(b, states[1:], [None] * count)[1] for b in node.params["bodies"]]
    after = [_met(one, other) for one, other in zip(*each, strict=True)]
    found = tuple(body(b, states[1:], after)[0] for b in node.params["bodies"])
    y = to.again(node, [_as(to, v, state) for v, state in zip(given, states, strict=True)], bodies=found)
    return _values(node, y, after)
