"""The page of a step in a browser: it folds, unfolds, tells and finds, by clicks and by keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from browsing import Opened
from pages import ITEM, details, item, measured, of, seen
from steps import STEPS, Made, recurrent, three_layers, transformer

import lazygrad as lg
from lazygrad.visualize.page import written
from lazygrad.visualize.reading import pictured

Opens = Callable[..., Opened]


# Milliseconds until all is unfolded.
UNFOLDED = """(() => {
    const began = performance.now();
    document.getElementById("unfold").click();
    return performance.now() - began; })()"""


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_a_page_opens_with_few_boxes_on_one_screen(opens: Opens, make: Callable[[], Any]) -> None:
    """Five to fifteen things, all of them to be seen, whatever the step is."""
    opened = opens(of(make))
    assert 5 <= len(seen(opened)) <= 15
    shown = opened.page.locator(ITEM).evaluate_all("""every => every.map(one => {
        const {left, top, right, bottom} = one.getBoundingClientRect();
        const stage = document.getElementById("stage").getBoundingClientRect();
        return left >= stage.left && top >= stage.top && right <= stage.right && bottom <= stage.bottom; })""")
    assert all(shown)


def little() -> Made:
    """A step with one line of many ops, and one with a loop."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.eye(3, dtype="float32"))

    def step(ctx: Any, x: Any) -> Any:
        return lg.mean(lg.exp(x @ ctx.variable("w")) + lg.fori_loop(0, 3, lambda i, h: lg.tanh(h @ x.T @ x), x))

    return env, step, (np.ones((4, 3), "float32"),)


def test_what_has_few_boxes_opens_with_more_to_see(opens: Opens) -> None:
    """The largest that hold few are open at first; they fold and unfold as all others."""
    picture = of(little)
    assert len(picture.children(0)) + len(picture.content(0)) < 5
    opened = opens(picture)
    begun = seen(opened)
    assert 5 <= len(begun) <= 15
    opened.press("f")
    assert len(seen(opened)) < 5
    opened.page.reload()
    opened.requests.pop()
    assert begun == seen(opened)


def test_on_a_phone_a_step_opens_so_large_that_it_can_be_read(opens: Opens) -> None:
    """What is wider than the screen is seen from its top, and `0` shows all of it."""
    opened = opens(of(transformer), width=400, height=800)
    scale = "+document.getElementById('world').getAttribute('transform').match(/scale\\((.*)\\)/)[1]"
    assert opened.page.evaluate(scale) >= 0.5
    opened.press("u", "0")
    assert opened.page.evaluate(scale) < 0.2


def test_a_box_unfolds_and_folds_by_a_click(opens: Opens) -> None:
    """In its place: its head stays where it was, and all else is still there."""
    opened = opens(of(three_layers))
    before = seen(opened)
    item(opened, "fc1").click()
    assert {"%2 variable fc1/weight", "%4 variable fc1/bias"} <= set(seen(opened))
    assert set(before) <= set(seen(opened))
    assert item(opened, "fc1").get_attribute("aria-expanded") == "true"
    item(opened, "fc1").click(position={"x": 20, "y": 10})
    assert before == seen(opened)


def test_a_box_unfolds_and_folds_by_keys(opens: Opens) -> None:
    """Enter and Space do what a click does; Escape closes the details, and then folds the box around."""
    opened = opens(of(three_layers))
    before = seen(opened)
    item(opened, "fc1").focus()
    for key in ("Enter", " "):
        opened.press(key)
        assert "%2 variable fc1/weight" in seen(opened)
        opened.press(key)
        assert before == seen(opened)
    opened.press("Enter", "ArrowDown", "Escape", "Escape")
    assert before == seen(opened)


def test_buttons_and_keys_fold_all_and_unfold_all(opens: Opens) -> None:
    """Every node that is drawn is there when all is unfolded."""
    picture = of(recurrent)
    opened = opens(picture)
    folded, drawn = seen(opened), sum(not node.hidden for node in picture.nodes)
    for unfold, fold in [("#unfold", "#fold"), ("u", "f")]:
        for what, expected in [(unfold, drawn + len(picture.boxes) - 1), (fold, len(folded))]:
            opened.page.click(what) if what.startswith("#") else opened.press(what)
            assert expected == len(seen(opened))


