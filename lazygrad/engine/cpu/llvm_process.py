"""The process in which LLVM works, as this process sees it: started, asked, and left.

Importing this imports no llvmlite, so that the one process can start while the other still imports.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

from lazygrad import settings
from lazygrad.engine.cpu import worker

__all__ = ["Gone", "Stopped", "asked", "start", "stop", "usable"]


class Stopped(Exception):
    """The compilation was given up."""


class Gone(Exception):
    """No process can be started."""


def usable() -> bool:
    """Whether LLVM works in a process of its own: not all can start one, nor does ``LAZYGRAD_COMPILER=thread``."""
    return settings.compiler() != "thread" and not _refused and _can_start()


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
                command = [sys.executable, "-I", "-S", worker.__file__, _site()]
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


def _site() -> str:
    """The folder that llvmlite lies in."""
    found = importlib.util.find_spec("llvmlite")
    return str(Path(found.origin or "").parents[1]) if found is not None else ""


def start() -> None:
    """Start the process, if there is none, while there is something else to do."""
    global _worker
    with _lock:
        if _worker is None and usable():
            with contextlib.suppress(OSError, subprocess.SubprocessError, RuntimeError):
                _worker = _Worker()


def asked(text: str, level: int) -> bytes:
    """A module as object code.

    Raises:
        RuntimeError: LLVM refuses the text, or ended while it worked.
        Stopped: it was given up, see :func:`stop`.
        Gone: no process can be started.
    """
    global _worker, _refused
    with _lock:
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
                raise Gone from None
            try:
                return _worker.ask(text, level)
            except (OSError, EOFError):
                _close()
                if _stops != before:
                    raise Stopped from None
            except RuntimeError:
                raise
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
