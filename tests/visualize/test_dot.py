"""Pictures: every node is in them with all that it is, and Graphviz can draw them whatever the names are."""

from __future__ import annotations

import html
import itertools
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from snapshots import at

import lazygrad as lg
from lazygrad import visualize
from lazygrad.define import opaque
from lazygrad.errors import BackendError, GraphError, SaveError
from lazygrad.graph.graph import Graph
from lazygrad.graph.spec import Spec
from lazygrad.graph.tensor import Array
from lazygrad.visualize.style import INK, PALE, PARTS

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz, the program dot, is not installed")

# Lines of tests that messages name.
DRAW_STEP = "visualize.to_dot(step)"
DRAW, DRAW_SVG = "graph.render(path, fold=False)", 'graph.render(tmp_path / "step.svg", fold=False)'


def environment() -> lg.VariableEnvironment:
    """Variables of a small network, two of them in nested namespaces."""
    env = lg.VariableEnvironment(seed=0)
    env.name("b").set(np.zeros(1, "float32"))
    env.namespace("net").namespace("layer1").name("w").set(np.ones((1, 4), "float32"))
    env.namespace("net").namespace("layer2").name("w").set(np.ones((4, 1), "float32"))
    return env


def traced() -> Graph:
    """A training step with all three parts in it."""
    env = environment()
    adam = lg.optim.Adam(env)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        hidden = lg.tanh(x @ ctx.variable("net/layer1/w"))
        guess = hidden @ ctx.variable("net/layer2/w") + ctx.variable("b")
        loss = lg.mean(lg.square(guess - y))
        return loss, adam.minimize(loss)

    return env.trace(step, np.ones((5, 1), "float32"), np.ones((5, 1), "float32"))


def drawn(graph: Graph) -> dict[int, str]:
    """The line of DOT that draws each node that is drawn."""
    lines = re.findall(r"^\s*n(\d+) \[(.*)\]$", graph.to_dot(fold=False), re.MULTILINE)
    assert len({i for i, _ in lines}) == len(lines)
    return {int(i): line for i, line in lines}


def label(line: str) -> list[str]:
    """The rows of a label, as a reader sees them."""
    (found,) = re.findall(r"label=<(.*?)> (?=\w+=)", line)
    return [html.unescape(re.sub(r"<[^>]*>", "", row)).replace("\\\\", "\\") for row in found.split("<BR/>")]


def edges(graph: Graph) -> list[tuple[int, int, str]]:
    """The arrows: from, to, attributes."""
    found = re.findall(r"^\s*n(\d+) -> n(\d+) \[(.*)\]$", graph.to_dot(fold=False), re.MULTILINE)
    return [(int(a), int(b), attributes) for a, b, attributes in found]


def attribute(line: str, name: str) -> str | None:
    """An attribute of a node or an edge."""
    found = re.search(rf'\b{name}="?([^" \]]+)', re.sub(r"label=<.*?> (?=\w+=)", "", line))
    return found[1] if found else None


def of(graph: Graph, op: str, part: str = "forward") -> list[int]:
    """The nodes of an op in a part of the step."""
    pairs = zip(graph.nodes, graph.origins, strict=True)
    return [i for i, (node, origin) in enumerate(pairs) if node.op.name == op and origin.part == part]


def names_in(step: Callable[..., Any], *args: Any) -> dict[str, list[str]]:
    """The names that the picture of a step gives to tensors, with the ops that have them."""
    graph = environment().trace(step, *args)
    found: dict[str, list[str]] = {}
    for i, name in sorted(visualize.assigned_names(graph).items()):
        found.setdefault(name, []).append(graph.nodes[i].op.name)
    return found


# What is in a picture.


def test_every_node_shows_its_op_dtype_and_shape() -> None:
    """But for numbers, which stand in the labels of what uses them."""
    graph = traced()
    lines = drawn(graph)
    for i, node in enumerate(graph.nodes):
        if node.op.name == "literal":
            assert i not in lines
        else:
            *_, call, spec = label(lines[i])
            assert (node.op.name, str(node.spec)) == (call.partition("(")[0], spec)