def test_unfolding_to_the_kernels_keeps_closed_what_is_one_kernel(opens: Opens) -> None:
    """A box is open if it has nodes of several kernels in it."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    opened.page.click("#kernelwise")
    boxes = opened.page.locator(f"{ITEM}.box").evaluate_all(
        "every => every.map(one => [-Number(one.dataset.key), one.getAttribute('aria-expanded')])"
    )
    for box, expanded in boxes:
        inside = {box} | {b for b, one in enumerate(picture.boxes) if one.parent == box}
        while inside != (more := inside | {b for b, one in enumerate(picture.boxes) if one.parent in inside}):
            inside = more
        kernels = {node.kernel for node in picture.nodes if node.box in inside} - {-1}
        assert (len(kernels) > 1) == (expanded == "true")


def test_a_click_on_a_node_says_all_of_it(opens: Opens) -> None:
    """Op, spec, the user's line with its text and place, the layer, the kernel, and the statistics."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    item(opened, "fc1").click()
    item(opened, "%3 matmul").click()
    told = details(opened)
    node = picture.nodes[3]
    place = picture.places[node.place]
    kernel = picture.kernels[node.kernel]
    for words in ("%3 matmul", node.spec, place.text, place.where, "in step", "fc1", f"k{node.kernel}", kernel.what):
        assert words in told
    assert f"{kernel.seconds * 1e6:.2f} µs" in told  # type: ignore[operator]
    assert "-1.5 … 2.5" in told
    assert opened.page.locator("#details .statistics rect").count() == 16


def test_a_click_on_a_box_says_what_is_in_it(opens: Opens) -> None:
    """How many nodes, how long they take, the lines, and the variables with their bytes."""
    opened = opens(measured(of(three_layers)))
    item(opened, "fc1").click()
    told = re.sub(r"\s+", " ", details(opened))
    assert "nodes 4" in told
    assert "h = lg.nn.relu(fc1(x))" in told
    assert "2 variables, 1.01 kB" in told  # 4 · (20 · 12 + 12)
    assert re.search(r"time \d.* %", told)


def test_operands_and_users_are_links_that_go_there(opens: Opens) -> None:
    """From a node to its operand, in a box that is folded, and back to its user; the picture and the list follow."""
    opened = opens(of(three_layers))
    opened.page.click('#list > div[data-key="8"]')
    assert "%8 matmul" in details(opened)
    opened.page.click('#details [data-to="6"]')
    assert "%6 relu" in details(opened)
    opened.page.click('#details [data-to="5"]')
    assert "%5 add" in details(opened)
    assert item(opened, "fc1").get_attribute("aria-expanded") == "true"
    opened.page.click('#details [data-to="6"]')
    assert item(opened, "%6 relu").get_attribute("aria-selected") == "true"
    assert opened.page.locator("#list > div.chosen").get_attribute("data-key") == "6"


def test_the_list_scrolls_to_what_is_chosen(opens: Opens) -> None:
    """A node that is chosen in the picture is in sight in the list."""
    opened = opens(of(three_layers))
    opened.press("u")
    last = max(int(key) for key in opened.page.locator(f"{ITEM}.node").evaluate_all("e => e.map(x => x.dataset.key)"))
    opened.page.locator(f'{ITEM}[data-key="{last}"]').focus()
    opened.press("Enter")
    line, space = opened.page.evaluate("""() => ["#list > div.chosen", "#nodes"].map(name => {
        const {top, bottom} = document.querySelector(name).getBoundingClientRect(); return [top, bottom]; })""")
    assert space[0] <= line[0] <= line[1] <= space[1]


