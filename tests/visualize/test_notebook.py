"""What notebooks show: tables, trees, curves and pages, in the colours of the notebook, with names as text."""

from __future__ import annotations

import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browsing import Opened
from steps import three_layers

import lazygrad as lg
from lazygrad.graph.graph import Graph
from lazygrad.training.curves import curves

NASTY = "</td><script>alert(1)</script>&\"'\n\u202e"


class Read(HTMLParser):
    """HTML as it is read: rows of cells, items of lists, and the names of its elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.items: list[str] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)
        if tag not in ("br", "path"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "li":
            self.items.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif "li" in self.open:
            self.items[-1] += data


def environment(count: int) -> lg.VariableEnvironment:
    """Many variables."""
    env = lg.VariableEnvironment(seed=0)
    for k in range(count):
        env.name(f"w{k}").set(np.full((2, k + 1), k / 2, "float32"), trainable=k % 2 == 0)
    return env


def history() -> Any:
    """Twelve epochs."""
    found = lg.History()
    for k in range(12):
        measured = {"loss": 2 / (k + 1), "validation_loss": math.nan if k == 3 else 3 / (k + 1), "accuracy": k / 12}
        found.add(measured, 0.25, {"adam": 0.01 * 0.9**k})
    return found


def everything() -> dict[str, Any]:
    """One of each that a notebook shows."""
    env, step, args = three_layers()
    compiled = env.compile(step)
    compiled(*args)
    profile = compiled.profile(*args, runs=2)
    block = lg.nn.TransformerBlock(lg.VariableEnvironment(seed=0), 8, 2, name="block")
    graph = env.trace(step, *args)
    return {
        "env": env, "layer": block, "history": history(), "profile": profile, "compiled": compiled, "graph": graph,
    }  # fmt: skip


def test_an_environment_is_a_table_of_its_variables() -> None:
    """Name, shape, dtype, whether it is trained, bytes, and a few numbers."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([[0.5, -1.25, 3], [4, 5, 6]], "float32"))
    env.namespace("net").name("n").set(np.array(3), trainable=False)
    assert [
        ["variable", "shape", "dtype", "trainable", "bytes", "numbers"],
        ["w", "[2, 3]", "float32", "yes", "24", "0.5, -1.25, 3, …"],
        ["net/n", "[]", "int64", "no", "8", "3"],
    ] == Read(env._repr_html_()).rows


def test_of_many_variables_fifty_are_shown_and_the_rest_is_counted() -> None:
    """What optimizers keep comes last."""
    env = environment(60)
    adam = lg.optim.Adam(env)
    env.run(lambda ctx: adam.minimize(lg.sum(ctx.variable("w0"))))
    text = env._repr_html_()
    rows = Read(text).rows
    assert 51 == len(rows)
    assert {f"w{k}" for k in range(50)} == {row[0] for row in rows[1:]}
    left = [v for v in env if v.path not in {row[0] for row in rows}]
    assert f"and {len(left)} more, {sum(v.spec.nbytes for v in left):,} bytes" in text


def test_an_environment_without_variables_is_shown() -> None:
    """By its title."""
    assert [] == Read(lg.VariableEnvironment()._repr_html_()).rows


def test_layers_are_a_tree_with_their_numbers_counted() -> None:
    """Layers within layers, and the variables of each; functions by their names."""
    env = lg.VariableEnvironment(seed=0)
    model = lg.nn.Sequential(lg.nn.Linear(env, 3, 4, name="in"), lg.nn.relu, lg.nn.LSTM(env, 4, 5, name="lstm"))
    numbers = sum(v.spec.size for v in model.variables)
    text = model._repr_html_()
    assert f"{numbers:,} numbers" in text
    items = Read(text).items
    assert ["in: Linear 3 → 4, 16 numbers", "weight float32[3, 4], 12 numbers", "bias float32[4], 4 numbers"] == items[
        :3
    ]
    assert "relu" == items[3].strip()
    block = lg.nn.TransformerBlock(env, 8, 2, name="block")
    names = [item.partition(":")[0] for item in Read(block._repr_html_()).items if ":" in item]
    assert ["attention_norm", "attention", "query", "key", "value", "out"] == names[:6]


def test_a_history_is_its_curves_and_its_last_epochs() -> None:
    """A panel for each metric and the rate; what is not finite is a gap."""
    text = history()._repr_html_()
    rows = Read(text).rows
    assert ["epoch", "loss", "validation_loss", "accuracy", "seconds"] == rows[0]
    assert ["12", "0.16667", "0.25", "0.91667", "0.25"] == rows[-1]
    assert 8 == len(rows) - 1
    assert "the last 8 of 12 epochs" in text
    panels = re.findall(r"<svg.*?</svg>", text)
    assert ["loss", "accuracy", "rate"] == [re.findall(r"<title>(.*?)</title>", panel)[0] for panel in panels]
    paths = [e.get("d", "") for e in ElementTree.fromstring(panels[0]).iter("{http://www.w3.org/2000/svg}path")]
    curve = [d for d in paths if d.count("L") > 5]
    assert [1, 2] == [d.count("M") for d in curve]


def test_a_history_of_nothing_is_shown() -> None:
    """Nothing was measured yet."""
    assert "0 epochs" in lg.History()._repr_html_()


@pytest.mark.parametrize(
    "values",
    [
        [], [1.0], [math.nan, math.inf], [1e308, -1e308], [5.0, 5.0], [0.0, 0.0], [5e-324, 0.0], [1.0, math.inf, 2.0],
        list(range(5000)),
    ],
)  # fmt: skip
def test_curves_of_odd_numbers_are_drawn(values: list[float]) -> None:
    """Within their panel, and never with what is no number."""
    root = ElementTree.fromstring(curves({"loss": {"loss": values}}))
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        d = path.get("d", "")
        assert "nan" not in d
        assert "inf" not in d
        assert all(-1 <= float(y) <= 170 for y in re.findall(r"[ML][\d.]+ ([-\d.e+]+)", d))
        assert len(d) < 20_000