def test_variables_placeholders_and_assignments_show_their_names() -> None:
    """A variable's namespace is the box it is in; an assignment has no box and shows the whole path."""
    graph = traced()
    lines = drawn(graph)
    shown = {label(lines[i])[0] for i in of(graph, "placeholder")}
    assert {"x", "y"} == shown
    assert ["w", "variable", "float32[1, 4]"] == label(lines[of(graph, "variable")[0]])
    assigned = {label(lines[i])[0] for i in of(graph, "assign", "update")}
    slots = {f"adam/{p}/{s}" for p in ("b", "net/layer1/w", "net/layer2/w") for s in "mv"}
    assert {"b", "net/layer1/w", "net/layer2/w", "adam/step", *slots} == assigned


def test_the_parts_of_a_step_differ_by_colour() -> None:
    """The matmul that the user wrote, those of its gradient, and the sums of the optimizer; their arrows likewise."""
    graph = traced()
    lines = drawn(graph)
    colours = {}
    for op, part in [("matmul", "forward"), ("matmul", "gradient"), ("add", "update")]:
        (colours[part],) = {attribute(lines[i], "fillcolor") for i in of(graph, op, part)}
        assert PARTS[part][0] == colours[part]
        assert {PARTS[part][1]} == {attribute(a, "color") for _, j, a in edges(graph) if graph.origins[j].part == part}
    assert 3 == len(set(colours.values()))


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1) of ``#rrggbb``."""
    red, green, blue = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ink", [INK, PALE])
@pytest.mark.parametrize("part", PARTS)
def test_text_can_be_read_on_every_colour(part: str, ink: str) -> None:
    """Contrast of at least 3:1 for the small print, as WCAG 2.1 asks of graphics, and of 4.5:1 for the rest."""
    contrast = (luminance(PARTS[part][0]) + 0.05) / (luminance(ink) + 0.05)
    assert contrast >= (4.5 if ink == INK else 3)


def test_the_colours_differ_in_lightness() -> None:
    """Who sees no colours, and who prints without them, still tells the parts apart."""
    light = sorted(luminance(fill) for fill, _ in PARTS.values())
    assert min(b - a for a, b in itertools.pairwise(light)) > 0.05


def test_variables_and_placeholders_have_shapes_of_their_own() -> None:
    """Cylinders and pointed boxes; everything else is a box."""
    graph = traced()
    shapes: dict[str, set[str | None]] = {}
    for i, line in drawn(graph).items():
        shapes.setdefault(graph.nodes[i].op.name, set()).add(attribute(line, "shape"))
    assert ({"cylinder"}, {"invhouse"}) == (shapes.pop("variable"), shapes.pop("placeholder"))
    assert [{None}] * len(shapes) == list(shapes.values())


def test_namespaces_are_nested_boxes() -> None:
    """With their variables in them, and each box labelled by its last word."""
    dot = traced().to_dot(fold=False)
    inside: dict[str, list[str]] = {}
    stack: list[str] = []
    for line in dot.splitlines():
        if "subgraph" in line:
            stack.append("?")
        elif stack and (found := re.search(r"label=<<I>(.*?)</I>>", line)):
            stack[-1] = found[1]
        elif stack and (found := re.search(r"label=<<B>(.*?)</B>", line)):
            inside.setdefault("/".join(stack), []).append(found[1])
        elif stack and line.strip() == "}":
            stack.pop()
    moments = {f"adam/{p}": ["m", "v"] for p in ("b", "net/layer1/w", "net/layer2/w")}
    settings = {"adam": ["step", "learning_rate", "beta1", "beta2", "eps"]}
    assert {"net/layer1": ["w"], "net/layer2": ["w"], **settings, **moments} == inside


def test_roots_have_a_double_border() -> None:
    """What the step returned and what it assigns, and nothing else."""
    graph = traced()
    assert set(graph.roots) == {i for i, line in drawn(graph).items() if attribute(line, "peripheries") == "2"}


def test_numbers_stand_in_the_label_of_what_uses_them() -> None:
    """At their place among the operands, once a use; the operand that comes by an arrow is a dot."""
    graph = environment().trace(lambda ctx: 2.5 * (1 - ctx.variable("b")) / 3 - 1e-8)
    calls = [label(line)[-2] for line in drawn(graph).values()]
    assert ["variable", "subtract(1, ·)", "multiply(2.5, ·)", "divide(·, 3)", "subtract(·, 1e-08)"] == calls


def test_a_number_that_is_a_root_is_drawn() -> None:
    """It would be nowhere else."""
    graph = environment().trace(lambda ctx: ctx.constant(2.0))
    assert [["literal(value=2)", "float32[]"]] == [label(line) for line in drawn(graph).values()]


