"""Where things stand in a page: arrows go down, are as short as they can be, and cross little."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import measured, of
from steps import STEPS, three_layers

from lazygrad.visualize.page import written
from lazygrad.visualize.page.packed import packed
from lazygrad.visualize.page.ranks import WIDEST, ranks
from lazygrad.visualize.page.rows import Stop, crossings, rows
from lazygrad.visualize.page.scenes import Scene, flows, scenes


@st.composite
def graphs(draw: Any, most: int = 12) -> Scene:
    """Children with arrows from earlier ones to later ones, some of which go in and out of the box."""
    count = draw(st.integers(1, most))
    pairs = list(itertools.combinations(range(count), 2))
    arrows = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=2 * count)) if pairs else []
    some = st.sets(st.integers(0, count - 1))
    ends = {target for _, target in arrows}
    top = {child for child in draw(some) if child not in ends}
    entered, left = dict.fromkeys(sorted(draw(some) - top)), dict.fromkeys(sorted(draw(some)))
    return Scene(list(range(count)), dict.fromkeys(arrows), entered, left, top)


def length(scene: Scene, rank: Any) -> int:
    """How many rows all arrows go down."""
    return sum(rank[target] - rank[source] for source, target in scene.arrows)


@given(st.lists(graphs(), min_size=1, max_size=4))
def test_every_arrow_goes_down(found: list[Scene]) -> None:
    """In every scene, also where a row was too wide and became several; and no row is wider than that."""
    for scene, rank in zip(found, ranks(found), strict=True):
        assert set(rank) == set(scene.children)
        assert all(rank[source] < rank[target] for source, target in scene.arrows)
        assert all(list(rank.values()).count(row) <= WIDEST for row in rank.values())


@given(graphs(most=5))
def test_arrows_are_as_short_as_they_can_be(scene: Scene) -> None:
    """No other rows have a smaller sum: all of them are tried."""
    (rank,) = ranks([scene])
    every = (dict(enumerate(tried)) for tried in itertools.product(range(len(scene.children)), repeat=len(rank)))
    allowed = [
        tried
        for tried in every
        if all(tried[source] < tried[target] for source, target in scene.arrows)
        and not any(tried[child] for child in scene.top)
    ]
    assert length(scene, rank) == min(length(scene, tried) for tried in allowed)


@given(graphs())
def test_every_row_has_its_children_and_what_passes_them(scene: Scene) -> None:
    """A child once, its trunk in each row below it that an arrow passes, and one above it if something comes in."""
    (rank,) = ranks([scene])
    lines = rows(scene, rank)
    expected = []
    for child in scene.children:
        ends = [rank[target] - 1 for source, target in scene.arrows if source == child]
        last = max([rank[child], *ends, *([len(lines) - 1] if child in scene.left else [])])
        expected += [
            (Stop(child), rank[child]),
            *((Stop(child, "down"), row) for row in range(rank[child] + 1, last + 1)),
        ]
        expected += [(Stop(child, "up"), row) for row in range(rank[child] if child in scene.entered else 0)]
    assert sorted(expected) == sorted((stop, row) for row, line in enumerate(lines) for stop in line)


def test_places_grow_with_the_nodes_and_not_with_their_square() -> None:
    """A chain of a thousand, each of which is read outside and reads from there, as in a loop that is written out."""
    every = list(range(1000))
    chain = dict.fromkeys(itertools.pairwise(every))
    scene = Scene(every, chain, dict.fromkeys(every), dict.fromkeys(every))
    lines = rows(scene, ranks([scene])[0])
    assert [len(line) for line in lines] == [2, *[3] * 998, 2]
    assert [Stop(0, "in"), Stop(7), Stop(0, "out")] == lines[7]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_crossings_are_counted(pairs: list[tuple[int, int]]) -> None:
    """Two arrows cross if their ends are in opposite orders."""
    expected = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(pairs, 2))
    assert expected == crossings(pairs)


def test_arrows_that_need_not_cross_do_not() -> None:
    """Two chains whose later children stand in the program in the opposite order are drawn beside each other."""
    scene = Scene([0, 1, 2, 3], {(0, 3): None, (1, 2): None})
    lines = rows(scene, ranks([scene])[0])
    upper, lower = ([stop.child for stop in line] for line in lines)
    assert [{0: 3, 1: 2}[child] for child in upper] == lower


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make.__name__)
def test_every_node_stands_in_one_box_and_every_arrow_in_one(make: Callable[[], Any]) -> None:
    """Nodes that are drawn are children of their box alone; an arrow joins children of the innermost box around it."""
    picture = of(make).to_dict()
    found = scenes(picture)
    drawn = [i for i, node in enumerate(picture["nodes"]) if not node["hidden"]]
    assert sorted(child for scene in found for child in scene.children if child >= 0) == drawn
    parents = {-child: b for b, scene in enumerate(found) for child in scene.children if child < 0}
    assert parents == {b: box["parent"] for b, box in enumerate(picture["boxes"]) if b}

    def around(i: int) -> list[int]:
        way = [picture["nodes"][i]["box"]]
        while way[-1]:
            way.append(parents[way[-1]])
        return way

    for source, target in flows(picture):
        shared = next(b for b in around(source) if b in around(target))
        ends = [next((-b for b in around(i) if parents.get(b) == shared), i) for i in (source, target)]
        assert tuple(ends) in found[shared].arrows


def test_a_page_has_the_whole_picture_as_data() -> None:
    """Strings that are written once and columns say what the picture says."""
    picture = measured(of(three_layers)).to_dict()
    data = json.loads(packed(picture, [[] for _ in picture["boxes"]]))
    strings, columns = data["strings"], data["nodes"]
    assert len(set(strings)) == len(strings)
    for i, node in enumerate(picture["nodes"]):
        for name in ("op", "spec", "name", "shape", "text"):
            assert strings[columns[name][i]] == node[name]
        assert columns["inputs"][i] == list(node["inputs"])
        assert (i in columns["hidden"], i in columns["root"]) == (node["hidden"], node["root"])
        assert (columns["kernel"][i], columns["box"][i]) == (node["kernel"], node["box"])
    # Numbers have six digits.
    seconds = [kernel["seconds"] for kernel in picture["kernels"]]
    assert seconds == pytest.approx([kernel[2] for kernel in data["kernels"]], rel=1e-5)


def test_numbers_that_json_has_not_are_named() -> None:
    """A value may be infinite or NaN, and JSON has neither."""
    picture = measured(of(three_layers)).to_dict()
    node = next(node for node in picture["nodes"] if node["statistics"])
    node["statistics"] = {**node["statistics"], "min": float("-inf"), "mean": float("nan")}
    data = json.loads(packed(picture, []))
    assert ["-inf", 2.5, "nan"] == next(iter(data["nodes"]["statistics"].values()))[:3]


def test_a_page_asks_for_nothing_and_lets_nothing_in() -> None:
    """Its policy allows the one script and the one style that it has; there is no other address in it."""
    page = written(of(three_layers))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert ["http://www.w3.org/2000/svg"] == re.findall(r"https?://[^\s\"']+", page)
    assert not re.search(r"<(link|img|iframe|object|base)\b|@import|url\((?!#)", page)
