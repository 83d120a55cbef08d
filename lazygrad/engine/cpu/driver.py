"""Running a table of kernels with one native call, and the pool of threads that helps.

A table is an array of int64 with four columns, a row an instruction:

==================  =================================================================================
address             of ``i64 kernel(ptr arguments, i64 begin, i64 end)``, which does chunks ``begin``, …,
                    ``end - 1`` and returns 0, or what went wrong
arguments           address of its row of arguments
chunks              how many there are; a kernel called with all of them does the whole work
flags               1 if chunks may run at the same time, in any order; 2 more if results below the least normal
                    number become zero
==================  =================================================================================

Rows run in order, each when the one before is done. A row whose kernel returns another number than 0 is the last.
A run returns 0, or the number of that row, counted from 1. Nothing is checked: addresses must be right, and what they
point to must live until the call is over. Results do not depend on the number of threads if no chunk depends on
another.

Any number of Python threads may run tables at once; one at a time has the pool, the others go alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazygrad.engine.cpu.cache import object_code
from lazygrad.engine.cpu.llvm import Code, load, machine
from lazygrad.engine.cpu.llvm_called import undisturbed_text
from lazygrad.engine.cpu.llvm_driver import driver_text
from lazygrad.engine.cpu.llvm_floats import floats_text
from lazygrad.engine.cpu.llvm_repeats import repeats_text
from lazygrad.threads import get_threads, heard, introduce

__all__ = ["COLUMNS", "caller", "compiled", "hire", "repeat_address", "run", "run_address", "threads"]

COLUMNS = 4

# How long a worker looks for work before it sleeps, in seconds: over the serial row between two shared ones, but not so
# long that it is in the way of the threads of BLAS.
_PATIENCE = 20e-6

_POSIX = ("pthread_mutex_init", "pthread_mutex_trylock", "pthread_cond_init", "pthread_cond_wait", "sched_yield")
_PYTHON = (
    "PyTuple_GetItem",
    "PyLong_AsVoidPtr",
    "PyLong_FromLongLong",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "PyErr_Occurred",
    "PyErr_CheckSignals",
    "PyGILState_Ensure",
    "PyGILState_Release",
)
_METH_NOARGS = 0x0004

_lock = threading.RLock()
_hired: list[threading.Thread] = []
_asked: list[bool] = []  # whether there is a table with a row that is shared


class _Method(ctypes.Structure):
    """``PyMethodDef`` of Python's stable interface."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Driver(NamedTuple):
    code: Code
    run: Callable[[int, int], int]
    pool: bool
    held: _Method | None
    released: _Method | None


def _for_ever(kept: Any) -> None:
    # Threads and functions may outlive the modules of a process that ends, so what they use is never freed.
    if hasattr(ctypes, "pythonapi"):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def _found(library: Any, names: tuple[str, ...]) -> dict[str, int]:
    """Addresses of functions of a library; none if one is missing."""
    try:
        return {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names}
    except AttributeError:
        return {}


def _pool() -> bool:
    return os.name == "posix" and bool(_found(ctypes.CDLL(None), _POSIX))


def _python() -> dict[str, int]:
    return _found(ctypes.pythonapi, _PYTHON) if platform.python_implementation() == "CPython" else {}


@functools.cache
def compiled() -> bytes:
    """The driver as object code."""
    triple, python = machine().triple, bool(_python())
    texts = driver_text(triple, _pool(), python), floats_text(triple), repeats_text(), undisturbed_text(triple, python)
    return object_code("".join(texts))


def _driver() -> _Driver:
    with _lock:  # two would have a pool each
        return _made()


@functools.cache
def _made() -> _Driver:
    pool, python = _pool(), _python()
    names = [
        *("run", "repeat", "either"),
        *(["serve", "reset", "wait", "pauses", "allow"] if pool else []),
        *(["held", "released"] if python else []),
    ]
    code = load(compiled(), names, python)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)(code.addresses["run"])
    methods = [
        _Method(name, code.addresses[name.decode()], _METH_NOARGS, None) if python else None
        for name in (b"held", b"released")
    ]
    _for_ever(code)
    for method in methods:
        _for_ever(method)
    driver = _Driver(code, call, pool, *methods)
    if pool:
        _native(driver, "reset")()
        _native(driver, "wait", ctypes.c_int64)(_turns(driver))
        introduce(imports=True)
        _native(driver, "allow", ctypes.c_int64)(get_threads() - 1)
    return driver


