"""Matrix products by the BLAS that SciPy carries, called from native code: what our own are measured beside."""

from __future__ import annotations

import ctypes
import functools
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.engine.emit.products.form import Form, Product, formed, offset
from lazygrad.engine.emit.products.shape import Needs
from lazygrad.engine.lanes.registers import F32, F64, I32, I64, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["addresses", "set_blas_threads", "write_blas"]

GRAIN = 2**26  # multiply-adds of a chunk; BLAS copies both operands, so that small ones do not pay

_NAMES: dict[np.dtype[Any], tuple[str, str, str]] = {F32: ("sgemm", "s", "float"), F64: ("dgemm", "d", "double")}


def _symbol(dtype: np.dtype[Any]) -> str:
    return f"lazygrad_{_NAMES[dtype][0]}"


@functools.cache
def addresses() -> dict[str, int]:
    """Where ``gemm`` lies for float32 and float64, by the names that native code calls; empty if nowhere.

    The name of a capsule of ``scipy.linalg.cython_blas`` is its C signature. One that takes integers of another
    size, or that does not multiply two matrices right, is not used.
    """
    try:
        capsules = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__
    except (ImportError, AttributeError):
        return {}
    found = {}
    for dtype, (name, letter, kind) in _NAMES.items():
        address = _address(capsules.get(name), letter, kind)
        if address is None or not _multiplies(address, dtype):
            return {}
        found[_symbol(dtype)] = address
    return found


def _address(capsule: Any, letter: str, kind: str) -> int | None:
    if type(capsule).__name__ != "PyCapsule" or ctypes.sizeof(ctypes.c_int) != 4:
        return None
    api = ctypes.pythonapi
    named = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    name = named(capsule)
    number = rf"(?:{kind}|\w*cython_blas_{letter}|{letter}) \*"
    listed = (
        ["char \\*"] * 2 + ["int \\*"] * 3 + [number] * 2 + ["int \\*", number, "int \\*"] + [number] * 2 + ["int \\*"]
    )
    if name is None or not re.fullmatch(rf"void \({', '.join(listed)}\)", name.decode()):
        return None
    return int(pointer(capsule, name))


def _multiplies(address: int, dtype: np.dtype[Any]) -> bool:
    """Whether a ``gemm`` computes what it should, tried on two small matrices."""
    a, b = np.arange(6, dtype=dtype).reshape(2, 3, order="F"), np.arange(12, dtype=dtype).reshape(3, 4, order="F")
    c = np.ones((2, 4), dtype, order="F")
    sizes = {n: ctypes.byref(ctypes.c_int(n)) for n in (2, 3, 4)}
    one = np.ones((), dtype)
    x, y, z, unit = (ctypes.c_void_p(array.ctypes.data) for array in (a, b, c, one))
    letter = ctypes.c_char_p(b"N")
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(address)
    call(letter, letter, sizes[2], sizes[4], sizes[3], unit, x, sizes[2], y, sizes[3], unit, z, sizes[2])
    return bool((c == a @ b + 1).all())


# Threads.


