"""Passes: from a graph to an equal graph that is cheaper to run, or nearer to the true numbers.

A pass walks the list once and writes a new one; roots move with it. What the user sees happen (hooks, random
draws) stays as it was. ``graph.rewrites`` says how often each rule was used.
"""

from __future__ import annotations

from lazygrad import settings
from lazygrad.errors import GraphError, report
from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.rewrite.hoisting import hoisted, summed_up
from lazygrad.rewrite.loops import joined, trimmed
from lazygrad.rewrite.regions import has_regions, rewritten_bodies
from lazygrad.rewrite.rewriting import rewritten, walked
from lazygrad.rewrite.rules import RULES, Rule
from lazygrad.rewrite.sharing import SLOPES

__all__ = ["absorb", "fold", "merge", "optimized", "prune", "share", "simplify", "stabilise", "verify"]

WALKS = 3  # with all rules; more are not worth what they cost


def prune(graph: Graph) -> Graph:
    """Only the nodes that a root needs."""
    needed = bytearray(len(graph.nodes))
    for i in graph.roots:
        needed[i] = 1
    for i in range(len(graph.nodes) - 1, -1, -1):
        if needed[i]:
            for j in graph.nodes[i].inputs:
                needed[j] = 1
    new = Graph(graph.dtype)
    new.constants = graph.constants
    moved = [-1] * len(graph.nodes)
    for i, node in enumerate(graph.nodes):
        if needed[i]:
            moved[i] = len(new.nodes)
            inputs = tuple([moved[j] for j in node.inputs])
            new.nodes.append(node if inputs == node.inputs else Node(node.op, inputs, node.params, node.key, node.spec))
            new.origins.append(graph.origins[i])
    new.roots = tuple([moved[i] for i in graph.roots])
    new.rewrites = graph.rewrites
    return new


def merge(graph: Graph) -> Graph:
    """One node in place of several that compute the same. Draws differ by their number, hooks are kept apart."""
    return rewritten(graph, ())


def fold(graph: Graph) -> Graph:
    """Arithmetic on literals done now: a literal in place of an elementwise op of literals."""
    return rewritten(graph, _of("fold"))


def simplify(graph: Graph) -> Graph:
    """Fewer or cheaper ops by identities that hold to the last bit."""
    return rewritten(graph, _of("simplify"))


def stabilise(graph: Graph) -> Graph:
    """Formulas that do not overflow or cancel in place of such that do. Values move towards the true ones."""
    return rewritten(graph, _of("stabilise"))


def absorb(graph: Graph) -> Graph:
    """Products of matrices in place of their transposes."""
    return rewritten(graph, _of("absorb"))


def share(graph: Graph) -> Graph:
    """What several functions of the same argument are computed from, once. Other rules would not know them then."""
    if not any(node.op in SLOPES for node in graph.nodes):
        return graph
    return prune(rewritten(graph, _of("share")))


def _of(passed: str) -> list[Rule]:
    return [rule for rule in RULES if rule.passed == passed]


def optimized(graph: Graph) -> Graph:
    """All passes: what is not needed goes first, then one walk with all rules, then what they made needless.

    Rules that share are not among them: :func:`share` comes after all others, where native code is made.

    The walk writes each node after its operands are final, so one is enough, but where a rule asks what reads a
    node that another rule wrote. With ``LAZYGRAD_CHECK=1`` in the process environment the result is verified.
    """
    new = prune(graph)
    if has_regions(new):
        new = _around_loops(prune(trimmed(joined(merge(new)))))
    rules = [rule for rule in RULES if rule.passed != "share"]
    for _ in range(WALKS):
        new, again = walked(new, rules)
        new = prune(new)
        if not again:
            break
    if settings.is_checked():
        verify(new, graph)
    return new


def _around_loops(graph: Graph) -> Graph:
    """Passes in the bodies of loops, and what can leave them leaves them."""
    return prune(trimmed(summed_up(hoisted(rewritten_bodies(graph, _optimized_body)))))


def _optimized_body(body: Body) -> Body:
    """A body after all passes, kept on it."""
    found: Body | None = body.memo.get("optimized")
    if found is None:
        wanted = Graph(body.graph.dtype)
        wanted.nodes, wanted.origins = body.graph.nodes, body.graph.origins
        wanted.roots = (*body.inputs, *body.outputs, *body.effects)
        new = optimized(wanted)
        first, last = len(body.inputs), len(body.inputs) + len(body.outputs)
        found = Body(new, new.roots[:first], new.roots[first:last], new.roots[last:])
        body.memo["optimized"] = found
        found.memo["optimized"] = found
    return found


def verify(graph: Graph, before: Graph | None = None) -> None:
    """Raise GraphError if a graph is not well formed, or if its roots are not those of the graph ``before``.

    Every operand stands before what reads it, every spec is what its op infers, every node has an origin.
    """
    if len(graph.nodes) != len(graph.origins):
        raise GraphError(report(f"there are {len(graph.nodes)} nodes and {len(graph.origins)} origins"))
    for i, node in enumerate(graph.nodes):
        if not all(0 <= j < i for j in node.inputs):
            raise GraphError(report(f"node {i}, {node.op.name}, reads {node.inputs}", at=graph.origins[i]))
        specs = [graph.nodes[j].spec for j in node.inputs]
        inferred = node.op.infer(specs, node.params)  # type: ignore[arg-type]
        if inferred != node.spec:
            what = f"node {i}, {node.op.name}, should be {inferred}, and is {node.spec}"
            raise GraphError(report(what, at=graph.origins[i]))
    if before is not None:
        kept = [before.nodes[i].spec for i in before.roots]
        roots = [graph.nodes[i].spec for i in graph.roots]
        if kept != roots:
            raise GraphError(report(f"the roots were {kept}, and are {roots}"))
