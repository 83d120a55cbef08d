"""Where the time and the memory of a step go: by kernel, by layer, by line, against what this machine can do."""

from __future__ import annotations

from lazygrad.profiling.profile import Kernel, Profile, Row

__all__ = ["Kernel", "Profile", "Row"]
