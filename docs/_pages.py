"""The page of the step that `docs/how-to/see-what-runs.md` draws: as one of the documentation, and as pictures of it.

    python docs/_pages.py

makes the pictures `docs/images/page*.png` anew, in Chromium; it needs the extra `dev`.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
PROGRAM = re.compile(r'^```python title="see.py"\n(.*?)^```', re.MULTILINE | re.DOTALL)
WIDE, PHONE = {"width": 1300, "height": 850}, {"width": 400, "height": 800}


def page() -> str:
    """The page that the program writes, with times and statistics."""
    text = (DOCS / "how-to" / "see-what-runs.md").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        Path("see.py").write_text("\n".join(PROGRAM.findall(text)), encoding="utf-8")
        runpy.run_path("see.py")
        return Path("step.html").read_text(encoding="utf-8")


def on_files(files: Any, config: Any) -> Any:
    """Put the page beside the one that tells of it."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "how-to/step.html", content=page()))
    return files


def main() -> None:
    """Open the page, and take its pictures: folded, with a box unfolded and a node chosen, and on a phone."""
    import sys

    from PIL import Image
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(DOCS.parent / "tests"))
    from browsing import CHROMIUM, OPTIONS

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "step.html"
        file.write_text(page(), encoding="utf-8")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)

        def opened(viewport: dict[str, int], scheme: str) -> Any:
            settings = {"viewport": viewport, "color_scheme": scheme, "reduced_motion": "reduce"}
            found = browser.new_context(**settings).new_page()
            found.goto(file.as_uri())
            return found

        def taken(found: Any, name: str) -> None:
            found.mouse.move(0, 0)
            picture = Image.open(io.BytesIO(found.screenshot()))
            # A page has few colours: as a palette it is a third as large. Coverage keeps those of small marks.
            picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(
                DOCS / "images" / f"{name}.png", optimize=True
            )

        taken(opened(WIDE, "light"), "page")
        found = opened(WIDE, "dark")
        found.select_option("#colours", "kernel")
        found.locator('#world [aria-label^="loss,"]').click()
        found.locator('#world [aria-label*=" exp,"]').click()
        found.click("#tab-kernels")
        taken(found, "page_kernels")
        found = opened(PHONE, "light")
        found.locator('#world [aria-label^="fc1,"]').click()
        found.locator('#world [aria-label*=" matmul,"]').first.click()
        taken(found, "page_phone")
        browser.close()


if __name__ == "__main__":
    main()
