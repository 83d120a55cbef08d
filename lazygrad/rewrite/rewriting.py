"""Rewriting: a graph that applies rules to whatever is written into it, and writes nothing twice."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

from lazygrad.graph.graph import Graph, Node, Op
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Tensor
from lazygrad.ops.movement import broadcast_to, reshape
from lazygrad.ops.passing import _after
from lazygrad.rewrite.rules import Rule

__all__ = ["Rewriting", "rewritten", "walked"]

Rules = tuple[Rule, ...]
Found = tuple[Rules, dict[object, Rules]]  # those for any operands, and those for operands that apply an op


class _Table:
    """The rules by what they are about. Ops and kinds are few and stay, so it is made once."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.named = {op: self._found(op) for rule in rules for op in rule.ops if isinstance(op, Op)}
        self._kinds: dict[type, Found] = {}

    def __getitem__(self, op: Op) -> Found:
        """The rules for nodes of an op."""
        found = self.named.get(op) or self._kinds.get(type(op))
        if found is None:
            found = self._kinds[type(op)] = self._found(op)
        return found

    def _found(self, op: Op) -> Found:
        always: list[Rule] = []
        after: dict[object, list[Rule]] = {}
        for rule in self.rules:
            if any(op is wanted or (isinstance(wanted, type) and isinstance(op, wanted)) for wanted in rule.ops):
                for operand in rule.of:
                    after.setdefault(operand, []).append(rule)
                if not rule.of:
                    always.append(rule)
        return tuple(always), {operand: tuple(found) for operand, found in after.items()}


_table = functools.lru_cache(maxsize=16)(_Table)


