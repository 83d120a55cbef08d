"""Writing one native function for a CPU: a lane is an element of a vector register."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.arithmetic import Arithmetic
from lazygrad.engine.lanes.registers import ADDRESS, BOOL, I8, I64, Register, literal, scalar_type

__all__ = ["Writer"]


@functools.cache
def _vector_type(dtype: np.dtype[Any], width: int) -> str:
    return f"<{width} x {scalar_type(dtype)}>"


class Writer(Arithmetic):
    """The text of a function whose wide registers are vectors."""

    def type(self, dtype: np.dtype[Any], wide: bool) -> str:
        """LLVM's name of a type."""
        return _vector_type(dtype, self.width) if wide else scalar_type(dtype)

    def constant(self, value: Any, dtype: np.dtype[Any], wide: bool = False) -> Register:
        """A number."""
        text = literal(value, dtype)
        return Register(self, f"splat ({scalar_type(dtype)} {text})" if wide else text, dtype, wide, 0)

    def widened(self, x: Register) -> Register:
        """``x`` copied to every lane, if it is narrow."""
        if x.wide:
            return x
        if x.name[0] != "%" and x.name[0] != "@":
            return Register(self, f"splat ({x.type} {x.name})", x.dtype, True, 0)
        wide = self.type(x.dtype, True)
        one = self.instruction(f"insertelement {wide} poison, {x.type} {x.name}, i64 0", x.dtype, x, wide=True)
        mask = f"<{self.width} x i32> zeroinitializer"
        return self.instruction(f"shufflevector {wide} {one.name}, {wide} poison, {mask}", x.dtype, one)

    def intrinsic(self, name: str, *operands: Register, dtype: np.dtype[Any] | None = None) -> Register:
        """A function of LLVM whose name ends in the type of its first operand, such as ``fabs`` or ``sqrt``."""
        operands = self.even(*operands)
        first = operands[0]
        suffix = ("f" if first.dtype.kind == "f" else "i") + str(8 * first.dtype.itemsize)
        suffix = f"v{self.width}{suffix}" if first.wide else suffix
        result = self.type(dtype or first.dtype, first.wide)
        name = f"@llvm.{name}.{suffix}"
        self.definitions[name] = f"declare {result} {name}({', '.join(x.type for x in operands)})"
        listed = ", ".join(f"{x.type} {x.name}" for x in operands)
        return self.instruction(f"call {result} {name}({listed})", dtype or first.dtype, *operands)

    def to_whole(self, x: Register, dtype: np.dtype[Any]) -> Register:
        """``x``, floats, as whole numbers; out of range it is the nearest, and NaN the least."""
        result = self.type(dtype, x.wide)
        sign = "u" if dtype.kind == "u" else "s"
        suffixes = [
            f"{'v' + str(self.width) if x.wide else ''}{t}"
            for t in (f"i{8 * dtype.itemsize}", f"f{8 * x.dtype.itemsize}")
        ]
        name = f"@llvm.fpto{sign}i.sat.{'.'.join(suffixes)}"
        self.definitions[name] = f"declare {result} {name}({x.type})"
        found = self.instruction(f"call {result} {name}({x.type} {x.name})", dtype, x)
        if dtype.kind == "u":
            return found
        return self.select(x.differs(x), int(np.iinfo(dtype).min), found)  # LLVM makes 0 of NaN

    def lanes(self, dtype: np.dtype[Any] = I64) -> Register:
        """0, 1, 2, … : the number of each lane."""
        listed = ", ".join(f"{scalar_type(dtype)} {k}" for k in range(self.width))
        return Register(self, f"<{listed}>", dtype, True, 0)

    def first_lanes(self, count: int) -> Register:
        """Set in the first ``count`` lanes."""
        listed = ", ".join(f"i1 {'true' if k < count else 'false'}" for k in range(self.width))
        return Register(self, f"<{listed}>", BOOL, True, 0)

    def turned(self, x: Register, step: int) -> Register:
        """The lanes of ``x``, each ``step`` places further on."""
        order = ", ".join(f"i32 {(k + step) % self.width}" for k in range(self.width))
        shuffle = f"shufflevector {x.type} {x.name}, {x.type} poison, <{self.width} x i32> <{order}>"
        return self.instruction(shuffle, x.dtype, x)

    def mixed(self, a: Register, b: Register, order: Sequence[int]) -> Register:
        """Lanes of two wide registers: those of ``b`` are numbered after those of ``a``."""
        listed = ", ".join(f"i32 {k}" for k in order)
        text = f"shufflevector {a.type} {a.name}, {b.type} {b.name}, <{self.width} x i32> <{listed}>"
        return self.instruction(text, a.dtype, a, b)

    def lane(self, x: Register, number: int) -> Register:
        """One lane of a wide register."""
        return self.instruction(f"extractelement {x.type} {x.name}, i64 {number}", x.dtype, x, wide=False)

    def inserted(self, x: Register, one: Register, number: int) -> Register:
        """``x`` with another number in one lane."""
        text = f"insertelement {x.type} {x.name}, {one.type} {one.name}, i64 {number}"
        return self.instruction(text, x.dtype, x, one, wide=True)

    def any(self, condition: Register) -> Register:
        """Whether a condition holds in any lane."""
        if not condition.wide:
            return condition
        name = f"@llvm.vector.reduce.or.v{self.width}i1"
        self.definitions[name] = f"declare i1 {name}({condition.type})"
        return self.instruction(f"call i1 {name}({condition.type} {condition.name})", BOOL, condition, wide=False)

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
        place = self.at(address, index, dtype)
        memory = I8 if dtype == BOOL else dtype
        kind = self.type(memory, wide or place.wide)
        size = memory.itemsize
        if place.wide:
            chosen = mask.name if mask is not None else "splat (i1 true)"
            text = self._masked("gather", memory, kind, f"<{self.width} x ptr> align {size} {place.name}", chosen)
        elif mask is not None:
            text = self._masked("load", memory, kind, f"ptr align {size} {place.name}", mask.name)
        else:
            text = f"load {kind}, ptr {place.name}, align {size}"
        operands = [place] if mask is None else [place, mask]
        if fixed:
            found = self.instruction(text, memory, *operands, wide=wide or place.wide)
        else:
            found = self.here(text, memory, wide or place.wide)
        return found.differs(0) if dtype == BOOL else found

    def _masked(self, what: str, memory: np.dtype[Any], kind: str, place: str, mask: str) -> str:
        letter = "f" if memory.kind == "f" else "i"
        vector = f"v{self.width}{letter}{8 * memory.itemsize}"
        pointers = f"v{self.width}p0" if what == "gather" else "p0"
        name = f"@llvm.masked.{what}.{vector}.{pointers}"
        taken = f"<{self.width} x ptr>" if what == "gather" else "ptr"
        size = memory.itemsize
        place = place.replace(f" align {size}", "")
        self.definitions[name] = f"declare {kind} {name}({taken}, i32, <{self.width} x i1>, {kind})"
        return f"call {kind} {name}({place}, i32 {size}, <{self.width} x i1> {mask}, {kind} zeroinitializer)"

    def store(
        self, x: Register, address: Register, index: Any, mask: Register | None = None, wide: bool = False
    ) -> None:
        """Write ``x`` to element ``index``, or its lanes from there on; where ``mask`` is not set, nothing.

        A wide ``index`` scatters, lane by lane in order.
        """
        if x.dtype == BOOL:
            place = self.at(address, index, BOOL)
            x = self.instruction(f"zext {x.type} {x.name} to {self.type(I8, x.wide)}", I8, x)
        else:
            place = self.at(address, index, x.dtype)
        if wide or place.wide:
            x = self.widened(x)
        size = x.dtype.itemsize
        letter = "f" if x.dtype.kind == "f" else "i"
        vector = f"v{self.width}{letter}{8 * size}"
        if place.wide or (mask is not None and x.wide):
            what = "scatter" if place.wide else "store"
            kind = f"<{self.width} x ptr>" if place.wide else "ptr"
            name = f"@llvm.masked.{what}.{vector}.{f'v{self.width}p0' if place.wide else 'p0'}"
            self.definitions[name] = f"declare void {name}({x.type}, {kind}, i32, <{self.width} x i1>)"
            chosen = mask.name if mask is not None else "splat (i1 true)"
            self.line(
                f"call void {name}({x.type} {x.name}, {kind} {place.name}, i32 {size}, <{self.width} x i1> {chosen})"
            )
        else:
            self.line(f"store {x.type} {x.name}, ptr {place.name}, align {size}")

    def room(self, count: int, dtype: np.dtype[Any]) -> Register:
        """The address of ``count`` numbers of the function's own, aligned for wide registers."""
        name = self._name()
        memory = "i8" if dtype == BOOL else scalar_type(dtype)
        self._cells.append(f"  {name} = alloca [{count} x {memory}], align 64")
        return Register(self, name, ADDRESS, False, 0)
