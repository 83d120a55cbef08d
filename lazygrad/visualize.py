"""Pictures of graphs: DOT text, and files that Graphviz draws from it.

The three parts of a step differ by colour, and variables and placeholders by shape. A number written into
the graph stands in the label of what uses it, so that the picture shows what flows and not what is fixed.
"""

from __future__ import annotations

import dis
import html
import reprlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

from lazygrad.errors import BackendError, SaveError, report
from lazygrad.graph import Graph, Node, function, here
from lazygrad.ops.source import _literal, assign, placeholder, variable
from lazygrad.serialize import overwrite
from lazygrad.spec import Spec

__all__ = ["assigned_names", "render", "to_dot"]

# Fill, line: tints of Okabe and Ito's blue, orange and bluish green (jfly.uni-koeln.de/color, 2008), which
# colour-blind people tell apart, made of different lightness, so that a grey print shows them too.
PARTS = {
    "forward": ("#e3eefa", "#3b75af"),
    "gradient": ("#fbdcab", "#b8710b"),
    "update": ("#a9d9c5", "#14705a"),
}
SHAPES = {variable: "cylinder", placeholder: "invhouse"}
INK, PALE = "#1f2933", "#5b6672"
FONT = "Helvetica,Arial,sans-serif"
FORMATS = ("svg", "png", "pdf")

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 24


@function
def to_dot(graph: Graph) -> str:
    """The graph in the DOT language of Graphviz.

    Every node shows its op, dtype and shape, and its name if it has one: that of the variable or
    placeholder, or the one that the user's program gives it (``loss = ...``). Namespaces of variables are
    boxes, and roots have a double border. Where the user wrote a node is its tooltip.
    """
    import graphviz  # type: ignore[import-untyped]  # here, because few programs draw and all import lazygrad

    dot = graphviz.Digraph("step")
    dot.attr(
        rankdir="TB", ranksep="0.32", nodesep="0.18", fontname=FONT, fontcolor=INK, bgcolor="white",
        label=_legend(graph), labelloc="t", labeljust="l",
    )  # fmt: skip
    dot.attr("node", shape="box", style="rounded,filled", fontname=FONT, fontsize="11", fontcolor=INK,
             margin="0.1,0.05", height="0.3", width="0.3")  # fmt: skip
    dot.attr("edge", arrowsize="0.55", penwidth="0.9")
    inline = _inline(graph)
    named = _named(graph)
    names = assigned_names(graph)
    rooms: dict[str, list[int]] = {}
    for i, node in enumerate(graph.nodes):
        if node.op is variable and "/" in node.params["name"]:
            rooms.setdefault(node.params["name"].rpartition("/")[0], []).append(i)
        elif i not in inline:
            dot.node(f"n{i}", **_drawn(graph, i, inline, names))
    for line in _rooms(rooms):
        if isinstance(line, int):
            dot.node(f"n{line}", **_drawn(graph, line, inline, names))
        else:
            dot.body.append(line)
    for i, node in enumerate(graph.nodes):
        for j in node.inputs:
            if j not in inline:
                dot.edge(f"n{j}", f"n{i}", color=PARTS[graph.origins[i].part][1] + "b0")
    return str(dot.source)


def _inline(graph: Graph) -> dict[int, str]:
    """Numbers that are shown where they are used, by node."""
    roots = set(graph.roots)
    used = {j for node in graph.nodes for j in node.inputs}
    return {
        i: _number(node.params["value"])
        for i, node in enumerate(graph.nodes)
        if node.op is _literal and i in used and i not in roots
    }


def _number(value: Any) -> str:
    """Few digits: the picture says what a number is for, and print(graph) what it is."""
    return f"{value:.6g}" if getattr(value, "dtype", None) is not None and value.dtype.kind == "f" else str(value)


def _drawn(graph: Graph, i: int, inline: dict[int, str], names: dict[int, str]) -> dict[str, str]:
    """The attributes of one node."""
    node, origin = graph.nodes[i], graph.origins[i]
    fill, line = PARTS[origin.part]
    own = node.params.get("name") if not node.inputs or node.op is assign else None
    if node.op is variable:
        own = own.rpartition("/")[2]
    name = own if own is not None else names.get(i)
    specs = [node.spec] if isinstance(node.spec, Spec) else node.spec
    rows = [f"<B>{_escaped(name)}</B>"] if name is not None else []
    rows.append(_escaped(_call(node, inline)))
    rows.append(f'<FONT POINT-SIZE="8.5" COLOR="{PALE}">{_escaped(", ".join(map(str, specs)))}</FONT>')
    drawn = {
        "label": "<" + "<BR/>".join(rows) + ">",
        "tooltip": _escaped(f"%{i} = {node.op.name}, {origin.part}: {origin}"),
        "fillcolor": fill,
        "color": line,
    }
    if node.op in SHAPES:
        drawn |= {"shape": SHAPES[node.op], "style": "filled"}
    if i in graph.roots:
        drawn |= {"penwidth": "1.8", "peripheries": "2"}
    return drawn