def test_settings_of_an_optimizer_stand_in_labels_by_name() -> None:
    """They go everywhere, and would cover the picture with arrows; they are drawn in their box all the same."""
    graph = traced()
    lines = drawn(graph)
    scalars = {graph.nodes[i].params["name"]: i for i in of(graph, "variable", "update")}
    beta = scalars["adam/beta1"]
    assert "beta1" == label(lines[beta])[0]
    assert beta not in {a for a, _, _ in edges(graph)}
    users = [i for i, node in enumerate(graph.nodes) if beta in node.inputs]
    assert users
    assert [True] * len(users) == ["beta1" in label(lines[i])[-2] for i in users]
    assert scalars["adam/step"] in {a for a, _, _ in edges(graph)}


def test_settings_of_two_optimizers_are_told_apart() -> None:
    """By their whole path, where the last word would do for both."""
    env = environment()
    one, two = lg.optim.Adam(env), lg.optim.Adam(env)

    def step(ctx: Any) -> Any:
        loss = lg.sum(ctx.variable("b") * lg.sum(ctx.variable("net/layer1/w")))
        return one.minimize(loss, ["b"]), two.minimize(loss, ["net/layer1/w"])

    dot = env.trace(step).to_dot(fold=False)
    assert "power(adam/beta1, ·)" in dot
    assert f"power({two.name}/beta1, ·)" in dot


def test_every_other_operand_is_an_arrow() -> None:
    """One a use, also where a tensor is used twice by the same op."""
    graph = environment().trace(lambda ctx: ctx.variable("b") * ctx.variable("b"))
    assert [(0, 1), (0, 1)] == [(a, b) for a, b, _ in edges(graph)]


def test_the_order_of_operands_can_be_seen() -> None:
    """Of two the second has an open arrow; of more each has its number."""

    def step(ctx: Any, x: Any, y: Any, z: Any) -> Any:
        return lg.concat([x, y - x, z])

    graph = environment().trace(step, np.ones(2), np.ones(3)[:2], np.ones(2))
    x, y, z = of(graph, "placeholder")
    minus, all_three = of(graph, "subtract")[0], of(graph, "concat")[0]
    heads = {(a, b): (attribute(line, "arrowhead"), attribute(line, "headlabel")) for a, b, line in edges(graph)}
    assert {
        (y, minus): (None, None),
        (x, minus): ("onormal", None),
        (x, all_three): (None, "1"),
        (minus, all_three): (None, "2"),
        (z, all_three): (None, "3"),
    } == heads


def test_settings_that_are_not_the_default_are_shown() -> None:
    """Short, and without what the spec says already."""

    def named(array: Any) -> None:
        """Nothing."""

    def step(ctx: Any, x: Any) -> Any:
        summed = lg.sum(x, axis=0, keepdims=True).hook(named)
        return lg.reshape(summed, (2,)).show("a long label that a picture has no room for").astype("float64")

    graph = environment().trace(step, np.ones((3, 2), "float32"))
    calls = [label(line)[-2] for line in drawn(graph).values()]
    cut = "show(label='a long la...o room for')"
    assert ["placeholder", "sum(axis=(0,), keepdims=True)", "hook(call=named)", "reshape", cut, "astype"] == calls


def test_the_users_line_is_the_tooltip() -> None:
    """With the number by which print(graph) shows the node."""
    graph = environment().trace(lambda ctx: lg.exp(ctx.variable("b")))
    (found,) = re.findall(r'tooltip="([^"]*)"', drawn(graph)[1])
    assert found.startswith("%1 exp, forward: graph = environment().trace(lambda ctx: lg.exp(ctx.variable(&quot;b")
    assert "test_dot.py:" in found


def test_the_legend_names_parts_and_shapes() -> None:
    """In the colours that they have."""
    dot = traced().to_dot(fold=False)
    for part, (fill, line) in PARTS.items():
        assert f'<TD BGCOLOR="{fill}" COLOR="{line}" BORDER="1">{part}</TD>' in dot
    for words in ("cylinder: variable", "pointed box: placeholder", "double border: result"):
        assert words in dot


def test_the_same_graph_gives_the_same_text() -> None:
    """So that a picture under version control changes only with the step."""
    assert traced().to_dot(fold=False) == traced().to_dot(fold=False)


def test_an_op_with_several_results_shows_all_their_specs() -> None:
    """Its results are nodes of their own."""
    graph = environment().trace(lambda ctx, x: lg.linalg.qr(x)[1], np.ones((3, 2), "float32"))
    (many,) = [i for i, node in enumerate(graph.nodes) if not isinstance(node.spec, Spec)]
    assert "float32[3, 2], float32[2, 2]" == label(drawn(graph)[many])[-1]


