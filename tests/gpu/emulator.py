"""Runs PTX on NumPy: a register is an array with one number a thread. A tool of the tests.

What a GPU would leave undefined is an error here: an access outside of what was allocated or not aligned, threads of a
warp that meet at different places, a register that is read before it is written. Between the places where threads of a
warp meet (shuffles, votes, ``bar.warp.sync``) a GPU may run them in any order; so does :func:`run`, if it is given a
seed, and so races show as wrong numbers.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from gpu.ptx_text import UNSIGNED, Instruction, Program

__all__ = ["HANDLERS", "Fault", "Memory", "run"]

WARP = 32
SIGNED = {8: np.int8, 16: np.int16, 32: np.int32, 64: np.int64}
FLOAT = {16: np.float16, 32: np.float32, 64: np.float64}
MEETING = ("shfl", "vote", "bar")

Handler = Callable[["_Run", Instruction, Any], None]
HANDLERS: dict[str, Handler] = {}  # what does an instruction, by the first part of its name


class Fault(RuntimeError):
    """What a GPU would not say: the program does something undefined."""


def does(*names: str) -> Callable[[Handler], Handler]:
    """Of a function: it does the instructions of these names."""

    def put(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return put


class Memory:
    """Blocks of memory that threads may read and write; nothing else is there."""

    def __init__(self, arrays: Iterable[Any] = ()) -> None:
        self._blocks: list[tuple[int, Any]] = [(_address(array), array) for array in arrays if array.nbytes]
        self._sort()

    def add(self, array: Any) -> int:
        """Make an array's memory known; its address."""
        self._blocks.append((_address(array), array))
        self._sort()
        return _address(array)

    def _sort(self) -> None:
        self._blocks.sort(key=lambda block: block[0])
        self._begins = np.array([begin for begin, _ in self._blocks], np.uint64)
        self._ends = np.array([begin + block.nbytes for begin, block in self._blocks], np.uint64)

    def load(self, addresses: Any, size: int, line: str) -> Any:
        """The numbers of ``size`` bytes at these addresses, without a sign."""
        found = np.empty(addresses.size, UNSIGNED[8 * size])
        for chosen, numbers, places in self._parts(addresses, size, line):
            found[chosen] = numbers[places]
        return found

    def store(self, addresses: Any, size: int, values: Any, line: str) -> None:
        """Write numbers; where addresses are the same, any of them may be the last."""
        for chosen, numbers, places in self._parts(addresses, size, line):
            numbers[places] = values[chosen]

    def _parts(self, addresses: Any, size: int, line: str) -> Any:
        """For every block that is touched: which addresses do, its numbers, and their places."""
        which = np.searchsorted(self._begins, addresses, "right").astype(np.int64) - 1
        wrong = (which < 0) | (addresses + np.uint64(size) > self._ends[which]) | (addresses % np.uint64(size) != 0)
        if wrong.any():
            raise Fault(f"{int(wrong.sum())} threads reach outside of memory: {line}")
        for number in np.unique(which):
            begin, block = self._blocks[number]
            chosen = which == number
            raw = (ctypes.c_char * (block.nbytes // size * size)).from_address(begin)
            places = ((addresses[chosen] - np.uint64(begin)) // np.uint64(size)).astype(np.int64)
            yield chosen, np.frombuffer(raw, UNSIGNED[8 * size]), places


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def run(
    program: Program,
    name: str,
    blocks: int,
    threads: int,
    arguments: list[int],
    memory: Memory,
    seed: int | None = None,
) -> int:
    """Run a kernel to its end.

    Args:
        blocks, threads: how many blocks, of how many threads each.
        arguments: one for each parameter.
        seed: of the order in which threads run between the places where they meet; None: all together.

    Returns:
        How many instructions were done, each by as many threads as were at it.

    Raises:
        Fault: the kernel does something undefined.
    """
    return _Run(program, name, blocks, threads, arguments, memory).run(seed)


class _Run:
    def __init__(
        self, program: Program, name: str, blocks: int, threads: int, arguments: list[int], memory: Memory
    ) -> None:
        self.kernel, self.memory, self.count = program.kernels[name], memory, blocks * threads
        number = np.arange(self.count, dtype=np.uint64)
        every, own = np.uint64(threads), {"%tid.x": number % threads, "%ctaid.x": number // threads}
        self.registers: dict[str, Any] = {
            **own,
            "%ntid.x": np.full(self.count, threads, np.uint64),
            "%nctaid.x": np.full(self.count, blocks, np.uint64),
        }
        self.written: dict[str, Any] = {name: np.ones(self.count, bool) for name in self.registers}
        self.arguments = dict(zip(self.kernel.parameters, arguments, strict=True))
        self.labels, self.next_label = self.kernel.labels, None
        self.places: dict[str, Any] = {}
        self.kept: list[Any] = []
        for symbol, table in program.tables.items():
            self.places[symbol] = np.full(self.count, memory.add(table), np.uint64)
        for symbol, (size, _) in program.shared.items():
            self._reserve(symbol, size, blocks, number // every)
        for symbol, (size, _) in self.kernel.local.items():
            self._reserve(symbol, size, self.count, number)

    def _reserve(self, symbol: str, size: int, count: int, which: Any) -> None:
        """Memory full of rubbish, ``count`` times; each thread has that of its number in ``which``."""
        size = -(-size // 16) * 16
        block = np.full(count * size + 16, 0xA5, np.uint8)
        self.kept.append(block)
        begin = -(-self.memory.add(block) // 16) * 16
        self.places[symbol] = np.uint64(begin) + which * np.uint64(size)

    # Operands.

    def get(self, operand: str, kind: str, bits: int, chosen: Any) -> Any:
        """An operand of the chosen threads; ``kind`` is that of :func:`kind_of`."""
        found = self._raw(operand, chosen)
        if kind == "p":
            return found.astype(bool)
        found = found.astype(UNSIGNED[bits])
        return found.view(FLOAT[bits]) if kind == "f" else found.view(SIGNED[bits]) if kind == "s" else found

    def _raw(self, operand: str, chosen: Any) -> Any:
        if operand in self.places:
            return self.places[operand][chosen]
        if operand[0] == "%":
            if operand not in self.registers or not self.written[operand][chosen].all():
                raise Fault(f"{operand} is read before it is written")
            return self.registers[operand][chosen]
        number = int(operand[2:], 16) if re.match(r"0[fFdD]", operand) else int(operand)
        return np.full(int(chosen.sum()), number & (2**64 - 1), np.uint64)

    def put(self, register: str, value: Any, kind: str, bits: int, chosen: Any) -> None:
        """Give a register of the chosen threads a value; whole numbers with a sign keep it in wider registers."""
        if register not in self.registers:
            self.registers[register] = np.zeros(self.count, np.uint64)
            self.written[register] = np.zeros(self.count, bool)
        if kind == "f":
            value = np.asarray(value, FLOAT[bits]).view(UNSIGNED[bits])
        elif kind == "s":
            value = np.asarray(value).astype(SIGNED[bits]).astype(np.int64).view(np.uint64)
        elif kind != "p":
            value = np.asarray(value).astype(UNSIGNED[bits])
        self.registers[register][chosen] = value
        self.written[register][chosen] = True

    def address(self, operand: str, chosen: Any) -> Any:
        """What ``[register+number]`` stands for."""
        base, _, offset = operand.strip("[]").partition("+")
        return self.get(base.strip(), "b", 64, chosen) + np.uint64(int(offset or 0) & (2**64 - 1))

    # Flow.

    def run(self, seed: int | None) -> int:
        rng = None if seed is None else np.random.default_rng(seed)
        self.at, self.alive = np.zeros(self.count, np.int64), np.ones(self.count, bool)
        waits, steps = np.zeros(self.count, bool), 0
        with np.errstate(all="ignore"):
            while self.alive.any():
                steps += 1
                free = self.alive & ~waits
                if not free.any():
                    waits[self._met()] = False
                    continue
                chosen = self._chosen(free, rng)
                instruction = self.kernel.code[self.at[chosen][0]]
                if instruction.name[0] in MEETING:
                    waits |= chosen
                else:
                    self._do(instruction, chosen)
        return steps

    def _chosen(self, free: Any, rng: Any) -> Any:
        """The threads that go on, all at the same instruction: those that are behind, or any."""
        if rng is None:
            return free & (self.at == self.at[free].min())
        one = rng.choice(np.flatnonzero(free))
        chosen = free & (self.at == self.at[one]) & (rng.random(self.count) < rng.choice([0.1, 0.5, 1.0]))
        chosen[one] = True
        return chosen

    def _met(self) -> Any:
        """Do what the threads of a warp wait for together; those threads."""
        at = np.where(self.alive, self.at, -1).reshape(-1, WARP)
        together = (at == at[:, :1]).all(axis=1) & (at[:, 0] >= 0)
        if not together.any():
            raise Fault("threads of a warp wait at different places, or some have ended")
        place = at[together, 0].min()
        chosen = np.repeat(together & (at[:, 0] == place), WARP)
        self._do(self.kernel.code[place], chosen)
        return chosen

    def _do(self, instruction: Instruction, chosen: Any) -> None:
        """Do an instruction for those of the chosen threads for which its guard holds; all of them go on."""
        acting = chosen
        if instruction.guard is not None:
            holds = np.zeros(self.count, bool)
            holds[chosen] = self.get(instruction.guard, "p", 1, chosen)
            acting = chosen & (holds ^ instruction.negated)
        self.at[chosen] += 1
        if not acting.any():
            return
        handler = HANDLERS.get(instruction.name[0])
        if handler is None:
            raise NotImplementedError(instruction.line)
        handler(self, instruction, acting)


def kind_of(type_: str) -> tuple[str, int]:
    """``f32`` as ``("f", 32)``; bits without a meaning are whole numbers without a sign."""
    return (
        ("p", 1) if type_ == "pred" else ("s" if type_[0] == "s" else "f" if type_[0] == "f" else "u", int(type_[1:]))
    )


# Instructions: memory and flow.


@does("ret")
def _ret(run: _Run, instruction: Instruction, chosen: Any) -> None:
    run.alive[chosen] = False


@does("bra")
def _bra(run: _Run, instruction: Instruction, chosen: Any) -> None:
    run.at[chosen] = run.labels[instruction.operands[0]]


@does("brx")
def _brx(run: _Run, instruction: Instruction, chosen: Any) -> None:
    which, listed = instruction.operands
    places = np.array([run.labels[label] for label in run.kernel.targets[listed]])
    number = np.zeros(run.count, np.int64)
    number[chosen] = run.get(which, "u", 32, chosen)
    if (number[chosen] >= len(places)).any():
        raise Fault("a branch by a number beyond its list")
    run.at[chosen] = places[number[chosen]]


@does("ld")
def _ld(run: _Run, instruction: Instruction, chosen: Any) -> None:
    target, source = instruction.operands
    kind, bits = kind_of(instruction.type)
    if "param" in instruction.name:
        given = run.arguments[source.strip("[]")] & (2**64 - 1)
        return run.put(target, np.full(int(chosen.sum()), given, np.uint64), kind, bits, chosen)
    addresses = run.address(source, chosen)
    for k, register in enumerate(_listed(target)):
        found = run.memory.load(addresses + np.uint64(k * bits // 8), bits // 8, instruction.line)
        run.put(register, found.view(SIGNED[bits]) if kind == "s" else found, "s" if kind == "s" else "u", bits, chosen)
    return None


@does("st")
def _st(run: _Run, instruction: Instruction, chosen: Any) -> None:
    target, source = instruction.operands
    _, bits = kind_of(instruction.type)
    addresses = run.address(target, chosen)
    for k, register in enumerate(_listed(source)):
        numbers = run.get(register, "u", bits, chosen)
        run.memory.store(addresses + np.uint64(k * bits // 8), bits // 8, numbers, instruction.line)


def _listed(operand: str) -> list[str]:
    return [part.strip() for part in operand.strip("{}").split(",")]


@does("mov", "cvta")
def _mov(run: _Run, instruction: Instruction, chosen: Any) -> None:
    target, source = instruction.operands
    kind, bits = kind_of(instruction.type)
    if target[0] == "{":
        parts = _listed(target)
        each = bits // len(parts)
        whole = run.get(source, "u", bits, chosen)
        for k, part in enumerate(parts):
            if part != "_":
                run.put(part, whole >> np.array(k * each, whole.dtype), "u", each, chosen)
    elif source[0] == "{":
        parts = _listed(source)
        each = bits // len(parts)
        whole = np.zeros(int(chosen.sum()), UNSIGNED[bits])
        for k, part in enumerate(parts):
            whole |= run.get(part, "u", each, chosen).astype(whole.dtype) << np.array(k * each, whole.dtype)
        run.put(target, whole, "u", bits, chosen)
    else:
        run.put(
            target,
            run.get(source, "p" if kind == "p" else "u", bits, chosen),
            kind if kind == "p" else "u",
            bits,
            chosen,
        )


# Comparison, choice, logic.

COMPARED = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


@does("setp")
def _setp(run: _Run, instruction: Instruction, chosen: Any) -> None:
    how, (kind, bits) = instruction.name[1], kind_of(instruction.type)
    a, b = (run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:])
    unordered = np.isnan(a) | np.isnan(b) if kind == "f" else np.zeros(a.shape, bool)
    if how in ("nan", "num"):
        found = unordered if how == "nan" else ~unordered
    elif len(how) == 3:  # such as ltu: or unordered
        found = COMPARED[how[:2]](a, b) | unordered
    else:
        found = COMPARED[how](a, b) & ~unordered
    run.put(instruction.operands[0], found, "p", 1, chosen)


@does("selp")
def _selp(run: _Run, instruction: Instruction, chosen: Any) -> None:
    target, one, other, condition = instruction.operands
    _, bits = kind_of(instruction.type)
    a, b = run.get(one, "u", bits, chosen), run.get(other, "u", bits, chosen)
    run.put(target, np.where(run.get(condition, "p", 1, chosen), a, b), "u", bits, chosen)


@does("and", "or", "xor", "not")
def _logic(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    operands = [run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:]]
    functions: dict[str, Any] = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert}
    run.put(instruction.operands[0], functions[instruction.name[0]](*operands), kind, bits, chosen)


@does("shl", "shr")
def _shift(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    x = run.get(instruction.operands[1], kind, bits, chosen)
    asked = run.get(instruction.operands[2], "u", 32, chosen)
    count = np.minimum(asked, bits - 1).astype(x.dtype)
    found = x << count if instruction.name[0] == "shl" else x >> count
    if kind != "s":
        found = np.where(asked >= bits, 0, found)
    run.put(instruction.operands[0], found, kind, bits, chosen)


@does("shf")
def _funnel(run: _Run, instruction: Instruction, chosen: Any) -> None:
    low, high, count = (run.get(x, "u", 32, chosen).astype(np.uint64) for x in instruction.operands[1:])
    count = count & np.uint64(31) if "wrap" in instruction.name else np.minimum(count, 32)
    both = (high << np.uint64(32)) | low
    found = (both << count) >> np.uint64(32) if instruction.name[1] == "l" else both >> count
    run.put(instruction.operands[0], found & np.uint64(2**32 - 1), "u", 32, chosen)


@does("prmt")
def _permute(run: _Run, instruction: Instruction, chosen: Any) -> None:
    a, b, selector = (run.get(x, "u", 32, chosen).astype(np.uint64) for x in instruction.operands[1:])
    both, found = (b << np.uint64(32)) | a, np.zeros(a.shape, np.uint64)
    for k in range(4):
        chosen_byte = (selector >> np.uint64(4 * k)) & np.uint64(15)
        byte = (both >> (np.uint64(8) * (chosen_byte & np.uint64(7)))) & np.uint64(255)
        byte = np.where(chosen_byte > 7, np.where(byte > 127, 255, 0), byte).astype(np.uint64)
        found |= byte << np.uint64(8 * k)
    run.put(instruction.operands[0], found, "u", 32, chosen)


@does("bfe")
def _extract(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    x = run.get(instruction.operands[1], "u", bits, chosen)
    start, length = (run.get(o, "u", 32, chosen) & 255 for o in instruction.operands[2:])
    found = []
    for number, s, n in zip(x.tolist(), start.tolist(), length.tolist(), strict=True):
        part = number >> s & ((1 << n) - 1)
        top = min(s + n - 1, bits - 1)
        found.append(part - (1 << n) if kind == "s" and n and number >> top & 1 else part)
    run.put(instruction.operands[0], np.array([f & (2**bits - 1) for f in found], UNSIGNED[bits]), "u", bits, chosen)


@does("clz", "popc", "brev")
def _bits(run: _Run, instruction: Instruction, chosen: Any) -> None:
    _, bits = kind_of(instruction.type)
    x = run.get(instruction.operands[1], "u", bits, chosen).tolist()
    ways: dict[str, Callable[[int], int]] = {
        "clz": lambda n: bits - n.bit_length(),
        "popc": lambda n: n.bit_count(),
        "brev": lambda n: int(f"{n:0{bits}b}"[::-1], 2),
    }
    name = instruction.name[0]
    found = np.array([ways[name](n) for n in x], np.uint64)
    run.put(instruction.operands[0], found, "u", bits if name == "brev" else 32, chosen)


# Arithmetic.

ROUNDED = {"rzi": np.trunc, "rni": np.rint, "rmi": np.floor, "rpi": np.ceil}


@does("cvt")
def _cvt(run: _Run, instruction: Instruction, chosen: Any) -> None:
    (kind, bits), (source, width) = kind_of(instruction.name[-2]), kind_of(instruction.type)
    x = run.get(instruction.operands[1], source, width, chosen)
    how = next((ROUNDED[part] for part in instruction.name if part in ROUNDED), None)
    if source == "f" and kind != "f":  # out of range it is the nearest, and NaN is 0
        assert how is not None
        limits = np.iinfo(SIGNED[bits] if kind == "s" else UNSIGNED[bits])
        whole = np.clip(how(x.astype(np.longdouble)), np.longdouble(limits.min), np.longdouble(limits.max))
        found = np.where(np.isnan(whole), 0, whole).astype(np.int64 if kind == "s" else np.uint64)
    elif kind == "f":
        found = (x if how is None else how(x)).astype(FLOAT[bits])
    else:
        found = x.astype(np.int64 if source == "s" else np.uint64)
    run.put(instruction.operands[0], found, kind, bits, chosen)


@does("add", "sub", "mul", "div", "rem", "min", "max")
def _two(run: _Run, instruction: Instruction, chosen: Any) -> None:
    name, (kind, bits) = instruction.name[0], kind_of(instruction.type)
    a, b = (run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:])
    if name == "mul" and "wide" in instruction.name:
        bits *= 2
        wide = (SIGNED if kind == "s" else UNSIGNED)[bits]
        a, b = a.astype(wide), b.astype(wide)
    if name == "mul" and "hi" in instruction.name:
        products = [int(x) * int(y) >> bits for x, y in zip(a, b, strict=True)]
        found = np.array([p & (2**bits - 1) for p in products], UNSIGNED[bits])
        return run.put(instruction.operands[0], found, "u", bits, chosen)
    if name in ("div", "rem") and kind != "f":
        quotient = np.array([_truncated(int(x), int(y)) for x, y in zip(a, b, strict=True)], dtype=object)
        quotient = np.array([q & (2**64 - 1) for q in quotient], np.uint64).astype(UNSIGNED[bits]).view(a.dtype)
        found = quotient if name == "div" else a - quotient * b
    else:
        functions: dict[str, Any] = {
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "div": np.divide,
            "min": np.fmin,
            "max": np.fmax,
        }
        found = functions[name](a, b)
    if kind == "f" and "NaN" in instruction.name:
        found = np.where(np.isnan(a) | np.isnan(b), np.nan, found).astype(FLOAT[bits])
    return run.put(instruction.operands[0], found, kind, bits, chosen)


def _truncated(a: int, b: int) -> int:
    """a / b without its fraction; by 0 anything."""
    return 0 if not b else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


@does("mad")
def _mad(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    a, b = (run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:3])
    if "wide" in instruction.name:
        bits *= 2
        wide = (SIGNED if kind == "s" else UNSIGNED)[bits]
        a, b = a.astype(wide), b.astype(wide)
    run.put(instruction.operands[0], a * b + run.get(instruction.operands[3], kind, bits, chosen), kind, bits, chosen)


@does("neg", "abs", "sqrt", "rcp")
def _one(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    x = run.get(instruction.operands[1], kind, bits, chosen)
    ways: dict[str, Any] = {"neg": np.negative, "abs": np.abs, "sqrt": np.sqrt, "rcp": lambda y: y.dtype.type(1) / y}
    run.put(instruction.operands[0], ways[instruction.name[0]](x), kind, bits, chosen)


@does("copysign")
def _copysign(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    sign, x = (run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:])
    run.put(instruction.operands[0], np.copysign(x, sign), kind, bits, chosen)


@does("fma")
def _fma(run: _Run, instruction: Instruction, chosen: Any) -> None:
    kind, bits = kind_of(instruction.type)
    a, b, c = (run.get(operand, kind, bits, chosen) for operand in instruction.operands[1:])
    run.put(instruction.operands[0], fma(a, b, c), kind, bits, chosen)


_libm = ctypes.CDLL(None)
for _name, _type in (("fma", ctypes.c_double), ("fmaf", ctypes.c_float)):
    getattr(_libm, _name).restype, getattr(_libm, _name).argtypes = _type, [_type] * 3


def fma(a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once, by the C library."""
    function = _libm.fmaf if a.dtype == np.float32 else _libm.fma
    return np.array([function(x, y, z) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], a.dtype)


# What goes from thread to thread. All threads of the warps in question are chosen.


@does("shfl")
def _shuffle(run: _Run, instruction: Instruction, chosen: Any) -> None:
    target, source, lane, *_ = instruction.operands
    numbers = np.zeros(run.count, np.uint32)
    numbers[chosen] = run.get(source, "u", 32, chosen)
    own = np.flatnonzero(chosen) // WARP * WARP
    found = numbers[own + (run.get(lane, "u", 32, chosen) & 31).astype(np.int64)]
    run.put(target.partition("|")[0], found, "u", 32, chosen)


@does("vote")
def _vote(run: _Run, instruction: Instruction, chosen: Any) -> None:
    said = np.zeros(run.count, bool)
    said[chosen] = run.get(instruction.operands[1], "p", 1, chosen)
    found = said.reshape(-1, WARP).any(axis=1)[np.flatnonzero(chosen) // WARP]
    run.put(instruction.operands[0], found, "p", 1, chosen)


@does("bar")
def _bar(run: _Run, instruction: Instruction, chosen: Any) -> None:
    """Nothing but meeting."""
