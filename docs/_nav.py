"""Puts the pages of docs/decisions/ and docs/gallery/ into the navigation, so that a new one need not be listed anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any


FOLDERS = {"Decisions": "decisions", "Gallery": "gallery"}


def on_config(config: Any) -> Any:
    """Fill the entry of each folder with its pages, or leave it out if there are none."""
    docs = Path(config.docs_dir)
    filled = []
    for item in config.nav:
        name = next((name for name in FOLDERS if item == {name: []}), None)
        if name is None:
            filled.append(item)
            continue
        pages = [page.relative_to(docs).as_posix() for page in (docs / FOLDERS[name]).glob("*.md")]
        pages.sort(key=lambda page: (not page.endswith("index.md"), page))
        if pages:
            filled.append({name: pages})
    config.nav = filled
    return config
