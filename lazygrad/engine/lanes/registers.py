"""What the instructions of a native function work on: types, registers, and variables of the function.

A register is wide or narrow. A wide one holds ``width`` numbers, one a lane; a narrow one holds one. Where
both meet, the narrow one is copied to every lane.
"""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.engine.trace.tracing import NotTraced, Stand

if TYPE_CHECKING:
    from lazygrad.engine.lanes.arithmetic import Arithmetic

__all__ = [
    "ADDRESS",
    "BOOL",
    "F32",
    "F64",
    "I8",
    "I16",
    "I32",
    "I64",
    "U32",
    "U64",
    "Cell",
    "Places",
    "Register",
    "literal",
    "scalar_type",
]

F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
I8, I16, I32, I64 = (np.dtype(f"i{n}") for n in (1, 2, 4, 8))
U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)
BOOL = np.dtype(np.bool_)
ADDRESS = np.dtype(object)  # a pointer; it stands for no array

_OTHERWISE = {("b", "add"), ("b", "sub"), ("b", "mul"), ("b", "div"), ("i", "div"), ("u", "div")}


@functools.cache
def scalar_type(dtype: np.dtype[Any]) -> str:
    """LLVM's name of a type of numbers."""
    if dtype == ADDRESS:
        return "ptr"
    if dtype == BOOL:
        return "i1"
    if dtype.kind == "f":
        return {2: "half", 4: "float", 8: "double"}[dtype.itemsize]
    return f"i{8 * dtype.itemsize}"


def literal(value: Any, dtype: np.dtype[Any]) -> str:
    """A number as LLVM writes it: floats by their bits, so that none is rounded."""
    if dtype == BOOL:
        return "true" if value else "false"
    if dtype.kind == "f":
        number = float(np.asarray(value).astype(dtype))
        return f"0x{struct.unpack('>Q', struct.pack('>d', number))[0]:016X}"
    return str(int(np.asarray(value).astype(dtype)))


class Register(Stand):
    """What an instruction results in: one number, or one a lane.

    Operators are those of Python's numbers; a Python or NumPy number beside a register takes its dtype.
    Comparisons give registers of bool. What NumPy would do in another dtype raises NotTraced.
    """

    __slots__ = ("dtype", "level", "name", "wide", "writer")
    __hash__ = object.__hash__

    def __init__(self, writer: Any, name: str, dtype: np.dtype[Any], wide: bool, level: int) -> None:
        self.writer: Arithmetic = writer
        self.name, self.dtype, self.wide, self.level = name, dtype, wide, level

    @property
    def type(self) -> str:
        """LLVM's name of its type."""
        return self.writer.type(self.dtype, self.wide)

    def _with(self, other: Any, what: str, swapped: bool = False) -> Register:
        kind = self.dtype.kind
        if kind != "f" and (isinstance(other, (float, np.floating)) or (kind, what) in _OTHERWISE):
            raise NotTraced(f"{what} of {self.dtype} is not NumPy's")  # who writes a kernel meant NumPy's
        other = self.writer.like(other, self)
        return self.writer.binary(what, other, self) if swapped else self.writer.binary(what, self, other)

    def __add__(self, other: Any) -> Register:
        return self._with(other, "add")

    def __radd__(self, other: Any) -> Register:
        return self._with(other, "add", swapped=True)

    def __sub__(self, other: Any) -> Register:
        return self._with(other, "sub")

    def __rsub__(self, other: Any) -> Register:
        return self._with(other, "sub", swapped=True)

    def __mul__(self, other: Any) -> Register:
        return self._with(other, "mul")

    def __rmul__(self, other: Any) -> Register:
        return self._with(other, "mul", swapped=True)

    def __truediv__(self, other: Any) -> Register:
        return self._with(other, "div")

    def __rtruediv__(self, other: Any) -> Register:
        return self._with(other, "div", swapped=True)

    def __and__(self, other: Any) -> Register:
        return self._with(other, "and")

    def __or__(self, other: Any) -> Register:
        return self._with(other, "or")

    def __xor__(self, other: Any) -> Register:
        return self._with(other, "xor")

    def __lshift__(self, other: Any) -> Register:
        return self._with(other, "shl")

    def __rshift__(self, other: Any) -> Register:
        """Moved down; the sign is kept where the dtype has one."""
        return self._with(other, "lshr" if self.dtype.kind == "u" else "ashr")

    def __neg__(self) -> Register:
        if self.dtype.kind == "f":
            return self.writer.instruction(f"fneg {self.type} {self.name}", self.dtype, self)
        return 0 - self

    def __invert__(self) -> Register:
        return self ^ (True if self.dtype == BOOL else -1)

    def __lt__(self, other: Any) -> Register:
        return self._with(other, "lt")

    def __le__(self, other: Any) -> Register:
        return self._with(other, "le")

    def __gt__(self, other: Any) -> Register:
        return self._with(other, "gt")

    def __ge__(self, other: Any) -> Register:
        return self._with(other, "ge")

    def __eq__(self, other: Any) -> Any:
        return self.equals(other)

    def __ne__(self, other: Any) -> Any:
        return self.differs(other)

    def equals(self, other: Any) -> Register:
        """Whether the numbers are equal; NaN equals nothing."""
        return self._with(other, "eq")

    def differs(self, other: Any) -> Register:
        """Whether the numbers are not equal; NaN differs from everything."""
        return self._with(other, "ne")

    def bits(self, dtype: np.dtype[Any] | None = None) -> Register:
        """The same bits as whole numbers of the same size, or as ``dtype`` of the same size."""
        target = np.dtype(f"i{self.dtype.itemsize}") if dtype is None else dtype
        if target == self.dtype:
            return self
        to = self.writer.type(target, self.wide)
        return self.writer.instruction(f"bitcast {self.type} {self.name} to {to}", target, self)

    def view(self, dtype: Any) -> Register:
        """The same bits as numbers of another dtype of the same size."""
        return self.bits(np.dtype(dtype))

    def astype(self, dtype: Any) -> Register:
        """The numbers cast to ``dtype``, as NumPy casts them."""
        return self.writer.convert(self, np.dtype(dtype))

    def __bool__(self) -> bool:
        raise NotTraced("a register has no value while code is being written")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotTraced("a register is no array")


class Places(Register):
    """The numbers of elements that follow one another from lane to lane.

    Attributes:
        first: the number of the first of them.
        multiple: what that is a multiple of.
    """

    __slots__ = ("first", "multiple")

    def __init__(self, lanes: Register, first: Register, multiple: int) -> None:
        super().__init__(lanes.writer, lanes.name, lanes.dtype, lanes.wide, lanes.level)
        self.first, self.multiple = first, multiple


class Cell:
    """A variable of the function, such as the total of a loop. LLVM makes a register of it."""

    def __init__(self, writer: Any, name: str, dtype: np.dtype[Any], wide: bool) -> None:
        self._writer: Arithmetic = writer
        self._name, self.dtype, self.wide = name, dtype, wide
        self._type = writer.type(dtype, wide)

    def get(self) -> Register:
        """Its number now."""
        return self._writer.here(f"load {self._type}, ptr {self._name}", self.dtype, self.wide)

    def set(self, register: Register) -> None:
        """Give it a number, where the writer is now."""
        register = self._writer.widened(register) if self.wide else register
        self._writer.line(f"store {self._type} {register.name}, ptr {self._name}")
