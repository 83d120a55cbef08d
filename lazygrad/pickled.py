"""Which lazygrad wrote a pickle. Files are read for good; a pickle has the insides of the objects of one version."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from lazygrad.errors import SaveError, report

__all__ = ["checked", "stamped", "version"]

_KEY = "lazygrad"


def version() -> str:
    """That of this lazygrad."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def stamped(state: Mapping[str, Any]) -> dict[str, Any]:
    """What a pickle has of an object, with the version that wrote it."""
    return {**state, _KEY: version()}


def checked(state: Mapping[str, Any], what: str, cure: str) -> dict[str, Any]:
    """What :func:`stamped` was given.

    Args:
        state: what it gave.
        what: is pickled, in words.
        cure: what to do where it is of another version.

    Raises:
        SaveError: another version wrote it.
    """
    found = dict(state)
    of = found.pop(_KEY, None)
    if of != version():
        facts = [f"this lazygrad:  {version()}", f"the pickle's:   {of or 'unknown'}"]
        raise SaveError(report(f"cannot unpickle {what} of another version", facts=facts, cure=cure))
    return found
