"""The list of nodes as HTML: what a page shows without scripts, and beside the picture with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazygrad.markup import escaped

__all__ = ["listing"]


def listing(picture: Mapping[str, Any]) -> str:
    """The items of a list, one a node.

    Args:
        picture: what :meth:`Picture.to_dict` gives.

    Returns:
        HTML, in which nothing that a user named is more than text.
    """
    return "\n".join(_item(picture, i, node) for i, node in enumerate(picture["nodes"]))


def _item(picture: Mapping[str, Any], i: int, node: Mapping[str, Any]) -> str:
    operands = [f"%{j}" for j in node["inputs"]]
    inner = ", ".join([*operands, *([node["text"]] if node["text"] else [])])
    name = f" <b>{escaped(node['name'])}</b>" if node["name"] else ""
    line = picture["places"][node["place"]]["text"]
    said = f" <span>{escaped(line)}</span>" if line else ""
    call = f"%{i} = {escaped(node['op'])}({escaped(inner)})"
    # Items of <ol> are counted and <q> has marks around it, each with a style of its own: 1,700 of them would take the
    # browser three times as long.
    return f'<div role="listitem">{call}{name} <i>{escaped(node["spec"])}</i>{said}</div>'
