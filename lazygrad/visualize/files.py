"""Files of pictures: Graphviz draws them, and they are replaced as a whole."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazygrad.errors import BackendError, SaveError, report
from lazygrad.files.content import checked_path, write_content
from lazygrad.graph.registry import here

__all__ = ["checked_form", "drawn_by_graphviz", "written"]

FORMATS = ("svg", "png", "pdf")
INSTALL = (
    "Install it with apt install graphviz (Debian, Ubuntu), brew install graphviz (macOS), "
    "conda install -c conda-forge graphviz, or winget install graphviz (Windows)."
)
FIRST = 'The path comes first, and then what a step is called with: render("step.html", x, y).'


def checked_form(path: Any) -> str:
    """The form that the suffix of a path says.

    Raises:
        SaveError: it says none, or it is no path.
    """
    form = checked_path(path, "draw to", FIRST).suffix.lower().removeprefix(".")
    if form not in ("html", *FORMATS, "dot"):
        cure = "Let it end in .html for a page, in .svg, .png or .pdf for a picture, or in .dot for Graphviz' text."
        raise SaveError(report(f"cannot draw to {path!s:.200}: its suffix says no form", at=here(), cure=cure))
    return form


def written(path: Any, text: Callable[[], str], page: Callable[[], str]) -> Path:
    """Write a file of the form that its suffix says; one that Graphviz draws with its text beside it.

    Args:
        path: the file.
        text: gives what Graphviz draws.
        page: gives a page.

    Raises:
        SaveError: the suffix says no form, or a file cannot be written.
        BackendError: Graphviz is not installed, or fails. The text is written all the same.
    """
    form = checked_form(path)
    file = Path(path)
    if form == "html":
        return write_content(file, page().encode(), "the page")
    source = file if form == "dot" else file.with_suffix(".dot")
    dot = text()
    write_content(source, dot.encode(), "the text of the picture")
    if form != "dot":
        write_content(
            file, drawn_by_graphviz(dot, form, f"cannot draw {str(file)!r}", (f"written:  {source}",)), "the picture"
        )
    return file


def drawn_by_graphviz(dot: str, form: str, what: str, facts: tuple[str, ...] = ()) -> bytes:
    """The picture of a text.

    Args:
        dot: the text.
        form: svg, png or pdf.
        what, facts: what an error says failed, and beside it.

    Raises:
        BackendError: Graphviz is not installed, or fails.
    """
    try:
        return subprocess.run(["dot", f"-T{form}"], input=dot.encode(), capture_output=True, check=True).stdout
    except FileNotFoundError:
        missing = f"{what}: Graphviz, the program that draws, is not installed"
        raise BackendError(report(missing, at=here(), facts=facts, cure=INSTALL)) from None
    except (subprocess.SubprocessError, OSError) as reason:
        said = (getattr(reason, "stderr", None) or str(reason).encode()).decode(errors="replace").strip()
        told = [f"Graphviz:  {said[:500]}", *facts]
        raise BackendError(report(f"{what}: Graphviz failed", at=here(), facts=told)) from None
