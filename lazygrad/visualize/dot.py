"""A graph in the DOT language of Graphviz, node by node.

The three parts of a step differ by colour, and variables and placeholders by shape. A number written into
the graph stands in the label of what uses it, so that the picture shows what flows and not what is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.graph.body import Body, bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.ops.source import assign, placeholder, variable
from lazygrad.origin import Origin
from lazygrad.visualize.names import assigned_names
from lazygrad.visualize.style import LEGEND, PALE, PARTS, WEIGHT, arrow, begun, bold, escaped, label, pale, row
from lazygrad.visualize.words import body_inputs, last, operands_in_words, operands_of, settings_of, specs_of

__all__ = ["unfolded"]

SHAPES = {
    variable: {"shape": "cylinder", "style": "filled"},
    placeholder: {"shape": "invhouse", "style": "filled", "margin": "0.02,0.0"},
}


def unfolded(graph: Graph) -> str:
    """A graph as text, node by node; namespaces of variables are boxes, and so are the bodies of loops."""
    dot = begun(LEGEND)
    _Picture(graph, dot).draw()
    return str(dot.source)


class _Picture:
    """A graph, and what of it is drawn how.

    Attributes:
        texts: operands that are written into the label of what uses them, in place of an edge.
        hidden: nodes that are nowhere else than in labels.
        names: what the user's program calls a node.
    """

    def __init__(self, graph: Graph, dot: Any, prefix: str = "n", roots: Sequence[int] | None = None) -> None:
        self.graph = graph
        self.dot = dot
        self.prefix = prefix
        self.names = assigned_names(graph)
        self.roots = set(graph.roots if roots is None else roots)
        self.places: dict[tuple[int, int], str] = {}
        self.texts, self.hidden = operands_in_words(graph, self.roots)

    def draw(self) -> None:
        """The nodes, the boxes, and the arrows."""
        dot, nodes = self.dot, self.graph.nodes
        rooms: dict[str, list[int]] = {}
        for i, node in enumerate(nodes):
            if node.op is variable and "/" in node.params["name"]:
                rooms.setdefault(node.params["name"].rpartition("/")[0], []).append(i)
            elif i not in self.hidden:
                self._node(i)
        self._rooms(rooms)
        for i, node in enumerate(nodes):
            color, weight = PARTS[self.graph.origins[i].part][1], WEIGHT[self.graph.origins[i].part]
            arrows = [j for j in node.inputs if j not in self.texts]
            for place, j in enumerate(arrows):
                ends = (f"{self.prefix}{j}", f"{self.prefix}{i}")
                dot.edge(*ends, color=color, weight=weight, **arrow(place, len(arrows)))
            for number, body in enumerate(bodies(node)):
                self._body(i, number, body)

    def _body(self, i: int, number: int, body: Body) -> None:
        """The body of a loop as a box, with what is given to it named by what it is."""
        node = self.graph.nodes[i]
        inner = _Picture(body.graph, self.dot, f"{self.prefix}{i}_{number}_", body.outputs)
        inner.names.update(body_inputs(node, body))
        box = 'labeljust=l style="rounded,dashed" color="#b4bcc6" fontsize=11 margin=8'
        self.dot.body.append(f"\tsubgraph cluster_{inner.prefix} {{\n\t\tlabel=<<I>{node.op.name}</I>> {box}\n")
        inner.draw()
        self.dot.body.append("\t}\n")
        for j in dict.fromkeys(body.outputs):
            if j not in inner.hidden:
                self.dot.edge(f"{inner.prefix}{j}", f"{self.prefix}{i}", style="dashed", color=PALE)

    def _node(self, i: int) -> None:
        node, origin = self.graph.nodes[i], self.graph.origins[i]
        fill, line = PARTS[origin.part]
        name = node.params["name"] if node.op in (variable, placeholder, assign) else self.names.get(i)
        call = self._call(node)
        rows = [row(call), pale(specs_of(node))]
        if name:
            rows.insert(0, bold(last(name) if node.op is variable else name))
        whole = escaped(f"%{i} {call} {name}" if name else f"%{i} {call}")
        attributes = {
            "label": label(rows),
            "tooltip": f"{whole}, {origin.part}: {self._place(origin)}",
            "fillcolor": fill,
            "color": line,
        }
        if node.op in SHAPES:
            attributes |= SHAPES[node.op]
        if i in self.roots:
            attributes |= {"penwidth": "1.6", "peripheries": "2"}
        self.dot.node(f"{self.prefix}{i}", **attributes)

    def _place(self, origin: Origin) -> str:
        """The user's line, for a tooltip. Many nodes share one."""
        key = id(origin.code), origin.lasti
        if key not in self.places:
            self.places[key] = escaped(str(origin))
        return self.places[key]

    def _call(self, node: Node) -> str:
        """The op, with the numbers among its operands, and with the settings that its spec does not show."""
        inner = ", ".join([*operands_of(node, self.texts), *settings_of(node)])
        return f"{node.op.name}({inner})" if inner else node.op.name

    def _rooms(self, rooms: dict[str, list[int]]) -> None:
        """Namespaces as nested boxes, with their variables in them."""
        entered: list[str] = []
        count = 0
        for path in sorted(rooms, key=lambda path: path.split("/")):
            words = path.split("/")
            while entered != words[: len(entered)]:
                entered.pop()
                self.dot.body.append("\t}\n")
            for word in words[len(entered) :]:
                entered.append(word)
                box = 'labeljust=l style=rounded color="#b4bcc6" fontsize=11 margin=8'
                count += 1
                self.dot.body.append(f"\tsubgraph cluster_{count} {{\n\t\tlabel=<<I>{row(word)}</I>> {box}\n")
            for i in rooms[path]:
                self._node(i)
        self.dot.body += ["\t}\n"] * len(entered)