def test_every_line_of_the_list_is_its_node(opens: Opens) -> None:
    """Number, op, operands, spec and line stand in it."""
    picture = of(three_layers)
    lines = opens(picture).page.locator("#list > div").all_text_contents()
    assert len(lines) == len(picture.nodes)
    for i, (line, node) in enumerate(zip(lines, picture.nodes, strict=True)):
        operands = ", ".join(f"%{j}" for j in node.inputs)
        assert line.startswith(f"%{i} = {node.op}({operands}")
        assert node.spec in line
        assert picture.places[node.place].text in line


def test_search_finds_unfolds_and_filters(opens: Opens) -> None:
    """`/` goes to the field; what matches is marked; Enter goes to the next, in boxes too; Escape ends it."""
    picture = of(three_layers)
    opened = opens(picture)
    opened.press("/")
    opened.page.keyboard.type("matmul fc2")
    expected = [i for i, node in enumerate(picture.nodes) if node.op == "matmul" and i in within(picture, "fc2")]
    shown = opened.page.locator("#list > div:not([hidden])").evaluate_all("every => every.map(one => +one.dataset.key)")
    assert expected == shown
    assert f"{len(expected)} nodes" == opened.page.inner_text("#found")
    assert item(opened, "gradient").get_attribute("class").split().count("match") == 1
    for i in expected:
        opened.press("Enter")
        found = opened.page.locator(f'{ITEM}[data-key="{i}"]')
        assert found.get_attribute("aria-selected") == "true"
        assert "match" in found.get_attribute("class").split()
    opened.press("Escape")
    assert opened.page.locator("#list > div:not([hidden])").count() == len(picture.nodes)
    assert opened.page.locator(f"{ITEM}.match").count() == 0


def within(picture: Any, layer: str) -> set[int]:
    """The nodes in boxes of that name."""
    found = {b for b, box in enumerate(picture.boxes) if box.name == layer}
    while found != (more := found | {b for b, box in enumerate(picture.boxes) if box.parent in found}):
        found = more
    return {i for i, node in enumerate(picture.nodes) if node.box in found}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("kernel:4", lambda node: node.kernel == 4),
        ("dtype:bool", lambda node: node.spec.startswith("bool[")),
        ("op:where", lambda node: "where" in node.op),
        ("name:fc1/weight", lambda node: "fc1/weight" in node.name),
        ("shape:[20,12]", lambda node: "[20, 12]" in node.spec),
        ("kind:variable", lambda node: node.shape == "variable"),
    ],
)
def test_a_search_may_ask_one_thing(opens: Opens, words: str, meant: Callable[[Any], bool]) -> None:
    """A word before a colon says what is compared."""
    picture = measured(of(three_layers))
    opened = opens(picture)
    opened.page.fill("#search", words)
    shown = opened.page.locator("#list > div:not([hidden])").evaluate_all("every => every.map(one => +one.dataset.key)")
    assert shown == [i for i, node in enumerate(picture.nodes) if meant(node) and not node.hidden]
    assert shown


def test_arrow_keys_reach_everything(opens: Opens) -> None:
    """From the first thing, along edges, to what is beside, into open boxes and out of them."""
    opened = opens(of(three_layers))
    for name in ("loss", "gradient"):
        item(opened, name).click()
        opened.press("0")
    everything = set(opened.page.locator(ITEM).evaluate_all("every => every.map(one => one.dataset.key)"))
    first = opened.page.locator(f'{ITEM}[tabindex="0"]').get_attribute("data-key")
    reached, waiting = {first}, [first]
    while waiting:
        start = waiting.pop()
        for arrow in ("ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"):
            opened.page.locator(f'{ITEM}[data-key="{start}"]').focus()
            opened.press(arrow)
            now = opened.page.evaluate("document.activeElement.dataset.key")
            if now not in reached:
                reached.add(now)
                waiting.append(now)
    assert everything == reached


