"""What a step does beside computing what it returns: values it shows, and updates that nobody makes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import CodeType

from lazygrad.define.kinds import Declared
from lazygrad.define.region import Region
from lazygrad.errors import GraphError, report
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.registry import unsigned
from lazygrad.graph.spec import Spec
from lazygrad.ops.passing import _hook, _show
from lazygrad.ops.source import assign, placeholder

__all__ = ["called", "check_updates", "fed", "needed", "shown"]


ASSIGN: object = assign  # most of what a step does beside computing is this: it is looked for first


def shown(graph: Graph, since: int = 0) -> list[int]:
    """The nodes from ``since`` on that happen in every run, in order, whoever reads them.

    They show a value, call a hook, or are of an op that the user has declared with ``pure=False``.
    """
    nodes = graph.nodes
    found = [i for i in graph.impure if i >= since and nodes[i].op is not ASSIGN and _happens(nodes[i])]
    return [i if isinstance(nodes[i].spec, Spec) else i + 1 for i in found]  # of several results, the first


def _happens(node: Node) -> bool:
    return (
        node.of(_show)
        or node.of(_hook)
        or isinstance(node.op, Region)
        or (isinstance(node.op, Declared) and not node.op.own)
    )


def called(graph: Graph) -> set[CodeType]:
    """The code of the user's functions that nodes call in every run, such as hooks."""
    nodes = [graph.nodes[i] for i in graph.impure]
    settings = [value for node in nodes for value in node.params.values() if callable(value)]
    inner = [called(body.graph) for node in nodes if isinstance(node.op, Region) for body in bodies(node)]
    codes = [getattr(unsigned(getattr(value, "__func__", value)), "__code__", None) for value in settings]
    return {code for code in codes if code is not None}.union(*inner)


def fed(graph: Graph, index: int, names: Collection[str]) -> bool:
    """Whether every placeholder that a node is computed from is among the names."""
    nodes, seen, stack = graph.nodes, {index}, [index]
    while stack:
        node = nodes[stack.pop()]
        if node.of(placeholder) and node.params["name"] not in names:
            return False
        stack += [j for j in node.inputs if j not in seen]
        seen.update(node.inputs)
    return True


def needed(graph: Graph, roots: Collection[int]) -> set[int]:
    """The nodes that the roots are computed from, those included."""
    seen, stack = set(roots), list(roots)
    while stack:
        for j in graph.nodes[stack.pop()].inputs:
            if j not in seen:
                seen.add(j)
                stack.append(j)
    return seen


def check_updates(graph: Graph, asked: Collection[int], replaced: Collection[int]) -> None:
    """Raise GraphError if the graph has assignments that are not asked for: they would change nothing, and say nothing.

    Args:
        graph: what the step has written.
        asked: the roots, of all evaluations.
        replaced: assignments in whose place another one of the same variable may be asked for.
    """
    nodes = graph.nodes
    written = [i for i in graph.impure if i not in asked and nodes[i].op is ASSIGN]
    if not written:
        return
    instead = {nodes[i].params["name"] for i in asked if nodes[i].of(assign)}
    lost = [i for i in written if i not in replaced or nodes[i].params["name"] not in instead]
    if lost:
        raise GraphError(_lost(graph, lost))


def _lost(graph: Graph, lost: Iterable[int]) -> str:
    first, *_ = lost
    names = list(dict.fromkeys(repr(graph.nodes[i].params["name"]) for i in lost))
    listed = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    return report(
        "the step writes an update, and neither returns nor pushes it",
        at=graph.origins[first],
        facts=[f"update:  of {listed}", f"Nothing would change {'it' if len(names) == 1 else 'them'}."],
        cure="Return it with the rest, such as `return loss, update`, or push it; do not write one that is not wanted.",
    )
