"""How a page looks in a browser: nothing overlaps, all can be read, on phones, in the dark, without scripts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from browsing import Opened
from pages import measured, of
from steps import STEPS, recurrent, shared_layer, three_layers, written_out

Opens = Callable[..., Opened]
ITEM = '#world g[role="treeitem"]'
SLOW = {"transformer", "thirty_layers", "written_out"}  # up to 1,700 nodes
EACH = [
    pytest.param(make, marks=[pytest.mark.slow] * (make.__name__ in SLOW), id=make.__name__)
    for make in [*STEPS, written_out]
]

# What the picture shows, in its own coordinates: of each item key, box around it, and rectangle.
RECTANGLES = """every => every.map(one => {
    const body = document.querySelector(`.back[data-key="${one.dataset.key}"]`) ?? one.querySelector(".body");
    const {x, y, width, height} = body.getBBox();
    return [+one.dataset.key, x, y, x + width, y + height]; })"""
# Points along each edge, ten units apart.
POINTS = """every => every.map(one => {
    const whole = one.getTotalLength(), points = [];
    for (let at = 0; at <= whole; at += 10) { const {x, y} = one.getPointAtLength(at); points.push([x, y]); }
    return points; })"""
# From what an edge comes and to what it goes; where it begins, is six units before its end, and ends.
ENDS = """every => every.map(one => {
    const whole = one.getTotalLength(), at = (along) => { const {x, y} = one.getPointAtLength(along); return [x, y]; };
    return [+one.dataset.from, +one.dataset.to, at(0), at(whole - 6), at(whole)]; })"""
# Text that is seen, with its colour and that of what is behind it.
CONTRASTS = """every => every.filter(one => one.getClientRects().length && one.textContent.trim()).map(one => {
    const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const luminance = (colour) => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const svg = one.closest("svg");
    const ink = getComputedStyle(one)[svg ? "fill" : "color"];
    let behind = getComputedStyle(document.body).backgroundColor;
    const body = one.parentElement.querySelector(".body");
    const open = document.querySelector(`.back[data-key="${one.parentElement.dataset.key}"]`);
    if (svg && body && !one.matches(".label")) behind = getComputedStyle(open ?? body).fill;
    else for (let up = one; up; up = up.parentElement) {
        const found = getComputedStyle(up).backgroundColor;
        if (!svg && !/rgba\\(.*, 0\\)|transparent/.test(found)) { behind = found; break; } }
    const [a, b] = [luminance(ink), luminance(behind)].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), `${one.textContent}: ${ink} on ${behind}`]; })"""


def rectangles(opened: Opened) -> dict[int, tuple[float, ...]]:
    """Left, top, right and bottom of everything that the picture shows."""
    return {key: tuple(rest) for key, *rest in opened.page.locator(ITEM).evaluate_all(RECTANGLES)}


def parents(picture: Any) -> dict[int, int]:
    """For each node, and for each box with a minus sign, the box around it."""
    found = {i: node.box for i, node in enumerate(picture.nodes)}
    return found | {-b: box.parent for b, box in enumerate(picture.boxes) if b}


@pytest.mark.parametrize("make", EACH)
def test_nothing_overlaps_and_everything_lies_in_its_box(opens: Opens, make: Callable[[], Any]) -> None:
    """Folded, half unfolded and all unfolded: siblings keep apart, and what is in a box is wholly inside of it."""
    picture = of(make)
    opened = opens(picture)
    around = parents(picture)
    for keys in ["f", "k", "u"]:
        opened.press(keys)
        found = rectangles(opened)
        for key, (left, top, right, bottom) in found.items():
            if around[key]:
                outer = found[-around[key]]
                assert outer[0] < left < right < outer[2]
                assert outer[1] + 20 < top < bottom < outer[3]
        for a, b in siblings(found, around):
            assert found[a][2] < found[b][0] or min(found[a][3], found[b][3]) < max(found[a][1], found[b][1])


def siblings(found: dict[int, tuple[float, ...]], around: dict[int, int]) -> list[tuple[int, int]]:
    """All pairs of what lies in the same box, what begins further left before the other."""
    inside: dict[int, list[int]] = {}
    for key in found:
        inside.setdefault(around[key], []).append(key)
    return [(a, b) for keys in inside.values() for a in keys for b in keys if found[a][0] <= found[b][0] and a != b]


@pytest.mark.parametrize(
    "make",
    [three_layers, *(pytest.param(make, marks=pytest.mark.slow) for make in (recurrent, shared_layer))],
)
def test_edges_pass_by_what_they_do_not_join(opens: Opens, make: Callable[[], Any]) -> None:
    """With all unfolded no edge goes through a node that is not one of its ends."""
    picture = of(make)
    opened = opens(picture)
    opened.press("u")
    nodes = {key: box for key, box in rectangles(opened).items() if key >= 0}
    through = 0
    edges = opened.page.locator(".edge").evaluate_all(POINTS)
    for points in edges:
        inner = points[1:-2]  # the ends touch what they join, and the arrow's head stands before the last
        met = {
            key for x, y in inner for key, box in nodes.items() if box[0] < x < box[2] and box[1] + 1 < y < box[3] - 1
        }
        through += bool(met)
    assert len(edges) > 50
    assert through == 0


@pytest.mark.parametrize("make", EACH)
def test_edges_begin_below_what_they_come_from_and_end_above_what_they_go_to(
    opens: Opens, make: Callable[[], Any]
) -> None:
    """Folded and unfolded, at the border of both; and they come to their end from above."""
    opened = opens(of(make))
    for key in ("f", "u"):
        opened.press(key)
        found = rectangles(opened)
        ends = opened.page.locator(".edge").evaluate_all(ENDS)
        assert ends
        for source, target, begin, before, end in ends:
            left, _, right, bottom = found[source]
            assert left < begin[0] < right
            assert begin[1] == pytest.approx(bottom, abs=1)
            left, top, right, _ = found[target]
            assert left < end[0] < right
            assert end[1] == pytest.approx(top, abs=2)
            assert before[1] < end[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colours", ["part", "kernel", "time"])
def test_all_text_can_be_read(opens: Opens, scheme: str, colours: str) -> None:
    """A contrast of 4.5 at the least (WCAG 2.2, 1.4.3), in the picture, in the details and beside them."""
    opened = opens(measured(of(three_layers)), color_scheme=scheme)
    opened.page.select_option("#colours", colours)
    opened.press("u")
    opened.page.click('#list > div[data-key="3"]')
    opened.page.click("#tab-kernels")
    texts = "#world text, header :is(h1, li, button, label), #details :is(h2, dt, dd, p, code, .link)"
    beside = "#kernels :is(td, th button), #legend span, #tabs button"
    found = opened.page.locator(f"{texts}, {beside}").evaluate_all(CONTRASTS)
    assert len(found) > 300
    assert min(found)[0] >= 4.5, min(found)


def test_the_dark_is_dark_and_can_be_switched(opens: Opens) -> None:
    """By what the system prefers, and by a button that turns it around."""
    for scheme in ("light", "dark"):
        opened = opens(of(three_layers), color_scheme=scheme)
        brightness = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every(v => v > 128)"
        assert opened.page.evaluate(brightness) == (scheme == "light")
        opened.page.click("#theme")
        assert opened.page.evaluate(brightness) == (scheme == "dark")


def test_a_phone_shows_all_of_it(opens: Opens) -> None:
    """At 400 pixels nothing sticks out to the side; details are a sheet from below, and the list is a tab."""
    facts = tuple(f"{k},000 things of a kind" for k in range(1, 5))
    opened = opens(dataclasses.replace(measured(of(three_layers)), facts=facts), width=400, height=800)
    page = opened.page
    # Nothing scrolls, and nothing that is outside of a list of its own is cut off.
    sideways = """document.documentElement.scrollWidth <= 400 && [...document.querySelectorAll(
        "header, h1, #tools *, main, #stage, #details, aside, #tabs *, aside > section")]
        .every(one => one.getBoundingClientRect().right <= 400)"""
    assert page.evaluate(sideways)
    page.locator(f'{ITEM}[aria-label^="fc1"]').click()
    page.locator(f'{ITEM}[aria-label^="%3 matmul"]').click()
    sheet = page.locator("#details").bounding_box()
    assert (sheet["x"], sheet["width"]) == (0, 400)
    assert sheet["y"] > 300
    matmul = page.locator(f'{ITEM}[aria-label^="%3 matmul"]').bounding_box()
    assert matmul["y"] + matmul["height"] < sheet["y"]
    for tab in ("nodes", "kernels", "laws"):
        page.click(f"#tab-{tab}")
        assert page.evaluate(sideways)
        assert page.locator(f"#{tab}").is_visible()
        assert not page.locator("#picture-view").is_visible()
    page.click("#tab-nodes")
    page.click('#list > div[data-key="8"]')
    assert page.locator("#picture-view").is_visible()
    assert "%8 matmul" in page.inner_text("#details")


def test_two_fingers_zoom(opens: Opens) -> None:
    """They move apart, and the picture grows with them."""
    opened = opens(of(three_layers), width=400, height=800, has_touch=True)
    scale = "+document.getElementById('world').getAttribute('transform').match(/scale\\((.*)\\)/)[1]"
    before = opened.page.evaluate(scale)
    opened.page.evaluate("""() => {
        const send = (kind, pointerId, clientX) => document.getElementById("picture-view").dispatchEvent(
            new PointerEvent(kind, {pointerId, clientX, clientY: 400, bubbles: true, pointerType: "touch"}));
        SVGElement.prototype.setPointerCapture = () => {};  // which these pointers, that are not real, cannot have
        send("pointerdown", 1, 150); send("pointerdown", 2, 250);
        send("pointermove", 1, 100); send("pointermove", 2, 300);
        send("pointerup", 1, 100); send("pointerup", 2, 300); }""")
    assert opened.page.evaluate(scale) == pytest.approx(2 * before, rel=0.01)


HOSTILE = [
    "</script><b>bold</b><script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "]]><!--",
    "a\u2028b\u2029c\u0000d\u202ee",
    "{{SCRIPT}} ${1} \\' \" ` &lt;",
    "\ud800 alone",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_user_named_is_text(opens: Opens, name: str) -> None:
    """Whatever it looks like, it is shown as it is, or as Python shows it, and does nothing."""
    picture = measured(of(three_layers))
    nodes = [dataclasses.replace(node, name=name, text=name) for node in picture.nodes]
    boxes = [dataclasses.replace(box, name=name, note=name) for box in picture.boxes]
    places = [dataclasses.replace(place, where=name, inside=name, text=name) for place in picture.places]
    kernels = [dataclasses.replace(kernel, what=name, over=name) for kernel in picture.kernels]
    changed = dataclasses.replace(
        picture, title=name, facts=(name,), laws=(name,), nodes=tuple(nodes), boxes=tuple(boxes), places=tuple(places),
        kernels=tuple(kernels),
    )  # fmt: skip
    opened = opens(changed)
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    opened.press("u")
    opened.page.click('#list > div[data-key="3"]')
    opened.page.select_option("#colours", "kernel")
    assert shown == opened.page.title() == opened.page.locator("h1").text_content()
    assert shown in opened.page.locator("#details").text_content()
    assert shown in opened.page.locator('#list > div[data-key="3"]').text_content()
    assert shown in opened.page.locator("#kernels tbody tr").first.text_content()
    assert opened.page.locator("img, main script, #world b").count() == 0


def test_without_scripts_the_nodes_are_a_list(opens: Opens) -> None:
    """The title and every node, one a line; nothing of what would need scripts."""
    picture = of(three_layers)
    opened = opens(picture, java_script_enabled=False)
    lines = opened.page.locator("#list > div").all_inner_texts()
    assert [f"%{i} = {node.op}(" for i, node in enumerate(picture.nodes)] == [
        line[: line.index("(") + 1] for line in lines
    ]
    assert opened.page.locator("h1").is_visible()
    assert not opened.page.locator("#tools").is_visible()
    assert not opened.page.locator("#stage").is_visible()


def test_words_for_who_does_not_see_it(opens: Opens) -> None:
    """Boxes and nodes are items of a tree with names and levels; every button has a name; Tab stops once."""
    opened = opens(measured(of(three_layers)))
    page = opened.page
    page.locator(f'{ITEM}[aria-label^="fc1"]').click()
    assert page.locator('svg[role="tree"]').count() == 1
    assert page.locator(f'{ITEM}[tabindex="0"]').count() == 1
    levels = page.locator(ITEM).evaluate_all(
        "every => every.map(one => [one.getAttribute('aria-label').split(',')[0], one.getAttribute('aria-level')])"
    )
    assert ["fc1", "1"] in levels
    assert ["%2 variable fc1/weight", "2"] in levels
    for role in ("button", "tab", "searchbox", "combobox"):
        for one in page.get_by_role(role).all():
            assert one.evaluate("one => one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim()")


def test_nothing_moves_for_who_wants_it_calm(opens: Opens) -> None:
    """With motion reduced a picture is at once where it goes."""
    opened = opens(of(three_layers))
    assert opened.page.evaluate("""() => {
        const world = document.getElementById("world");
        document.getElementById("nearer").click();
        const near = world.getAttribute("transform");
        document.getElementById("fit").click();
        return near !== world.getAttribute("transform"); }""")
