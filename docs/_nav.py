"""Puts the pages of how-to, gallery and decisions into the navigation, so that no new one need be listed.

A folder's ``index.md`` has its groups, as headings of the second level, and below each the links to its pages. A page
is called by its own title; of a long one, what stands before the first comma, colon, semicolon or bracket.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lazygrad.names import called

FOLDERS = {"How to": "how-to", "Gallery": "gallery", "Decisions": "decisions"}
LONG = 60  # characters, from which a title is shortened
GROUP = re.compile(r"^## +(?P<group>[^\[\n]+)$|\]\((?P<page>[\w-]+\.md)\)", re.MULTILINE)
TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
NAMES = "<!-- names -->"  # where the table of names of other libraries goes
QUIETER = ("gallery/", "decisions/", "results.md")  # what a search finds after the pages that say how something is done


def on_config(config: Any) -> Any:
    """Fill the entry of each folder with its pages, or leave it out if there are none."""
    docs = Path(config.docs_dir)
    config.nav = [filled for item in config.nav for filled in _filled(docs, item)]
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Write the table of names, say how much a search makes of a page, and spare the gallery a second list."""
    if page.file.src_uri == "gallery/index.md":
        page.meta["hide"] = ["toc"]
    if page.file.src_uri.startswith(QUIETER):
        page.meta.setdefault("search", {"boost": 0.3})
    return markdown.replace(NAMES, names()) if NAMES in markdown else markdown


def names() -> str:
    """What other libraries call it, and what to write here, as a table."""
    rows = (f"| `{name}` | {answer if answer.endswith('.') else f'`{answer}`'} |" for name, answer in called())
    return "\n".join(["| elsewhere | here |", "|---|---|", *rows])


def _filled(docs: Path, item: Any) -> list[Any]:
    """An entry of the navigation with the pages of its folder; all others stay as they are."""
    if not isinstance(item, dict):
        return [item]
    ((name, pages),) = item.items()
    if pages or name not in FOLDERS:
        return [item]
    folder = docs / FOLDERS[name]
    found = entries(folder)
    index = [{"All of them": f"{folder.name}/index.md"}] if (folder / "index.md").exists() else []
    return [{name: [*index, *found]}] if index or found else []


def entries(folder: Path) -> list[Any]:
    """The pages of a folder, in the groups of its index; those that it does not name come last, by their names."""
    found: dict[str, str] = {}  # for each page its group
    group, index = "", folder / "index.md"
    for match in GROUP.finditer(index.read_text(encoding="utf-8") if index.exists() else ""):
        if match["group"]:
            group = match["group"].strip()
        elif group:  # what stands before the first group only points to some of the pages
            found.setdefault(match["page"], group)
    alone = sorted(page.name for page in folder.glob("*.md") if page.name not in {*found, "index.md"})
    named = {page: {title(folder / page): f"{folder.name}/{page}"} for page in [*found, *alone]}
    groups = [
        {group: [named[page] for page in found if found[page] == group]} for group in dict.fromkeys(found.values())
    ]
    return [*groups, *(named[page] for page in alone)]


def title(page: Path) -> str:
    """What the navigation calls a page."""
    found = TITLE.search(page.read_text(encoding="utf-8"))
    whole = found[1].replace("`", "") if found else page.stem
    return whole if len(whole) <= LONG else re.split(r"[,:;] | \(", whole)[0]
