"""Body: a graph as a value, among the settings of an op that runs it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, cast

from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec

__all__ = ["Body", "bodies"]


class Body:
    """A closed graph with what goes in and what comes out. Immutable; equal to a body of the same nodes.

    So an op with bodies among its settings is shared, guided and cached like any other.

    Attributes:
        graph: the nodes. No array lies beside them: constants, variables and whatever else belongs to the graph
            around it are inputs.
        inputs: numbers of the nodes that stand for what is given, sources of the op ``_parameter``, in order.
        outputs: numbers of the nodes whose values are the results, in order; one may stand there twice.
        effects: numbers of the nodes that happen in every run although nothing may read them, such as hooks.
        key: says which nodes it has.
        memo: what others have made of the body, such as its plan, by a name of theirs.
    """

    __slots__ = ("_hash", "effects", "graph", "inputs", "key", "memo", "outputs")

    def __init__(
        self, graph: Graph, inputs: tuple[int, ...], outputs: tuple[int, ...], effects: tuple[int, ...] = ()
    ) -> None:
        self.graph = graph
        self.inputs = inputs
        self.outputs = outputs
        self.effects = effects
        nodes = tuple([(node.op, node.inputs, node.key) for node in graph.nodes])
        self.key: Hashable = (nodes, inputs, outputs, effects, tuple(graph.rules.items()))
        self._hash = hash(self.key)
        self.memo: dict[Any, Any] = {}

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Body) and self._hash == other._hash and self.key == other.key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        return Body, (self.graph, self.inputs, self.outputs, self.effects)  # hashes are those of a process

    def spec(self, index: int) -> Spec:
        """The spec of a node that has one result."""
        return cast(Spec, self.graph.nodes[index].spec)

    @property
    def takes(self) -> list[Spec]:
        """The specs of the inputs."""
        return [self.spec(i) for i in self.inputs]

    @property
    def gives(self) -> list[Spec]:
        """The specs of the outputs."""
        return [self.spec(i) for i in self.outputs]

    def __repr__(self) -> str:
        return f"<body of {len(self.graph.nodes)} nodes>"

    def __str__(self) -> str:
        """One line a node as graphs are printed, after what is given; then what comes out."""
        given, out = (", ".join(f"%{i}" for i in places) for places in (self.inputs, self.outputs))
        return f" given {given}\n{self.graph}\n return {out}".rstrip()


def bodies(node: Node) -> Iterator[Body]:
    """The bodies among the settings of a node, in order; none for most ops."""
    for value in node.params.values():
        if isinstance(value, Body):
            yield value
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Body):
                    yield item
