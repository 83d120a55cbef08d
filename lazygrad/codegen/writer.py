"""Writing one native function: instructions, loops, memory, as text of LLVM's intermediate language.

Loops nest, and every register knows how deep the loops are that it depends on: its level. An instruction
is written at the deepest level of its operands, not where the writer happens to be. So what does not change
in a loop is computed before the loop, by construction; no pass has to find it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lazygrad.codegen.registers import ADDRESS, BOOL, I8, I64, Cell, Register, literal, scalar_type
from lazygrad.codegen.tracing import NotTraced

__all__ = ["Writer"]

_COMPARED = {"eq": "oeq", "ne": "une", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge"}


@functools.cache
def _vector_type(dtype: np.dtype[Any], width: int) -> str:
    return f"<{width} x {scalar_type(dtype)}>"


class _Loop(NamedTuple):
    lines: list[str]
    known: dict[Any, Register]


class Writer:
    """The text of a function ``i64 name(ptr arguments, i64 begin, i64 end)`` that returns 0, or what went wrong.

    ``arguments`` points to a row of addresses; ``begin`` and ``end`` bound the share of the work that a
    call is to do, where it can be shared.

    Args:
        width: lanes of a wide register.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.contract = True  # whether a product and a sum may be rounded once
        self.definitions: dict[str, str] = {}  # functions and tables beside this one, by name
        self.calls = False  # whether long functions are called rather than written out
        self._levels: list[_Loop] = [_Loop([], {})]
        self._labels = ["entry"]
        self._floor = 0
        self._names = 0
        self._cells: list[str] = []
        self.begin = Register(self, "%begin", I64, False, 0)
        self.end = Register(self, "%end", I64, False, 0)

    # Text.

    @property
    def level(self) -> int:
        """How many loops are open."""
        return len(self._levels) - 1

    @property
    def count(self) -> int:
        """How many instructions have been written."""
        return sum(len(loop.lines) for loop in self._levels)

    def type(self, dtype: np.dtype[Any], wide: bool) -> str:
        """LLVM's name of a type."""
        return _vector_type(dtype, self.width) if wide else scalar_type(dtype)

    def line(self, text: str) -> None:
        """Append an instruction without a result, where the writer is now."""
        self._levels[-1].lines.append(f"  {text}")

    def _name(self) -> str:
        self._names += 1
        return f"%r{self._names}"

    def instruction(self, text: str, dtype: np.dtype[Any], *operands: Register, wide: bool | None = None) -> Register:
        """Append an instruction whose result depends on its operands alone, at their deepest level."""
        level = self._floor
        for operand in operands:
            if operand.level > level:
                level = operand.level
        if wide is None:
            wide = any(operand.wide for operand in operands)
        known = self._levels[level].known.get(text)
        if known is not None:
            # LLVM's integers have no sign: the same bits may be wanted as int32 and as uint32.
            return known if known.dtype == dtype else Register(self, known.name, dtype, wide, level)
        result = Register(self, self._name(), dtype, wide, level)
        self._levels[level].lines.append(f"  {result.name} = {text}")
        self._levels[level].known[text] = result
        return result

    def here(self, text: str, dtype: np.dtype[Any], wide: bool) -> Register:
        """Append an instruction that must stand where the writer is now, such as a read of what may change."""
        result = Register(self, self._name(), dtype, wide, self.level)
        self._levels[-1].lines.append(f"  {result.name} = {text}")
        return result

    def constant(self, value: Any, dtype: np.dtype[Any], wide: bool = False) -> Register:
        """A number."""
        text = literal(value, dtype)
        return Register(self, f"splat ({scalar_type(dtype)} {text})" if wide else text, dtype, wide, 0)

    def like(self, value: Any, register: Register) -> Register:
        """``value`` as a register: a number takes the dtype of ``register``."""
        return value if isinstance(value, Register) else self.constant(value, register.dtype)

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

    def even(self, *xs: Register) -> tuple[Register, ...]:
        """The registers, all wide if one is."""
        return tuple([self.widened(x) for x in xs]) if any(x.wide for x in xs) else xs

    # Arithmetic.

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
        """``x`` cast as :func:`lazygrad.casting.cast` casts."""
        if dtype == x.dtype:
            return x
        if dtype == BOOL:
            return x.differs(0)
        source, target = x.type, self.type(dtype, x.wide)
        if x.dtype.kind == "f" and dtype.kind == "f":
            how = "fpext" if dtype.itemsize > x.dtype.itemsize else "fptrunc"
        elif x.dtype.kind == "f":
            return self._to_whole(x, dtype)
        elif dtype.kind == "f":
            how = "uitofp" if x.dtype.kind in "ub" else "sitofp"
        elif x.dtype != BOOL and dtype.itemsize == x.dtype.itemsize:
            return Register(self, x.name, dtype, x.wide, x.level)
        elif x.dtype != BOOL and dtype.itemsize < x.dtype.itemsize:
            how = "trunc"
        else:
            how = "zext" if x.dtype.kind in "ub" else "sext"
        return self.instruction(f"{how} {source} {x.name} to {target}", dtype, x)

    def _to_whole(self, x: Register, dtype: np.dtype[Any]) -> Register:
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

    def fold(self, what: str | Callable[[Register, Register], Register], x: Register) -> Register:
        """The lanes of ``x`` made one number by halves, so that the order is fixed: ``add``, ``mul``, …

        ``what`` is an operation of :meth:`binary`, or a function of two registers.
        """
        step = self.width // 2
        while step:
            moved = self.turned(x, step)
            x = what(x, moved) if callable(what) else self.binary(what, x, moved)
            step //= 2
        return self.lane(x, 0)

    def lane(self, x: Register, number: int) -> Register:
        """One lane of a wide register."""
        return self.instruction(f"extractelement {x.type} {x.name}, i64 {number}", x.dtype, x, wide=False)

    def inserted(self, x: Register, one: Register, number: int) -> Register:
        """``x`` with another number in one lane."""
        text = f"insertelement {x.type} {x.name}, {one.type} {one.name}, i64 {number}"
        return self.instruction(text, x.dtype, x, one, wide=True)

    # Memory.

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

    def cell(self, first: Register) -> Cell:
        """A variable that begins as ``first``, set where the writer is now."""
        name = self._name()
        self._cells.append(f"  {name} = alloca {first.type}, align 64")
        cell = Cell(self, name, first.dtype, first.wide)
        cell.set(first)
        return cell

    def flag(self) -> Cell:
        """A variable that is false when the function begins."""
        name = self._name()
        self._cells += [f"  {name} = alloca i1", f"  store i1 false, ptr {name}"]
        return Cell(self, name, BOOL, False)

    def recall(self, key: Any) -> Register | None:
        """What was remembered under ``key``, if it is known where the writer is now."""
        for loop in reversed(self._levels):
            found: Register | None = loop.known.get(key)
            if found is not None:
                return found
        return None

    def remember(self, key: Any, x: Register) -> None:
        """Remember a register as long as it is known: until the loop that it was computed in ends."""
        self._levels[min(x.level, self.level)].known[key] = x

    # Flow.

    @contextmanager
    def loop(self, begin: Any, end: Any, step: int = 1) -> Iterator[Register]:
        """A loop over whole numbers from ``begin`` up to, not including, ``end``; it runs at least once."""
        begin, end = (x if isinstance(x, Register) else self.constant(x, I64) for x in (begin, end))
        name = self._name()[2:]
        head, leave = f"head.{name}", f"leave.{name}"
        before = self._labels[-1]
        self._levels.append(_Loop([], {}))
        self._labels.append(head)
        index = Register(self, f"%i.{name}", I64, False, self.level)
        yield index
        body = self._levels.pop()
        latch = self._labels.pop()
        outer = self._levels[-1].lines
        outer += [
            f"  br label %{head}",
            f"{head}:",
            f"  {index.name} = phi i64 [ {begin.name}, %{before} ], [ %next.{name}, %{latch} ]",
            *body.lines,
            f"  %next.{name} = add nsw i64 {index.name}, {step}",
            f"  %more.{name} = icmp slt i64 %next.{name}, {end.name}",
            f"  br i1 %more.{name}, label %{head}, label %{leave}",
            f"{leave}:",
        ]
        self._labels[-1] = leave

    @contextmanager
    def when(self, condition: Register) -> Iterator[None]:
        """What is written within runs only if the narrow ``condition`` holds; results leave it in cells."""
        name = self._name()[2:]
        then, after = f"then.{name}", f"after.{name}"
        self._levels.append(_Loop([], {}))
        self._labels.append(then)
        floor, self._floor = self._floor, self.level
        yield
        self._floor = floor
        body = self._levels.pop()
        self._labels.pop()
        outer = self._levels[-1].lines
        outer += [
            f"  br i1 {condition.name}, label %{then}, label %{after}",
            f"{then}:",
            *body.lines,
            f"  br label %{after}",
            f"{after}:",
        ]
        self._labels[-1] = after

    def any(self, condition: Register) -> Register:
        """Whether a condition holds in any lane."""
        if not condition.wide:
            return condition
        name = f"@llvm.vector.reduce.or.v{self.width}i1"
        self.definitions[name] = f"declare i1 {name}({condition.type})"
        return self.instruction(f"call i1 {name}({condition.type} {condition.name})", BOOL, condition, wide=False)

    def call(self, name: str, result: np.dtype[Any], operands: Sequence[Register], wide: bool = False) -> Register:
        """A call of another function of the module, which must be in :attr:`definitions`."""
        listed = ", ".join(f"{x.type} {x.name}" for x in operands)
        return self.instruction(f"call {self.type(result, wide)} {name}({listed})", result, *operands, wide=wide)

    def body(self, result: Register | None = None) -> str:
        """The text of the function from its first brace on; it returns ``result``, or 0."""
        assert len(self._levels) == 1
        last = f"{result.type} {result.name}" if result is not None else "i64 0"
        lines = ["entry:", *self._cells, *self._levels[0].lines, f"  ret {last}"]
        return "{\n" + "\n".join(lines) + "\n}\n"

    def function(self, name: str, status: Register | None = None) -> str:
        """The text of the whole function."""
        return f"define i64 @{name}(ptr noalias %arguments, i64 %begin, i64 %end) #0 {self.body(status)}"

    @contextmanager
    def carrying(
        self, begin: Any, end: Any, step: int, firsts: Sequence[tuple[str, str]]
    ) -> Iterator[tuple[Register, list[str]]]:
        """A loop that carries values, given as LLVM's type and name, from turn to turn without cells.

        The names in the list are those of the values at the beginning of a turn; put those at its end in their
        places. After the loop the list holds the last ones.
        """
        with self.loop(begin, end, step) as index:
            before = self._labels[-2]
            names = [self._name() for _ in firsts]
            values = list(names)
            yield index, values
            latch = self._labels[-1]
            self._levels[-1].lines[:0] = [
                f"  {name} = phi {kind} [ {first}, %{before} ], [ {value}, %{latch} ]"
                for name, (kind, first), value in zip(names, firsts, values, strict=True)
            ]
