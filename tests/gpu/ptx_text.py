"""PTX as LLVM writes it, read into lists of instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Instruction", "Kernel", "Program", "read"]

UNSIGNED = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}


class Instruction(NamedTuple):
    """One instruction: ``name`` is split at its dots; it is done where ``guard`` holds, or does not if ``negated``."""

    name: tuple[str, ...]
    operands: tuple[str, ...]
    guard: str | None
    negated: bool
    line: str

    @property
    def type(self) -> str:
        """The last part of the name, such as ``f32``."""
        return self.name[-1]


class Reserved(NamedTuple):
    """Memory that a name stands for: bytes, and to what it is aligned."""

    size: int
    align: int


@dataclass(frozen=True)
class Kernel:
    """A kernel: parameters in order, instructions, where labels stand, lists of them, memory of each thread's own."""

    parameters: tuple[str, ...]
    code: tuple[Instruction, ...]
    labels: dict[str, int]
    targets: dict[str, tuple[str, ...]]
    local: dict[str, Reserved]


@dataclass(frozen=True)
class Program:
    """A module: kernels, memory that the threads of a block share, and tables, all by name."""

    kernels: dict[str, Kernel]
    shared: dict[str, Reserved]
    tables: dict[str, Any]


def read(text: str) -> Program:
    """A module read; a function that is no kernel is an error, as all are written out where they are used."""
    text = re.sub(r"//[^\n]*", "", text)
    if re.search(r"^\s*\.func", text, re.M):
        raise ValueError("a function that is no kernel")
    kernels = {}
    for found in re.finditer(r"\.entry\s+([\w$]+)\s*\(([^)]*)\)", text):
        begin = text.index("{", found.end())
        kernels[found[1]] = _kernel(found[2], text[begin + 1 : _closing(text, begin)])
    return Program(kernels, _reserved("shared", text), _tables(text))


def _closing(text: str, begin: int) -> int:
    """Where the brace closes that opens at ``begin``."""
    depth = 0
    for found in re.compile(r"[{}]").finditer(text, begin):
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return found.start()
    raise ValueError("a brace is not closed")


def _reserved(where: str, text: str) -> dict[str, Reserved]:
    pattern = rf"\.{where}\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\]"
    return {name: Reserved(int(size), int(align)) for align, name, size in re.findall(pattern, text)}


def _tables(text: str) -> dict[str, Any]:
    pattern = r"\.global\s+\.align\s+\d+\s+\.b(\d+)\s+([\w$]+)(?:\[\d+\])?\s*=\s*\{?([^};]*)\}?"
    found = {}
    for bits, name, listed in re.findall(pattern, text):
        numbers = [int(number) & (2 ** int(bits) - 1) for number in listed.split(",")]
        found[name] = np.array(numbers, UNSIGNED[int(bits)])
    return found


def _kernel(parameters: str, body: str) -> Kernel:
    code: list[Instruction] = []
    labels: dict[str, int] = {}
    listed = re.compile(r"([\w$]+):\s*\.branchtargets\s+([^;]*);")
    targets = {name: tuple(re.split(r"[\s,]+", found.strip())) for name, found in listed.findall(body)}
    body = listed.sub("", body)
    for raw in body.split("\n"):
        line = raw.strip()
        if line.endswith(":"):
            labels[line[:-1]] = len(code)
            continue
        if line.startswith("{"):  # instructions with a register of their own, on one line
            line = line[1:].rstrip("}")
        statements = (part.strip() for part in line.split(";"))
        code += [_instruction(part) for part in statements if part and not part.startswith(".")]
    names = tuple(p.split()[-1] for p in parameters.split(",") if p.strip())
    return Kernel(names, tuple(code), labels, targets, _reserved("local", body))


def _instruction(line: str) -> Instruction:
    guard, rest = None, line
    if line[0] == "@":
        guard, rest = line[1:].split(None, 1)
    name, *operands = rest.split(None, 1)
    negated = guard is not None and guard[0] == "!"
    named = None if guard is None else guard.lstrip("!")
    return Instruction(tuple(name.split(".")), _operands(*operands), named, negated, line)


def _operands(text: str = "") -> tuple[str, ...]:
    """Operands, split at the commas that stand in no brackets."""
    return tuple(part.strip() for part in re.split(r",(?![^{\[(]*[}\])])", text) if part.strip())
