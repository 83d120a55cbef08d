"""Folded pictures: boxes in place of what lies in them, and Graphviz draws them whatever the names are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from snapshots import at
from steps import STEPS, Made, recurrent, three_layers, transformer, without_layers
from test_dot import nasty

import lazygrad as lg
from lazygrad.errors import SpecError
from lazygrad.graph.graph import Graph
from lazygrad.visualize.reading import pictured

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz, the program dot, is not installed")

LINE = "graph.to_dot(fold=fold)"


def traced(make: Callable[[], Made]) -> Graph:
    """The graph of a step."""
    env, step, args = make()
    return env.trace(step, *args)


def drawn(dot: str) -> dict[str, str]:
    """The line of every node and folded box."""
    lines = re.findall(r"^\s*([nb]\d+) \[(.*)\]$", dot, re.MULTILINE)
    assert len(lines) == len({name for name, _ in lines})
    return dict(lines)


def arrows(dot: str) -> list[tuple[str, str]]:
    """From where to where."""
    return re.findall(r"^\s*([nb]\d+) -> ([nb]\d+) \[", dot, re.MULTILINE)


def title(line: str) -> str:
    """The name of a node or box."""
    found = re.search(r"<B>(.*?)</B>", line)
    return found[1] if found else ""


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_a_step_is_drawn_folded(make: Callable[[], Made]) -> None:
    """Every box and node of the root once, arrows only between these, none twice, and none in a circle."""
    graph = traced(make)
    picture, dot = pictured(graph), graph.to_dot()
    found = drawn(dot)
    boxes = [f"b{k}" for k in picture.children(0)]
    nodes = [f"n{i}" for i in picture.content(0) if not picture.nodes[i].hidden]
    assert sorted([*boxes, *nodes]) == sorted(found)
    between = arrows(dot)
    assert {end for ends in between for end in ends} <= found.keys()
    assert len(between) == len(set(between))
    left = set(found)
    while left:
        ready = {x for x in left if not any(b == x and a in left for a, b in between)}
        assert ready
        left -= ready


def test_folded_boxes_say_what_is_in_them() -> None:
    """Their name, what goes in and comes out, and how many nodes; a double border where there is a result."""
    found = {title(line): line for line in drawn(traced(three_layers).to_dot()).values()}
    assert "float32[6, 20] → float32[6, 12]" in found["fc1"]
    assert "4 nodes" in found["fc1"]
    assert 'tooltip="fc1: 2 variable, matmul, add"' in found["fc1"]
    assert [True, True, False, False] == ["peripheries=2" in found[x] for x in ("loss", "update", "fc1", "gradient")]


def test_a_graph_of_few_nodes_is_drawn_node_by_node_in_its_boxes() -> None:
    """All of them, and the boxes around."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 3, 2, name="layer")
    graph = env.trace(lambda ctx, x: lg.mean(lg.nn.relu(layer(x))), np.ones((4, 3), "float32"))
    dot = graph.to_dot()
    assert {f"n{i}" for i, node in enumerate(graph.nodes) if node.op.name != "literal"} == drawn(dot).keys()
    assert "<I>layer</I>" in dot
    assert "folded" not in dot


def test_folding_can_be_asked_for() -> None:
    """All of it, some boxes deep, or none."""
    graph = traced(transformer)
    counts = [len(drawn(graph.to_dot(fold=fold))) for fold in (True, 1, 2, 3, 99)]
    assert counts[0] == counts[1] < counts[2] < counts[3] < counts[4]
    assert sum(not node.hidden for node in pictured(graph).nodes) == counts[4]
    assert graph.to_dot() == graph.to_dot(fold=True)
    assert graph.to_dot(fold=False) == graph.to_dot(fold=0)
    assert "<I>block_1</I>" in graph.to_dot(fold=2)
    assert "attention" in [title(line) for line in drawn(graph.to_dot(fold=2)).values()]


