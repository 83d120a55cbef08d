"""A file with a content that a user asked for, written whole, or an error that says why not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lazygrad.errors import SaveError, report
from lazygrad.files.replacing import replace, target_of
from lazygrad.graph.registry import here

__all__ = ["checked_path", "said", "write_content"]

_PATH = 'It is a text, such as "folder/name", or a pathlib.Path.'


def checked_path(path: Any, what: str, cure: str = _PATH) -> Path:
    """A path that a user gave.

    Args:
        path: what was given.
        what: it is for: "export to", "read".
        cure: what to do.

    Raises:
        SaveError: it is none.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise SaveError(report(f"cannot {what} a {type(path).__name__}: it is no path", at=here(), cure=cure))
    return Path(os.fsdecode(path))


def said(reason: Exception, path: Any) -> list[str]:
    """What a message says of the reason why a file cannot be opened."""
    facts = [f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"]
    if isinstance(reason, FileNotFoundError) and os.fsdecode(path).startswith("~"):
        facts.append("'~' is the name of a folder here. Your own is pathlib.Path(path).expanduser().")
    return facts


def write_content(path: Any, content: bytes, what: str) -> Path:
    """The path of the file, which has the content now; what was there is replaced whole.

    Args:
        path: of the file.
        content: all of it.
        what: it is, as messages call it.

    Raises:
        SaveError: it cannot be written; what was there is as it was.
    """
    file = checked_path(path, f"write {what} to")
    try:
        replace(target_of(str(file)), [content])
    except (OSError, ValueError) as reason:
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        message = f"cannot write {what} to {str(file)!r:.200}"
        raise SaveError(report(message, at=here(), facts=said(reason, file), cure=cure)) from None
    return file
