"""Native code of a plan -> a module of LLVM with one function of C, which needs nothing of Python.

The function has its arrays handed in, and all memory that it writes beside them is the caller's workspace, so any
number of threads may be in it. In the workspace lie the arena of the plan, the arguments of its kernels, and what the
driver of loops must know (``repeats.py``). Addresses are entered at every call; then the kernels are called in order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.cpu.llvm_called import undisturbed_text
from lazygrad.engine.cpu.llvm_driver import driver_text
from lazygrad.engine.cpu.llvm_floats import floats_text
from lazygrad.engine.cpu.llvm_repeats import repeats_text
from lazygrad.engine.emit.lapack import FUNCTIONS, PREFIX
from lazygrad.engine.lower.ways import Way
from lazygrad.engine.memory import ALIGNMENT
from lazygrad.engine.table.native import Instruction, Native, NumpyCall, Repeat
from lazygrad.export.fused import without_fused
from lazygrad.export.repeats import described
from lazygrad.export.signature import Signature
from lazygrad.export.spots import Image, Spot, Word
from lazygrad.export.targets import Machine
from lazygrad.graph.spec import Spec

__all__ = ["Pool", "Written", "apart", "constant", "escaped", "exported", "is_empty"]

GOOD, FAILED = 0, 1


class Pool:
    """The arrays that are the same in every call, one after the other in one block.

    Args:
        base: what LLVM's text calls its address.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self._pieces: list[bytes] = []
        self._known: dict[bytes, Spot] = {}
        self.nbytes = 0

    def add(self, array: Any) -> Spot:
        """Where an array lies in it; equal ones lie in one place."""
        data = np.ascontiguousarray(array).tobytes() or b"\0"
        if data not in self._known:
            self._known[data] = Spot(self.base, self.nbytes)
            padded = data + bytes(-len(data) % ALIGNMENT)
            self._pieces.append(padded)
            self.nbytes += len(padded)
        return self._known[data]

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class Written(NamedTuple):
    """The function with what is around it.

    Attributes:
        text: the definitions, kernels and the function itself, in LLVM's language.
        workspace: bytes that the caller gives it.
    """

    text: str
    workspace: int


def exported(
    native: Native,
    machine: Machine,
    signature: Signature,
    given: Mapping[Any, Spot],
    outputs: Sequence[str],
    pool: Pool,
    fixed: Mapping[Native, Mapping[Any, Any]],
) -> Written:
    """The function ``@name`` of a plan; its parameters are the pointers of the signature.

    Args:
        native: the kernels and their table.
        machine: what they were written for.
        signature: name and parameters.
        given: for every input of the plan where it lies.
        outputs: what LLVM's text calls the arrays that values are written to, in order.
        pool: takes in the arrays of ``fixed``.
        fixed: arrays that are the same in every run, of the plan and of all bodies in it.
    """
    function = _Function(native, machine, signature, given, outputs, pool, fixed)
    return Written(function.text(), function.workspace)


