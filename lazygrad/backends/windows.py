"""Windows that slide over two axes: what kernels make of all of them, one place of a window after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["windows_back", "windows_folded"]


def windows_folded(xp: Any, how: str, x: Any, places: Sequence[Any]) -> Any:
    """The ``sum`` or ``max`` of all windows of ``x`` at once; see :class:`lazygrad.backends.base.Namespace`."""
    first = x[places[0][-1]]
    if how == "max":
        out = first.copy()
        for _, _, place in places[1:]:
            xp.maximum(out, x[place], out=out)
        return out
    out = xp.zeros(first.shape, x.dtype)
    for _, _, place in places:
        out += x[place]
    return out


def windows_back(xp: Any, columns: Any, shape: Any, places: Sequence[Any]) -> Any:
    """Windows added where they lie in an array of ``shape``."""
    out = xp.zeros(shape, columns.dtype)
    for i, j, place in places:
        out[place] += columns[i, j]
    return out
