"""Puts the pages of docs/decisions/ into the navigation, so that a new one need not be listed anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Fill the entry "Decisions" with the pages in the folder, or leave it out if there are none."""
    docs = Path(config.docs_dir)
    pages = [page.relative_to(docs).as_posix() for page in (docs / "decisions").glob("*.md")]
    pages.sort(key=lambda page: (not page.endswith("index.md"), page))
    config.nav = [item for item in config.nav if item != {"Decisions": []}]
    if pages:
        config.nav.append({"Decisions": pages})
    return config
