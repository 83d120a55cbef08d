"""Where the functions of LAPACK and BLAS lie that SciPy carries, so that native code can call them.

``scipy.linalg.cython_lapack`` and ``cython_blas`` hand out their addresses in capsules, whose names are their types in
C. They are no part of object code: that names them, and the linker is told where they are. So it can be kept on disk.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import platform
import re
from typing import Any

from lazygrad.engine.emit.lapack import FUNCTIONS, PREFIX, signature

__all__ = ["addresses"]


@functools.cache
def addresses() -> dict[str, int]:
    """The address of each function by its name in native code; empty if they cannot be had.

    SciPy is imported here, and nowhere else in the engine. Where a function takes other arguments than are given, such
    as integers of another size, none is called.
    """
    if platform.python_implementation() != "CPython" or ctypes.sizeof(ctypes.c_int) != 4:
        return {}
    try:
        modules = [importlib.import_module(f"scipy.linalg.cython_{library}") for library in ("blas", "lapack")]
        capsules = {name: found for module in modules for name, found in module.__pyx_capi__.items()}
    except (ImportError, AttributeError):
        return {}
    found = {f"{PREFIX}{letter}{name}": _address(capsules, name, letter) for name in FUNCTIONS for letter in "sd"}
    known = {name: address for name, address in found.items() if address is not None}
    return known if len(known) == len(found) else {}


def _address(capsules: dict[str, Any], name: str, letter: str) -> int | None:
    """The address in a capsule; None if the function is missing or of another type."""
    capsule = capsules.get(letter + name)
    if type(capsule).__name__ != "PyCapsule":
        return None
    api = ctypes.pythonapi
    named = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    kind = named(capsule)
    if kind is None or not re.fullmatch(signature(name, letter), kind.decode()):
        return None
    return int(pointer(capsule, kind))
