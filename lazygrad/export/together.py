"""Files that are written together: all of them, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lazygrad.errors import SaveError, report
from lazygrad.files.replacing import replace_all, target_of
from lazygrad.graph.registry import here

__all__ = ["targets_of", "write"]


def targets_of(path: str, suffixes: Sequence[str]) -> dict[str, Path]:
    """The files by their suffixes, if they can be written."""
    try:
        found = {suffix: target_of(path + suffix) for suffix in suffixes}
        folder = next(iter(found.values())).parent
        if not folder.is_dir():
            raise FileNotFoundError(2, os.strerror(2))
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, os.strerror(13))
    except (OSError, ValueError) as reason:
        raise _unwritable(path, reason) from reason
    return found


def _unwritable(path: str, reason: Exception) -> SaveError:
    what = getattr(reason, "strerror", None) or str(reason)
    cure = "No file was written. Choose a folder that exists and can be written to."
    facts = [f"{type(reason).__name__}: {what}"]
    return SaveError(report(f"cannot export to {path!r}", at=here(), facts=facts, cure=cure))


def write(path: str, files: Mapping[Path, bytes]) -> None:
    """All of the files, or what was there before."""
    try:
        replace_all(files)
    except OSError as reason:
        raise _unwritable(path, reason) from reason
