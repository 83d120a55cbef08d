"""LLVM in this process: what machine it is, and object code put into its memory.

Importing this never fails: where llvmlite is missing or too old, its functions raise :class:`Unavailable` with the
reason. One lock serialises them, so that a fork never finds LLVM at work: it waits for what is being loaded, some
milliseconds. What takes longer, compiling, is done in another process (:mod:`lazygrad.engine.cpu.compiler`).
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import ctypes
import functools
import itertools
import struct
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lazygrad.engine import forks
from lazygrad.engine.cpu.worker import emitted, target_machine

try:
    import llvmlite
    import llvmlite.binding as binding
except (ImportError, OSError) as reason:  # OSError: its library cannot be loaded
    _missing: str | None = f"llvmlite cannot be imported: {reason}"
else:
    _missing = None

__all__ = [
    "PIPELINE",
    "Code",
    "Host",
    "Unavailable",
    "compiled",
    "cross_compiled",
    "end",
    "load",
    "locked",
    "machine",
    "versions",
]

PIPELINE = 1  # another number whenever the same text is compiled in another way

_OLDEST = (0, 45)

_lock = forks.llvm
forks.await_from_now_on()


def locked() -> contextlib.AbstractContextManager[Any]:
    """While it lasts no other thread is in LLVM, and no fork finds it at work."""
    return _lock


class Unavailable(RuntimeError):
    """This process cannot make native code; the message says why."""


class Host(NamedTuple):
    """What code is compiled for."""

    triple: str
    cpu: str
    features: str
    width: int  # lanes of float32 that one instruction computes


def _check() -> None:
    if _missing is not None:
        raise Unavailable(_missing)
    numbers = tuple(int(part) for part in llvmlite.__version__.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        raise Unavailable(f"llvmlite {llvmlite.__version__} is too old: 0.45 or later is needed")
    if struct.calcsize("P") != 8 or sys.byteorder != "little":
        raise Unavailable("native code needs addresses of 64 bits, and the low byte first")


def versions() -> str:
    """The versions of llvmlite and of LLVM: other ones may compile the same text to other code.

    Raises:
        Unavailable: there is no llvmlite to be used.
    """
    _check()
    return f"llvmlite {llvmlite.__version__}, LLVM {'.'.join(map(str, binding.llvm_version_info))}"


@functools.cache
def machine() -> Host:
    """This machine.

    Raises:
        Unavailable: there is no llvmlite to be used, or LLVM does not know this machine.
    """
    _check()
    with _lock:
        try:
            binding.initialize_native_target()
            binding.initialize_native_asmprinter()
            triple, cpu = binding.get_process_triple(), binding.get_host_cpu_name()
        except RuntimeError as reason:
            raise Unavailable(f"LLVM does not know this machine: {reason}") from reason
        try:
            features = binding.get_host_cpu_features()
        except RuntimeError:  # LLVM cannot ask every kind of processor; the name alone is then enough
            return Host(triple, cpu, "", 4)
        width = 16 if features.get("avx512f") else 8 if features.get("avx2") else 4
        return Host(triple, cpu, features.flatten(), width)


@functools.cache
def _target(level: int) -> Any:
    host = machine()
    try:
        return target_machine(binding, host.triple, host.cpu, host.features, level)
    except RuntimeError as reason:
        raise Unavailable(f"LLVM does not know this machine: {reason}") from reason


def compiled(text: str, level: int = 1) -> bytes:
    """A module as object code, made in this process; see :func:`lazygrad.engine.cpu.compiler.compiled`.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text.
    """
    with _lock:
        target = _target(level)
        return emitted(binding, target, machine().triple, text, level)


def cross_compiled(text: str, triple: str, cpu: str, features: str, level: int = 1) -> bytes:
    """A module as object code for another machine.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text, or does not know the machine.
    """
    _check()
    with _lock:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
        target = target_machine(binding, triple, cpu, features, level)
        return emitted(binding, target, triple, text, level)


@atexit.register
def end(patience: float = 30.0) -> None:
    """Wait until no thread is in LLVM, and let none in any more: the process is about to be taken down."""
    until = time.monotonic() + patience
    while (left := until - time.monotonic()) > 0:
        try:
            _lock.acquire(timeout=left)
            return
        except KeyboardInterrupt:  # it would come to a crash a moment later
            continue


# What LLVM holds is kept here, by number, and nowhere else: what Python collects in a cycle it finalizes in any order,
# but a library must be gone before its linker. Code is unloaded at the next load rather than when it is dropped, so
# that who drops it need not wait for a compilation; and what is loaded when the process ends stays.
_loaded: dict[int, tuple[Any, Any]] = {}
_dropped: collections.deque[int] = collections.deque()
if hasattr(ctypes, "pythonapi"):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_loaded))
_linkers: list[Any] = []  # the one in use, last
_numbers = itertools.count()
_LOADS = 64


class Code:
    """Host code in memory; it stays there as long as this does.

    Attributes:
        addresses: where its functions begin, by name.
    """

    def __init__(self, number: int, addresses: dict[str, int]) -> None:
        self._number = number
        self.addresses = addresses

    def __del__(self, dropped: collections.deque[int] = _dropped) -> None:
        dropped.append(self._number)


def _linker(number: int) -> Any:
    # A linker keeps 9 KB of every library for good, and slows down. So it serves a while only, and goes with the
    # last code that it loaded.
    if number % _LOADS == 0 or not _linkers:
        # The linker of old scatters sections over memory: too far for the branches of ARM, and on x86, where much is
        # loaded beside (JAX and PyTorch), now and then too far from their constants, at which LLVM ends the process.
        target = _target(1)
        _linkers[:] = [binding.create_lljit_compiler(target, use_jit_link=True)]
    return _linkers[-1]


def load(code: bytes, names: Iterable[str], symbols: Mapping[str, int]) -> Code:
    """Object code put into memory, where the addresses of ``names`` are known.

    Args:
        code: what :func:`compiled` gave. Nothing checks it: damaged bytes end the process.
        names: functions that will be called.
        symbols: addresses of functions that the code calls, by name.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: the code needs a symbol, or lacks a name, that is not there.
    """
    with _lock:
        while _dropped:
            _unload(_dropped.popleft())
        return _load(code, list(names), symbols)


def _unload(number: int) -> None:
    tracker, linker = _loaded.pop(number)
    tracker.close()
    del tracker, linker  # the linker, if this was its last library, after it


def _load(code: bytes, names: list[str], symbols: Mapping[str, int]) -> Code:
    number = next(_numbers)
    linker = _linker(number)
    builder = binding.JITLibraryBuilder().add_object_img(code)
    for name, address in symbols.items():
        builder.import_symbol(name, address)
    for name in names:
        builder.export_symbol(name)
    builder.add_current_process()
    tracker = builder.link(linker, f"lazygrad_{number}")
    _loaded[number] = (tracker, linker)
    return Code(number, {name: tracker[name] for name in names})
