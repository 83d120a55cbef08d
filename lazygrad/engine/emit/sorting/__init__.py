"""Sorting rows, and searching among edges, in native code."""

from lazygrad.engine.emit.sorting.form import Searching, Sorting
from lazygrad.engine.emit.sorting.write import SortingKernel, write

__all__ = ["Searching", "Sorting", "SortingKernel", "write"]
