"""Text -> object code, in a process beside this one, so that LLVM can be left at any moment.

A thread cannot be stopped inside LLVM, a fork copies its locks as they are, and a fault of it ends the process. A
process can be left: who cancels, forks or ends closes the connection, and the worker ends by itself. Where no process
can be started, LLVM works in this one, kernels at a time (``docs/decisions/0013-compiling-beside.md``).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

from lazygrad.codegen import llvm, worker

__all__ = ["Stopped", "compiled", "place", "start", "stop"]


class Stopped(Exception):
    """The compilation was given up."""


def place() -> str:
    """Where LLVM works: ``"process"``, or ``"thread"`` if ``LAZYGRAD_COMPILER`` says so or there can be no process."""
    said = os.environ.get("LAZYGRAD_COMPILER", "") or "process"
    return "thread" if said == "thread" or not _can_start() else "process"


@functools.cache
def _can_start() -> bool:
    # Of a program in which Python is embedded or frozen, the executable is the program itself.
    name = os.path.basename(sys.executable or "")
    usual = re.fullmatch(r"python[\d.]*[a-z]*|pypy[\d.]*", name) is not None
    return os.name == "posix" and usual and not hasattr(sys, "frozen") and Path(worker.__file__).is_file()


class _Worker:
    """The process, which is being started, and the connection to it."""

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair()
        _connections.add(self.connection)
        try:
            with theirs:
                command = [sys.executable, "-I", "-S", worker.__file__, str(llvm.site())]
                self._started: subprocess.Popen[bytes] | None = subprocess.Popen(
                    command,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at a terminal is for the program
                )
        except BaseException:
            _left(self.connection)
            raise

    def wait(self) -> None:
        """Return when it is there.

        Raises:
            EOFError: it never will be.
        """
        if self._started is not None:
            self._started.wait()  # it leaves a process of its own behind, at once
            if worker.received(self.connection, 1) != worker.READY:
                raise EOFError
            self._started = None

    def leave(self) -> None:
        """Close the connection, whoever waits at it."""
        if self._started is not None:
            self._started.returncode = 0  # there is nobody to wait for
        _left(self.connection)

    def ask(self, text: str, level: int) -> bytes:
        data = text.encode()
        self.connection.sendall(len(data).to_bytes(8, "little") + bytes([level]) + data)
        good = worker.received(self.connection, 1)[0]
        answer = worker.received(self.connection, int.from_bytes(worker.received(self.connection, 8), "little"))
        if not good:
            raise RuntimeError(answer.decode(errors="replace"))
        return answer


_lock = threading.RLock()  # one request at a time
_connections: set[socket.socket] = set()
_worker: _Worker | None = None
_stops = 0  # how often what was under way has been given up
_refused = False  # whether no process could be started


def compiled(text: str, level: int = 1) -> bytes:
    """A module as object code.

    Level 1 is for text whose loops are vectorised and free of invariant code, as a ``Writer`` makes it: variables
    become registers, and nothing else is looked for. Level 2 runs all of LLVM's passes but the vectorisers. Measured on
    fused loops, reductions and register tiles, its code is as fast and takes 1.5 to 3 times as long to make.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text, or ended while it worked.
        Stopped: it was given up, see :func:`stop`.
    """
    llvm.machine()
    with _lock:
        if _refused or place() == "thread":
            return llvm.compiled(text, level)
        return _asked(text, level)


def start() -> None:
    """Start the process, if one will be needed, while there is something else to do."""
    global _worker
    with _lock:
        if _worker is None and not _refused and place() == "process":
            with contextlib.suppress(OSError, subprocess.SubprocessError, RuntimeError):
                _worker = _Worker()


def _asked(text: str, level: int) -> bytes:
    global _worker, _refused
    before = _stops
    for _ in range(2):  # a worker may have ended just now, as nobody asked for long
        try:
            if _worker is None:
                _worker = _Worker()
            _worker.wait()
        except (OSError, EOFError, subprocess.SubprocessError, RuntimeError):
            _close()
            if _stops != before:
                raise Stopped from None
            _refused = True
            return llvm.compiled(text, level)
        try:
            return _worker.ask(text, level)
        except (OSError, EOFError):
            _close()
            if _stops != before:
                raise Stopped from None
        except BaseException:  # an interrupt in the middle of an answer
            _close()
            raise
    raise RuntimeError("LLVM ended while it compiled")


def _close() -> None:
    global _worker
    left, _worker = _worker, None
    if left is not None:
        left.leave()


def _left(connection: socket.socket) -> None:
    connection.close()
    _connections.discard(connection)


def stop() -> None:
    """Give up what is being compiled, at once; what is asked for next is compiled by another worker."""
    global _stops
    _stops += 1
    left = _worker
    if left is not None:
        with contextlib.suppress(OSError):  # closed already
            left.connection.shutdown(socket.SHUT_RDWR)


def _end() -> None:
    stop()
    _close()
    llvm.end()


def _renew() -> None:
    # The worker is the parent's, and so is the thread that may hold the lock.
    global _lock
    _lock = threading.RLock()
    _close()
    while _connections:
        _connections.pop().close()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
