"""Writing one native function for a GPU: a lane is a thread of a warp.

All control flow of kernels is the same for all lanes, so the 32 threads of a warp go through a function together. A
wide register is one number in each thread; a narrow one is the same number in all of them. What goes from lane to lane
is a shuffle, whether a condition holds in any lane is a vote, and memory of a function's own is shared by the warp.

Threads of a warp may drift apart between shuffles and votes. So before memory that changes is read, before a number
that others may still be reading is replaced, and before a single thread writes for all, they *meet*: then each sees
what the others have written (CUDA C++ Programming Guide, ``__syncwarp``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import ADDRESS, BOOL, I8, I32, I64, U32, Register, literal, scalar_type

__all__ = ["WARP", "Threads"]

WARP = 32

HELD = 24  # addresses that are kept in registers; a kernel's others are read again wherever they are needed

_ALL = "i32 -1"  # the mask of all threads of a warp


class Threads(Arithmetic):
    """The text of a function whose wide registers are one number a thread.

    It takes ``i32 %thread``, the number of the thread in its warp, and ``ptr %room``, memory shared by the warp.

    Attributes:
        room_bytes: of that memory.
    """

    def __init__(self) -> None:
        super().__init__(WARP)
        self.contract = False  # what is rounded is then the same on every target
        self.room_bytes = 0
        self._rooms: set[str] = set()
        self._far: dict[str, int] = {}
        self._cells.append("  %lane = zext i32 %thread to i64")
        self._lane = Register(self, "%lane", I64, True, 0)

    # Registers.

    def type(self, dtype: np.dtype[Any], wide: bool) -> str:
        """LLVM's name of a type."""
        return scalar_type(dtype)

    def constant(self, value: Any, dtype: np.dtype[Any], wide: bool = False) -> Register:
        """A number."""
        return Register(self, literal(value, dtype), dtype, wide, 0)

    def widened(self, x: Register) -> Register:
        """``x`` copied to every lane, if it is narrow: all threads have it already."""
        return x if x.wide else Register(self, x.name, x.dtype, True, x.level)

    def instruction(self, text: str, dtype: np.dtype[Any], *operands: Register, wide: bool | None = None) -> Register:
        """As in :class:`~lazygrad.engine.lanes.text.Text`; whether a register is wide does not show in its name."""
        wide = any(x.wide for x in operands) if wide is None else wide
        found = super().instruction(text, dtype, *operands, wide=wide)
        return found if found.wide == wide else Register(self, found.name, dtype, wide, found.level)

    def intrinsic(self, name: str, *operands: Register, dtype: np.dtype[Any] | None = None) -> Register:
        """A function of LLVM whose name ends in the type of its first operand, such as ``fabs`` or ``sqrt``."""
        operands = self.even(*operands)
        first = operands[0]
        suffix = ("f" if first.dtype.kind == "f" else "i") + str(8 * first.dtype.itemsize)
        return self._called(f"@llvm.{name}.{suffix}", dtype or first.dtype, *operands)

    def to_whole(self, x: Register, dtype: np.dtype[Any]) -> Register:
        """``x``, floats, as whole numbers; out of range it is the nearest, and NaN the least."""
        sign = "u" if dtype.kind == "u" else "s"
        found = self._called(f"@llvm.fpto{sign}i.sat.i{8 * dtype.itemsize}.f{8 * x.dtype.itemsize}", dtype, x)
        return found if sign == "u" else self.select(x.differs(x), int(np.iinfo(dtype).min), found)

    def _called(self, name: str, dtype: np.dtype[Any], *operands: Register, wide: bool | None = None) -> Register:
        """What a function of LLVM gives of registers."""
        result = scalar_type(dtype)
        self.definitions[name] = f"declare {result} {name}({', '.join(x.type for x in operands)})"
        listed = ", ".join(f"{x.type} {x.name}" for x in operands)
        return self.instruction(f"call {result} {name}({listed})", dtype, *operands, wide=wide)

    # Lanes.

    def lanes(self, dtype: np.dtype[Any] = I64) -> Register:
        """0, 1, 2, … : the number of each lane."""
        return self.convert(self._lane, dtype)

    def first_lanes(self, count: int) -> Register:
        """Set in the first ``count`` lanes."""
        return self._lane < count

    def turned(self, x: Register, step: int) -> Register:
        """The lanes of ``x``, each ``step`` places further on."""
        at = self.binary("and", self.lanes(I32) + step % WARP, self.constant(WARP - 1, I32))
        return self._shuffled(self.widened(x), at)

    def lane(self, x: Register, number: int) -> Register:
        """One lane of a wide register."""
        if not x.wide:
            return x
        found = self._shuffled(x, self.constant(number, I32))
        return Register(self, found.name, found.dtype, False, found.level)

    def inserted(self, x: Register, one: Register, number: int) -> Register:
        """``x`` with another number in one lane."""
        return self.select(self._lane.equals(number), self.widened(one), self.widened(x))

    def any(self, condition: Register) -> Register:
        """Whether a condition holds in any lane."""
        if not condition.wide:
            return condition
        name = "@llvm.nvvm.vote.any.sync"
        self.definitions[name] = f"declare i1 {name}(i32, i1)"
        return self.instruction(f"call i1 {name}({_ALL}, i1 {condition.name})", BOOL, condition, wide=False)

    def _shuffled(self, x: Register, source: Register) -> Register:
        """``x`` of the lane that each thread names."""
        if x.dtype == BOOL:
            return self._shuffled(self.convert(x, I32), source).differs(0)
        if x.dtype.kind == "f":
            return self._shuffled(x.bits(), source).bits(x.dtype)
        if x.dtype.itemsize == 8:
            return self._shuffled_in_halves(x, source)
        if x.dtype.itemsize < 4:
            return self.convert(self._shuffled(self.convert(x, I32), source), x.dtype)
        name = "@llvm.nvvm.shfl.sync.idx.i32"
        self.definitions[name] = f"declare i32 {name}(i32, i32, i32, i32)"
        text = f"call i32 {name}({_ALL}, i32 {x.name}, i32 {source.name}, i32 {WARP - 1})"
        return self.instruction(text, x.dtype, x, source)

    def _shuffled_in_halves(self, x: Register, source: Register) -> Register:
        """A number of 64 bits: a shuffle moves 32."""
        low, high = (
            self.convert(self._shuffled(self.convert(half, U32), source), x.dtype)
            for half in (x, self.binary("lshr", x, self.constant(32, x.dtype)))
        )
        return low | (high << 32)

    def alone(self, name: str, x: Register, results: Sequence[np.dtype[Any]]) -> list[Register]:
        """What a function of the module makes of each lane of ``x`` by itself, in memory of the thread's own."""
        place = self._name()
        self._cells.append(f"  {place} = alloca [{len(results)} x {scalar_type(x.dtype)}], align 16")
        own = Register(self, place, ADDRESS, True, self.level)
        self.line(f"store {x.type} {x.name}, ptr {place}, align {x.dtype.itemsize}")
        self.line(f"call i64 {name}(ptr {place}, i64 1)")
        found = []
        for k, dtype in enumerate(results):
            at = self.at(own, k, dtype)
            found.append(self.here(f"load {scalar_type(dtype)}, ptr {at.name}, align {dtype.itemsize}", dtype, True))
        return found

    def meet(self) -> None:
        """Go on when all threads of the warp have come here, and each sees what the others have written."""
        name = "@llvm.nvvm.bar.warp.sync"
        self.definitions[name] = f"declare void {name}(i32)"
        self.line(f"call void {name}({_ALL})")

    # Memory.

    def argument(self, number: int) -> Register:
        """The address that stands at place ``number`` of the arguments: it lies in global memory, and LLVM is told.

        A hundred addresses are two hundred registers: those beyond the first few are only named here, and :meth:`at`
        reads them.
        """
        if number < HELD:
            return _address(self, number, again=False)
        name = f"%far.{number}"
        self._far[name] = number
        return Register(self, name, ADDRESS, False, 0)

    def at(self, address: Register, index: Any, dtype: np.dtype[Any]) -> Register:
        """The address of element ``index`` of an array."""
        if address.name in self._far:
            address = _address(self, self._far[address.name], again=True)
        return super().at(address, index, dtype)

    def load(
        self,
        address: Register,
        index: Any,
        dtype: np.dtype[Any],
        wide: bool = False,
        mask: Register | None = None,
        fixed: bool = True,
    ) -> Register:
        """Element ``index``, or as many as there are lanes from there on; where ``mask`` is not set, 0."""
        index = self._own(index, wide)
        if mask is not None:  # the first element is there whatever the mask says
            index = self.select(mask, index, 0)
        place = self.at(address, index, dtype)
        memory = I8 if dtype == BOOL else dtype
        text = f"load {scalar_type(memory)}, ptr {place.name}, align {memory.itemsize}"
        if fixed:
            found = self.instruction(f"{text}, !invariant.load !0", memory, place, wide=place.wide)
        else:
            self.meet()
            found = self.here(text, memory, place.wide)
        if mask is not None:
            found = self.select(mask, found, self.constant(0, memory))
        return found.differs(0) if dtype == BOOL else found

    def store(
        self, x: Register, address: Register, index: Any, mask: Register | None = None, wide: bool = False
    ) -> None:
        """Write ``x`` to element ``index``, or its lanes from there on; where ``mask`` is not set, nothing."""
        place = self.at(address, self._own(index, wide), x.dtype)
        if x.dtype == BOOL:
            x = self.instruction(f"zext i1 {x.name} to i8", I8, x)
        text = f"store {x.type} {x.name}, ptr {place.name}, align {x.dtype.itemsize}"
        if not place.wide:  # one number: all have read what it replaces, and one thread writes it
            self.meet()
            self._only(self.first_lanes(1), text)
            return
        if address.name in self._rooms:
            self.meet()
        if mask is None:
            self.line(text)
        else:
            self._only(mask, text)

    def _own(self, index: Any, wide: bool) -> Register:
        """The index of this thread's element."""
        index = index if isinstance(index, Register) else self.constant(index, I64)
        return self.binary("add", index, self._lane) if wide and not index.wide else index

    def _only(self, condition: Register, text: str) -> None:
        """An instruction of those threads for which a condition holds."""
        name = self._name()[2:]
        then, after = f"only.{name}", f"all.{name}"
        lines = self._levels[-1].lines
        lines += [
            f"  br i1 {condition.name}, label %{then}, label %{after}",
            f"{then}:",
            f"  {text}",
            f"  br label %{after}",
            f"{after}:",
        ]
        self._labels[-1] = after

    def room(self, count: int, dtype: np.dtype[Any]) -> Register:
        """The address of ``count`` numbers of the warp's own."""
        name = self._name()
        self._rooms.add(name)
        self._cells.append(f"  {name} = getelementptr i8, ptr %room, i64 {self.room_bytes}")
        self.room_bytes += -(-count * dtype.itemsize // 16) * 16
        return Register(self, name, ADDRESS, False, 0)

    def body(self, result: Register | None = None) -> str:
        """The text of the function from its first brace on, which says how much room it needs."""
        return super().body(result).replace("{\n", f"{{ ; room {self.room_bytes}\n", 1)


def _address(w: Threads, number: int, again: bool) -> Register:
    """The address that stands at a place of the arguments, read once and for all, or where the writer is now."""
    place = w.instruction(f"getelementptr ptr, ptr addrspace(1) %arguments, i64 {number}", ADDRESS)
    text = f"ptr addrspace(1), ptr addrspace(1) {place.name}, align 8"
    if again:  # what is volatile LLVM leaves where it stands
        found = w.here(f"load volatile {text}", ADDRESS, False)
    else:
        found = w.instruction(f"load {text}, !invariant.load !0", ADDRESS, place)
    return w.instruction(f"addrspacecast ptr addrspace(1) {found.name} to ptr", ADDRESS, found)
