"""Taking over NumPy arrays in native code: what they are is checked there, and where their numbers lie is read.

A call passes the addresses of the array objects themselves. The kernel written here compares each with what the
step was compiled for, and writes where its numbers lie into the arguments of the kernels that read them. So a
call costs no more than a few comparisons. Where an array object keeps what is found by looking at some; where it
is not found, arrays are taken over in Python.
"""

from __future__ import annotations

import ctypes
import functools
import platform
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lazygrad.graph.spec import Spec

__all__ = ["Layout", "Moving", "expected", "layout", "taking"]

CONTIGUOUS = 0x0001 | 0x0100  # NumPy's flags C_CONTIGUOUS and ALIGNED


class Layout(NamedTuple):
    """Where an array object keeps what: byte offsets. NumPy's ``PyArrayObject_fields``."""

    kind: int
    data: int
    rank: int
    shape: int
    dtype: int
    flags: int


class Moving(NamedTuple):
    """An array that is given at every call: what it must be, and which arguments it becomes, at which offset."""

    spec: Spec
    places: tuple[tuple[int, int], ...]


@functools.cache
def layout() -> Layout | None:
    """The layout of this Python's and this NumPy's array objects, if it is the known one."""
    if platform.python_implementation() != "CPython" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    head = object.__basicsize__
    found = Layout(kind=head - 8, data=head, rank=head + 8, shape=head + 16, dtype=head + 40, flags=head + 48)
    for probe in (np.zeros((2, 3), np.float32), np.zeros(5, np.int64)[::2], np.zeros((), np.bool_)):
        if not _matches(found, probe):
            return None
    return found


def _matches(found: Layout, array: Any) -> bool:
    def at(offset: int, kind: Any) -> Any:
        return kind.from_address(id(array) + offset).value

    sizes = (ctypes.c_int64 * array.ndim).from_address(at(found.shape, ctypes.c_int64)) if array.ndim else ()
    return bool(
        at(found.kind, ctypes.c_int64) == id(np.ndarray)
        and at(found.data, ctypes.c_int64) == array.ctypes.data
        and at(found.rank, ctypes.c_int) == array.ndim
        and tuple(sizes) == array.shape
        and at(found.dtype, ctypes.c_int64) == id(array.dtype)
        and bool(at(found.flags, ctypes.c_int) & 1) == array.flags.c_contiguous
        and bool(at(found.flags, ctypes.c_int) & 0x100) == array.flags.aligned
    )


def expected(moving: Sequence[Moving]) -> list[int]:
    """What stands behind the addresses of the arrays, for :func:`taking` to compare with."""
    return [id(np.ndarray), *(id(array.spec.dtype) for array in moving)]


class _Taking:
    """The text of the kernel that takes arrays over."""

    def __init__(self) -> None:
        self._names = 0
        self.lines = [
            "entry:",
            "  %row = load ptr, ptr %arguments",
            "  %second = getelementptr ptr, ptr %arguments, i64 1",
            "  %block = load ptr, ptr %second",
        ]

    def new(self, text: str) -> str:
        """The name of what an instruction results in."""
        self._names += 1
        self.lines.append(f"  %v{self._names} = {text}")
        return f"%v{self._names}"

    def read(self, base: str, offset: int, kind: str) -> str:
        """What lies so many bytes from an address."""
        return self.new(f"load {kind}, ptr {self.new(f'getelementptr i8, ptr {base}, i64 {offset}')}")

    def equal(self, kind: str, a: str, b: object) -> str:
        """Whether two are equal."""
        return self.new(f"icmp eq {kind} {a}, {b}")

    def all_hold(self, conditions: list[str], then: str) -> None:
        """Go on at a label if all conditions hold."""
        total = "true"
        for condition in conditions:
            total = self.new(f"and i1 {total}, {condition}")
        self.lines.extend([f"  br i1 {total}, label %{then}, label %wrong", f"{then}:"])


def taking(moving: Sequence[Moving], found: Layout) -> str:
    """The body of a kernel that takes arrays over; it returns 1 if one is not what it must be.

    Its arguments are the addresses of a row of addresses (of the arrays, then those of :func:`expected`), and of
    the arguments of the other kernels.
    """
    count, t = len(moving), _Taking()
    objects = [t.read("%row", 8 * k, "ptr") for k in range(count)]
    kind = t.read("%row", 8 * count, "ptr")
    t.all_hold([t.equal("ptr", t.read(one, found.kind, "ptr"), kind) for one in objects], "arrays")
    conditions, shapes = [], []
    for k, (one, array) in enumerate(zip(objects, moving, strict=True)):
        dtype = t.read("%row", 8 * (count + 1 + k), "ptr")
        conditions.append(t.equal("ptr", t.read(one, found.dtype, "ptr"), dtype))
        conditions.append(t.equal("i32", t.read(one, found.rank, "i32"), array.spec.ndim))
        flags = t.new(f"and i32 {t.read(one, found.flags, 'i32')}, {CONTIGUOUS}")
        conditions.append(t.equal("i32", flags, CONTIGUOUS))
        shapes.append(t.read(one, found.shape, "ptr"))
    t.all_hold(conditions, "ranks")
    conditions = []
    for sizes, array in zip(shapes, moving, strict=True):
        for axis, size in enumerate(array.spec.shape):
            conditions.append(t.equal("i64", t.read(sizes, 8 * axis, "i64"), size))
    t.all_hold(conditions, "right")
    for one, array in zip(objects, moving, strict=True):
        data = t.read(one, found.data, "ptr")
        for place, start in array.places:
            moved = t.new(f"getelementptr i8, ptr {data}, i64 {start}") if start else data
            target = t.new(f"getelementptr ptr, ptr %block, i64 {place}")
            t.lines.append(f"  store ptr {moved}, ptr {target}")
    t.lines += ["  ret i64 0", "wrong:", "  ret i64 1"]
    return "{\n" + "\n".join(t.lines) + "\n}\n"
