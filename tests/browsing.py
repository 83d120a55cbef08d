"""Pages in Chromium: opened from files, with every request counted and every complaint of the console kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browsers() -> Iterator[Any]:
    """One browser, with a profile of its own that is empty; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("there is no chromium, chromium-browser or google-chrome on the path")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()


class Opened:
    """A page in the browser, with what the tests ask of it.

    Attributes:
        page: as playwright has it.
        complaints: errors and warnings of the console, and exceptions.
        requests: the addresses that it asked for.
    """

    def __init__(self, browser: Any, file: Path, width: int = 1300, height: int = 850, **settings: Any) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        shape = {"viewport": {"width": width, "height": height}, "reduced_motion": "reduce"}
        self.context = browser.new_context(**shape, **settings)
        self.context.route("**/*", self._asked)
        self.context.set_default_timeout(8000)
        self.page = self.context.new_page()
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(file.as_uri())

    def _asked(self, route: Any) -> None:
        self.requests.append(route.request.url)
        route.continue_()

    def press(self, *keys: str) -> None:
        """Press keys, one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def close(self) -> None:
        """Close it; it must have asked for nothing but itself, and have had nothing to complain about."""
        asked = [address for address in self.requests if not address.startswith("blob:")]
        self.context.close()
        assert not self.complaints
        assert len(asked) == 1
        assert asked[0].startswith("file:")
