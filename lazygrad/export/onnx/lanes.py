"""Functions that ONNX lacks, by the polynomials of native code: these are run on values, in float64.

What native code does with the bits of a float (an exponent is taken off or put in) is said with logarithms and powers
of two, which are corrected so that it is exact. A whole number is kept as a float64. What one instruction multiplies
and adds is rounded twice here: a few digits of the last are lost.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.engine.lanes.functions import FUNCTIONS
from lazygrad.engine.lanes.functions.core import FORMAT
from lazygrad.engine.lanes.registers import F64
from lazygrad.engine.trace.tracing import NotTraced, Stand

__all__ = ["by_lanes"]

FORM = FORMAT[F64]


def by_lanes(name: str, xp: Any, *operands: Any) -> Any:
    """The function of native code of that name, of floats.

    Raises:
        NotTraced: there is none, or it does with bits what has no form here.
    """
    function: Any = FUNCTIONS.get(name)
    if function is None:
        raise NotTraced(f"{name} has no form in ONNX")
    dtype = operands[0].dtype
    if dtype.kind != "f":
        raise NotTraced(f"{name} of {dtype} has no form in ONNX")
    lanes = [_Lane(_Lanes(xp), xp.astype(x, np.float64)) for x in operands]
    return xp.astype(function(*lanes).value, dtype)


class _Lanes:
    """What functions of native code ask a writer for."""

    contract = False

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def __getattr__(self, name: str) -> Any:
        raise NotTraced(f"native code does {name}, which has no form in ONNX")

    def like(self, value: Any, x: _Lane) -> _Lane:
        """A number."""
        if type(value) is _Lane:
            return value
        return _Lane(self, self.xp.value(value, x.dtype))

    def select(self, condition: _Lane, a: Any, b: Any) -> _Lane:
        """A choice."""
        return _Lane(self, self.xp.where(condition.value, _value(a), _value(b)))

    def fma(self, a: _Lane, b: Any, c: Any) -> _Lane:
        """a·b + c."""
        return _Lane.__add__(a * b, c)

    def abs(self, x: _Lane) -> _Lane:
        """|x|."""
        return _Lane(self, self.xp.abs(x.value))

    def sqrt(self, x: _Lane) -> _Lane:
        """√x."""
        return _Lane(self, self.xp.sqrt(x.value))

    def copysign(self, x: _Lane, sign: Any) -> _Lane:
        """The magnitude of one, the sign of the other."""
        return _Lane(self, self.xp.copysign(x.value, _value(sign)))

    def rounded(self, x: _Lane) -> _Lane:
        """To the nearest whole number."""
        return _Lane(self, self.xp.rint(x.value))


def _value(x: Any) -> Any:
    return x.value if isinstance(x, _Lane) else x


class _Lane(Stand):
    """A float64 or a boolean in the place of a register."""

    def __init__(self, writer: _Lanes, value: Any) -> None:
        self.writer, self.value, self.dtype = writer, value, value.dtype

    def _of(self, function: str, a: Any, b: Any) -> _Lane:
        return _Lane(self.writer, getattr(self.writer.xp, function)(_value(a), _value(b)))

    def __add__(self, other: Any) -> _Lane:
        return self._of("add", self, other)

    def __radd__(self, other: Any) -> _Lane:
        return self._of("add", other, self)

    def __sub__(self, other: Any) -> _Lane:
        return self._of("subtract", self, other)

    def __rsub__(self, other: Any) -> _Lane:
        return self._of("subtract", other, self)

    def __mul__(self, other: Any) -> _Lane:
        return self._of("multiply", self, other)

    def __rmul__(self, other: Any) -> _Lane:
        return self._of("multiply", other, self)

    def __truediv__(self, other: Any) -> _Lane:
        return self._of("divide", self, other)

    def __rtruediv__(self, other: Any) -> _Lane:
        return self._of("divide", other, self)

    def __and__(self, other: Any) -> _Lane:
        return self._of("logical_and", self, other)

    def __or__(self, other: Any) -> _Lane:
        return self._of("logical_or", self, other)

    def __neg__(self) -> _Lane:
        return _Lane(self.writer, self.writer.xp.negative(self.value))

    def __invert__(self) -> _Lane:
        return _Lane(self.writer, self.writer.xp.logical_not(self.value))

    def __lt__(self, other: Any) -> _Lane:
        return self._of("less", self, other)

    def __le__(self, other: Any) -> _Lane:
        return self._of("less_equal", self, other)

    def __gt__(self, other: Any) -> _Lane:
        return self._of("greater", self, other)

    def __ge__(self, other: Any) -> _Lane:
        return self._of("greater_equal", self, other)

    def equals(self, other: Any) -> _Lane:
        """Whether it is that number."""
        return self._of("equal", self, other)

    def differs(self, other: Any) -> _Lane:
        """Whether it is another number."""
        return self._of("not_equal", self, other)

    def astype(self, dtype: Any) -> _Lane:
        """A cast; all is float64 here."""
        if np.dtype(dtype) != F64:
            raise NotTraced(f"native code casts to {np.dtype(dtype)}")
        return self

    def bits(self) -> _Bits:
        """Its bits, of which there are the sign, the exponent, and the whole number that was rounded to."""
        return _Bits(self)


class _Bits(Stand):
    """The bits of a float."""

    def __init__(self, x: _Lane) -> None:
        self.x = x

    def __lt__(self, zero: Any) -> _Lane:
        return _Lane(self.x.writer, self.x.writer.xp.signbit(self.x.value))

    def _whole(self) -> _Whole:
        """The number in the lowest bits, of a sum with one that has no others."""
        return _Whole(self.x - FORM.whole)

    def __rshift__(self, places: int) -> Any:
        return self._whole() >> places

    def __lshift__(self, places: int) -> Any:
        return self._whole() << places

    def __sub__(self, other: Any) -> Any:
        if isinstance(other, _Exponent):
            return _Scaled(self.x, other.count)
        if isinstance(other, int) and other > 2**FORM.mantissa:
            return _From(self.x, float(np.array(other, np.int64).view(np.float64)))
        return self._whole() - other


class _From(Stand):
    """How far bits are above those of a float."""

    def __init__(self, x: _Lane, least: float) -> None:
        self.x, self.least = x, least

    def __rshift__(self, places: int) -> _Whole:
        """k with x = 2ᵏ·m and m from ``least`` to twice that: by a logarithm, and one more or less where it missed."""
        if places != FORM.mantissa:
            raise NotTraced("native code moves bits in a way that has no form in ONNX")
        x, writer = self.x, self.x.writer
        near = _Lane(writer, writer.xp.floor((writer.xp.log(x.value) - math.log(self.least)) / math.log(2)))
        rest = x * _power(-near)
        near = writer.select(rest < self.least, near - 1.0, writer.select(rest >= 2 * self.least, near + 1.0, near))
        return _Whole(near)


class _Whole(Stand):
    """A whole number, kept as a float."""

    def __init__(self, x: _Lane) -> None:
        self.x, self.dtype = x, np.dtype(np.int64)

    def __add__(self, other: Any) -> _Whole:
        return _Whole(self.x + (other.x if isinstance(other, _Whole) else float(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> _Whole:
        if isinstance(other, _Bits):
            other = other._whole()
        return _Whole(self.x - (other.x if isinstance(other, _Whole) else float(other)))

    def __rsub__(self, other: Any) -> _Whole:
        other = other._whole().x if isinstance(other, _Bits) else float(other)
        return _Whole(other - self.x)

    def __rshift__(self, places: int) -> _Whole:
        return _Whole(_Lane(self.x.writer, self.x.writer.xp.floor(self.x.value * 2.0**-places)))

    def __lshift__(self, places: int) -> _Exponent:
        if places != FORM.mantissa:
            raise NotTraced("native code moves bits in a way that has no form in ONNX")
        return _Exponent(self)

    def astype(self, dtype: Any) -> _Lane:
        """As a float."""
        return self.x


class _Exponent(Stand):
    """A whole number in the place of an exponent."""

    def __init__(self, count: _Whole) -> None:
        self.count = count

    def bits(self, dtype: Any) -> _Lane:
        """The power of two that has this exponent."""
        return _power(self.count.x - float(FORM.bias))


class _Scaled(Stand):
    """The bits of a float, and another exponent taken away."""

    def __init__(self, x: _Lane, count: _Whole) -> None:
        self.x, self.count = x, count

    def bits(self, dtype: Any) -> _Lane:
        """As a float again."""
        return self.x * _power(-self.count.x)


def _power(count: _Lane) -> _Lane:
    return _Lane(count.writer, count.writer.xp.power(2.0, count.value))
