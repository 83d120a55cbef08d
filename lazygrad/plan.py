"""Graph and roots -> Plan: which nodes run, when each value dies, which never change.

A plan is what is constant about a step: it is made once for a graph and run as often as wanted. It
holds no array of the environment, and none of the user's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lazygrad.define.kinds import Declared, Source, item
from lazygrad.define.region import Region
from lazygrad.errors import DefinitionError, GraphError, Origin, report
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.ops.source import _constant, assign, placeholder, variable
from lazygrad.ops.streams import _stream
from lazygrad.ops.workers import _begins, _waits
from lazygrad.rewrite import RULES, halved, optimized, prune, share
from lazygrad.rewrite.halving import described, products_of_halves
from lazygrad.rewrite.keeping import kept_in_halves

__all__ = ["NativeCode", "Plan", "draws", "last_reads", "layer_of"]


class NativeCode(Protocol):
    """What a plan knows of its native code."""

    @property
    def nbytes(self) -> int:
        """Bytes of its arena."""

    def explain(self) -> str:
        """Its kernels, in words."""


def _none() -> NativeCode | None:
    """There is no native code."""
    return None


@dataclass(frozen=True)
class Told:
    """What a copy of a plan, or one that was pickled, knows of the native code that ran it."""

    nbytes: int
    text: str

    def explain(self) -> str:
        """Its kernels, in words."""
        return self.text

    def __call__(self) -> Told:
        return self


class Plan:
    """The nodes to run, in order, and what is known of them before any of them runs.

    Args:
        graph: what the user wrote.
        roots: the nodes that are asked for.
        shared: whether functions of one argument shall be computed from one number. Native code gains by that;
            NumPy, which has a fast function of its own for each, loses.
        native: gives the native code that runs the plan, if it is in place; is asked when the plan is explained.
        arranged: makes of the graph after all passes that of one worker, where there are several.

    Attributes:
        graph: the graph after all passes; every node of it is needed.
        halves: the dtype to which operands of products are rounded, if they are.
        of_halves: the products of which that is known.
        values: the nodes whose arrays are returned, in the order they were asked for.
        updates: for each variable that the run changes, the node that computes its new value.
        variables, placeholders: nodes that stand for them, by name.
        constants: nodes that stand for arrays beside the graph, with the array's number.
        stream: the node of the stream that random numbers are drawn from, if any are.
        draws: whether random numbers are drawn.
        last_use: for each node the last that reads it: itself if none does, and the number of nodes if it outlives the
            run, as it is returned or assigned.
        dying: for each node the nodes whose arrays nothing after it needs.
        static: for each node whether its array is the same in every run.
    """

    def __init__(
        self,
        graph: Graph,
        roots: Sequence[int],
        shared: bool = True,
        native: Callable[[], NativeCode | None] | None = None,
        arranged: Callable[[Graph], Graph] | None = None,
    ) -> None:
        wanted = Graph(graph.dtype)
        wanted.nodes, wanted.origins = graph.nodes, graph.origins
        wanted.roots = tuple(roots)
        self.halves = graph.halves
        self.graph = optimized(wanted if self.halves is None else halved(prune(wanted), self.halves))
        if shared:
            self.graph = share(self.graph)
        if arranged is not None:
            self.graph = arranged(self.graph)
        if self.halves is not None:
            self.graph = kept_in_halves(self.graph, self.halves)
        self.of_halves = products_of_halves(self.graph) if self.halves is not None else frozenset()
        nodes = self.graph.nodes
        self.values: list[int] = []
        self.updates: dict[str, int] = {}
        for i in self.graph.roots:
            if nodes[i].of(assign):
                self._assign(i, nodes[i])
            else:
                self.values.append(i)
        self.variables = {n.params["name"]: i for i, n in enumerate(nodes) if n.of(variable)}
        self.placeholders = {n.params["name"]: i for i, n in enumerate(nodes) if n.of(placeholder)}
        self.constants = {i: n.params["number"] for i, n in enumerate(nodes) if n.of(_constant)}
        self.stream = next((i for i, n in enumerate(nodes) if n.of(_stream)), None)
        self.draws = draws(self.graph)
        self.native = native or _none
        self.last_use = self._last_use()
        self.dying = self._dying()
        self.static = self._static()

    def __getstate__(self) -> dict[str, Any]:
        code = self.native()
        told = _none if code is None else Told(code.nbytes, code.explain())
        return {**vars(self), "native": told}

    def _assign(self, index: int, node: Node) -> None:
        name, value = node.params["name"], node.inputs[0]
        if self.updates.setdefault(name, value) != value:
            raise GraphError(
                report(
                    f"variable {name!r} is assigned twice in one run",
                    at=self.origin(index),
                    facts=[f"before:  {self.graph.describe(self.updates[name])}"],
                    cure="A run gives each variable one new value: push one of the updates, or combine them.",
                )
            )

    def _last_use(self) -> list[int]:
        nodes, kept = self.graph.nodes, {*self.values, *self.updates.values()}
        last = last_reads(node.inputs for node in nodes)
        return [len(nodes) if i in kept else last.get(i, i) for i in range(len(nodes))]

    def _dying(self) -> list[tuple[int, ...]]:
        last = self.last_use
        return [tuple([j for j in dict.fromkeys(n.inputs) if last[j] == i]) for i, n in enumerate(self.graph.nodes)]

    def _static(self) -> bytearray:
        static = bytearray(len(self.graph.nodes))
        for i, node in enumerate(self.graph.nodes):
            if is_random(node) or not node.op.pure or isinstance(node.op, Region):
                continue
            if isinstance(node.op, Source):
                static[i] = not node.op.given
            else:
                static[i] = all(static[j] for j in node.inputs)
        return static

    def spec(self, index: int) -> Spec:
        """The spec of a node with one result."""
        spec = self.graph.nodes[index].spec
        assert isinstance(spec, Spec)
        return spec

    def origin(self, index: int) -> Origin:
        """Where the user wrote a node."""
        return self.graph.origins[index]

    def misdeclared(self, index: int, got: str) -> DefinitionError:
        """The error that a kernel has returned ``got``, which is not what its op declares."""
        node = self.graph.nodes[index]
        declared = ", ".join(map(str, self.specs(index)))
        return DefinitionError(
            report(
                f"op {node.op.name!r} declares {declared}, but its kernel returned {got}",
                at=self.origin(index),
                cure="Correct its shape or dtype rule, or cast in the kernel.",
            )
        )

    def check(self, index: int, results: Any) -> None:
        """Raise DefinitionError for what a kernel returned, unless it is what its op declares."""
        if not isinstance(results, (tuple, list)):
            raise self.misdeclared(index, f"one {type(results).__name__}")
        if any(not isinstance(getattr(r, "dtype", None), np.dtype) for r in results):
            raise self.misdeclared(index, ", ".join(type(r).__name__ for r in results))
        if tuple([Spec(tuple(r.shape), r.dtype) for r in results]) != self.specs(index):
            raise self.misdeclared(index, ", ".join(str(Spec(tuple(r.shape), r.dtype)) for r in results))

    @property
    def peak_bytes(self) -> int:
        """Bytes of the arena in which native code keeps what is neither a variable, an input nor a result.

        Without native code, as much as all nodes make together, and the nodes of a body once: NumPy frees arrays as
        it goes on.
        """
        code = self.native()
        return _nbytes(self.graph) if code is None else code.nbytes

    @property
    def evaluations(self) -> int:
        """How many nodes NumPy computes one by one in a run: those of the body of a scan in every turn.

        A loop whose number of turns is not known counts one, and of a choice the longer branch.
        """
        return _evaluations(self.graph)

    def specs(self, index: int) -> tuple[Spec, ...]:
        """The specs of a node's results."""
        spec = self.graph.nodes[index].spec
        return (spec,) if isinstance(spec, Spec) else tuple(spec)

    def laws(self) -> list[str]:
        """What passes have changed, a sentence each: by which law, and how often."""
        laws = _laws()
        return [f"{laws.get(name) or name} ({times}×)" for name, times in self.graph.rewrites.items()]

    def explain(self) -> str:
        """The plan in words: how many nodes of each op run and what it is, what passes did, the kernels they became."""
        counts: dict[str, list[int]] = {}
        about: dict[str, str] = {}
        for i, node in enumerate(self.graph.nodes):
            specs = [node.spec] if isinstance(node.spec, Spec) else node.spec
            about[node.op.name] = (node.op.__doc__ or "").partition("\n")[0]
            row = counts.setdefault(node.op.name, [0, 0])
            row[0] += 1
            row[1] += 0 if self.static[i] or not node.inputs else sum(s.nbytes for s in specs)
        lines = [f"{len(self.graph.nodes)} nodes, {len(self.values)} values, {len(self.updates)} updates"]
        for name, (count, nbytes) in sorted(counts.items(), key=lambda row: -row[1][1]):
            lines.append(f"{count:6}  {name:<20} {nbytes:>14,} bytes  {about[name]}".rstrip())
        if self.graph.rewrites:
            laws = _laws()
            lines.append("passes")
            lines += [f"{times:6}  {name:<26}  {laws.get(name, '')}" for name, times in self.graph.rewrites.items()]
        if self.halves is not None:
            lines += described(self.graph, self.halves)
        lines += _exchanges(self.graph)
        code = self.native()
        if code is not None:
            lines.append(code.explain())
        return "\n".join(lines)


