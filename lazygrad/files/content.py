"""A file with a content that a user asked for, written whole, or an error that says why not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lazygrad.errors import SaveError, report
from lazygrad.files.replacing import replace, target_of
from lazygrad.graph.registry import here

__all__ = ["checked_path", "write_content"]


def checked_path(path: Any, what: str, cure: str = 'It is a text, such as "folder/name", or a pathlib.Path.') -> Path:
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
    return Path(path)


def write_content(path: Any, content: bytes, what: str) -> Path:
    """The path of the file, which has the content now; what was there is replaced whole.

    Args:
        path: of the file.
        content: all of it.
        what: it is, as messages call it.

    Raises:
        SaveError: it cannot be written; what was there is as it was.
    """
    try:
        replace(target_of(os.fspath(path)), [content])
    except (OSError, TypeError, ValueError) as reason:
        facts = [f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"]
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        raise SaveError(report(f"cannot write {what} to {path!r:.200}", at=here(), facts=facts, cure=cure)) from None
    return Path(path)