class Matched(Tensor):
    """A tensor as a rule sees it: equal to another if both are the same node of the graph being written.

    Nothing is written twice there, so that is to ask whether two expressions are the same. A rule that means to
    compare elements says ``equal``.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return isinstance(other, Tensor) and self.graph is other.graph and self.index == other.index

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    def __hash__(self) -> int:
        return hash((id(self.graph), self.index))


class Rewriting(Graph):
    """A graph being written by a pass.

    Each node is written after its operands, and they are final by then; each rule looks at a node and at
    what lies before it. So when all is written no rule applies any more, but those that ask what reads a node.
    A rule is not applied to what it writes itself, so that the walk ends, whatever the rules.
    """

    def __init__(self, before: Graph, rules: Iterable[Rule]) -> None:
        super().__init__(before.dtype)
        self.constants = before.constants
        self.before = before
        self.table = _table(tuple(rules))
        self.places: dict[Any, int] = {}
        self.provisional: dict[Any, int] = {}  # of nodes for which a rule was skipped
        self.used: list[str] = []  # names of rules
        self.old = -1  # the node of ``before`` that is being written; -1 while a rule writes
        self.unsure = False
        self.active: list[Rule] = []  # those that are writing
        self.skipped = False  # whether one of them would have applied, had it not been writing
        self._known_hooks: list[int] = []
        self._hook_count = 0
        self._readers: list[list[int]] | None = None

    def walk(self) -> None:
        """Write the graph before anew."""
        before, places = self.before, self.places
        moved: list[int] = []
        merged = 0
        for old, (node, self.origin) in enumerate(zip(before.nodes, before.origins, strict=True)):
            inputs = tuple([moved[i] for i in node.inputs])
            identity = (node.op, inputs, node.key)
            place = places.get(identity)
            if place is None:
                if inputs != node.inputs:
                    node = Node(node.op, inputs, node.params, node.key, node.spec)
                self.old = old
                place = self._place(node, identity)
            else:
                merged += 1
            moved.append(place)
        self.roots = tuple([moved[i] for i in before.roots])
        self.rewrites = Counter({**before.rewrites})
        self.rewrites.update(self.used)
        if merged:
            self.rewrites["merge"] += merged

    def apply(self, op: Op, inputs: tuple[int, ...], params: dict[str, Any], key: Any = None) -> Tensor:
        """The tensor that stands for ``op(*inputs, **params)``, which a rule asks for."""
        if key is None:
            key = self._key(op, inputs, params) if params else ()
        identity = (op, inputs, key)
        place = self.places.get(identity, self.provisional.get(identity))
        if place is None:
            self.old = -1
            spec = op.infer(cast(list[Spec], [self.nodes[i].spec for i in inputs]), params)
            place = self._place(Node(op, inputs, params, key, spec), identity)
        return self.tensor(place)

    def tensor(self, index: int) -> Matched:
        """The tensor of node ``index``."""
        return Matched(self, index, cast(Spec, self.nodes[index].spec))

    def _place(self, node: Node, identity: Any) -> int:
        """Where the node is written, or what stands for it. Hooks and the like are never taken for each other."""
        always, after = self.table[node.op]
        place = self._stand_in(node, always, after) if always or after else None
        if place is None:
            place = self.provisional.get(identity)
        if place is None:
            place = len(self.nodes)
            self.nodes.append(node)
            assert self.origin is not None
            self.origins.append(self.origin)
        if node.op.pure:
            (self.provisional if self.skipped else self.places)[identity] = place
        self.skipped = False
        return place

    def _stand_in(self, node: Node, always: Rules, after: dict[object, Rules]) -> int | None:
        nodes = self.nodes
        rules = always
        if after:
            for i in node.inputs:
                more = after.get(nodes[i].op)
                if more is not None and more is not rules:
                    rules = tuple(dict.fromkeys(rules + more)) if rules else more
        spec = node.spec
        if not rules or not isinstance(spec, Spec):
            return None
        xs = [self.tensor(i) for i in node.inputs]
        for rule in rules:
            if rule in self.active:
                self.skipped = True
                continue
            used = len(self.used)
            self.active.append(rule)
            y = rule.match(node, *xs)
            self.active.pop()
            if y is not None and y.spec.dtype == spec.dtype:
                self.used.append(rule.name)
                if rule.drops:
                    y = self._heard(y, xs)
                return _fitted(y, spec).index
            del self.used[used:]  # what was tried for nothing
        return None

    def _heard(self, y: Tensor, xs: Sequence[Tensor]) -> Tensor:
        """``y``, when all hooks in ``xs`` have been called."""
        lost = [x for x in xs if self._hooks(x.index) & ~self._hooks(y.index)]
        return _after(y, *lost) if lost else y

    def _hooks(self, index: int) -> int:
        """What can be seen to happen when a node is evaluated, with all it is computed from: a bit for each hook."""
        known = self._known_hooks
        for node in self.nodes[len(known) : index + 1]:
            bits = 0
            for j in node.inputs:
                bits |= known[j]
            if not node.op.pure:
                bits |= 1 << self._hook_count
                self._hook_count += 1
            known.append(bits)
        return known[index]

    # What a rule may ask about the node it was given, before it writes anything. A node that another rule wrote
    # is not of the graph before: nothing is known of what reads it.

    def readers(self, operand: int | None = None) -> list[Node] | None:
        """The nodes that read the node, or one of its operands, in the graph before; None if that is not known.

        A root is read by whoever asked for it: that is not known either.
        """
        if self.old < 0:
            self.unsure = True
            return None
        before = self.before
        if self._readers is None:
            self._readers = [[] for _ in before.nodes]
            for i, node in enumerate(before.nodes):
                for j in set(node.inputs):
                    self._readers[j].append(i)
        index = self.old if operand is None else before.nodes[self.old].inputs[operand]
        return None if index in before.roots else [before.nodes[i] for i in self._readers[index]]


def _fitted(y: Tensor, spec: Spec) -> Tensor:
    if y.shape == spec.shape:
        return y
    return reshape(y, spec.shape) if y.size == spec.size else broadcast_to(y, spec.shape)


def rewritten(graph: Graph, rules: Iterable[Rule]) -> Graph:
    """The graph written anew by rules, equal nodes as one. What no root needs any more is still there."""
    return walked(graph, rules)[0]


def walked(graph: Graph, rules: Iterable[Rule]) -> tuple[Graph, bool]:
    """As :func:`rewritten`; and whether a rule could not tell what reads a node, and may apply in a second walk."""
    writing = Rewriting(graph, rules)
    writing.walk()
    new = Graph(graph.dtype)
    new.nodes, new.origins, new.roots = writing.nodes, writing.origins, writing.roots
    new.constants = graph.constants
    new.rewrites = dict(writing.rewrites)
    return new, writing.unsure
