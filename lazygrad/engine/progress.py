"""How far the making of native code has come."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Progress"]


class Progress(NamedTuple):
    """How far the making of native code has come.

    Attributes:
        nodes: of the plan.
        kernels: how many there are to be compiled; 0 as long as that is not known.
        done: how many are compiled.
        seconds_left: an estimate from those; None as long as there are none.
    """

    nodes: int
    kernels: int
    done: int
    seconds_left: float | None