def test_an_empty_graph_is_a_picture() -> None:
    """Of the legend alone."""
    dot = Graph().to_dot()
    assert dot.startswith("digraph step {")
    assert "n0" not in dot


# Names from the user's program.


def test_assigned_names_are_shown_above_the_op() -> None:
    """``loss = ...`` names the node that it wrote last."""
    graph = traced()
    lines = drawn(graph)
    assert ["loss", "divide(·, 5)", "float32[]"] == label(lines[of(graph, "divide")[0]])
    assert ["hidden", "tanh", "float32[5, 4]"] == label(lines[of(graph, "tanh")[0]])
    assert ["guess", "add", "float32[5, 1]"] == label(lines[of(graph, "add")[0]])


def test_assignments_of_every_kind_give_names() -> None:
    """Plain, annotated, augmented, in a loop, over several lines, to a variable of an inner function."""

    def step(ctx: Any) -> Any:
        b = ctx.variable("b")
        plain = lg.exp(b)
        annotated: Any = lg.log(plain)
        annotated += plain
        for _ in range(2):
            looped = lg.tanh(annotated)
            annotated = looped * looped
        long = lg.sin(
            annotated
            - plain
        )  # fmt: skip
        captured = lg.cos(long)
        return (lambda: captured)()

    expected = {
        "plain": ["exp"],
        "annotated": ["log", "add", "multiply", "multiply"],
        "looped": ["tanh", "tanh"],
        "long": ["sin"],
        "captured": ["cos"],
    }
    assert expected == names_in(step)


def test_only_what_is_assigned_has_a_name() -> None:
    """Not what is returned, passed on or unpacked, nor one of several tensors that a name stands for together."""

    def step(ctx: Any) -> Any:
        b = ctx.variable("net/layer1/w")
        parts = lg.split(b, 2, axis=1)
        first, second = lg.exp(parts[0]), lg.exp(parts[1])
        listed = [lg.sin(first)]
        attribute = type("Holder", (), {})()
        attribute.value = lg.cos(second)
        return listed, lg.tanh(attribute.value)

    assert {} == {name: ops for name, ops in names_in(step).items() if name not in ("first", "second")}


def test_gradients_do_not_take_the_names_of_what_they_differentiate() -> None:
    """They are written at its line, and are not it."""

    def step(ctx: Any) -> Any:
        y = lg.exp(ctx.variable("b"))
        return lg.grad(y, ctx.variable("b"))

    graph = environment().trace(step)
    names = visualize.assigned_names(graph)
    assert ["exp"] == [graph.nodes[i].op.name for i in names]
    assert ["forward"] == [graph.origins[i].part for i in names]


def test_placeholders_keep_their_own_names() -> None:
    """They are written by ``graph = env.trace(...)``, and are not the graph."""
    graph = environment().trace(lambda ctx, x: lg.exp(x), np.ones(2))
    assert "x" == label(drawn(graph)[0])[0]
    assert {} == visualize.assigned_names(graph)


def test_names_in_a_long_function_are_found() -> None:
    """With more names than one byte can number, Python writes longer instructions."""
    names = [f"v{k}" for k in range(300)]
    lines = ["b = ctx.variable('b')", *(f"{name} = lg.exp(b)" for name in names), f"return [{', '.join(names)}]"]
    namespace: dict[str, Any] = {"lg": lg}
    exec("def step(ctx):\n    " + "\n    ".join(lines), namespace)
    assert {f"v{k}": ["exp"] for k in range(300)} == names_in(namespace["step"])


# Names that DOT or XML could take for something else.

NASTY = [
    "<b>bold</b>", "a & b &amp; c", 'quote " and \' quote', "brace { } | bracket [ ]", "back\\slash \\N \\n \\\\",
    "größe 重み 🎲", "-->", "]]>", "%n", "n1 -> n2;", "/* comment */", "subgraph", "trailing\\",
]  # fmt: skip


