"""How the body of a loop or a choice is written: the user's function, called once, with what it may return."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar, cast

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.region import BodyGraph, Region, inside, is_effect, written
from lazygrad.errors import GraphError, SpecError, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.source import assign, literal
from lazygrad.ops.update import Update
from lazygrad.trees import leaves, rebuilt, structure

__all__ = [
    "Nest",
    "Turn",
    "check_nesting",
    "fail",
    "is_leaf",
    "names",
    "nested",
    "node",
    "sealed",
    "shown",
    "turn",
    "write",
]

T = TypeVar("T")
WEAK = (bool, int, float)


def is_leaf(x: Any) -> bool:
    """Whether a tensor can be made of it: anything but text, functions and nothing at all."""
    return x is not None and not callable(x) and not isinstance(x, (str, bytes, dict, Update))


class Nest(NamedTuple):
    """Tensors in tuples, lists and dicts; a leaf None stays where it is."""

    tree: Any
    paths: list[str]
    tensors: list[Tensor]
    weak: list[bool]  # whether a leaf was a number of Python's

    def with_leaves(self, new: Sequence[Any]) -> Any:
        """The same nesting with others in place of the tensors."""
        rest = iter(new)
        return rebuilt(self.tree, [None if leaf is None else next(rest) for _, leaf in leaves(self.tree)])


def nested(tree: Any, graph: Graph) -> Nest:
    """Tensors, arrays and numbers, nested, as tensors of the graph."""
    found = [(path, leaf) for path, leaf in leaves(tree) if leaf is not None]
    tensors = [graph.lifted(tensor(leaf, graph)) for _, leaf in found]
    return Nest(tree, [path for path, _ in found], tensors, [type(leaf) in WEAK for _, leaf in found])


def write(
    what: str, graph: Graph, specs: Sequence[Spec], call: Callable[[BodyGraph, list[Tensor]], T], repeats: bool = False
) -> tuple[BodyGraph, T]:
    """A body that has been written, and what ``call``, given a tensor for each spec and the graph, made of it.

    Writing the same body again follows the one that was written at this place before.
    """
    place = len(graph.written)
    guides = [other.written[place] for other in graph._guides if len(other.written) > place]
    body = BodyGraph(graph, guides, what, repeats)
    with inside(body):
        made = call(body, [body.parameter(spec) for spec in specs])
    graph.written.append(body)
    return body, made


def sealed(graph: BodyGraph, inputs: Sequence[int], outputs: Sequence[int]) -> Body:
    """The written graph as a body; the one that it followed, where they are the same.

    Where nothing comes out, a number does: what acts is evaluated by one of its results.
    """
    outputs = outputs or [literal(graph, True, np.bool_).index]
    effects = tuple([i for i in graph.impure if is_effect(graph.nodes[i])])
    ins, outs, guide = tuple(inputs), tuple(outputs), graph.guide
    known: Body | None = None if guide is None else getattr(guide, "body", None)
    graph.close()
    if (
        known is not None
        and not graph.rules
        and not known.graph.rules
        and len(known.graph.nodes) == len(graph.nodes)
        and (known.inputs, known.outputs, known.effects) == (ins, outs, effects)
    ):
        graph.body = known
    else:
        graph.body = Body(graph, ins, outs, effects)
    return cast(Body, graph.body)


def node(op: Region, acting: Region, graph: Graph, operands: Sequence[Tensor], **settings: Any) -> list[Tensor]:
    """The results of a new region; the second op where a body does something beside computing."""
    found = [settings.get(name) for name in ("body", "condition")] + list(settings.get("bodies", ()))
    acts = any(body is not None and body.effects for body in found)
    return written(graph, acting if acts else op, operands, settings)


def fail(kind: type[Exception], what: str, facts: Sequence[str] = (), cure: str = "") -> NoReturn:
    """Raise an error at the user's line."""
    raise kind(report(what, at=here(), facts=facts, cure=cure))


class Ys(NamedTuple):
    """What a turn gives beside its carry: tensors, and update ops, nested."""

    tree: Any
    tensors: list[Tensor]

    def stacked(self, new: Sequence[Tensor], variables: Sequence[str], changed: Sequence[Tensor]) -> Any:
        """The same nesting with the ys of all turns, and with update ops for the variables as they are at last."""
        rest, after = iter(new), dict(zip(variables, changed, strict=True))

        def leaf(x: Any) -> Any:
            if isinstance(x, Update):
                return Update([assign(after[name], name=name) for name in names(x)])
            return None if x is None else next(rest)

        return rebuilt(self.tree, [leaf(x) for _, x in leaves(self.tree)])


class Turn(NamedTuple):
    """What a body has written."""

    given: list[Tensor]
    carry: list[Tensor]
    ys: Ys
    names: list[str]  # of the variables that it changes
    assigned: list[tuple[Tensor, Tensor, Tensor]]  # of each: outside, at the beginning and at the end of a turn
    widened: list[np.dtype[Any]] | None  # the dtypes to begin with, where a number of Python's was too narrow


def names(update: Update) -> list[str]:
    """The variables that an update op changes."""
    return [t.graph.nodes[t.index].params["name"] for t in update.assignments]