def test_a_number_that_no_line_leads_to_is_a_ring() -> None:
    """One epoch alone, and one between epochs that are not finite."""
    for values, count in [
        ([1.0], 1),
        ([1.0, math.inf, 2.0, math.nan], 2),
        ([1.0, 2.0, math.nan, 3.0], 1),
        ([1.0, 2.0], 0),
    ]:
        assert count == curves({"loss": {"loss": values}}).count("a2 2") // 2


def test_labels_of_many_curves_stay_within_their_panel(browser: Any, tmp_path: Path) -> None:
    """They go on in another line; long ones are cut, and so are no numbers."""
    series = {f"a long name of optimizer {k}{'!' * 20 * (k % 2)}": [-1.234e-300 * (k + 1), 5e-324] for k in range(7)}
    file = tmp_path / "curves.html"
    file.write_text("<!doctype html><meta charset=utf-8>" + curves({"rate": series}), encoding="utf-8")
    opened = Opened(browser, file)
    outside = """every => every.filter(one => {
        const text = one.getBoundingClientRect(), all = one.closest("svg").getBoundingClientRect();
        return text.left < all.left || text.right > all.right || text.bottom > all.bottom || text.top < all.top;
    }).map(one => one.textContent)"""
    assert [] == opened.page.locator("svg text").evaluate_all(outside)
    assert opened.page.locator("svg text").count() == 5 + 7
    opened.close()


def test_a_profile_is_its_tables() -> None:
    """By kernel, layer and line, with bars, and then the memory."""
    env, step, args = three_layers()
    profile = env.compile(step).profile(*args, runs=2)
    text = profile._repr_html_()
    read = Read(text)
    assert ["kernel", "layer", "line"] == [row[0] for row in read.rows if "µs" in row]
    names = {row[0] for row in read.rows}
    assert {row.name[:71] for row in profile.rows("layer")} <= {name[:71] for name in names}
    assert "linear-gradient" in text
    assert "memory:" in text


def test_what_was_not_called_is_shown_as_text() -> None:
    """There is no picture of it yet."""
    env, step, args = three_layers()
    compiled = env.compile(step)
    assert compiled._repr_html_() is None
    compiled(*args)
    assert "<iframe" in compiled._repr_html_()


def test_very_large_graphs_are_not_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook would become slow."""
    env, step, args = three_layers()
    graph = env.trace(step, *args)
    monkeypatch.setattr("lazygrad.visualize.notebook.MOST", 10)
    assert graph._repr_html_() is None
    compiled = env.compile(step)
    compiled(*args)
    assert compiled._repr_html_() is None


def test_without_graphviz_a_graph_has_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that text is shown; the page needs no program."""
    monkeypatch.setenv("PATH", "")
    graph = Graph()
    assert graph._repr_svg_() is None
    assert "<iframe" in (graph._repr_html_() or "")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz, the program dot, is not installed")
def test_with_graphviz_a_graph_is_a_picture() -> None:
    """Folded, if it is large."""
    env, step, args = three_layers()
    svg = env.trace(step, *args)._repr_svg_()
    assert svg is not None
    texts = {"".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert {"fc1", "gradient", "update"} <= texts


def test_names_are_text_and_never_markup() -> None:
    """Of variables, layers, metrics and steps."""
    env = lg.VariableEnvironment(seed=0)
    name = NASTY.replace("\n", "").replace("\u202e", "").replace("/", "|")
    layer = lg.nn.Linear(env, 2, 2, name=name)

    def step(ctx: Any, x: Any) -> Any:
        return layer(x)

    step.__name__ = NASTY
    compiled = env.compile(step)
    x = np.ones((1, 2), "float32")
    compiled(x)
    measured = lg.History()
    measured.add({NASTY: 1.0}, 0.1, {NASTY: 0.1})
    shown = [env, layer, measured, compiled.profile(x, runs=1), compiled, env.trace(step, x)]
    for one in shown:
        text = one._repr_html_()
        assert "script" not in Read(text).elements
        assert "\u202e" not in text
    assert name + "/weight" in [row[0] for row in Read(env._repr_html_()).rows]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_all_of_it_in_the_colours_of_the_notebook(scheme: str, browser: Any, tmp_path: Path) -> None:
    """Text has the colour of the text around it, nothing is wider than the page, and pages in frames draw boxes."""
    ink, paper = ("rgb(17, 17, 17)", "#fff") if scheme == "light" else ("rgb(238, 238, 238)", "#111")
    body = "".join(f"<section>{one._repr_html_()}</section>" for one in everything().values())
    file = tmp_path / "notebook.html"
    head = f"<!doctype html><meta charset=utf-8><body style='color: {ink}; background: {paper}'>"
    file.write_text(head + body, encoding="utf-8")
    opened = Opened(browser, file, color_scheme=scheme)
    page = opened.page
    for selector in ("td", "th", "li", "svg text"):
        colour = "getComputedStyle(e).fill" if "text" in selector else "getComputedStyle(e).color"
        found = page.eval_on_selector_all(selector, f"all => [...new Set(all.map(e => {colour}))]")
        assert [ink] == found
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for frame in page.query_selector_all("iframe"):
        frame.scroll_into_view_if_needed()
        inside = frame.content_frame()
        assert inside is not None
        inside.wait_for_selector("svg text:text-is('gradient')")
        assert inside.query_selector("svg text:text-is('fc1')") is not None
    opened.context.close()
    assert [] == opened.complaints
    assert all(address.startswith(("file:", "about:")) for address in opened.requests)
