"""What is written beside a node: settings in a few characters, numbers in place of arrows to them."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from lazygrad.graph.body import Body
from lazygrad.graph.graph import Graph, Node
from lazygrad.graph.spec import Spec
from lazygrad.ops.source import _literal, variable

__all__ = ["body_inputs", "last", "operands_in_words", "operands_of", "settings_of", "specs_of"]

UNSAID = ("shape", "dtype", "name", "draw", "number")  # the spec or the name says it
SETTINGS = ("body", "condition", "bodies")  # those that are drawn as boxes

_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 24


def operands_in_words(graph: Graph, roots: Collection[int]) -> tuple[dict[int, str], set[int]]:
    """The nodes that are written into what uses them, in place of an arrow, and which of them are nowhere else.

    Numbers are; and the settings of an optimizer, which go into the update of every parameter: with an arrow for
    each, a picture would show little else.
    """
    uses = Counter(j for node in graph.nodes for j in node.inputs)
    known = Counter(last(node.params["name"]) for node in graph.nodes if node.op is variable)
    texts: dict[int, str] = {}
    hidden: set[int] = set()
    for i, node in enumerate(graph.nodes):
        if node.op is _literal and uses[i] and i not in roots:
            texts[i] = setting(node.params["value"])
            hidden.add(i)
        elif node.op is variable and uses[i] > 1 and graph.origins[i].part == "update" and not node.params["shape"]:
            name = node.params["name"]
            texts[i] = last(name) if known[last(name)] == 1 else name
    return texts, hidden


def operands_of(node: Node, texts: dict[int, str]) -> list[str]:
    """The operands, those by an arrow as a dot, if some of them are written in words; else nothing."""
    return [texts.get(j, "·") for j in node.inputs] if any(j in texts for j in node.inputs) else []


def settings_of(node: Node) -> list[str]:
    """The settings that are not the default, and that the spec does not show."""
    defaults = getattr(node.op, "defaults", {})
    return [
        f"{key}={setting(value)}"
        for key, value in node.params.items()
        if key not in UNSAID and key not in SETTINGS and defaults.get(key, settings_of) is not value
    ]


def setting(value: Any) -> str:
    """A few characters: the picture says what a setting is for, and print(graph) what it is."""
    if isinstance(value, np.generic):
        return f"{value:.6g}" if isinstance(value, np.floating) else str(value)
    if isinstance(value, slice) or (isinstance(value, tuple) and any(isinstance(one, slice) for one in value)):
        return f"[{', '.join(map(_index, value if isinstance(value, tuple) else (value,)))}]"
    return str(getattr(value, "__name__", None) or _short.repr(value))


def _index(value: Any) -> str:
    """An index as it is written."""
    if not isinstance(value, slice):
        return "…" if value is Ellipsis else setting(value)
    ends = ["" if end is None else str(end) for end in (value.start, value.stop, value.step)]
    return ":".join(ends if value.step is not None else ends[:2])


def specs_of(node: Node) -> str:
    """Dtype and shape, of every result."""
    return str(node.spec) if isinstance(node.spec, Spec) else ", ".join(map(str, node.spec))


def last(path: str) -> str:
    """The name within its namespace."""
    return path.rpartition("/")[2]


def body_inputs(node: Node, body: Body) -> dict[int, str]:
    """What is given to the body of a loop, each in a word."""
    carries, xs = node.params.get("carries", 0), node.params.get("xs", 0)
    words = ["carry"] * carries + ["x"] * xs
    return {i: words[k] if k < len(words) else "captured" for k, i in enumerate(body.inputs)}
