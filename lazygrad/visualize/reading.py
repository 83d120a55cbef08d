"""The picture of a graph: its boxes and nodes in words, with what else is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lazygrad.define.kinds import item
from lazygrad.graph.body import bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.markup import cut
from lazygrad.ops.source import _constant, _literal, assign, placeholder, variable
from lazygrad.origin import Origin
from lazygrad.visualize.folding import Branch, folded
from lazygrad.visualize.names import assigned_names, line_of
from lazygrad.visualize.picture import Box, Kernel, Picture, Place, Seen
from lazygrad.visualize.words import body_inputs, operands_in_words, operands_of, settings_of, specs_of

__all__ = ["pictured"]

SHAPES = {variable: "variable", placeholder: "argument", _constant: "constant", _literal: "constant", assign: "assign"}
TEXT = 200  # characters of a line of source


def pictured(
    graph: Graph,
    title: str = "graph",
    *,
    facts: Sequence[str] = (),
    kernels: Sequence[Kernel] = (),
    laws: Sequence[str] = (),
    layers: Mapping[str, str] | None = None,
    statistics: Mapping[int, Mapping[str, Any]] | None = None,
    portions: Mapping[int, Sequence[tuple[Origin, float]]] | None = None,
) -> Picture:
    """The picture of a graph.

    Args:
        graph: what is drawn.
        title: the name of the step.
        facts: what is said of it beside the number of nodes.
        kernels: what computes the nodes of the graph.
        laws: what passes have changed.
        layers: of what kind the layers are, by their paths; what the graph knows, if not given.
        statistics: of the values of nodes, by their numbers.
        portions: of the nodes that are loops, whose lines in their bodies their work is, and what share of it.
    """
    reading = _Reading(layers or graph.layers, statistics or {})
    for number, kernel in enumerate(kernels):
        for i in kernel.nodes:
            reading.kernels.setdefault(i, number)
    for i, node in enumerate(graph.nodes):
        if (node.of(assign) or node.of(item)) and node.inputs[0] in reading.kernels:
            reading.kernels.setdefault(i, reading.kernels[node.inputs[0]])  # it is where that is
    reading.read(graph, graph.roots, {}, 0, None)
    kernels = [reading.with_bodies(number, kernel, portions or {}) for number, kernel in enumerate(kernels)]
    counted = f"{len(graph.nodes)} node{'' if len(graph.nodes) == 1 else 's'}"
    return Picture(
        title,
        (counted, *facts),
        tuple(reading.boxes),
        tuple(reading.nodes),
        tuple(reading.places),
        tuple(kernels),
        tuple(laws),
    )


class _Reading:
    """What has been read so far."""

    def __init__(self, layers: Mapping[str, str], statistics: Mapping[int, Mapping[str, Any]]) -> None:
        self.layers, self.statistics = layers, statistics
        self.kernels: dict[int, int] = {}
        self.boxes: list[Box] = []
        self.nodes: list[Seen] = []
        self.places: list[Place] = []
        self._origins: list[Origin] = []  # of the nodes
        self._inside: dict[int, list[int]] = {}  # what is computed in the bodies of loops, by the loop's number
        self._known: dict[Any, int] = {}  # numbers of places by code and line

    def read(
        self, graph: Graph, roots: Sequence[int], given: Mapping[int, tuple[str, str]], parent: int, within: str | None
    ) -> None:
        """Add the nodes of a graph, its boxes, and then those of the bodies in it.

        Args:
            graph, roots: what is added.
            given: the inputs of a body, each in a word and with its name outside.
            parent: the box that it lies in.
            within: of a body, the layer that the loop is of.
        """
        is_whole = within is None
        start = len(self.nodes)
        self._origins += graph.origins
        texts, hidden = operands_in_words(graph, roots)
        names = {i: name for i, name in assigned_names(graph).items() if i not in given}
        tree = folded(graph, hidden, within)
        boxes: dict[int, int] = {}
        if is_whole:
            self.boxes.append(Box("", -1, "forward", "root"))
        self._boxes(graph, tree, parent, boxes, _forward_users(graph))
        home = self._homes(graph, hidden, boxes, parent)
        for i, (node, origin) in enumerate(zip(graph.nodes, graph.origins, strict=True)):
            named = node.params["name"] if node.op in (variable, placeholder, assign) else names.get(i, "")
            self.nodes.append(
                Seen(
                    op=node.op.name.removeprefix("_"),
                    spec=specs_of(node),
                    inputs=tuple([start + j for j in node.inputs]),
                    box=home[i],
                    place=self._place(origin),
                    name=str(named),
                    shape=SHAPES.get(node.op, "op"),
                    text=", ".join([*operands_of(node, texts), *settings_of(node)]),
                    settings=", ".join(settings_of(node)),
                    hidden=i in hidden,
                    quiet=i in texts and i not in hidden,
                    root=is_whole and i in roots,
                    kernel=self.kernels.get(i, -1) if is_whole else -1,
                    statistics=self.statistics.get(i) if is_whole else None,
                )
            )
        for i, (word, name) in given.items():
            own = self.nodes[start + i]
            self.nodes[start + i] = replace(own, op=word, name=name, shape="argument", text="", settings="")
        for i, node in enumerate(graph.nodes):
            self._bodies(graph, i, node, start, home[i])

    def _boxes(
        self, graph: Graph, branch: Branch, number: int, boxes: dict[int, int], users: Sequence[Sequence[int]]
    ) -> None:
        """Add the boxes in a branch, whose own number is known, and say where each node lies."""
        for one in branch.items:
            if isinstance(one, Branch):
                inner = len(self.boxes)
                note = _note(graph, one, self._kind(graph, one), users)
                self.boxes.append(Box(one.name, number, one.part, one.kind, note))
                self._boxes(graph, one, inner, boxes, users)
            else:
                boxes[one] = number

    def _kind(self, graph: Graph, branch: Branch) -> str:
        """Of which kind the layer is that a box is of, if that is known."""
        if branch.kind != "layer" or branch.part != "forward":
            return ""
        layers = {graph.origins[i].layer for i in branch.nodes()}
        path = next((path for path in layers if path == branch.name or path.endswith(f"/{branch.name}")), "")
        return self.layers.get(path, "")

    def _homes(self, graph: Graph, hidden: set[int], boxes: dict[int, int], parent: int) -> list[int]:
        """The box of every node; a number that is not drawn lies where it is used first."""
        home = [boxes.get(i, parent) for i in range(len(graph.nodes))]
        for i in range(len(graph.nodes) - 1, -1, -1):
            for j in graph.nodes[i].inputs:
                if j in hidden:
                    home[j] = home[i]
        return home

    def _place(self, origin: Origin) -> int:
        key = line_of(origin)
        number = self._known.get(key)
        if number is None:
            number = self._known[key] = len(self.places)
            self.places.append(Place(origin.statement_place, origin.function, cut(origin.statement_text, TEXT)))
        return number

    def _bodies(self, graph: Graph, i: int, node: Node, start: int, home: int) -> None:
        """The bodies of a loop as boxes within that of its node."""
        found = list(bodies(node))
        before = len(node.inputs) - max([len(body.inputs) for body in found], default=0)  # a choice, a number of turns
        for number, body in enumerate(found):
            box, first = len(self.boxes), len(self.nodes)
            name = node.op.name.removeprefix("_") + (f", {number + 1} of {len(found)}" if len(found) > 1 else "")
            outputs = tuple([first + j for j in dict.fromkeys(body.outputs)])
            part = graph.origins[i].part
            self.boxes.append(Box(name, home, part, "loop", "", start + i, outputs))
            words = body_inputs(node, body).items()
            outside = [self.nodes[start + j].name for j in node.inputs[before:]]
            given = {k: (word, "" if word == "carry" else name) for (k, word), name in zip(words, outside)}
            self.read(body.graph, body.outputs, given, box, graph.origins[i].layer)
            inner = [k for k in range(first, len(self.nodes)) if self.nodes[k].shape == "op"]
            self._inside.setdefault(start + i, []).extend(inner)

    def with_bodies(
        self, number: int, kernel: Kernel, portions: Mapping[int, Sequence[tuple[Origin, float]]]
    ) -> Kernel:
        """A kernel with what it computes in the bodies of its loops, and their share of the work by their lines."""
        work = dict(zip(kernel.nodes, kernel.work, strict=True))
        for loop in kernel.nodes:
            inner, whole = self._inside.get(loop, ()), work[loop]
            wrote: dict[Any, list[int]] = {}
            for k in inner:
                self.nodes[k] = replace(self.nodes[k], kernel=number)
                wrote.setdefault(self._origins[k][:2], []).append(k)
                work[k] = 0.0
            for origin, share in portions.get(loop, ()):
                own = wrote.get(origin[:2], ())
                for k in own:
                    work[k] += whole * share / len(own)
                    work[loop] -= whole * share / len(own)
        return replace(kernel, nodes=tuple(work), work=tuple([max(0.0, share) for share in work.values()]))


def _forward_users(graph: Graph) -> list[list[int]]:
    """For each node those of the forward part that read it."""
    users: list[list[int]] = [[] for _ in graph.nodes]
    for i, node in enumerate(graph.nodes):
        for j in node.inputs if graph.origins[i].part == "forward" else ():
            users[j].append(i)
    return users


def _note(graph: Graph, branch: Branch, kind: str, users: Sequence[Sequence[int]]) -> str:
    """What goes in and what comes out."""
    if branch.kind == "run":
        count = sum(isinstance(one, Branch) for one in branch.items)
        return f"{count} boxes" if count > 1 else ""
    if branch.kind == "variable":
        own = [i for i in branch.nodes() if graph.nodes[i].of(assign)]
        return specs_of(graph.nodes[own[0]]) if own else ""
    if branch.part != "forward" or branch.kind not in ("layer", "line"):
        return ""
    members = set(branch.nodes())
    outside = [j for i in sorted(members) for j in graph.nodes[i].inputs if j not in members]
    given = next((j for j in outside if graph.nodes[j].inputs or graph.nodes[j].of(placeholder)), None)
    made = [
        i
        for i in members
        if graph.nodes[i].inputs and (i in graph.roots or any(user not in members for user in users[i]))
    ] or [max(members)]
    arrow = f"{specs_of(graph.nodes[given])} → " if given is not None else ""
    words = f"{arrow}{specs_of(graph.nodes[max(made)])}"
    return f"{kind}, {words}" if kind else words
