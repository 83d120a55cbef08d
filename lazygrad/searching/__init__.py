"""Where a step goes wrong: the first value that is not finite, and a gradient that is not that of the formula."""

from __future__ import annotations

from lazygrad.searching.finding import KINDS, Finding

__all__ = ["KINDS", "Finding"]
