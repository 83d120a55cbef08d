"""Division, powers and shifts of whole numbers, which leave out what a processor does not survive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lazygrad.engine.trace.tracing import NotTraced

__all__ = ["WHOLE", "power_of_whole", "widened"]


def widened(dtype: Any) -> Any:
    """A dtype that has all numbers of another, and operators in runtimes, which have few of 16 bits."""
    return np.dtype({"i2": "i4", "u2": "i4"}.get(dtype.str[1:], dtype))


def _divisor(xp: Any, b: Any) -> Any:
    """b, and 1 in place of 0, by which nothing is divided, and of −1, as the least number has no opposite."""
    if b.number is not None and b.number not in (0, -1):
        return b
    wrong = xp.equal(b, 0) if b.dtype.kind == "u" else xp.logical_or(xp.equal(b, 0), xp.equal(b, -1))
    return xp.where(wrong, 1, b)


def _safe(xp: Any, b: Any, of_zero: Any, of_less: Any, y: Any) -> Any:
    """y, and what NumPy gives where b is 0 or −1."""
    if b.number is not None and b.number not in (0, -1):
        return y
    y = y if b.dtype.kind == "u" else xp.where(xp.equal(b, -1), of_less, y)
    return xp.where(xp.equal(b, 0), of_zero, y)


def _quotient(xp: Any, a: Any, by: Any) -> Any:
    """Rounded towards zero."""
    return xp.writer.made("Div", a, by)


def remainder(xp: Any, a: Any, b: Any) -> Any:
    """With the sign of b."""
    by = _divisor(xp, b)
    zero = xp.writer.number(0, a.dtype)
    return _safe(xp, b, zero, zero, xp.writer.made("Mod", a, by))


def fmod(xp: Any, a: Any, b: Any) -> Any:
    """With the sign of a."""
    by = _divisor(xp, b)
    zero = xp.writer.number(0, a.dtype)
    return _safe(xp, b, zero, zero, a - _quotient(xp, a, by) * by)


def floor_divide(xp: Any, a: Any, b: Any) -> Any:
    """The quotient towards zero, and one less where it is negative and there is a rest."""
    by = _divisor(xp, b)
    y = _quotient(xp, a, by)
    if a.dtype.kind == "i":
        below = xp.logical_and(xp.not_equal(a - y * by, 0), xp.not_equal(a < 0, by < 0))
        y = y - xp.astype(below, a.dtype)
    return _safe(xp, b, xp.writer.number(0, a.dtype), xp.negative(a), y)


def power_of_whole(xp: Any, a: Any, b: Any) -> Any:
    """aᵇ modulo the numbers of the dtype, as NumPy has it: the product of those a^(2^k) that b has a bit of."""
    most = np.iinfo(a.dtype).bits - (a.dtype.kind == "i")
    if b.number is not None:
        if b.number < 0:
            raise NotTraced("whole numbers have no negative powers")
        most = int(b.number).bit_length()
    elif b.dtype.kind == "i":
        b = xp.checked(b, b < 0)
    y, square = None, a
    for k in range(most):
        if b.number is None:
            odd = xp.not_equal(xp.bitwise_and(xp.right_shift(b, k), 1), 0)
            factor = xp.where(odd, square, 1)
        elif int(b.number) >> k & 1:
            factor = square
        else:
            factor = None
        if factor is not None:
            y = factor if y is None else y * factor
        if k + 1 < most:
            square = square * square
    return y if y is not None else a * 0 + 1


def _shifted(direction: str) -> Callable[..., Any]:
    def write(xp: Any, a: Any, b: Any) -> Any:
        dtype = a.dtype
        whole = np.dtype(f"u{dtype.itemsize}")
        bits = 8 * dtype.itemsize
        fits = xp.logical_and(b >= 0, b < bits)
        places = xp.astype(xp.where(fits, b, 0), whole)
        below = a < 0 if dtype.kind == "i" and direction == "RIGHT" else None
        turned = a if below is None else xp.where(below, xp.invert(a), a)  # bits that come in are those of the sign
        moved = xp.writer.made("BitShift", xp.astype(turned, whole), places, direction=direction)
        y = xp.astype(moved, dtype)
        if below is None:
            return xp.where(fits, y, 0)
        return xp.where(fits, xp.where(below, xp.invert(y), y), xp.where(below, -1, 0))

    return write


WHOLE: dict[str, Callable[..., Any]] = {
    "remainder": remainder,
    "fmod": fmod,
    "floor_divide": floor_divide,
    "left_shift": _shifted("LEFT"),
    "right_shift": _shifted("RIGHT"),
}
