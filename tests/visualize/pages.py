"""Pictures that are made into pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from browsing import Opened

from lazygrad.visualize.picture import Kernel, Picture
from lazygrad.visualize.reading import pictured

ITEM = '#world g[role="treeitem"]'


def of(make: Callable[[], Any]) -> Picture:
    """The picture of a step as it runs."""
    env, step, args = make()
    return pictured(env.compile(step).prepare(*args).graph, "step")


def measured(picture: Picture, size: int = 5) -> Picture:
    """A picture as if its ops were kernels of a few each, that take longer the later they run, and were measured."""
    ops = [i for i, node in enumerate(picture.nodes) if node.shape == "op" and not node.hidden]
    groups = [tuple(ops[k : k + size]) for k in range(0, len(ops), size)]
    of_node = {i: k for k, group in enumerate(groups) for i in group}
    counts = [int(count) for count in np.arange(16)]
    statistics = {"min": -1.5, "max": 2.5, "mean": 0.25, "std": 1.0, "nan": 0, "inf": 0, "zeros": 3, "size": 120}
    nodes = [
        dataclasses.replace(
            node, kernel=of_node.get(i, -1), statistics={**statistics, "histogram": counts} if i in of_node else None
        )
        for i, node in enumerate(picture.nodes)
    ]
    kernels = [
        Kernel(
            f"kernel of {len(group)} nodes", "[6, 12]", (k + 1) * 1e-6, 1000 * (k % 7), 5000 * (k % 5), 5e-7, group,
            (1 / len(group),) * len(group),
        )
        for k, group in enumerate(groups)
    ]  # fmt: skip
    laws = ("x + 0 became x, twice.",)
    return dataclasses.replace(picture, nodes=tuple(nodes), kernels=tuple(kernels), laws=laws)


def seen(opened: Opened) -> list[str]:
    """What the picture shows, by what a screen reader says of it, up to the first comma."""
    labels = opened.page.locator(ITEM).evaluate_all("every => every.map(one => one.getAttribute('aria-label'))")
    return [label.partition(",")[0] for label in labels]


def item(opened: Opened, beginning: str) -> Any:
    """What is called so."""
    return opened.page.locator(f'{ITEM}[aria-label^="{beginning}"]').first


def details(opened: Opened) -> str:
    """What the panel says."""
    return str(opened.page.locator("#details").inner_text())
