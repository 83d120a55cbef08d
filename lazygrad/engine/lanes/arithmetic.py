"""Arithmetic, comparison, choice and casts of registers, written with the primitives of lanes.

:class:`Lanes` names all that depends on what a lane is. On a CPU it is an element of a vector register
(:class:`lazygrad.engine.lanes.writer.Writer`); on a GPU it would be a thread of a warp, with a second implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.registers import ADDRESS, BOOL, I64, Register, scalar_type
from lazygrad.engine.lanes.text import Text
from lazygrad.engine.trace.tracing import NotTraced

__all__ = ["Arithmetic", "Lanes"]

_COMPARED = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


class Lanes(Text, ABC):
    """The text of a function, and the primitives in which it depends on lanes.

    Args:
        width: lanes of a wide register.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.contract = True  # whether a product and a sum may be rounded once
        self.calls = False  # whether long functions are called rather than written out

    @abstractmethod
    def type(self, dtype: np.dtype[Any], wide: bool) -> str:
        """LLVM's name of a type."""

    @abstractmethod
    def constant(self, value: Any, dtype: np.dtype[Any], wide: bool = False) -> Register:
        """A number."""

    @abstractmethod
    def widened(self, x: Register) -> Register:
        """``x`` copied to every lane, if it is narrow."""

    @abstractmethod
    def intrinsic(self, name: str, *operands: Register, dtype: np.dtype[Any] | None = None) -> Register:
        """A function of LLVM whose name ends in the type of its first operand, such as ``fabs`` or ``sqrt``."""

    @abstractmethod
    def to_whole(self, x: Register, dtype: np.dtype[Any]) -> Register:
        """``x``, floats, as whole numbers; out of range it is the nearest, and NaN the least."""

    @abstractmethod
    def lanes(self, dtype: np.dtype[Any] = I64) -> Register:
        """0, 1, 2, … : the number of each lane."""

    @abstractmethod
    def first_lanes(self, count: int) -> Register:
        """Set in the first ``count`` lanes."""

    @abstractmethod
    def turned(self, x: Register, step: int) -> Register:
        """The lanes of ``x``, each ``step`` places further on."""

    @abstractmethod
    def lane(self, x: Register, number: int) -> Register:
        """One lane of a wide register."""

    @abstractmethod
    def inserted(self, x: Register, one: Register, number: int) -> Register:
        """``x`` with another number in one lane."""

    @abstractmethod
    def any(self, condition: Register) -> Register:
        """Whether a condition holds in any lane."""

    @abstractmethod
    def load(
        self,
        address: Register,
        index: Any,
        dtype: np.dtype[Any],
        wide: bool = False,
        mask: Register | None = None,
        fixed: bool = True,
    ) -> Register:
        """Element ``index``, or as many as there are lanes from there on; where ``mask`` is not set, 0.

        A wide ``index`` gathers. ``fixed`` says that the memory does not change while the function runs; if
        not, it is read where the writer is now.
        """

    @abstractmethod
    def store(
        self, x: Register, address: Register, index: Any, mask: Register | None = None, wide: bool = False
    ) -> None:
        """Write ``x`` to element ``index``, or its lanes from there on; where ``mask`` is not set, nothing.

        A wide ``index`` scatters, lane by lane in order.
        """

    @abstractmethod
    def room(self, count: int, dtype: np.dtype[Any]) -> Register:
        """The address of ``count`` numbers of the function's own, aligned for wide registers."""


