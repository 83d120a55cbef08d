"""The tree of boxes that a graph is drawn in: layers, lines, the gradient and the update.

A picture of a whole step opens with few boxes, which are the words that its author would use for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lazygrad.graph.graph import Graph
from lazygrad.markup import cut
from lazygrad.ops.source import _constant, assign, placeholder, variable
from lazygrad.visualize.groups import Groups
from lazygrad.visualize.names import line_name, line_of
from lazygrad.visualize.runs import MOST, shortened

__all__ = ["Branch", "folded"]

ARGUMENTS = 5  # that stand by themselves where there is much else
LOOSE = 40  # nodes that lie beside each other before they are cut by line
SHARED = "for all variables"
WIDE = 36  # characters of a line as a name

Key = tuple[Any, ...]  # the kind, the name, and what else tells one from the other


@dataclass(frozen=True)
class Branch:
    """A box with what lies in it, in an order in which nothing stands before what it depends on."""

    name: str
    kind: str
    part: str
    items: tuple[Branch | int, ...] = field(default=())

    def nodes(self) -> Iterator[int]:
        """All nodes in it, in boxes within it too."""
        for item in self.items:
            if isinstance(item, Branch):
                yield from item.nodes()
            else:
                yield item


def folded(graph: Graph, hidden: set[int], within: str | None = None) -> Branch:
    """The tree of a graph; what is ``hidden`` is not in it.

    Args:
        graph: what is drawn.
        hidden: numbers that stand in the text of what uses them.
        within: of the body of a loop, the layer that the loop is of: there boxes are layers within that.
    """
    return _Folding(graph, hidden, within).tree()


class _Folding:
    """A graph that is being folded.

    Attributes:
        routes: for each node the keys of the boxes that it lies in, from the outside to the inside.
        free: variables and constants that no layer reads: they lie with what uses them.
    """

    def __init__(self, graph: Graph, hidden: set[int], within: str | None) -> None:
        self.graph, self.hidden, self.within = graph, hidden, within
        self.inputs = [node.inputs for node in graph.nodes]
        self.targets = _targets(graph)
        self.free = {i for i in range(len(graph.nodes)) if within is None and self._is_free(i)}
        self.routes = [self._route(i) for i in range(len(graph.nodes))]

    def tree(self) -> Branch:
        """The root."""
        members = [i for i in range(len(self.inputs)) if i not in self.hidden and i not in self.free]
        items = self._items(members, 0, self.free - self.hidden)
        shorten = self.within is None or any(isinstance(item, Branch) for item in items)
        return Branch("", "root", "forward", tuple(self._short(items) if shorten else items))

    def _is_free(self, i: int) -> bool:
        node, origin = self.graph.nodes[i], self.graph.origins[i]
        return (node.of(variable) or node.of(_constant)) and not origin.layer and origin.part == "forward"

    def _line(self, i: int) -> Key:
        return "line", *line_of(self.graph.origins[i])

    def _route(self, i: int) -> tuple[Key, ...]:
        node, origin = self.graph.nodes[i], self.graph.origins[i]
        layers = tuple([("layer", word) for word in self._beyond(origin.layer).split("/") if word])
        if self.within is not None:
            return layers
        if origin.part == "gradient":
            return (("part", "gradient"), *layers)
        if origin.part == "update":
            return (("part", "update"), *self._updated(i, layers))
        return layers if layers or node.of(placeholder) else (self._line(i),)

    def _beyond(self, layer: str) -> str:
        """The path of a layer, within that of the loop whose body this is."""
        around = self.within or ""
        return layer[len(around) :].removeprefix("/") if layer == around or layer.startswith(f"{around}/") else layer

    def _updated(self, i: int, layers: tuple[Key, ...]) -> tuple[Key, ...]:
        """Where a node of the update lies: by the variable that it is for, or with what is for all."""
        node = self.graph.nodes[i]
        targets = self.targets.get(node.inputs[0] if node.of(assign) else i, frozenset())
        if len(targets) != 1:
            return (("line", SHARED),) if targets else layers
        *spaces, name = next(iter(targets)).split("/")
        return (*[("layer", word) for word in spaces], ("variable", name))

    def _items(self, members: Sequence[int], depth: int, free: set[int]) -> list[Branch | int]:
        """The members as boxes of the keys at a depth."""
        cut = self._is_cut(members, depth)
        if not cut and not free and all(len(self.routes[i]) <= depth for i in members):
            return [*members]

        def key(i: int) -> Key:
            route = self.routes[i]
            if len(route) > depth:
                return route[depth]
            return self._line(i) if cut and not self.graph.nodes[i].of(placeholder) else ("node", i)

        own = {route[depth] for i in members if len(route := self.routes[i]) == depth + 1}

        def absorbs(one: Key) -> bool:
            """What no layer wrote lies in the namespace of layers that it stands between, unless that is a layer."""
            return one[0] == "layer" and one not in own

        def loose(one: Key) -> bool:
            return one[0] in ("line", "node")

        groups = Groups(members, self.inputs, key, absorbs, loose)
        self._with_free(groups, free)
        found = [self._box(groups.keys[k], groups.nodes[k], depth) for k in groups.ordered()]
        return [item for box in found for item in (box if isinstance(box, list) else [box])]

    def _is_cut(self, members: Sequence[int], depth: int) -> bool:
        """Whether nodes that lie in no box are cut by line."""
        loose = [i for i in members if len(self.routes[i]) <= depth]
        boxes = {self.routes[i][depth] for i in members if len(self.routes[i]) > depth}
        many = len(loose) >= LOOSE or (bool(boxes) and len(loose) + len(boxes) > MOST)
        return many and len({self._line(i) for i in loose}) + len(boxes) > 1

    def _with_free(self, groups: Groups, free: set[int]) -> None:
        """Put what no layer reads into the box that uses it, if only one does and it stays readable."""
        users: dict[int, set[int]] = {i: set() for i in free}
        for i, group in groups.of.items():
            for j in self.inputs[i]:
                if j in users:
                    users[j].add(group)
        for i, every in sorted(users.items()):
            forward = [k for k in every if groups.keys[k][0] in ("line", "layer")]
            alone = any(groups.keys[k][0] == "node" for k in every) or not all(
                groups.may_read(k, set(forward)) for k in every
            )
            if len(forward) == 1 and len(groups.nodes[forward[0]]) > 1 and not alone:
                (only,) = forward
            else:
                only = groups.begin(("node", i))
            groups.join(i, only)
            for k in every - {only}:
                groups.depend(k, {only})

    def _box(self, key: Key, nodes: Sequence[int], depth: int) -> Branch | int | list[Branch | int]:
        """A group as a box; one with a single child is that child."""
        kind, *words = key
        if kind == "node" or (len(nodes) == 1 and kind != "part"):
            return [*nodes]
        name, part = words[0], self.graph.origins[max(nodes)].part
        if kind == "line" and len(words) > 1:
            inside: list[Branch | int] = [*sorted(nodes)]
            return Branch(self._named(nodes, key), kind, part, tuple(self._turns(inside, part)))
        items = self._items(sorted(nodes), depth + 1, set())
        inner = items[0]
        if len(items) == 1 and isinstance(inner, Branch):
            if kind == "part":  # which stays what it is, whatever lies in it
                return Branch(name, kind, part, inner.items)
            return replace(inner, name=f"{name}/{inner.name}") if inner.kind in ("layer", "variable") else inner
        has_boxes = any(isinstance(item, Branch) for item in items)
        return Branch(name, kind, part, tuple(self._short(items) if has_boxes else items))

    def _named(self, nodes: Sequence[int], line: Key) -> str:
        """A line by what it assigns, its op, or its text; within a layer, or where there is no text, by its ops."""
        own = [i for i in nodes if self._line(i) == line and i not in self.free]
        origins = [self.graph.origins[i] for i in own]
        ops = list(dict.fromkeys(self.graph.nodes[i].op.name.removeprefix("_") for i in own))
        name = ", ".join(ops)
        if not origins[0].layer and line[2] != "<lambda>":  # of which several may stand on a line
            name = line_name(origins) or (name if len(ops) == 1 else origins[0].text) or name
        return cut(name, WIDE)

    def _short(self, items: Sequence[Branch | int]) -> list[Branch | int]:
        """So few that one can take them in: arguments by themselves, or, of many, in a box of their own."""
        given = [x for x in items if self._is_given(x)]
        if len(items) > MOST and len(given) > ARGUMENTS:
            first, last = self._called(given[0]), self._called(given[-1])
            kept = [x for x in items if not self._is_given(x)]
            return self._short([Branch(f"{first} … {last}", "run", "forward", tuple(given)), *kept])
        return shortened(items, self._called, _size, lambda x: self._is_given(x) or _is_part(x), self._run)

    def _turns(self, nodes: list[Branch | int], part: str) -> list[Branch | int]:
        """The nodes of one line; of very many, as a loop of Python's writes, so few that one can take them in."""
        if len(nodes) <= LOOSE:
            return nodes

        def op(item: Branch | int) -> str:
            return item.name if isinstance(item, Branch) else self.graph.nodes[item].op.name.removeprefix("_")

        def run(items: Sequence[Branch | int]) -> Branch:
            first, last = (op(x) for x in (items[0], items[-1]))
            first, last = first.partition(" … ")[0], last.rpartition(" … ")[2]
            return Branch(f"{first} … {last}", "run", part, tuple(shortened(items, op, _size, _is_part, run)))

        found = shortened(nodes, op, _size, _is_part, run)
        return [*found[0].items] if len(found) == 1 and isinstance(found[0], Branch) else found

    def _is_given(self, item: Branch | int) -> bool:
        return not isinstance(item, Branch) and self.graph.nodes[item].of(placeholder)

    def _called(self, item: Branch | int) -> str:
        if isinstance(item, Branch):
            return item.name
        node, origin = self.graph.nodes[item], self.graph.origins[item]
        if node.of(placeholder) or node.of(variable):
            return str(node.params["name"])
        return ("" if origin.layer else line_name([origin])) or node.op.name.removeprefix("_")

    def _run(self, items: Sequence[Branch | int]) -> Branch:
        """Several in a row as one box, with the names of the first and the last."""
        inner = self._short(items)
        if len(inner) == 1 and isinstance(inner[0], Branch):
            return inner[0]
        boxes = [x for x in items if isinstance(x, Branch)]
        named: Sequence[Branch | int] = [x for x in boxes if x.kind in ("layer", "run", "variable")] or boxes or items
        first, last = (self._called(x) for x in (named[0], named[-1]))
        first, last = first.partition(" … ")[0], last.rpartition(" … ")[2]
        part = boxes[0].part if boxes else "forward"
        return Branch(f"{first} … {last}" if first != last else first, "run", part, tuple(inner))


