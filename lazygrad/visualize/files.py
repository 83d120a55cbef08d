"""Files of pictures: Graphviz draws them, and they are replaced as a whole."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from lazygrad.errors import BackendError, SaveError, report
from lazygrad.files.replacing import replace, target_of
from lazygrad.graph.graph import Graph
from lazygrad.graph.registry import function, here
from lazygrad.visualize.dot import to_dot

__all__ = ["render"]

FORMATS = ("svg", "png", "pdf")
INSTALL = (
    "Install it with apt install graphviz (Debian, Ubuntu), brew install graphviz (macOS), "
    "conda install -c conda-forge graphviz, or winget install graphviz (Windows)."
)


@function
def render(graph: Graph, path: str | Path) -> Path:
    """Draw the graph into a file, and write the DOT text beside it, under the same name with ``.dot``.

    Args:
        graph: the graph.
        path: the file; its suffix says the form: ``.svg``, ``.png``, ``.pdf``, or ``.dot`` for the text alone.

    Returns:
        The path of the file.

    Raises:
        SaveError: the suffix is another one, or a file cannot be written.
        BackendError: Graphviz is not installed, or fails. The DOT text is written all the same.
    """
    named = isinstance(path, (str, os.PathLike))
    form = Path(path).suffix.lower().removeprefix(".") if named else ""
    if form not in (*FORMATS, "dot"):
        cure = "Let it end in .svg, .png or .pdf, or in .dot for the text that Graphviz draws from."
        raise SaveError(report(f"cannot draw to {path!s:.200}: its suffix says no form", at=here(), cure=cure))
    file = Path(path)
    text = to_dot(graph)
    source = file if form == "dot" else file.with_suffix(".dot")
    _write(source, text.encode())
    if form != "dot":
        what, written = f"cannot draw {str(file)!r}", f"written:  {source}"
        command = ["dot", f"-T{form}", os.path.abspath(source)]
        try:
            drawn = subprocess.run(command, capture_output=True, check=True).stdout
        except FileNotFoundError:
            missing = f"{what}: Graphviz, the program that draws, is not installed"
            raise BackendError(report(missing, at=here(), facts=[written], cure=INSTALL)) from None
        except (subprocess.SubprocessError, OSError) as reason:
            said = (getattr(reason, "stderr", None) or str(reason).encode()).decode(errors="replace").strip()
            facts = [f"Graphviz:  {said[:500]}", written]
            raise BackendError(report(f"{what}: Graphviz failed", at=here(), facts=facts)) from None
        _write(file, drawn)
    return file


def _write(file: Path, content: bytes) -> None:
    try:
        replace(target_of(str(file)), [content])
    except (OSError, ValueError) as reason:
        facts = [f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"]
        cure = "Choose a file in a folder that exists and that you may write to."
        raise SaveError(report(f"cannot write {str(file)!r}", at=here(), facts=facts, cure=cure)) from reason