def _laws() -> dict[str, str]:
    """The laws of rules and passes by their names, in one line each."""
    passes = {
        "merge": "Equal nodes are computed once.",
        "exchange": "What workers sum is put together, and begins to travel as soon as it is there.",
    }
    return {rule.name: rule.law.partition("\n")[0] for rule in RULES} | passes


def _exchanges(graph: Graph) -> list[str]:
    """What a worker exchanges with the others, in words: where each sum begins, and where it is waited for."""
    ends = {node.params["number"]: i for i, node in enumerate(graph.nodes) if node.of(_waits)}
    lines = []
    for i, node in enumerate(graph.nodes):
        if node.of(_begins):
            specs = [graph.nodes[j].spec for j in node.inputs]
            nbytes = sum(spec.nbytes for spec in specs if isinstance(spec, Spec))
            arrays = f"{len(specs)} array{'s' if len(specs) > 1 else ''}"
            until = ends.get(node.params["number"])
            told = f"begins at node {i}" + ("" if until is None else f", is waited for at node {until}")
            lines.append(f"{node.params['number'] + 1:6}  {arrays:<12} {nbytes:>14,} bytes  {told}")
    if lines:
        count = next(node.params["among"] for node in graph.nodes if node.of(_begins))
        lines.insert(0, f"exchanges of {count} workers")
    return lines


