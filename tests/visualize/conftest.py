"""Pages of steps, opened in a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Opened, browsers

from lazygrad.visualize.page import written
from lazygrad.visualize.picture import Picture


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, or a skip that says what is missing."""
    yield from browsers()


@pytest.fixture
def opens(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """A function that opens the page of a picture; in the end no page may have complained or asked for anything."""
    opened: list[Opened] = []

    def opens_one(picture: Picture, **settings: Any) -> Opened:
        file = tmp_path / f"page{len(opened)}.html"
        file.write_text(written(picture), encoding="utf-8")
        opened.append(Opened(browser, file, **settings))
        return opened[-1]

    yield opens_one
    for one in opened:
        one.close()