@functools.cache
def _library() -> tuple[Callable[[int], None], Callable[[], int]] | None:
    """Functions that set and tell the number of threads of SciPy's OpenBLAS."""
    try:
        package = Path(importlib.import_module("scipy").__file__ or "").parent
    except ImportError:
        return None
    for folder in (package.parent / "scipy.libs", package / ".libs", package / ".dylibs", package.parent / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            for prefix in ("scipy_openblas_", "openblas_"):
                try:
                    library = ctypes.CDLL(str(path))  # loaded already, so that this is the one SciPy calls
                    put, get = library[f"{prefix}set_num_threads"], library[f"{prefix}get_num_threads"]
                except (OSError, AttributeError):
                    continue
                put.argtypes, put.restype, get.argtypes, get.restype = [ctypes.c_int], None, [], ctypes.c_int
                return put, get
    return None


def set_blas_threads(count: int) -> bool:
    """Let SciPy's BLAS use so many threads, for everybody in this process; whether that could be done."""
    library = _library() if addresses() else None
    if library is None:
        return False
    library[0](count)
    return library[1]() == count


# The kernel.


def _leading(stride: int, along: int, extent: int, length: int) -> int | None:
    """The distance of rows of ``length`` numbers that lie side by side, if BLAS takes it."""
    if length > 1 and along != 1:
        return None
    if extent == 1:
        return max(1, length)
    return stride if max(1, length) <= stride < 2**31 else None


def _operand(rows: int, columns: int, row: int, column: int) -> tuple[str, int] | None:
    """How BLAS, which has columns side by side, sees the transpose of a matrix: its letter and distance."""
    plain = _leading(row, column, rows, columns)
    if plain is not None:
        return "N", plain
    turned = _leading(column, row, columns, rows)
    return None if turned is None else ("T", turned)


def _taken(form: Form) -> tuple[tuple[str, int], tuple[str, int], int] | None:
    if form.dtype not in _NAMES or max(form.m, form.n, form.k) >= 2**31 or form.items * form.m * form.n * form.k == 0:
        return None
    a = _operand(form.m, form.k, form.a[1], form.a[2])
    b = _operand(form.k, form.n, form.b[1], form.b[2])
    c = _leading(form.c[1], form.c[2], form.m, form.n)
    return None if a is None or b is None or c is None else (a, b, c)


def write_blas(product: Product, w: Writer) -> Needs:
    """Write the kernel of a product, as ``products.write`` does, by calls of BLAS.

    The module must be loaded with :func:`addresses` among its symbols. Chunks are rows or columns of C. Their
    bits do not depend on who computes them as long as BLAS itself keeps to one thread.

    Raises:
        ValueError: the operands lie in a way that BLAS does not take.
    """
    form = formed(product)
    taken = _taken(form)
    if taken is None:
        raise ValueError(f"BLAS does not take {product}")
    (a_letter, a_leading), (b_letter, b_leading), c_leading = taken
    dtype = form.dtype
    by_rows = form.m >= form.n
    length = max(form.m, form.n)
    parts = max(1, min(8, length // 64, form.m * form.n * form.k // GRAIN))
    a, b, c = (w.argument(i) for i in ((1, 0, 2) if form.turned else (0, 1, 2)))

    def integer(value: Register | int) -> Register:
        room = w.room(1, I32)
        number = w.constant(value, I32) if isinstance(value, int) else value.astype(I32)
        w.store(number, room, 0)
        return room

    def number(value: float) -> Register:
        room = w.room(1, dtype)
        w.store(w.constant(value, dtype), room, 0)
        return room

    def letter(value: str) -> Register:
        room = w.room(1, np.dtype(np.int8))
        w.store(w.constant(ord(value), np.dtype(np.int8)), room, 0)
        return room

    name = f"@{_symbol(dtype)}"
    w.definitions[name] = f"declare void {name}({', '.join(['ptr'] * 13)})"
    part_size = integer(length)
    sizes = (integer(form.n), part_size) if by_rows else (part_size, integer(form.m))
    fixed = [letter(b_letter), letter(a_letter), *sizes, integer(form.k), number(1.0)]
    beta = number(0.0)
    leading = [integer(x) for x in (b_leading, a_leading, c_leading)]
    with w.loop(w.begin, w.end) as chunk:
        item = chunk if parts == 1 else w.binary("div", chunk, w.constant(parts, I64))
        part = w.constant(0, I64) if parts == 1 else w.binary("rem", chunk, w.constant(parts, I64))
        batch = form.split(w, item)
        begin, end = (w.binary("div", x * length, w.constant(parts, I64)) for x in (part, part + 1))
        w.store((end - begin).astype(I32), part_size, 0)
        nothing, all_rows, all_columns = (w.constant(x, I64) for x in (0, form.m, form.n))
        rows = (begin, end) if by_rows else (nothing, all_rows)
        columns = (nothing, all_columns) if by_rows else (begin, end)
        here_a = w.at(a, offset(w, *zip(batch, form.a[0]), (rows[0], form.a[1])), dtype)
        here_b = w.at(b, offset(w, *zip(batch, form.b[0]), (columns[0], form.b[2])), dtype)
        item_c = w.at(c, offset(w, *zip(batch, form.c[0])), dtype)
        here_c = w.at(item_c, offset(w, (rows[0], form.c[1]), (columns[0], 1)), dtype)
        given = [*fixed, here_b, leading[0], here_a, leading[1], beta, here_c, leading[2]]
        w.line(f"call void {name}({', '.join(f'ptr {x.name}' for x in given)})")
    return Needs(form.items * parts, 0)
