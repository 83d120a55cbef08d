"""Calling exported steps: the names of ``lazygrad_runtime``, which needs NumPy alone and starts in milliseconds.

Programs that do nothing else import that, as Python imports all of lazygrad before this.
"""

from lazygrad_runtime import Function, LoadError, load

__all__ = ["Function", "LoadError", "load"]
