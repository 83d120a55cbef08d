"""Calling exported steps: the names of ``lazygrad_runtime``, which needs NumPy alone and starts in milliseconds.

It imports nothing else of lazygrad, so programs that only call steps start with it.
"""

from lazygrad_runtime import Function, LoadError, load

__all__ = ["Function", "LoadError", "load"]
