"""What says that a step failed in native code, or that it is to be run there."""

from __future__ import annotations

__all__ = ["Overtaken", "Refused"]


class Refused(Exception):
    """A kernel found that the step fails; NumPy knows why."""


class Overtaken(BaseException):
    """Native code has become ready while a loop was interpreted: it begins anew, and is done sooner.

    It is no error, so nothing on its way adds to it.
    """
