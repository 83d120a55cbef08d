"""Arrays between pages that nobody may touch: what reads or writes a byte beside them dies."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

__all__ = ["guarded"]

PAGE = mmap.PAGESIZE


def guarded(array: Any, at_end: bool = True) -> Any:
    """A copy of an array that ends where a forbidden page begins, or begins where one ends; so writeable as it was."""
    array = np.ascontiguousarray(array)
    pages = -(-max(array.nbytes, 1) // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    start = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, start).reshape(array.shape)
    copy[...] = array
    for page in (begin, begin + (pages + 1) * PAGE):
        if libc.mprotect(page, PAGE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    return copy
