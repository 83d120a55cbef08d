"""A picture as few characters of JSON, which stand in a page and cannot end the element that they stand in.

Strings are written once, in a list, and named by their place; nodes are columns. What is not printable is written as
Python shows it, so that nothing in a name turns the text around or breaks a line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lazygrad.markup import printable
from lazygrad.visualize.page.rows import Stop

__all__ = ["inert", "packed"]

PASSING = ("", "down", "up", "out", "in")
COLUMNS = ("op", "spec", "name", "shape", "text")  # of nodes, that are strings
STATISTICS = ("min", "max", "mean", "std", "nan", "inf", "zeros", "size", "histogram")


def packed(picture: Mapping[str, Any], stands: Sequence[Sequence[Sequence[Stop]]]) -> str:
    """The picture, and the rows of each box, as JSON for a ``<script>``.

    Args:
        picture: what :meth:`Picture.to_dict` gives.
        stands: the rows of every box.

    Returns:
        The text; it has no ``<``, ``>`` or ``&``.
    """
    strings: dict[str, int] = {}

    def shared(text: str) -> int:
        return strings.setdefault(printable(text), len(strings))

    nodes = picture["nodes"]
    columns: dict[str, Any] = {name: [shared(node[name]) for node in nodes] for name in COLUMNS}
    for name in ("box", "place", "kernel", "inputs"):
        columns[name] = [node[name] for node in nodes]
    for name in ("hidden", "quiet", "root"):
        columns[name] = [i for i, node in enumerate(nodes) if node[name]]
    columns["statistics"] = {
        str(i): [_number(node["statistics"].get(name)) for name in STATISTICS]
        for i, node in enumerate(nodes)
        if node["statistics"]
    }

    def box(one: Mapping[str, Any]) -> list[Any]:
        return [shared(one["name"]), one["parent"], *(shared(one[name]) for name in ("part", "kind", "note"))]

    def kernel(one: Mapping[str, Any]) -> list[Any]:
        numbers = [_number(one[name]) for name in ("seconds", "bytes", "flops", "limit")]
        shares = [float(f"{share:.4g}") for share in one["work"]]
        return [shared(one["what"]), shared(one["over"]), *numbers, one["nodes"], shares]

    whole = {
        "title": printable(picture["title"]),
        "facts": [printable(fact) for fact in picture["facts"]],
        "laws": [printable(law) for law in picture["laws"]],
        "boxes": [box(one) for one in picture["boxes"]],
        "loops": [[one["node"], one["outputs"]] for one in picture["boxes"] if one["outputs"]],
        "open": picture["opened"],
        "places": [[shared(place[name]) for name in ("where", "in", "text")] for place in picture["places"]],
        "nodes": columns,
        "kernels": [kernel(one) for one in picture["kernels"]],
        "rows": [[[_entry(stop) for stop in line] for line in lines] for lines in stands],
        "strings": list(strings),
    }
    return inert(json.dumps(whole, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def inert(text: str) -> str:
    """JSON without the characters that HTML gives a meaning."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _entry(stop: Stop) -> Any:
    return [stop.child, PASSING.index(stop.passing)] if stop.passing else stop.child


def _number(value: Any) -> Any:
    """A number as JSON has it; those that it has not by their names."""
    if isinstance(value, Sequence):
        return [_number(one) for one in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