class _Function:
    def __init__(
        self,
        native: Native,
        machine: Machine,
        signature: Signature,
        given: Mapping[Any, Spot],
        outputs: Sequence[str],
        pool: Pool,
        fixed: Mapping[Native, Mapping[Any, Any]],
    ) -> None:
        self.native, self.machine, self.signature, self.outputs = native, machine, signature, outputs
        self.pool, self.lines, self._names = pool, list[str](), 0
        self.spots: dict[Any, Word] = dict(given)
        for i, name in zip(native.plan.values, outputs, strict=True):
            if i in native.outputs:
                self.spots.setdefault(i, Spot(name))
        self.spots |= {key: Spot("%arena", buffer.offset) for key, buffer in native.buffers.items()}
        self.image = Image("%image", machine.pointer)
        placed: dict[Native, dict[Any, Word]] = {
            body: {key: pool.add(x) for key, x in of.items() if _is_array(x)} for body, of in fixed.items()
        }
        self.spots |= placed.pop(native)
        described(native, self.spots, placed, self.image)
        self.begin = _up(native.nbytes)  # of the arguments
        self.second = self.begin + _up(machine.pointer * max(len(native.block), 1))  # of the image
        self.workspace = self.second + _up(len(self.image.data)) + ALIGNMENT

    # The function.

    def text(self) -> str:
        """The kernels, what runs loops, and the function."""
        size = f"i{8 * self.machine.pointer}"
        self._line(f"%given = ptrtoint ptr %workspace to {size}")
        self._line(f"%above = add {size} %given, {ALIGNMENT - 1}")
        self._line(f"%whole = and {size} %above, -{ALIGNMENT}")
        self._line(f"%arena = inttoptr {size} %whole to ptr")
        self._line(f"%block = getelementptr i8, ptr %arena, i64 {self.begin}")
        self._line(f"%image = getelementptr i8, ptr %arena, i64 {self.second}")
        image = self._image()
        self._arguments()
        begin = 0
        for number, step in enumerate(self.native.program):
            if isinstance(step, NumpyCall):
                continue
            self._call(number, step, begin)
            begin += self.machine.pointer * len(step.arguments)
        self._results()
        parameters = ", ".join(f"ptr {name}" for name in self.signature.pointers)
        head = f'define i32 @"{self.signature.name}"({parameters}) nounwind {{\nentry:'
        last = [f"  ret i32 {GOOD}", "failed:", f"  ret i32 {FAILED}", "}", ""]
        return _merged([self._kernels(), self._driver(), image, "\n".join([head, *self.lines, *last])], self.machine)

    def _line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def _at(self, spot: Word) -> str:
        """An address, as an operand."""
        assert isinstance(spot, Spot)
        if not spot.offset:
            return spot.base
        self._names += 1
        self._line(f"%p{self._names} = getelementptr i8, ptr {spot.base}, i64 {spot.offset}")
        return f"%p{self._names}"

    def _image(self) -> str:
        """Copy what the driver of loops must know, and enter the addresses in it."""
        data = bytes(self.image.data)
        if not data:
            return ""
        self._copy("%image", "@image", len(data))
        for at, spot in self.image.fixes:
            place, value = self._at(Spot("%image", at)), self._at(spot)
            self._line(f"store ptr {value}, ptr {place}")
        return f"@image = private constant [{len(data)} x i8] {_bytes(data)}, align 8\n"

    def _arguments(self) -> None:
        for number, (key, start) in enumerate(self.native.block):
            spot = self.spots[key]
            assert isinstance(spot, Spot)
            value, place = self._at(spot + start), self._at(Spot("%block", self.machine.pointer * number))
            self._line(f"store ptr {value}, ptr {place}")

    def _call(self, number: int, step: Instruction | Repeat, begin: int) -> None:
        its = self._at(Spot("%block", begin))
        if isinstance(step, Repeat):
            name, chunks, flush = "either" if len(step.bodies) > 1 else "repeat", 1, False
        else:
            name, chunks, flush = step.name, step.chunks, step.flush
        if flush:
            self._line(f"%mode{number} = call i64 @flush()")
        self._line(f"%status{number} = call i64 @{name}(ptr {its}, i64 0, i64 {chunks})")
        if flush:
            self._line(f"call void @adopt(i64 %mode{number})")
        self._line(f"%good{number} = icmp eq i64 %status{number}, 0")
        self._line(f"br i1 %good{number}, label %after{number}, label %failed")
        self.lines.append(f"after{number}:")

    def _results(self) -> None:
        """Copy what was not computed where it is wanted."""
        native, ways = self.native, self.native.ways
        for i, output in zip(native.plan.values, self.outputs, strict=True):
            spec = ways.spec(i)
            if ways.way[i] is Way.NUMBER:
                spot: Word = self.pool.add(np.full(spec.shape, ways.nodes[i].params["value"], spec.dtype))
            else:
                spot = self.spots[native.key(i)]
            if spot != Spot(output) and spec.nbytes:
                self._copy(output, self._at(spot), spec.nbytes)

    def _copy(self, to: str, source: str, nbytes: int) -> None:
        self._line(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {source}, i64 {nbytes}, i1 false)")

    # What it calls.

    def _kernels(self) -> str:
        text = self.native.whole().text
        return re.sub(rf"(declare|call) void @{PREFIX}([sd])(\w+)\((.*)\)", _in_fortran, text)

    def _driver(self) -> str:
        declared = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\n"
        triple = self.machine.triple
        if self.image.data:
            loops = [driver_text(triple, pool=False, python=False), repeats_text(), undisturbed_text(triple, False)]
            return declared + floats_text(triple) + "".join(loops)
        flushes = any(isinstance(step, Instruction) and step.flush for step in self.native.program)
        return declared + (floats_text(triple) if flushes else "")


def _merged(texts: Sequence[str], machine: Machine) -> str:
    """One module of parts of it: nothing is declared twice, and nothing but the function is seen from outside."""
    *parts, function = texts
    declared: dict[str, str] = {}
    lines = []
    for line in "\n".join(parts).splitlines():
        if line.startswith("declare "):
            declared.setdefault(re.search(r"@[\w.]+", line).group(), line)  # type: ignore[union-attr]
        elif line.startswith("define ") and not line.startswith("define internal "):
            lines.append(line.replace("define ", "define internal ", 1))
        else:
            lines.append(line)
    text = "\n".join([*declared.values(), *lines, function])
    return text if machine.fused else without_fused(text)


_OWN = re.compile(r"^(?:define internal [^@\n]*)?@(\w+)(?:\(| = )", re.MULTILINE)


def apart(text: str) -> str:
    """A module in which nothing of its own has a name that C knows; what is exported, in quotes, may have any."""
    own = set(_OWN.findall(text))
    return re.sub(r"@(\w+)\b", lambda name: f"@lazygrad.{name[1]}" if name[1] in own else name[0], text)


def _in_fortran(call: re.Match[str]) -> str:
    """A function of LAPACK as Fortran has it: after all parameters it is told the length of each that is text."""
    what, letter, name, given = call.groups()
    length = "i64" if what == "declare" else "i64 1"
    return f"{what} void @{letter}{name}_({', '.join([given, *[length] * FUNCTIONS[name].count('c')])})"


def is_empty(native: Native, step: NumpyCall) -> bool:
    """Whether a call back computes an array without elements, of which nothing is to be computed."""
    node = native.ways.nodes[step.node]
    return node.op.pure and isinstance(node.spec, Spec) and not node.spec.size


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def _up(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _bytes(data: bytes) -> str:
    """Bytes as a constant of LLVM."""
    return f'c"{escaped(data).decode()}"' if any(data) else "zeroinitializer"


_DIGITS = np.frombuffer("".join(f"\\{k:02X}" for k in range(256)).encode(), np.uint8).reshape(256, 3)


def escaped(data: bytes) -> bytes:
    """Bytes as they stand in a string of LLVM."""
    return _DIGITS[np.frombuffer(data, np.uint8)].tobytes()


def constant(name: str, data: bytes) -> str:
    """A block of bytes under a name, seen by nobody else."""
    return f"{name} = private constant [{max(len(data), 1)} x i8] {_bytes(data or bytes(1))}, align {ALIGNMENT}\n"
