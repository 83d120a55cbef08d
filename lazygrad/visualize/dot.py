"""Pictures of graphs: DOT text, and files that Graphviz draws from it.

The three parts of a step differ by colour, and variables and placeholders by shape. A number written into
the graph stands in the label of what uses it, so that the picture shows what flows and not what is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.graph.body import Body, bodies
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.registry import function
from lazygrad.ops.source import assign, placeholder, variable
from lazygrad.origin import Origin
from lazygrad.visualize.names import assigned_names
from lazygrad.visualize.words import body_inputs, last, operands_in_words, settings_of, specs_of

__all__ = ["to_dot"]

# Fill, line: tints of Okabe and Ito's blue, orange and bluish green (jfly.uni-koeln.de/color, 2008), which
# colour-blind people tell apart, made of different lightness, so that a grey print shows them too.
PARTS = {
    "forward": ("#e3eefa", "#3b75af"),
    "gradient": ("#fbdcab", "#b8710b"),
    "update": ("#a9d9c5", "#14705a"),
}
# How hard Graphviz tries to keep an edge short: the forward part stays together, and the rest lies around it.
WEIGHT = {"forward": "8", "gradient": "3", "update": "1"}
SHAPES = {
    variable: {"shape": "cylinder", "style": "filled"},
    placeholder: {"shape": "invhouse", "style": "filled", "margin": "0.02,0.0"},
}
INK, PALE = "#1f2933", "#5b6672"
FONT = "Helvetica,Arial,sans-serif"


@function
def to_dot(graph: Graph) -> str:
    """The graph in the DOT language of Graphviz.

    Every node shows its op, dtype and shape, and its name if it has one: that of the variable or
    placeholder, or the one that the user's program gives it (``loss = ...``). Namespaces of variables are
    boxes, and roots have a double border. The body of a loop is a box too, with a dashed arrow from what comes out of
    it. Where the user wrote a node is its tooltip.
    """
    import graphviz  # here, because few programs draw and all import lazygrad

    return str(_Picture(graph, graphviz.Digraph("step")).drawn().source)


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

    def drawn(self) -> Any:
        """The picture in DOT."""
        dot = self.dot
        dot.attr(
            label=_legend(), labelloc="t", labeljust="l", fontname=FONT, fontsize="11", fontcolor=INK,
            bgcolor="white", ranksep="0.34", nodesep="0.2",
        )  # fmt: skip
        dot.attr(
            "node", shape="box", style="rounded,filled", fontname=FONT, fontsize="11", fontcolor=INK,
            margin="0.11,0.07", height="0.3", width="0.3", ordering="in",
        )  # fmt: skip
        dot.attr("edge", arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="8", fontcolor=PALE)
        self._content()
        return dot

    def _content(self) -> None:
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
                dot.edge(*ends, color=color, weight=weight, **_arrow(place, len(arrows)))
            for number, body in enumerate(bodies(node)):
                self._body(i, number, body)

    def _body(self, i: int, number: int, body: Body) -> None:
        """The body of a loop as a box, with what is given to it named by what it is."""
        node = self.graph.nodes[i]
        inner = _Picture(body.graph, self.dot, f"{self.prefix}{i}_{number}_", body.outputs)
        inner.names.update(body_inputs(node, body))
        box = 'labeljust=l style="rounded,dashed" color="#b4bcc6" fontsize=11 margin=8'
        self.dot.body.append(f"\tsubgraph cluster_{inner.prefix} {{\n\t\tlabel=<<I>{node.op.name}</I>> {box}\n")
        inner._content()
        self.dot.body.append("\t}\n")
        for j in dict.fromkeys(body.outputs):
            if j not in inner.hidden:
                self.dot.edge(f"{inner.prefix}{j}", f"{self.prefix}{i}", style="dashed", color=PALE)

    def _node(self, i: int) -> None:
        node, origin = self.graph.nodes[i], self.graph.origins[i]
        fill, line = PARTS[origin.part]
        name = node.params["name"] if node.op in (variable, placeholder, assign) else self.names.get(i)
        rows = [_escaped(self._call(node)), _pale(specs_of(node))]
        if name:
            rows.insert(0, f"<B>{_escaped(last(name) if node.op is variable else name)}</B>")
        attributes = {
            "label": "<" + "<BR/>".join(rows) + ">",
            "tooltip": f"%{i} {_escaped(node.op.name)}, {origin.part}: {self._place(origin)}",
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
            self.places[key] = _escaped(str(origin))
        return self.places[key]

    def _call(self, node: Node) -> str:
        """The op, with the numbers among its operands, and with the settings that its spec does not show."""
        inner = settings_of(node, self.texts)
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
                self.dot.body.append(f"\tsubgraph cluster_{count} {{\n\t\tlabel=<<I>{_escaped(word)}</I>> {box}\n")
            for i in rooms[path]:
                self._node(i)
        self.dot.body += ["\t}\n"] * len(entered)


def _arrow(place: int, count: int) -> dict[str, str]:
    """How an operand is told from the others: Graphviz does not promise to keep them in order."""
    if count <= 2:
        return {"arrowhead": "onormal"} if place else {}
    return {"headlabel": str(place + 1)}


def _pale(text: str) -> str:
    return f'<FONT POINT-SIZE="9" COLOR="{PALE}">{_escaped(text)}</FONT>'


def _escaped(text: str) -> str:
    """Text for a label. What a reader of XML would refuse is shown as Python shows it."""
    import html

    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    # Graphviz puts the node's name in place of a backslash and N, in labels that are HTML too.
    return html.escape(shown).replace("\\", "\\\\")


def _legend() -> str:
    parts = [f'<TD BGCOLOR="{fill}" COLOR="{line}" BORDER="1">{part}</TD>' for part, (fill, line) in PARTS.items()]
    words = (
        "cylinder: variable", "pointed box: placeholder", "double border: result",
        "open arrow: second operand", "dot: an operand with an arrow",
    )  # fmt: skip
    cells = parts + [f'<TD><FONT COLOR="{PALE}">{word}</FONT></TD>' for word in words]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{"".join(cells)}</TR></TABLE>>'
