"""A choice between two functions, and a function whose insides are computed again for the gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from lazygrad.define.kinds import tensor
from lazygrad.define.region import BodyGraph
from lazygrad.errors import GraphError, SpecError
from lazygrad.graph.graph import Graph, current_graph
from lazygrad.graph.registry import function
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.bodies import fail, is_leaf, names, node, sealed, shown, write
from lazygrad.ops.control import CALL, CALL_ACTING, COND, COND_ACTING
from lazygrad.ops.source import assign
from lazygrad.ops.update import Update
from lazygrad.trees import leaves, rebuilt, structure

__all__ = ["checkpoint", "cond"]

F = TypeVar("F", bound=Callable[..., Any])


class Branch(NamedTuple):
    """A body that has been written, with what it returned."""

    graph: BodyGraph
    tree: Any
    tensors: list[Tensor]
    assigned: dict[str, Tensor]


def _branch(what: str, graph: Graph, call: Callable[[], Any]) -> Branch:
    """The body that a function of nothing writes.

    Raises:
        GraphError: it writes an update that it does not return, or returns something else than tensors.
    """

    def taken(inner: BodyGraph, _: list[Tensor]) -> tuple[Any, list[Tensor], dict[str, Tensor]]:
        tree = call()
        tensors: list[Tensor] = []
        assigned: dict[str, Tensor] = {}
        asked: set[int] = set()
        for path, leaf in leaves(tree):
            if isinstance(leaf, Update):
                for t in leaf.assignments:
                    assigned[inner.nodes[t.index].params["name"]] = inner.tensor(inner.nodes[t.index].inputs[0])
                    asked.add(t.index)
            elif leaf is not None:
                if not is_leaf(leaf):
                    cure = "It returns tensors, arrays and numbers, nested in tuples, lists and dicts."
                    fail(
                        GraphError,
                        f"cannot {what}: a function returned {leaf!r:.40}{path and ' at ' + path}",
                        cure=cure,
                    )
                tensors.append(inner.lifted(tensor(leaf, inner)))
        _check_asked(what, inner, asked)
        return tree, tensors, assigned

    written, (tree, tensors, assigned) = write(what, graph, [], taken)
    return Branch(written, tree, tensors, assigned)


def _check_asked(what: str, inner: BodyGraph, asked: set[int]) -> None:
    for i in inner.impure:
        if inner.nodes[i].of(assign) and i not in asked:
            facts = [f"update:  of {inner.nodes[i].params['name']!r}, {inner.origins[i].place}"]
            cure = "Return it with the rest: `return value, update`."
            fail(GraphError, f"cannot {what}: a function writes an update, and does not return it", facts, cure)


def _joined(graph: Graph, branches: Sequence[Branch], predicate: Tensor | None) -> Any:
    """The node that runs one of the branches, or the only one; what it returns, nested as they are."""
    changed = list(dict.fromkeys(name for branch in branches for name in branch.assigned))
    before = {name: graph.lifted(graph.context.variable(name)) for name in changed}
    outputs = []
    for branch in branches:
        inner = branch.graph
        own = [branch.assigned[name] if name in branch.assigned else inner.lifted(before[name]) for name in changed]
        outputs.append([t.index for t in [*branch.tensors, *own]])
    shared = list(dict.fromkeys(i for branch in branches for i in branch.graph.captures))
    bodies = []
    for branch, outs in zip(branches, outputs, strict=True):
        inputs = [branch.graph.lifted(graph.tensor(i)).index for i in shared]
        bodies.append(sealed(branch.graph, inputs, outs))
    operands = [graph.tensor(i) for i in shared]
    if predicate is None:
        found = node(CALL, CALL_ACTING, graph, operands, body=bodies[0])
    else:
        found = node(COND, COND_ACTING, graph, [predicate, *operands], bodies=tuple(bodies))
    count = len(branches[0].tensors)
    rest, after = iter(found[:count]), dict(zip(changed, found[count : count + len(changed)], strict=True))
    given = [leaf for _, leaf in leaves(branches[0].tree)]
    others = [[leaf for _, leaf in leaves(branch.tree)] for branch in branches]
    new: list[Any] = []
    for k, leaf in enumerate(given):
        if isinstance(leaf, Update):
            listed = dict.fromkeys(name for other in others for name in names(other[k]))
            new.append(Update([assign(after[name], name=name) for name in listed]))
        else:
            new.append(None if leaf is None else next(rest))
    return rebuilt(branches[0].tree, new)


@function
def cond(predicate: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], *operands: Any) -> Any:
    """What one of two functions gives: only the chosen one is computed. :func:`where` computes both.

    Args:
        predicate: a single boolean: a tensor, or one of Python's, which chooses while the step is written.
        if_true, if_false: functions of the operands. Both are called once, and return tensors of the same shapes and
            dtypes, nested alike. They may use tensors from outside, variables, draws, and return update ops.
        operands: what they are called with.

    Raises:
        SpecError: the predicate is no single boolean, or the functions return something different.
        GraphError: a function writes an update that it does not return.
    """
    if isinstance(predicate, (bool, np.bool_)):
        return (if_true if predicate else if_false)(*operands)
    graph = current_graph("choose")
    chosen = graph.lifted(tensor(predicate, graph)) if is_leaf(predicate) else None
    if chosen is None or chosen.shape or chosen.dtype != np.bool_:
        got = str(chosen.spec) if chosen is not None else f"a {type(predicate).__name__}"
        facts = [f"predicate:  {chosen.spec}   {graph.describe(chosen.index)}"] if chosen is not None else []
        cure = "Compare numbers; lg.where chooses element by element."
        fail(SpecError, f"cannot choose by {got}: a predicate is a single boolean", facts, cure)
    branches = [_branch("choose", graph, functools.partial(f, *operands)) for f in (if_true, if_false)]
    one, other = branches
    kinds = [[(leaf is None, isinstance(leaf, Update)) for _, leaf in leaves(branch.tree)] for branch in branches]
    same = structure(one.tree) == structure(other.tree) and kinds[0] == kinds[1]
    if not same or [t.spec for t in one.tensors] != [t.spec for t in other.tensors]:
        facts = [f"if true:   {shown(one.tree)}", f"if false:  {shown(other.tree)}"]
        cure = "Both return the same nesting of the same shapes and dtypes: cast or broadcast one of them."
        fail(SpecError, "cannot choose between functions that return something different", facts, cure)
    return _joined(graph, branches, chosen)


@function
def checkpoint(f: F) -> F:
    """The same function, whose insides are not kept for the gradient but computed again.

    So a gradient takes less memory, and as long again as ``f``. What the function returns, and what it takes from
    outside, is kept. The body of a :func:`scan` may be one: then the memory of its gradient grows as the square root
    of the number of turns (Chen et al. 2016, "Training deep nets with sublinear memory cost"); where it draws, the
    numbers are others than without.

    Args:
        f: a function that returns tensors, in tuples, lists and dicts, in any nesting.
    """

    @functools.wraps(f)
    def again(*args: Any, **kwargs: Any) -> Any:
        graph = current_graph("call a function")
        return _joined(graph, [_branch("checkpoint", graph, lambda: f(*args, **kwargs))], None)

    again.checkpointed = f  # type: ignore[attr-defined]
    return cast(F, again)