def _call(node: Node, inline: dict[int, str]) -> str:
    """The op, with the numbers among its operands and the settings that its spec does not show."""
    operands = [inline.get(j, "·") for j in node.inputs]
    if not any(j in inline for j in node.inputs):
        operands = []
    defaults = getattr(node.op, "defaults", {})
    settings = [
        f"{key}={_short.repr(value)}"
        for key, value in node.params.items()
        if key not in ("shape", "dtype", "name", "draw", "number") and (key not in defaults or value is not defaults[key])
    ]
    inner = ", ".join(operands + settings)
    return f"{node.op.name}({inner})" if inner else node.op.name


def _escaped(text: str) -> str:
    """Text for a label. What a reader of XML would refuse is shown as Python shows it."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return html.escape(shown)


def _rooms(rooms: dict[str, list[int]]) -> Iterator[int | str]:
    """The lines of nested boxes, and between them the nodes that are in them."""
    open_rooms: list[str] = []
    for path in sorted(rooms, key=lambda path: path.split("/")):
        words = path.split("/")
        while open_rooms != words[: len(open_rooms)]:
            open_rooms.pop()
            yield "\t}\n"
        for word in words[len(open_rooms) :]:
            open_rooms.append(word)
            box = f'label=<<I>{_escaped(word)}</I>> labeljust=l style=rounded color="#b4bcc6" fontsize=11 margin=8'
            quoted = "/".join(open_rooms).encode().hex()
            yield f"\tsubgraph cluster_{quoted} {{\n\t\t{box}\n"
        yield from rooms[path]
    for _ in open_rooms:
        yield "\t}\n"


def _legend(graph: Graph) -> str:
    cells = [
        f'<TD BGCOLOR="{fill}" COLOR="{line}" BORDER="1">{part}</TD>' for part, (fill, line) in PARTS.items()
    ]
    words = ["cylinder: variable", "pointed box: placeholder", "double border: result", "·: the operand that comes in"]
    cells += [f'<TD><FONT COLOR="{PALE}">{word}</FONT></TD>' for word in words]
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="6" CELLPADDING="4"><TR>{"".join(cells)}</TR></TABLE>>'


def assigned_names(graph: Graph) -> dict[int, str]:
    """The names that the user's program gives to tensors, by node: ``loss`` for what ``loss = ...`` wrote.

    The instruction after the call that wrote a node says so, where it stores into a name. A call that
    wrote several tensors of which none uses the others, such as a split, has given none of them the name.
    """
    stores: dict[CodeType, dict[int, str]] = {}
    names = {}
    nodes, origins = graph.nodes, graph.origins
    start = 0
    for i, origin in enumerate(origins):
        if i + 1 < len(origins) and origins[i + 1] == origin:
            continue
        first, start = start, i + 1
        if origin.code is None or origin.part != "forward" or nodes[i].op in (variable, placeholder):
            continue
        if origin.code not in stores:
            stores[origin.code] = _stores(origin.code)
        name = stores[origin.code].get(origin.lasti)
        if name is not None:
            used = {j for node in nodes[first : i + 1] for j in node.inputs}
            if all(j in used for j in range(first, i)):
                names[i] = name
    return names


def _stores(code: CodeType) -> dict[int, str]:
    """For each place in the code that a store into a name follows, the name."""
    stores: dict[int, str] = {}
    before = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname.startswith(("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")):
            stored = instruction.argval
            name = stored if isinstance(stored, str) else stored[0]  # from Python 3.13 on two stores may be one
            # While a call is under way, Python points at it or, for some, at the end of its inline cache.
            stores.update(dict.fromkeys(range(before, instruction.offset), name))
        before = instruction.offset
    return stores


@function
def render(graph: Graph, path: str | Path) -> Path:
    """Draw the graph into a file, and write the DOT text beside it, under the same name with ``.dot``.

    Args:
        graph: the graph.
        path: the file; its suffix says the form: ``.svg``, ``.png``, ``.pdf``, or ``.dot`` for the text alone.

    Returns:
        The path of the file.

    Raises:
        SaveError: the suffix is another one, or the file cannot be written.
        BackendError: Graphviz is not installed, or fails. The DOT text is written all the same.
    """
    import graphviz  # here, for the reason given above

    path = Path(path)
    form = path.suffix.lower().removeprefix(".")
    if form not in (*FORMATS, "dot"):
        cure = "Let its name end in .svg, .png or .pdf, or in .dot for the text that Graphviz reads."
        raise SaveError(report(f"cannot draw to {str(path)!r}: it has no suffix that says how", at=here(), cure=cure))
    text = to_dot(graph)
    source = path.with_suffix(".dot") if form != "dot" else path
    overwrite(source, iter([text]), "write")
    if form == "dot":
        return path
    drawn = graphviz.Source(text).pipe(form, quiet=True)
    path.write_bytes(drawn)
    return path