def _is_part(item: Branch | int) -> bool:
    return isinstance(item, Branch) and item.kind == "part"


def _size(item: Branch | int) -> int:
    """How many nodes there are in it."""
    return sum(1 for _ in item.nodes()) if isinstance(item, Branch) else 1


def _targets(graph: Graph) -> dict[int, frozenset[str]]:
    """For each node the variables whose new values depend on it; the state of an optimizer counts as its parameter."""
    names = {str(node.params["name"]) for node in graph.nodes if node.of(assign)}
    owner = {name: _parameter(name, names) for name in names}
    found: dict[int, frozenset[str]] = {}
    for i in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[i]
        own = found.get(i, frozenset())
        if node.of(assign):
            own = found[i] = frozenset({owner[str(node.params["name"])]})
        if graph.origins[i].part == "update" and own:
            for j in node.inputs:
                found[j] = found.get(j, frozenset()) | own
    return found


def _parameter(name: str, known: set[str]) -> str:
    """The variable that stands in the middle of a path, as in ``adam/layer/weight/m``; else the path itself."""
    words = name.split("/")
    ends = [(first, end) for first in range(1, len(words)) for end in range(len(words) - 1, first, -1)]
    return next((path for first, end in ends if (path := "/".join(words[first:end])) in known), name)