def nasty() -> Graph:
    """Variables, placeholders, namespaces and ops whose names are not harmless."""
    env = lg.VariableEnvironment(seed=0)
    for k, name in enumerate(NASTY):
        env.name(name.replace("/", "|")).set(np.ones(1, "float32"))
        env.namespace(name.replace("/", "|")).name(f"v{k}").set(np.ones(1, "float32"))

    @opaque(shape=lambda x, label: x)
    def odd(xp: Any, x: Array, *, label: str) -> Any:
        """The operand."""
        return x

    odd.name = "<b>"  # type: ignore[attr-defined]

    def step(ctx: Any) -> Any:
        total = lg.add(*[ctx.placeholder(name, (1,)) for name in ("\n\x00<i>\ud800", "")])
        for v in env:
            total = total + odd(ctx.variable(v), label='">')
        return total

    return env.trace(step)


def test_names_are_shown_as_they_are() -> None:
    """In labels, whatever they contain; control characters as Python writes them."""
    graph = nasty()
    lines = drawn(graph)
    shown = [label(lines[i])[0] for i in of(graph, "variable")]
    expected = [x for k, name in enumerate(NASTY) for x in (name.replace("/", "|"), f"v{k}")]
    assert expected == shown
    assert r"\n\x00<i>\ud800" == label(lines[of(graph, "placeholder")[0]])[0]
    assert ["placeholder", "float32[1]"] == label(lines[of(graph, "placeholder")[1]])


