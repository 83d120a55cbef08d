"""Object code kept in memory and on disk, so that no text is compiled twice.

The folder is ``LAZYGRAD_CACHE``, or the platform's place for caches; ``LAZYGRAD_CACHE`` set to nothing, ``0`` or
``off`` keeps nothing on disk. An entry is a file named by the hash of all that its code depends on.

What lies there is run. So the folder must belong to this user, and no one else may write to it; if not, it is left
alone. An entry begins with a checksum of its name and code, and one that does not fit is deleted and compiled again.
Entries appear whole, under their name, or not at all. Nothing that goes wrong with the disk is an error: the text is
then compiled.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from lazygrad.engine.cpu.cache_folder import SUFFIX, folder
from lazygrad.engine.cpu.compiler import compiled
from lazygrad.engine.cpu.llvm import PIPELINE, Code, load, machine, versions

__all__ = ["LIMIT", "code", "folder", "kept", "key", "object_code"]

LIMIT = 256 << 20  # bytes on disk; then the entries that were not used for longest go

_FORMAT = b"lazygrad object code 1\n"
_CODES = 16  # modules that stay in memory though nobody uses them
_WRITES = 32  # between two looks at the size of the folder
_HOUR = 3600.0

_POSIX = os.name == "posix" and os.open in os.supports_dir_fd and os.scandir in os.supports_fd

_lock = threading.RLock()  # not held while there is anything to wait for
_codes: collections.OrderedDict[tuple[object, ...], Code] = collections.OrderedDict()
_writes = 0


def _renew() -> None:
    global _lock
    _lock = threading.RLock()  # another thread's may be held


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def key(text: str, level: int = 1) -> str:
    """The hash of all that object code depends on: text, compiler, processor, and how the one is made of the other.

    Raises:
        Unavailable: there is no llvmlite to be used.
    """
    host = machine()
    parts = [_FORMAT.decode(), versions(), host.triple, host.cpu, host.features, f"{PIPELINE} {level}", text]
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode()
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


def object_code(text: str, level: int = 1) -> bytes:
    """A module as object code: found on disk, or compiled and put there.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text.
    """
    return kept(key(text, level), lambda: compiled(text, level))


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """What is on disk under a name, or what ``make`` gives, put there."""
    found = _read(name)
    if found is None:
        found = make()
        _write(name, found)
    return found


def code(
    text: str, names: Iterable[str], symbols: Mapping[str, int], level: int = 1, made: bytes | None = None
) -> Code:
    """A module in memory; asked for again soon, the same one.

    The arguments are those of :func:`~lazygrad.engine.cpu.compiler.compiled` and of
    :func:`~lazygrad.engine.cpu.llvm.load`, and what the former gave, if it was asked already.

    Raises:
        Unavailable: there is no llvmlite to be used.
        RuntimeError: LLVM refuses the text, or a name or a symbol is missing.
    """
    wanted = tuple(names)
    place = (key(text, level), wanted, tuple(sorted(symbols.items())))
    with _lock:
        found = _codes.get(place)
        if found is not None:
            _codes.move_to_end(place)
            return found
    loaded = load(object_code(text, level) if made is None else made, wanted, symbols)
    with _lock:
        kept = _codes.setdefault(place, loaded)
        _codes.move_to_end(place)
        while len(_codes) > _CODES:
            _codes.popitem(last=False)
    return kept


# The disk. On POSIX the folder is opened, then looked at, then used by its descriptor: nobody can put another one in
# its place between.


def _private(status: os.stat_result) -> bool:
    return not _POSIX or (status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


@contextlib.contextmanager
def _opened(make: bool = False) -> Iterator[tuple[str, int | None]]:
    """What stands before the name of an entry, and the descriptor of the folder.

    Raises:
        OSError: there is no such folder, or it is not fit.
    """
    path = folder()
    if path is None:
        raise FileNotFoundError("nothing is kept on disk")
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    if not _POSIX:
        yield os.path.join(path, ""), None
        return
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid != os.geteuid():
        raise PermissionError("the link to the folder is another user's")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not _private(os.fstat(descriptor)):
            raise PermissionError("others may write to the folder")
        yield "", descriptor
    finally:
        os.close(descriptor)


def _open(name: str, flags: int, at: int | None) -> int:
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(name, flags, 0o600, dir_fd=at)


def _checksum(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + data).digest()


def _read(name: str) -> bytes | None:
    """The code of an entry, or None if there is none that is sound."""
    try:
        with _opened() as (before, at):
            file = before + name + SUFFIX
            descriptor = _open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0), at)
            try:
                status, whole = os.fstat(descriptor), b""
                if stat.S_ISREG(status.st_mode) and _private(status):
                    with open(descriptor, "rb", closefd=False) as stream:
                        whole = stream.read()
            finally:
                os.close(descriptor)
            data = whole[len(_FORMAT) + 32 :]
            if whole[: -len(data) or None] == _FORMAT + _checksum(name, data):
                if time.time() - status.st_mtime > _HOUR:
                    if at is None:
                        os.utime(file)
                    else:
                        os.utime(file, dir_fd=at)
                return data
            os.unlink(file, dir_fd=at)
    except (OSError, ValueError):  # ValueError: a path with a null character
        pass
    return None


def _write(name: str, data: bytes) -> None:
    """Put an entry on disk, if that can be done."""
    global _writes
    try:
        with _opened(make=True) as (before, at):
            part = before + f"{name}.{os.urandom(8).hex()}.part"
            try:
                with open(_open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, at), "wb") as stream:
                    stream.write(_FORMAT + _checksum(name, data) + data)
                os.replace(part, before + name + SUFFIX, src_dir_fd=at, dst_dir_fd=at)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=at)
                raise
            if _writes % _WRITES == 0:
                _trim(before, at)
            _writes += 1
    except (OSError, ValueError):
        pass


def _trim(before: str, at: int | None) -> None:
    """Delete the entries not used for longest, until three quarters of the limit are left; and parts left over."""
    total, entries = 0, []
    with os.scandir(before if at is None else at) as found:
        for entry in found:
            if entry.name.endswith((SUFFIX, ".part")):
                status = entry.stat(follow_symlinks=False)
                if entry.name.endswith(SUFFIX):
                    total += status.st_size
                    entries.append((status.st_mtime, status.st_size, entry.name))
                elif time.time() - status.st_mtime > _HOUR:
                    os.unlink(before + entry.name, dir_fd=at)
    if total > LIMIT:
        for _, size, name in sorted(entries):
            if total <= LIMIT * 3 // 4:
                break
            with contextlib.suppress(FileNotFoundError):  # another process trims too
                os.unlink(before + name, dir_fd=at)
            total -= size