def last_reads(steps: Iterable[Iterable[int]]) -> dict[int, int]:
    """For everything that steps read, the number of the last that does."""
    return {read: number for number, reads in enumerate(steps) for read in reads}


def layer_of(graph: Graph, i: int) -> Origin:
    """Where a node was written; by the namespace of the variables that it reads, if no layer wrote it."""
    origin, node = graph.origins[i], graph.nodes[i]
    if origin.layer:
        return origin
    for j in (i, *node.inputs):
        if graph.nodes[j].of(variable):
            return origin._replace(layer=str(graph.nodes[j].params["name"]).rpartition("/")[0])
    return origin


def walked(graph: Graph) -> Iterator[Node]:
    """The nodes of a graph, and those of the bodies in it."""
    for node in graph.nodes:
        yield node
        if isinstance(node.op, Region):
            for body in bodies(node):
                yield from walked(body.graph)


def _evaluations(graph: Graph) -> int:
    total = len(graph.nodes)
    for node in graph.nodes:
        if isinstance(node.op, Region):
            turns = 1 if node.params.get("limited") else int(node.params.get("length", 1))
            total += turns * max(_evaluations(body.graph) for body in bodies(node))
    return total


def _nbytes(graph: Graph) -> int:
    """Bytes of what the nodes make; of bodies in one turn, of which that of one branch is the largest."""
    total = 0
    for node in graph.nodes:
        specs = [node.spec] if isinstance(node.spec, Spec) else node.spec
        total += sum(spec.nbytes for spec in specs) if node.inputs and not node.of(item) else 0
        if isinstance(node.op, Region):
            total += max(_nbytes(body.graph) for body in bodies(node))
    return total


def draws(graph: Graph) -> bool:
    """Whether random numbers are drawn, by lazygrad's ops or by the user's, in bodies too."""
    return any(node.of(_stream) or is_random(node) for node in walked(graph))


def is_random(node: Node) -> bool:
    """Whether a node is of an op of the user's that draws with ``rng``."""
    return isinstance(node.op, Declared) and node.op.random
