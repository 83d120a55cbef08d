"""Numbers as whole numbers without a sign, in the same order: what is sorted are these."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.engine.lanes.registers import BOOL, Register

__all__ = ["key_dtype", "ordered"]


def key_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the keys of a dtype."""
    return np.dtype(f"u{dtype.itemsize}")


def ordered(x: Register) -> Register:
    """A key for each number, larger for larger ones; one for both zeros, and the largest for whatever is NaN.

    Below 0 all bits of a float are turned over, as more of them are less there; above it the sign is.
    """
    w, wanted = x.writer, key_dtype(x.dtype)
    if x.dtype == BOOL or x.dtype.kind == "u":
        return x.astype(wanted)
    top = 8 * wanted.itemsize - 1
    if x.dtype.kind == "i":
        return (x ^ (1 << top)).astype(wanted)
    bits, infinity = x.bits(), int(np.array(np.inf, x.dtype).view(f"i{x.dtype.itemsize}"))
    size = bits & ((1 << top) - 1)
    bits = w.select(size.equals(0), 0, bits)
    turned = bits ^ ((bits >> top) | (1 << top))
    return w.select(size > infinity, -1, turned).astype(wanted)
