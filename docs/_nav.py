"""Puts the pages of how-to, gallery and decisions into the navigation, so that no new one need be listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDERS = {"How to": "how-to", "Gallery": "gallery", "Decisions": "decisions"}


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
            # A page of the gallery is called by its program, as its heading is a whole sentence.
            named = [{f"{Path(page).stem}.py": page} for page in pages[1:]] if name == "Gallery" else pages[1:]
            filled.append({name: [pages[0], *named]})
    config.nav = filled
    return config
