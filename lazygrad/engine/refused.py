"""What says that a step failed in native code."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """A kernel found that the step fails; NumPy knows why."""