@needs_dot
def test_graphviz_draws_names_as_they_are(tmp_path: Path) -> None:
    """The picture is XML, and its text is the names."""
    graph = nasty()
    root = ElementTree.parse(graph.render(tmp_path / "nasty.svg", fold=False)).getroot()
    texts = {"".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")}
    expected = {name.replace("/", "|") for name in NASTY} | {r"\n\x00<i>\ud800", "<b>(label='\">')"}
    assert set() == expected - {text.replace("\xa0", " ") for text in texts}


# Files.


def test_pictures_are_there_when_lazygrad_is_imported() -> None:
    """Nobody has to import the module that draws."""
    program = "import lazygrad; print(lazygrad.Graph().to_dot().splitlines()[0])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ("digraph step {\n", "") == (finished.stdout, finished.stderr)


@needs_dot
@pytest.mark.parametrize(
    ("suffix", "magic"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")]
)
def test_the_suffix_says_the_form(suffix: str, magic: bytes, tmp_path: Path) -> None:
    """And the text lies beside the picture."""
    graph = traced()
    path = tmp_path / f"step{suffix}"
    assert path == graph.render(path, fold=False)
    assert path.read_bytes().startswith(magic)
    assert graph.to_dot(fold=False) == (tmp_path / "step.dot").read_text(encoding="utf-8")
    assert {path, tmp_path / "step.dot"} == set(tmp_path.iterdir())


@needs_dot
def test_a_picture_has_every_node_and_every_arrow(tmp_path: Path) -> None:
    """Graphviz loses none."""
    graph = traced()
    svg = graph.render(str(tmp_path / "step.svg"), fold=False).read_text(encoding="utf-8")
    assert len(drawn(graph)) == svg.count('class="node"')
    assert len(edges(graph)) == svg.count('class="edge"')
    assert 10 == svg.count('class="cluster"')


def test_the_text_alone_needs_no_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``.dot`` is for those who draw elsewhere."""
    monkeypatch.setenv("PATH", "")
    graph = traced()
    path = graph.render(tmp_path / "step.dot", fold=False)
    assert graph.to_dot(fold=False) == path.read_text(encoding="utf-8")


def test_without_graphviz_the_text_is_written_and_the_error_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What failed, where, what is there, what to do."""
    monkeypatch.setenv("PATH", "")
    graph = traced()
    with pytest.raises(BackendError) as caught:
        graph.render(tmp_path / "step.svg", fold=False)
    function = test_without_graphviz_the_text_is_written_and_the_error_says_how_to_install_it
    assert str(caught.value) == (
        f"cannot draw {str(tmp_path / 'step.svg')!r}: Graphviz, the program that draws, is not installed\n\n"
        f"{at(function, DRAW_SVG)}\n\n"
        f"    written:  {tmp_path / 'step.dot'}\n"
        "    Install it with apt install graphviz (Debian, Ubuntu), brew install graphviz (macOS), "
        "conda install -c conda-forge graphviz, or winget install graphviz (Windows)."
    )
    assert [tmp_path / "step.dot"] == list(tmp_path.iterdir())
    assert graph.to_dot(fold=False) == (tmp_path / "step.dot").read_text(encoding="utf-8")


def test_a_graphviz_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words; an old picture stays."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "dot").write_text("#!/bin/sh\necho 'no fonts today' >&2\nexit 3\n")
    (programs / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    path = tmp_path / "step.svg"
    path.write_text("old")
    with pytest.raises(BackendError) as caught:
        traced().render(path)
    assert f"cannot draw {str(path)!r}: Graphviz failed\n" in str(caught.value)
    assert f"    Graphviz:  no fonts today\n    written:  {tmp_path / 'step.dot'}" in str(caught.value)
    assert "old" == path.read_text()


@pytest.mark.parametrize("name", ["step.bmp", "step", "step.svg.txt", ".svg", ""])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    """Nothing is written."""
    graph = traced()
    path = f"{tmp_path}/{name}"
    with pytest.raises(SaveError) as caught:
        graph.render(path, fold=False)
    assert str(caught.value) == (
        f"cannot draw to {path}: its suffix says no form\n\n{at(test_another_suffix_is_refused, DRAW)}\n\n"
        "    Let it end in .html for a page, in .svg, .png or .pdf for a picture, or in .dot for Graphviz' text."
    )
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [None, 3, b"step.svg", np.ones(3)])
def test_what_is_no_path_is_refused(path: Any) -> None:
    """An argument that stands where the path should, too."""
    graph = traced()
    with pytest.raises(SaveError) as caught:
        graph.render(path, fold=False)
    assert str(caught.value) == (
        f"cannot draw to a {type(path).__name__}: it is no path\n\n{at(test_what_is_no_path_is_refused, DRAW)}\n\n"
        '    The path comes first, and then what a step is called with: render("step.html", x, y).'
    )


def test_what_is_no_graph_is_refused() -> None:
    """A compiled step draws itself."""
    env = environment()
    step: Any = env.compile(lambda ctx: ctx.variable("b"))
    with pytest.raises(GraphError) as caught:
        visualize.to_dot(step)
    where = at(test_what_is_no_graph_is_refused, DRAW_STEP)
    assert str(caught.value) == (
        f"cannot draw a Compiled: it is no graph\n\n{where}\n\n"
        "    Give what env.trace(step, ...) gives. A compiled step draws itself: step.render(path, ...)."
    )
    with pytest.raises(GraphError, match="it is no graph"):
        visualize.render(step, "step.svg")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Before anything is drawn."""
    graph = traced()
    path = tmp_path / "nowhere" / "step.svg"
    with pytest.raises(SaveError) as caught:
        graph.render(path, fold=False)
    assert str(caught.value) == (
        f"cannot write the text of the picture to {str(path.with_suffix('.dot'))!r}\n\n"
        f"{at(test_a_place_that_cannot_be_written_is_told, DRAW)}\n\n"
        "    FileNotFoundError: No such file or directory\n"
        "    Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
    )


@needs_dot
def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The text is there then."""
    (tmp_path / "step.svg").mkdir()
    with pytest.raises(SaveError, match=r"cannot write the picture to '.*step\.svg'"):
        traced().render(tmp_path / "step.svg")
    assert (tmp_path / "step.dot").is_file()


# Large graphs, and the graph in words.


def chain(length: int) -> Graph:
    """A graph of one op after another, with a number in each."""
    env = environment()

    def step(ctx: Any) -> Any:
        x = ctx.variable("b")
        for _ in range(length):
            x = lg.sin(x) + 1.0
        return x

    return env.trace(step)


@pytest.mark.slow
def test_the_text_of_a_large_graph_takes_linear_time() -> None:
    """Eight times the nodes cost about eight times the time, and not 64 times."""
    small, large = chain(1_000), chain(8_000)

    def seconds(graph: Graph) -> float:
        start = time.process_time()
        graph.to_dot(fold=False)
        return time.process_time() - start

    seconds(small)
    ratio = min(seconds(large) for _ in range(2)) / min(seconds(small) for _ in range(3))
    assert 16_001 == len(drawn(large))
    assert ratio < 24


def test_print_has_one_line_a_node() -> None:
    """Also where a setting is long, or has several lines."""
    env = environment()

    def step(ctx: Any) -> Any:
        x = ctx.variable("b").show("two\nlines").show("long " * 100)
        return ctx.placeholder("line\nbreak", (1,)) + x

    lines = str(env.trace(step)).splitlines()
    assert 5 == len(lines)
    assert [True] * 5 == [re.match(rf"[ *]%{i} = \w+\(", line) is not None for i, line in enumerate(lines)]
    assert r"label='two\nlines'" in lines[1]
    assert "…" in lines[2]
    assert max(map(len, lines)) < 200
