"""Numbers of half precision: in arrays of float32, where products of them are summed, and in 16 bits, to be kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.define import elementwise, stored
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


INFINITE, OF_FLOAT32 = 0x7C00, 0x7F800000  # the bits of infinity: all exponents above are NaN
SHIFT = 13  # of the digits of float16 in float32
BIAS = (127 - 15) << 23  # by which exponents differ


@stored
@elementwise(vjp=flat, dtype=lambda kinds: (kinds, np.dtype(np.uint16)))
def _packed(xp: Any, x: Array, *, to: str) -> Any:
    """The 16 bits of float32 numbers that are halves: what is kept takes half the memory, and loses nothing."""
    bits = x.view(np.uint32)
    if to == "bfloat16":
        return xp.where(xp.equal(x, x), bits >> 16, 0x7FC0).astype(np.uint16)
    size = bits & 0x7FFFFFFF
    small = xp.abs(x) < NORMAL
    steps = (xp.where(small, xp.abs(x), 0.0) * 2.0**24).astype(np.uint32)
    y = xp.where(small, steps, xp.where(size >= OF_FLOAT32, INFINITE, (size - BIAS) >> SHIFT))
    return (xp.where(xp.equal(x, x), y, INFINITE + 1) | ((bits >> 16) & 0x8000)).astype(np.uint16)


@elementwise(vjp=flat, dtype=lambda kinds: (kinds, np.dtype(np.float32)))
def _unpacked(xp: Any, h: Array, *, of: str) -> Any:
    """The float32 numbers that 16 bits are those of, exactly."""
    bits = h.astype(np.uint32)
    if of == "bfloat16":
        return (bits << 16).view(np.float32)
    size = bits & 0x7FFF
    above = xp.where(size >= INFINITE, np.uint32(OF_FLOAT32 - (INFINITE << SHIFT)), np.uint32(BIAS))
    normal = ((size << SHIFT) + above).view(np.float32)
    y = xp.where(size < 0x400, size.astype(np.float32) * 2.0**-24, normal)
    return (y.view(np.uint32) | ((bits & 0x8000) << 16)).view(np.float32)


@elementwise(vjp=flat, dtype=kept)
def _later(xp: Any, x: Array, than: Array) -> Any:
    """x, which is not read before ``than`` is there: so what is made of it is made no sooner."""
    return x
