"""Casts, with one meaning on every machine: what the C language, and so NumPy, leaves open is settled here.

A float becomes a whole number by rounding towards zero. One that is out of range becomes the nearest number of the
dtype, and NaN its least number. NumPy's own ``astype`` gives for such what the machine's instruction happens to give.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["cast", "saturated", "saturates", "working"]


def working(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: float64 for whole numbers and booleans, float32 for halves, else the same."""
    if dtype.kind != "f":
        return np.dtype(np.float64)
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype


def saturates(source: np.dtype[Any], target: np.dtype[Any]) -> bool:
    """Whether a cast is one of floats to whole numbers, which not every float is near to."""
    return source.kind == "f" and target.kind in "iu"


def _ends(source: np.dtype[Any], target: np.dtype[Any]) -> tuple[float, float]:
    """The floats of one dtype between which, themselves excluded, all become whole numbers of the other.

    Where the lower one cannot be written it is the least whole number itself, which is right for that one too.
    """
    limits = np.iinfo(target)
    with np.errstate(over="ignore"):
        below, above = (np.asarray(float(n)).astype(source) for n in (int(limits.min) - 1, int(limits.max) + 1))
    return float(below), float(above)


def saturated(xp: Any, x: Any, dtype: np.dtype[Any]) -> Any:
    """Floats ``x``, an array of the namespace ``xp``, as whole numbers."""
    below, above = _ends(x.dtype, dtype)
    least, largest = (dtype.type(n) for n in (np.iinfo(dtype).min, np.iinfo(dtype).max))
    inside = xp.where(xp.logical_and(x > below, x < above), x, xp.zeros_like(x)).astype(dtype)
    return xp.where(x >= above, largest, xp.where(x > below, inside, least))


def cast(x: Any, dtype: Any) -> Any:
    """A NumPy array cast to ``dtype``, a copy. Where every number is in range it is one plain cast."""
    dtype = np.dtype(dtype)
    if not saturates(x.dtype, dtype):
        return x.astype(dtype)
    below, above = _ends(x.dtype, dtype)
    plain = not x.size or (x.min() > below and x.max() < above)  # neither holds beside NaN
    return x.astype(dtype) if plain else saturated(np, x, dtype)