def test_small_graphs_can_be_folded_too() -> None:
    """Where somebody asks for it."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 3, 2, name="layer")
    graph = env.trace(lambda ctx, x: lg.mean(lg.nn.relu(layer(x))), np.ones((4, 3), "float32"))
    assert ["layer"] == [title(x) for name, x in drawn(graph.to_dot(fold=True)).items() if title(x) == "layer"]


@pytest.mark.parametrize("fold", [-1, 1.5, "layers", [1]])
def test_folding_by_something_else_is_refused(fold: Any, tmp_path: Path) -> None:
    """Before anything is drawn or written."""
    graph = traced(without_layers)
    with pytest.raises(SpecError) as caught:
        graph.to_dot(fold=fold)
    assert str(caught.value) == (
        f"cannot fold by {fold!r}\n\n{at(test_folding_by_something_else_is_refused, LINE)}\n\n"
        "    It is True, False, or how many boxes deep things are seen: 1, 2, …"
    )
    with pytest.raises(SpecError):
        graph.render(tmp_path / "step.svg", fold=fold)
    assert [] == list(tmp_path.iterdir())


def test_the_body_of_a_loop_is_a_box_beside_its_node() -> None:
    """A dashed arrow leads from what comes out of it; folded, from the box."""
    graph = traced(recurrent)
    picture = pictured(graph)
    body = next(k for k, box in enumerate(picture.boxes) if box.kind == "loop")
    scan = f"n{picture.boxes[body].node}"
    unfolded, folded = graph.to_dot(fold=9), graph.to_dot(fold=2)
    for i in picture.boxes[body].outputs:
        assert (f"n{i}", scan) in arrows(unfolded)
    assert (f"b{body}", scan) in arrows(folded)
    assert "scan, body" in folded


@needs_dot
@pytest.mark.parametrize("fold", [1, 2, 9])
def test_graphviz_draws_folded_steps(fold: int, tmp_path: Path) -> None:
    """With every box, node and arrow that the text has, also of names that are not harmless."""
    for graph in (traced(recurrent), nasty()):
        file = graph.render(tmp_path / "step.svg", fold=fold)
        svg, dot = file.read_text(encoding="utf-8"), (tmp_path / "step.dot").read_text(encoding="utf-8")
        ElementTree.fromstring(svg)
        assert len(drawn(dot)) == svg.count('class="node"')
        assert len(arrows(dot)) == svg.count('class="edge"')


def test_names_of_boxes_are_shown_as_they_are() -> None:
    """In labels and tooltips, whatever they contain."""
    env = lg.VariableEnvironment(seed=0)
    layer = lg.nn.Linear(env, 3, 2, name='<b>&"N\\')
    graph = env.trace(lambda ctx, x: layer(layer(x)[:, :1] * lg.ones(3)), np.ones((4, 3), "float32"))
    assert "<B>&lt;b&gt;&amp;&quot;N\\\\</B>" in graph.to_dot(fold=True)


def test_a_setting_that_is_an_index_is_shown_as_it_is_written() -> None:
    """And not as Python shows slices."""
    env = lg.VariableEnvironment(seed=0)
    graph = env.trace(lambda ctx, x: x[:, 1, ::2], np.ones((4, 3, 6), "float32"))
    assert "slice(index=[:, 1, ::2])" in graph.to_dot()


@pytest.mark.parametrize("fold", [True, 2, False])
def test_long_names_are_cut_in_labels_and_whole_in_tooltips(fold: bool | int) -> None:
    """A picture is not as wide as the longest name."""
    env = lg.VariableEnvironment(seed=0)
    long = "a_name_that_goes_on" * 12
    layer = lg.nn.Linear(env, 2, 2, name=long)
    env.name(f"w_{long}").set(np.ones((1,) * 24, "float32"))
    graph = env.trace(lambda ctx, x: lg.sum(layer(x)) + ctx.variable(f"w_{long}"), np.ones((1, 2), "float32"))
    text = graph.to_dot(fold=fold)
    labels = re.findall(r"label=<(.*)> color=.* tooltip=", text)
    rows = [row for one in labels for row in re.sub(r"<[^>]*>", "\n", one).split("\n")]
    assert 50 < max(map(len, rows)) <= 60
    assert any(long in told for told in re.findall(r'tooltip="([^"]*)"', text))
