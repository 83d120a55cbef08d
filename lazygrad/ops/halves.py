"""Numbers of half precision in arrays of float32, which is where products of them are summed."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise
from lazygrad.define.kinds import flat
from lazygrad.graph.spec import kept
from lazygrad.graph.tensor import Array

__all__ = ["HALVES"]

HALVES = {"float16": 13, "bfloat16": 16}  # for each dtype of 16 bits how many digits of float32's 23 it has not
LARGEST = 65504.0  # of float16
NORMAL = 2.0**-14  # the least number that float16 has with all its digits
STEP = 0.75  # below that its numbers are multiples of 2⁻²⁴, as float32's are beside ¾


@elementwise(vjp=flat, dtype=kept)
def _halved(xp: Any, x: Array, *, to: str) -> Any:
    """float32 numbers rounded to the nearest of float16 or bfloat16, to the even one of two, and still float32.

    As casts to these dtypes round: beyond the largest there is infinity, NaN stays NaN.
    """
    dropped = HALVES[to]
    bits = x.view(np.uint32)
    last = (bits >> dropped) & 1
    y = (((bits + last + (2 ** (dropped - 1) - 1)) >> dropped) << dropped).view(np.float32)
    if to == "float16":
        y = xp.where(xp.abs(y) > LARGEST, xp.copysign(np.inf, x), y)
        y = xp.where(xp.abs(x) < NORMAL, xp.copysign((xp.abs(x) + STEP) - STEP, x), y)
    return xp.where(xp.equal(x, x), y, x)
