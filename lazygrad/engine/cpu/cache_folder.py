"""Where object code is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lazygrad import settings

__all__ = ["SUFFIX", "folder", "is_empty"]

SUFFIX = ".object"


def folder() -> Path | None:
    """Where entries lie, or None if nothing is to be kept on disk. It need not be there yet, nor be fit for it."""
    wanted = settings.cache()
    if wanted is not None:
        return None if wanted.lower() in ("", "0", "off") else Path(os.path.abspath(os.path.expanduser(wanted)))
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA", "")
        return Path(base, "lazygrad", "Cache") if os.path.isabs(base) else None
    base = os.environ.get("XDG_CACHE_HOME", "") if sys.platform != "darwin" else ""
    if not os.path.isabs(base):
        base = os.path.expanduser("~/Library/Caches" if sys.platform == "darwin" else "~/.cache")
    return Path(base, "lazygrad") if os.path.isabs(base) else None


def is_empty() -> bool:
    """Whether nothing is kept there, so that whatever is asked for will be compiled."""
    try:
        path = folder()
        return path is None or not any(name.endswith(SUFFIX) for name in os.listdir(path))
    except (OSError, ValueError):  # the current folder has been removed; ValueError: a path with a null character
        return True
