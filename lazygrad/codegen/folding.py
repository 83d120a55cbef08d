"""How elements are combined: what a reduction's declaration says of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lazygrad.codegen.registers import BOOL, Register
from lazygrad.codegen.scalar import Scalars
from lazygrad.codegen.ways import Ways
from lazygrad.kinds import Declared, Reduction

__all__ = ["Folding", "folding", "limits"]


class Folding(NamedTuple):
    """How elements are combined, and the number that changes nothing."""

    combine: Callable[[Scalars, Register, Register], Register]
    neutral: Any


def folding(ways: Ways, node: int) -> Folding:
    """How a reduction, or a sum by segments, combines elements."""
    op, dtype = ways.nodes[node].op, ways.spec(node).dtype
    if not isinstance(op, Reduction):
        return Folding(lambda xp, a, b: xp.add(a, b), 0)
    combine = op.combine
    assert isinstance(combine, Declared)
    return Folding(lambda xp, a, b: combine.kernel(xp, a, b).astype(dtype), neutral(op, dtype))


def neutral(op: Reduction, dtype: np.dtype[Any]) -> Any:
    """The number that changes nothing when it is combined: the identity, or the end of the dtype's range."""
    if op.identity is not None:
        return op.identity
    ends = (-np.inf, np.inf) if dtype.kind == "f" else (0, 1) if dtype == BOOL else limits(dtype)
    probe = np.asarray(1, dtype)
    assert isinstance(op.combine, Declared)
    return next(end for end in ends if op.combine.kernel(np, np.asarray(end, dtype), probe) == probe)


def limits(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The ends of the range of whole numbers."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)