def test_an_arrow_key_goes_along_an_edge(opens: Opens) -> None:
    """Down from x is fc1, down from it relu; and up again."""
    opened = opens(of(three_layers))
    item(opened, "%0 placeholder x").focus()
    opened.press("ArrowDown")
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("fc1,")
    opened.press("ArrowDown")
    assert opened.page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("%6 relu h,")
    opened.press("ArrowUp", "ArrowUp")
    assert opened.page.evaluate("document.activeElement.dataset.key") == "0"


def test_help_says_the_keys(opens: Opens) -> None:
    """`?` opens it, Escape closes it and nothing else."""
    opened = opens(of(three_layers))
    item(opened, "fc1").click()
    opened.press("?")
    assert "Enter, Space" in opened.page.inner_text("#help")
    opened.press("Escape")
    assert not opened.page.locator("#help").is_visible()
    assert opened.page.locator("#details").is_visible()


def test_zooming_and_panning_move_the_picture_and_zero_shows_all_of_it(opens: Opens) -> None:
    """By keys, by buttons, by the wheel around the pointer, and by dragging."""
    opened = opens(of(three_layers))
    world = opened.page.locator("#world")

    def placed() -> tuple[float, ...]:
        return tuple(float(part) for part in re.findall(r"-?[\d.]+", world.get_attribute("transform")))

    begun = placed()
    opened.press("+")
    assert placed()[2] == pytest.approx(1.25 * begun[2], rel=1e-3)
    opened.press("-")
    assert placed() == pytest.approx(begun, abs=0.3)  # places have one digit
    opened.page.click("#nearer")
    opened.press("0")
    assert begun == placed()
    opened.page.mouse.move(100, 400)
    opened.page.mouse.wheel(0, -300)
    opened.page.wait_for_function(
        f"() => !document.getElementById('world').getAttribute('transform').includes('scale({begun[2]:.4f})')"
    )
    x, y, scale = placed()
    stage = opened.page.locator("#stage").bounding_box()
    for now, before, pointer in [(x, begun[0], 100 - stage["x"]), (y, begun[1], 400 - stage["y"])]:
        # The point below the pointer has stayed there.
        assert (pointer - now) / scale == pytest.approx((pointer - before) / begun[2], abs=1)
    opened.page.mouse.down()
    opened.page.mouse.move(160, 430, steps=4)
    opened.page.mouse.up()
    assert placed()[:2] == pytest.approx((x + 60, y + 30), abs=0.3)
    assert not opened.page.locator("#details").is_visible()


def test_what_a_loop_returns_goes_dashed_to_its_node(opens: Opens) -> None:
    """The body is a box of its own above the node."""
    opened = opens(of(recurrent))
    opened.press("u")
    assert opened.page.locator(".edge.dashed").count() > 0
    body, node = (
        opened.page.locator(name).first.bounding_box() for name in (f"{ITEM}.loop", f'{ITEM}[aria-label*=" scan"]')
    )
    assert body["y"] < node["y"]


@pytest.mark.slow
def test_the_page_of_a_transformer_opens_in_two_seconds_and_unfolds_in_one(opens: Opens) -> None:
    """From the start of the navigation until it is drawn; then all 1,700 nodes at once. It has less than 2 MB."""
    picture = measured(of(transformer))
    assert len(written(picture).encode()) < 2_000_000
    opened = opens(picture)
    opened.page.wait_for_function("performance.getEntriesByName('opened').length")
    assert opened.page.evaluate("performance.getEntriesByName('opened')[0].duration") < 2000
    assert opened.page.evaluate(UNFOLDED) < 1000


@pytest.mark.parametrize("asked", [lambda ctx: ctx.constant(np.ones(2)), lambda ctx: lg.sum(np.ones(3))])
def test_a_graph_of_next_to_nothing_has_a_page(opens: Opens, asked: Callable[[Any], Any]) -> None:
    """With a node or two: it opens, and all keys do what little there is to do."""
    picture = pictured(lg.VariableEnvironment().trace(asked))
    opened = opens(picture)
    opened.press("u", "k", "f", "0", "c", "+", "Escape", "/", "Enter")
    assert len(seen(opened)) == sum(not node.hidden for node in picture.nodes)