class Arithmetic(Lanes):
    """What is computed lane by lane in the same way on every target."""

    def like(self, value: Any, register: Register) -> Register:
        """``value`` as a register: a number takes the dtype of ``register``."""
        return value if isinstance(value, Register) else self.constant(value, register.dtype)

    def even(self, *xs: Register) -> tuple[Register, ...]:
        """The registers, all wide if one is."""
        return tuple([self.widened(x) for x in xs]) if any(x.wide for x in xs) else xs

    def binary(self, what: str, a: Register, b: Register) -> Register:
        """``add sub mul div rem``, ``and or xor shl ashr lshr``, or a comparison ``eq ne lt le gt ge``."""
        a, b = self.even(a, b)
        if a.dtype != b.dtype:
            raise NotTraced(f"cannot {what} {a.dtype} and {b.dtype}")
        kind = a.dtype.kind
        if what in _COMPARED:
            if kind == "f":
                return self.instruction(f"fcmp {_COMPARED[what]} {a.type} {a.name}, {b.name}", BOOL, a, b)
            sign = "" if what in ("eq", "ne") else "u" if kind in "ub" else "s"
            return self.instruction(f"icmp {sign}{what} {a.type} {a.name}, {b.name}", BOOL, a, b)
        if kind == "f":
            flags = " contract" if self.contract else ""
            return self.instruction(f"f{what}{flags} {a.type} {a.name}, {b.name}", a.dtype, a, b)
        if what in ("div", "rem"):
            what = ("u" if kind == "u" else "s") + what
        return self.instruction(f"{what} {a.type} {a.name}, {b.name}", a.dtype, a, b)

    def select(self, condition: Register, a: Any, b: Any) -> Register:
        """``a`` where the condition holds, else ``b``; one of them may be a number."""
        one = a if isinstance(a, Register) else b
        a, b = self.even(self.like(a, one), self.like(b, one))
        if condition.wide:
            a, b = self.widened(a), self.widened(b)
        elif a.wide:
            condition = self.widened(condition)
        text = f"select {condition.type} {condition.name}, {a.type} {a.name}, {b.type} {b.name}"
        return self.instruction(text, a.dtype, condition, a, b)

    def fma(self, a: Register, b: Any, c: Any) -> Register:
        """a·b + c, rounded once."""
        return self.intrinsic("fma", a, self.like(b, a), self.like(c, a))

    def sqrt(self, x: Register) -> Register:
        """Square root, rounded correctly."""
        return self.intrinsic("sqrt", x)

    def abs(self, x: Register) -> Register:
        """Absolute value."""
        return self.intrinsic("fabs", x) if x.dtype.kind == "f" else self.select(x < 0, -x, x)

    def copysign(self, x: Register, sign: Any) -> Register:
        """The magnitude of ``x`` with the sign of ``sign``."""
        return self.intrinsic("copysign", x, self.like(sign, x))

    def rounded(self, x: Register, how: str = "rint") -> Register:
        """``x`` to a whole number: ``rint``, ``floor``, ``ceil`` or ``trunc``."""
        return self.intrinsic(how, x)

    def convert(self, x: Register, dtype: np.dtype[Any]) -> Register:
        """``x`` cast as :func:`lazygrad.graph.casting.cast` casts."""
        if dtype == x.dtype:
            return x
        if dtype == BOOL:
            return x.differs(0)
        source, target = x.type, self.type(dtype, x.wide)
        if x.dtype.kind == "f" and dtype.kind == "f":
            how = "fpext" if dtype.itemsize > x.dtype.itemsize else "fptrunc"
        elif x.dtype.kind == "f":
            return self.to_whole(x, dtype)
        elif dtype.kind == "f":
            how = "uitofp" if x.dtype.kind in "ub" else "sitofp"
        elif x.dtype != BOOL and dtype.itemsize == x.dtype.itemsize:
            return Register(self, x.name, dtype, x.wide, x.level)
        elif x.dtype != BOOL and dtype.itemsize < x.dtype.itemsize:
            how = "trunc"
        else:
            how = "zext" if x.dtype.kind in "ub" else "sext"
        return self.instruction(f"{how} {source} {x.name} to {target}", dtype, x)

    def across(self, what: str | Callable[[Register, Register], Register], x: Register) -> Register:
        """The lanes of ``x`` made one number by halves, so that the order is fixed: ``add``, ``mul``, …

        ``what`` is an operation of :meth:`binary`, or a function of two registers.
        """
        step = self.width // 2
        while step:
            moved = self.turned(x, step)
            x = what(x, moved) if callable(what) else self.binary(what, x, moved)
            step //= 2
        return self.lane(x, 0)

    def argument(self, number: int) -> Register:
        """The address that stands at place ``number`` of the arguments."""
        place = self.instruction(f"getelementptr ptr, ptr %arguments, i64 {number}", ADDRESS)
        text = f"load ptr, ptr {place.name}, !invariant.load !0"
        return self.instruction(text, ADDRESS, place)

    def at(self, address: Register, index: Any, dtype: np.dtype[Any]) -> Register:
        """The address of element ``index`` of an array."""
        index = index if isinstance(index, Register) else self.constant(index, I64)
        memory = "i8" if dtype == BOOL else scalar_type(dtype)
        text = f"getelementptr {memory}, ptr {address.name}, {index.type} {index.name}"
        return self.instruction(text, ADDRESS, address, index)

    def call(self, name: str, result: np.dtype[Any], operands: Sequence[Register], wide: bool = False) -> Register:
        """A call of another function of the module, which must be in :attr:`definitions`."""
        listed = ", ".join(f"{x.type} {x.name}" for x in operands)
        return self.instruction(f"call {self.type(result, wide)} {name}({listed})", result, *operands, wide=wide)

    def alone(self, name: str, x: Register, results: Sequence[np.dtype[Any]]) -> list[Register]:
        """What a function of the module makes of each lane of ``x`` by itself.

        ``name(place, count)`` finds ``count`` numbers at ``place``, and leaves there so many results of each kind, one
        kind after the other; all numbers have the size of ``x``.
        """
        width = self.width if x.wide else 1
        place = self.room(len(results) * width, x.dtype)
        self.store(x, place, 0, wide=x.wide)
        self.call(name, I64, [place, self.constant(width, I64)])
        return [self.load(place, k * width, dtype, wide=x.wide, fixed=False) for k, dtype in enumerate(results)]