def _native(driver: _Driver, name: str, *types: Any) -> Any:
    return ctypes.CFUNCTYPE(None, *types)(driver.code.addresses[name])


def _turns(driver: _Driver) -> int:
    pauses = _native(driver, "pauses", ctypes.c_int64)
    elapsed = []
    for _ in range(5):
        start = time.perf_counter()
        pauses(200)
        elapsed.append(time.perf_counter() - start)
    return int(200 * _PATIENCE / min(elapsed))


def _check(table: NDArray[np.int64]) -> None:
    if table.dtype != np.int64 or table.shape[1:] != (COLUMNS,) or not table.flags.c_contiguous:
        raise TypeError(f"a table is int64[n, {COLUMNS}], its numbers side by side, not {table.dtype}{table.shape}")


def run_address() -> int:
    """The address of ``i64 run(ptr table, i64 count)``, for native code that calls it."""
    return _driver().code.addresses["run"]


def repeat_address(name: str = "repeat") -> int:
    """The address of the kernel ``repeat`` or ``either``, whose first argument is a description of what it runs."""
    return _driver().code.addresses[name]


def run(table: NDArray[np.int64], count: int | None = None) -> int:
    """Run the first ``count`` rows of a table, or all of them; other Python threads go on meanwhile.

    Returns:
        0, or the number from 1 on of the row that failed.
    """
    _check(table)
    return _driver().run(table.ctypes.data, len(table) if count is None else count)


def caller(table: NDArray[np.int64], *kept: Any, release: bool = True) -> Callable[[], int]:
    """A function of nothing that runs a table, quicker to call than :func:`run`.

    Args:
        table: what to run. It may be changed between calls, in place.
        kept: what shall live as long as the function does, such as the code and the arguments of the kernels.
        release: whether other Python threads go on meanwhile. It costs little; but when they are busy, the interpreter
            may come back only after 5 ms. Without it, no kernel may call Python.
    """
    _check(table)
    driver = _driver()
    method = driver.released if release else driver.held
    if method is None:
        return functools.partial(_run_kept, table, kept)
    block = np.array([table.ctypes.data, len(table)], np.int64)
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    made: Callable[[], int] = new(("PyCFunction_NewEx", ctypes.pythonapi))(
        ctypes.addressof(method), (block.ctypes.data, block, table, *kept), None
    )
    return made


def _run_kept(table: NDArray[np.int64], kept: tuple[Any, ...]) -> int:
    return run(table)


# The pool. Its workers are Python's threads, each in one native call that ends with the process.


def threads() -> int:
    """How many threads share a row, the caller included."""
    return get_threads()


def _allow(count: int) -> None:
    """Let so many threads share rows from now on."""
    with _lock:
        if _made.cache_info().currsize and _made().pool:
            _native(_made(), "allow", ctypes.c_int64)(count - 1)
            if _asked:
                hire()


heard(_allow)


def hire(count: int | None = None) -> int:
    """Start the workers that are not there yet: call it before the first table with a row that is shared.

    Args:
        count: how many there shall be; one less than :func:`threads` unless said.

    Returns:
        How many there are. None if one thread is to do all, the system has no threads of POSIX, or Python comes to its
        end; everything then runs alone.
    """
    with _lock:
        driver = _driver()
        _asked[:] = [True]
        if driver.pool:
            if count is not None:
                _native(driver, "allow", ctypes.c_int64)(max(count, threads() - 1))
            serve = _native(driver, "serve")
            with contextlib.suppress(RuntimeError):  # no more threads, or Python comes to its end
                while len(_hired) < (threads() - 1 if count is None else count):
                    name = f"lazygrad worker {len(_hired) + 1}"
                    thread = threading.Thread(target=serve, name=name, daemon=True)
                    thread.start()
                    _hired.append(thread)
        return len(_hired)


def _forget() -> None:
    # A forked process has no thread but the one that forked. The lock may be held by another one, which never ends.
    global _lock
    _lock = threading.RLock()
    _hired.clear()
    if _made.cache_info().currsize and _made().pool:
        _native(_made(), "reset")()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
