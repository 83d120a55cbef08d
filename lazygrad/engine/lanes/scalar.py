"""What a fusable kernel may call: the array namespace ``xp`` whose functions write code.

A kernel is an ordinary function of ``xp``. Run with this one, on registers, it writes the instructions that
compute one element, or as many as a register has lanes. A kernel that calls what is not here is not fusable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.functions import FUNCTIONS
from lazygrad.engine.lanes.functions.calls import applied
from lazygrad.engine.lanes.functions.hyperbolic import tanh_seed
from lazygrad.engine.lanes.functions.random import random_word
from lazygrad.engine.lanes.registers import BOOL, I64, U64, Register
from lazygrad.engine.trace.tracing import NotTraced

__all__ = ["NotNative", "Scalars"]


_TURNED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _signs_differ(a: Any, b: Any) -> bool:
    """Whether whole numbers with and without a sign meet, which NumPy would promote to float64."""
    if not isinstance(a, Register) or not isinstance(b, Register):
        return False
    return a.dtype.kind == "i" and b.dtype.kind == "u" and np.result_type(a.dtype, b.dtype).kind == "f"


class NotNative(NotTraced):
    """There is no native form, and why."""


class Scalars:
    """The namespace, writing into ``writer``; ``refuse`` is called with the condition under which a step fails."""

    def __init__(self, writer: Arithmetic, refuse: Callable[[Register], None]) -> None:
        self.writer = writer
        self.refuse = refuse

    def __getattr__(self, name: str) -> Callable[..., Register]:
        function = FUNCTIONS.get(name)
        if function is None:
            raise NotNative(f"xp.{name} has no native form")

        def called(*operands: Any) -> Register:
            registers = self._alike(*operands)
            if registers[0].dtype.kind != "f" or registers[0].dtype.itemsize < 4:
                raise NotNative(f"xp.{name} of {registers[0].dtype} has no native form")
            return applied(function, registers)

        return called

    def _alike(self, *operands: Any) -> list[Register]:
        """Operands as registers of the dtype that NumPy promotes them to."""
        kinds = [o.dtype if isinstance(o, Register) else o for o in operands]
        dtype = np.result_type(*kinds)
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype == np.float16:
            raise NotNative(f"{dtype} has no native form")
        return [
            self.writer.convert(o, dtype) if isinstance(o, Register) else self.writer.constant(o, dtype)
            for o in operands
        ]

    def cast(self, x: Register, dtype: Any) -> Register:
        """Floats as whole numbers."""
        return x.astype(dtype)

    # Arithmetic.

    def add(self, a: Any, b: Any) -> Register:
        """a + b; of booleans, whether one holds."""
        x, y = self._alike(a, b)
        return x | y if x.dtype == BOOL else x + y

    def subtract(self, a: Any, b: Any) -> Register:
        """a − b."""
        x, y = self._alike(a, b)
        return x - y

    def multiply(self, a: Any, b: Any) -> Register:
        """a · b; of booleans, whether both hold."""
        x, y = self._alike(a, b)
        return x & y if x.dtype == BOOL else x * y

    def divide(self, a: Any, b: Any) -> Register:
        """a / b; whole numbers become float64 before."""
        x, y = self._alike(a, b)
        if x.dtype.kind != "f":
            x, y = x.astype(np.float64), y.astype(np.float64)
        return x / y

    def negative(self, x: Register) -> Register:
        """−x."""
        return -x

    def square(self, x: Register) -> Register:
        """x²."""
        return self.multiply(x, x)

    def reciprocal(self, x: Register) -> Register:
        """1 / x."""
        return self._float("reciprocal", x).__rtruediv__(1)

    def sqrt(self, x: Register) -> Register:
        """√x."""
        return self.writer.sqrt(self._float("sqrt", x))

    def abs(self, x: Register) -> Register:
        """|x|."""
        return x if x.dtype.kind in "ub" else self.writer.abs(x)

    absolute = fabs = abs

    def tanh_seed(self, x: Register) -> Register:
        """A number from which tanh x and its derivative both come, see :mod:`lazygrad.rewrite.sharing`."""
        (x,) = self._alike(self._float("tanh_seed", x))
        return applied(tanh_seed, [x])

    def sign(self, x: Register) -> Register:
        """−1, 0 or 1; NaN stays."""
        one, zero = self.writer.constant(1, x.dtype), self.writer.constant(0, x.dtype)
        if x.dtype.kind == "u":
            return self.writer.select(x.equals(0), zero, one)
        signed = self.writer.select(x > 0, one, self.writer.select(x < 0, -one, zero))
        return self.writer.select(x.differs(x), x, signed) if x.dtype.kind == "f" else signed

    def _float(self, name: str, x: Register) -> Register:
        if x.dtype.kind != "f":
            raise NotNative(f"xp.{name} of {x.dtype} has no native form")
        return x

    def _rounded(self, x: Register, how: str) -> Register:
        return self.writer.rounded(x, how) if x.dtype.kind == "f" else x

    def floor(self, x: Register) -> Register:
        """Rounded down."""
        return self._rounded(x, "floor")

    def ceil(self, x: Register) -> Register:
        """Rounded up."""
        return self._rounded(x, "ceil")

    def trunc(self, x: Register) -> Register:
        """Rounded towards zero."""
        return self._rounded(x, "trunc")

    def rint(self, x: Register) -> Register:
        """Rounded to the nearest whole number, halves to the even one."""
        return self._rounded(x, "rint")

    def copysign(self, a: Any, b: Any) -> Register:
        """The magnitude of a with the sign of b."""
        x, y = self._alike(a, b)
        return self.writer.copysign(self._float("copysign", x), y)

    def floor_divide(self, a: Any, b: Any) -> Register:
        """⌊a / b⌋ of whole numbers; division by 0 gives 0, as NumPy's."""
        x, y = self._alike(a, b)
        quotient, _ = self._divided("floor_divide", x, y)
        return quotient

    def remainder(self, a: Any, b: Any) -> Register:
        """a − b·⌊a / b⌋ of whole numbers."""
        x, y = self._alike(a, b)
        _, rest = self._divided("remainder", x, y)
        return rest

    def _divided(self, name: str, a: Register, b: Register) -> tuple[Register, Register]:
        if a.dtype.kind not in "iu":
            raise NotNative(f"xp.{name} of {a.dtype} has no native form")
        writer = self.writer
        never = b.equals(0)
        if a.dtype.kind == "i":  # the least number by −1 would trap: both become 1, and the quotient is mended
            minus = b.equals(-1)
            safe = writer.select(never | minus, 1, b)
        else:
            safe = writer.select(never, 1, b)
        quotient, rest = writer.binary("div", a, safe), writer.binary("rem", a, safe)
        if a.dtype.kind == "i":
            crooked = rest.differs(0) & ((rest ^ safe) < 0)
            quotient = writer.select(crooked, quotient - 1, quotient)
            rest = writer.select(crooked, rest + safe, rest)
            quotient = writer.select(minus, -a, quotient)
        return writer.select(never, 0, quotient), writer.select(never, 0, rest)

    # Comparison, logic, choice.

    def _compared(self, what: str, a: Any, b: Any) -> Register:
        if _signs_differ(a, b):
            return self._across_signs(what, a.astype(I64), b.astype(U64))
        if _signs_differ(b, a):
            return self._across_signs(_TURNED[what], b.astype(I64), a.astype(U64))
        x, y = self._alike(a, b)
        return self.writer.binary(what, x, y)

    def _across_signs(self, what: str, a: Register, b: Register) -> Register:
        """A number with a sign beside one without, exactly: below 0 it is less, else their bits compare."""
        w = self.writer
        found = w.binary(what, a.astype(U64), b)
        below = w.constant(what in ("lt", "le", "ne"), BOOL)
        return w.select(a < 0, below, found)

    def equal(self, a: Any, b: Any) -> Register:
        """Whether a = b."""
        return self._compared("eq", a, b)

    def not_equal(self, a: Any, b: Any) -> Register:
        """Whether a ≠ b."""
        return self._compared("ne", a, b)

    def less(self, a: Any, b: Any) -> Register:
        """Whether a < b."""
        return self._compared("lt", a, b)

    def less_equal(self, a: Any, b: Any) -> Register:
        """Whether a ≤ b."""
        return self._compared("le", a, b)

    def greater(self, a: Any, b: Any) -> Register:
        """Whether a > b."""
        return self._compared("gt", a, b)

    def greater_equal(self, a: Any, b: Any) -> Register:
        """Whether a ≥ b."""
        return self._compared("ge", a, b)

    def _holds(self, x: Any) -> Register:
        return x.astype(BOOL) if isinstance(x, Register) else self.writer.constant(bool(x), BOOL)

    def logical_and(self, a: Any, b: Any) -> Register:
        """Whether both hold."""
        return self._holds(a) & self._holds(b)

    def logical_or(self, a: Any, b: Any) -> Register:
        """Whether one holds."""
        return self._holds(a) | self._holds(b)

    def logical_xor(self, a: Any, b: Any) -> Register:
        """Whether just one holds."""
        return self._holds(a) ^ self._holds(b)

    def logical_not(self, x: Register) -> Register:
        """Whether it does not hold."""
        return ~self._holds(x)

    def where(self, condition: Register, a: Any, b: Any) -> Register:
        """a where the condition holds, else b."""
        x, y = self._alike(a, b)
        return self.writer.select(self._holds(condition), x, y)

    def _extreme(self, a: Any, b: Any, upper: bool) -> Register:
        """The larger or the smaller; NaN if one is."""
        x, y = self._alike(a, b)
        if x.dtype == BOOL:
            return x | y if upper else x & y
        chosen = self.writer.select(x > y if upper else x < y, x, y)
        return self.writer.select(x.differs(x), x, chosen) if x.dtype.kind == "f" else chosen

    def maximum(self, a: Any, b: Any) -> Register:
        """The larger."""
        return self._extreme(a, b, True)

    def minimum(self, a: Any, b: Any) -> Register:
        """The smaller."""
        return self._extreme(a, b, False)

    def isnan(self, x: Register) -> Register:
        """Whether x is not a number."""
        return x.differs(x) if x.dtype.kind == "f" else self.writer.constant(False, BOOL)

    def isinf(self, x: Register) -> Register:
        """Whether x is infinite."""
        return self.abs(x).equals(np.inf) if x.dtype.kind == "f" else self.writer.constant(False, BOOL)

    def isfinite(self, x: Register) -> Register:
        """Whether x is neither infinite nor NaN."""
        return self.abs(x) < np.inf if x.dtype.kind == "f" else self.writer.constant(True, BOOL)

    def signbit(self, x: Register) -> Register:
        """Whether the sign is set."""
        return self._float("signbit", x).bits() < 0

    # Bits.

    def bitwise_and(self, a: Any, b: Any) -> Register:
        """Bits set in both."""
        x, y = self._alike(a, b)
        return x & y

    def bitwise_or(self, a: Any, b: Any) -> Register:
        """Bits set in at least one."""
        x, y = self._alike(a, b)
        return x | y

    def bitwise_xor(self, a: Any, b: Any) -> Register:
        """Bits set in just one."""
        x, y = self._alike(a, b)
        return x ^ y

    def invert(self, x: Register) -> Register:
        """Every bit turned over."""
        return ~x

    def left_shift(self, a: Any, b: Any) -> Register:
        """Bits moved up; all leave where they are moved by more than there are."""
        x, y = self._alike(a, b)
        limit = 8 * x.dtype.itemsize
        safe = self.writer.select(self._within(y, limit), y, 0)
        return self.writer.select(self._within(y, limit), x << safe, 0)

    def right_shift(self, a: Any, b: Any) -> Register:
        """Bits moved down; the sign stays."""
        x, y = self._alike(a, b)
        limit = 8 * x.dtype.itemsize
        if x.dtype.kind == "i":
            return x >> self.writer.select(self._within(y, limit), y, limit - 1)
        safe = self.writer.select(self._within(y, limit), y, 0)
        return self.writer.select(self._within(y, limit), x >> safe, 0)

    def _within(self, b: Register, limit: int) -> Register:
        inside = b < limit
        return inside if b.dtype.kind == "u" else inside & (b >= 0)

    def random_word(self, place: Register, key: Register, run: Register, draw: int, dtype: Any) -> Register:
        """The word of a draw at a place; see :mod:`lazygrad.philox`."""
        return random_word(self, place, key, run, draw, np.dtype(dtype))

    def checked(self, x: Register, wrong: Register, *_: Any) -> Register:
        """``x``; where ``wrong`` holds the step fails, and NumPy is asked to say why."""
        self.refuse(wrong)
        return x

    # What small matrices need beside.

    def full_like(self, x: Register, value: Any) -> Register:
        """A number in the dtype of ``x``."""
        return self.writer.constant(value, x.dtype)

    def repeated(
        self, most: int, state: Sequence[Register], turn: Callable[[list[Register]], tuple[list[Register], Register]]
    ) -> tuple[list[Register], Register]:
        """``state`` after turns of a loop: at most so many, and in every lane none after one that asked for no other.

        Args:
            most: turns.
            state: registers, as they are at first.
            turn: writes what they become, and in which lanes another turn is wanted.

        Returns:
            The registers, and the lanes in which another turn was wanted last.
        """
        w = self.writer
        cells = [w.cell(x) for x in w.even(*state)]
        going = w.cell(w.constant(True, BOOL, wide=cells[0].wide))
        with w.loop(0, most), w.when(w.any(going.get())):
            before, lanes = [cell.get() for cell in cells], going.get()
            after, again = turn(before)
            for cell, old, x in zip(cells, before, after, strict=True):
                cell.set(w.select(lanes, x, old))
            going.set(again & lanes)
        return [cell.get() for cell in cells], going.get()
