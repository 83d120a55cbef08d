"""One page a step: a single file of HTML, in which a picture folds, unfolds and is searched, without a network.

Where everything stands is worked out here (``scenes``, ``ranks``, ``rows``), but for coordinates, which depend on what
is unfolded: those the page works out itself. What it does is in ``assets/``, one file an idea, which are put into the
page one after another.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Protocol

from lazygrad.markup import escaped
from lazygrad.visualize.page.listing import listing
from lazygrad.visualize.page.packed import packed
from lazygrad.visualize.page.ranks import ranks
from lazygrad.visualize.page.rows import rows
from lazygrad.visualize.page.scenes import scenes

__all__ = ["written"]

# In this order: each uses those before it when the page opens.
SCRIPTS = (
    "elements", "model", "coordinates", "routes", "colours", "view", "draw",
    "panel", "kernels", "list", "search", "keys", "main",
)  # fmt: skip


class Pictured(Protocol):
    """What can be given as the contents of a page."""

    def to_dict(self) -> Mapping[str, Any]:
        """The picture as JSON has it."""


def written(picture: Pictured) -> str:
    """The page of a picture.

    Args:
        picture: the graph of a step, folded.

    Returns:
        The whole page; it needs nothing but a browser.
    """
    given = picture.to_dict()
    found = scenes(given)
    stands = [rows(scene, rank) for scene, rank in zip(found, ranks(found))]
    style = _asset("style.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_asset(f"{name}.js") for name in SCRIPTS) + "})();\n"
    allowed = f"style-src {_hashed(style)}; script-src {_hashed(script)}"
    parts = {
        "TITLE": escaped(given["title"]),
        "POLICY": f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'",
        "STYLE": style,
        "SCRIPT": script,
        "PICTURE": packed(given, stands),
        "LISTING": listing(given),
    }
    # In one pass, so that a name of a user's that reads like a gap is none.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda gap: parts[gap[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files(__name__) / "assets" / name).read_text(encoding="utf-8")


def _hashed(content: str) -> str:
    """How a content security policy names the one script, or the one style, that may be in a page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
