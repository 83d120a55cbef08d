"""How pictures look: colours, fonts, labels, arrows and the legend, in the words of Graphviz."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad import markup

__all__ = ["INK", "LEGEND", "PALE", "PARTS", "WEIGHT", "arrow", "begun", "bold", "escaped", "label", "pale", "row"]

# Fill, line: tints of Okabe and Ito's blue, orange and bluish green (jfly.uni-koeln.de/color, 2008), which
# colour-blind people tell apart, made of different lightness, so that a grey print shows them too.
PARTS = {
    "forward": ("#e3eefa", "#3b75af"),
    "gradient": ("#fbdcab", "#b8710b"),
    "update": ("#a9d9c5", "#14705a"),
}
# How hard Graphviz tries to keep an edge short: the forward part stays together, and the rest lies around it.
WEIGHT = {"forward": "8", "gradient": "3", "update": "1"}
INK, PALE = "#1f2933", "#5b6672"
LONG = 56  # characters of a row of a label
FONT = "Helvetica,Arial,sans-serif"
LEGEND = (
    "cylinder: variable", "pointed box: placeholder", "double border: result",
    "open arrow: second operand", "dot: an operand with an arrow",
)  # fmt: skip


def begun(legend: Sequence[str]) -> Any:
    """A picture with nothing in it but the legend."""
    import graphviz  # here, because few programs draw and all import lazygrad

    dot = graphviz.Digraph("step")
    dot.attr(
        label=_legend(legend), labelloc="t", labeljust="l", fontname=FONT, fontsize="11", fontcolor=INK,
        bgcolor="white", ranksep="0.34", nodesep="0.2",
    )  # fmt: skip
    dot.attr(
        "node", shape="box", style="rounded,filled", fontname=FONT, fontsize="11", fontcolor=INK,
        margin="0.11,0.07", height="0.3", width="0.3", ordering="in",
    )  # fmt: skip
    dot.attr("edge", arrowsize="0.6", penwidth="0.9", fontname=FONT, fontsize="8", fontcolor=PALE)
    return dot


def arrow(place: int, count: int) -> dict[str, str]:
    """How an operand is told from the others: Graphviz does not promise to keep them in order."""
    if count <= 2:
        return {"arrowhead": "onormal"} if place else {}
    return {"headlabel": str(place + 1)}


def pale(text: str) -> str:
    """Text in small print."""
    return f'<FONT POINT-SIZE="9" COLOR="{PALE}">{row(text)}</FONT>'


def row(text: str) -> str:
    """Text as a row of a label: what is long is cut, and a tooltip has all of it."""
    return escaped(markup.cut(text, LONG))


def escaped(text: str) -> str:
    """Text for a label. What a reader of XML would refuse is shown as Python shows it."""
    # Graphviz puts the node's name in place of a backslash and N, in labels that are HTML too.
    return markup.escaped(text).replace("\\", "\\\\")


def _legend(words: Sequence[str]) -> str:
    parts = [f'<TD BGCOLOR="{fill}" COLOR="{line}" BORDER="1">{part}</TD>' for part, (fill, line) in PARTS.items()]
    cells = parts + [f'<TD><FONT COLOR="{PALE}">{word}</FONT></TD>' for word in words]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{"".join(cells)}</TR></TABLE>>'


def label(rows: Sequence[str]) -> str:
    """A label of several lines."""
    return "<" + "<BR/>".join(rows) + ">"


def bold(text: str) -> str:
    """A name, as it stands above what it is of."""
    return f"<B>{row(text)}</B>"
