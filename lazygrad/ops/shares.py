"""What each worker has of a vector that is shared out among all: its own part, and the whole of all parts."""

from __future__ import annotations

import math
from typing import Any

from lazygrad.define import opaque
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array, Tensor
from lazygrad.ops.movement import reshape
from lazygrad.workers.among import Among

__all__ = ["own_part", "share", "whole_of"]


def share(size: int, workers: int) -> int:
    """How many elements of so many each worker has; zeros stand behind the last ones."""
    return -(-size // workers)


@opaque(shape=lambda x, among: (share(x[0], among.size),), dtype=kept)
def _own_part(xp: Any, x: Array, *, among: Among) -> Any:
    """This worker's part of a vector, which all have."""
    return among.own_part(x)


@opaque(shape=lambda x, among, length: (length,), dtype=kept)
def _whole_of(xp: Any, x: Array, *, among: Among, length: int) -> Any:
    """The vector of which each worker has a part."""
    return among.whole_of(x, length)


def own_part(x: Tensor, among: Among) -> Tensor:
    """This worker's part of the elements of ``x``, as a vector."""
    return _own_part(reshape(x, (-1,)), among=among)


def whole_of(x: Tensor, shape: tuple[int, ...], among: Among) -> Tensor:
    """The tensor of which each worker has such a part."""
    return reshape(_whole_of(x, among=among, length=math.prod(shape)), shape)