def turn(what: str, inner: BodyGraph, graph: Graph, carry: Nest, returned: Any, given: list[Tensor]) -> Turn:
    """What the body of a loop returned, taken apart.

    Raises:
        GraphError: it is no pair, or writes an update that it does not return.
        SpecError: the carry changes.
    """
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        got = f"{len(returned)} things" if isinstance(returned, (tuple, list)) else f"a {type(returned).__name__}"
        cure = "A body returns a pair, (carry, y); y is None where there is nothing to stack."
        fail(GraphError, f"cannot {what}: its body returned {got}, not (carry, y)", cure=cure)
    after, y = returned
    carried, widened = _carried(what, inner, carry, after)
    ys, names, assigned = _updated(what, inner, graph, y)
    return Turn(given, carried, ys, names, assigned, widened)


def check_nesting(what: str, before: Any, after: Any) -> None:
    """Raise SpecError unless the carry that a body returned is nested as it was given."""
    if structure(after) != structure(before) or _nones(after) != _nones(before):
        facts = [f"given:     {shown(before)}", f"returned:  {shown(after)}"]
        cure = "A carry keeps its nesting: return it as it was given."
        fail(SpecError, f"cannot {what}: the body returns a carry of another structure", facts, cure)


def _carried(what: str, inner: BodyGraph, carry: Nest, after: Any) -> tuple[list[Tensor], list[np.dtype[Any]] | None]:
    """The leaves of the carry that the body returned; the dtypes to begin with instead, where numbers were too narrow.

    Raises:
        SpecError: the nesting, a shape or a dtype is not what it was.
    """
    check_nesting(what, carry.tree, after)
    found = [leaf for _, leaf in leaves(after) if leaf is not None]
    listed, dtypes, wider = [], [], False
    for path, before, weak, leaf in zip(carry.paths, carry.tensors, carry.weak, found, strict=True):
        new = inner.lifted(tensor(leaf, inner, before.dtype if type(leaf) in WEAK else None))
        dtype = before.dtype
        if new.spec != before.spec:
            wide = np.result_type(dtype, new.dtype)
            if weak and new.shape == before.shape and wide == new.dtype:
                dtype, wider = new.dtype, True
            else:
                facts = [
                    f"given:     {before.spec}   {before.graph.describe(before.index)}",
                    f"returned:  {new.spec}   {inner.describe(new.index)}",
                ]
                cure = "A carry keeps its shapes and dtypes: cast or reshape it in the body, or begin with another."
                name = f"carry{path}" if path else "the carry"
                fail(SpecError, f"cannot {what}: {name} changes from {before.spec} to {new.spec}", facts, cure)
        listed.append(new)
        dtypes.append(dtype)
    return listed, dtypes if wider else None


def _nones(tree: Any) -> list[bool]:
    return [leaf is None for _, leaf in leaves(tree)]


def shown(tree: Any) -> str:
    """A nesting with specs in place of tensors, on one line."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{key!r}: {shown(item)}" for key, item in tree.items()) + "}"
    if isinstance(tree, (tuple, list)):
        inside = ", ".join(map(shown, tree))
        return f"[{inside}]" if isinstance(tree, list) else f"({inside}{',' if len(tree) == 1 else ''})"
    return str(tree.spec) if isinstance(tree, Tensor) else type(tree).__name__ if tree is not None else "None"


def _updated(
    what: str, inner: BodyGraph, graph: Graph, y: Any
) -> tuple[Ys, list[str], list[tuple[Tensor, Tensor, Tensor]]]:
    """The ys as tensors of the body, and the variables that it changes: each is a carry from here on.

    Raises:
        GraphError: an update op is not returned, or there are two of one variable.
    """
    tensors: list[Tensor] = []
    assigned: dict[str, Tensor] = {}
    asked: set[int] = set()
    for _, leaf in leaves(y):
        if isinstance(leaf, Update):
            for t in leaf.assignments:
                name = inner.nodes[t.index].params["name"]
                value = inner.tensor(inner.nodes[t.index].inputs[0])
                if name in assigned and assigned[name].index != value.index:
                    cure = "A turn gives each variable one new value: return one of the updates, or combine them."
                    fail(GraphError, f"cannot {what}: variable {name!r} is assigned twice in one turn", cure=cure)
                assigned[name] = value
                asked.add(t.index)
        elif leaf is not None:
            tensors.append(inner.lifted(tensor(leaf, inner)))
    for i in inner.impure:
        if inner.nodes[i].of(assign) and i not in asked:
            facts = [f"update:  of {inner.nodes[i].params['name']!r}, {inner.origins[i].place}"]
            cure = "Return it among the ys: `return carry, (y, update)`."
            fail(GraphError, f"cannot {what}: its body writes an update, and does not return it", facts, cure)
    triples = []
    for name, value in assigned.items():
        outside = graph.lifted(graph.context.variable(name))
        own = inner.captures.pop(outside.index, None)
        mine = inner.parameter(outside.spec) if own is None else inner.tensor(own)
        triples.append((outside, mine, value))
    return Ys(y, tensors), list(assigned), triples
