"""Sorting rows, adding them up as they go, and searching among edges, in native code."""

from lazygrad.engine.emit.sorting.form import Running, Searching, Sorting
from lazygrad.engine.emit.sorting.write import write

__all__ = ["Running", "Searching", "Sorting", "write"]
