"""Files that are replaced as a whole, or left as they are, whatever happens and whoever else does the same.

What is written lies beside its target under a name of its own, readable by nobody else, until it is complete, synced
and given the owner and the permissions of the file that it replaces. Whoever writes holds a lock on it, which the
system lets go of when the process ends: so what a killed process has left behind is told from what another one is
writing, and deleted.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

__all__ = ["generation", "replace", "replace_all", "target_of"]

_HOUR = 3600.0


def target_of(path: str) -> Path:
    """The file that shall be written, by its absolute path; where ``path`` is a link, the one that it points to.

    Raises:
        OSError: it is not a plain file (but a folder, a device, a link to itself), or read-only.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file")
    if target.exists() and not os.access(target, os.W_OK):
        # The folder alone decides whether a file can be replaced; whoever made it read-only meant more.
        raise PermissionError(errno.EACCES, "The file is read-only")
    return target


def generation(target: Path, number: int) -> Path:
    """Where an older file of a target lies, 1 being the one that was replaced last."""
    return target.with_name(f"{target.name}.{number}")


def replace(target: Path, pieces: Iterable[bytes], keep: int = 1) -> None:
    """Write the pieces into a file beside the target, and let it take the target's place.

    Args:
        target: what :func:`target_of` gave.
        pieces: the content.
        keep: how many files stay, the older ones as :func:`generation` names them.

    Raises:
        OSError: the file cannot be written; the target is then as it was.
    """
    _sweep(target)
    with _temporary(target) as (file, stream):
        _fill(stream, pieces, target)
        if keep > 1:
            _shift(target, keep)
        if os.name == "nt":
            stream.close()  # Windows renames no file that is open
        os.replace(file, target)
    _sync_folder(target.parent)


def replace_all(files: Mapping[Path, bytes]) -> None:
    """Write several files beside their targets, and only when all of them are complete let them take their places.

    An interrupt between the first and the last of these waits for the last.

    Raises:
        OSError: a file cannot be written; all are then as they were.
    """
    with contextlib.ExitStack() as stack:
        ready = []
        for target, data in files.items():
            _sweep(target)
            file, stream = stack.enter_context(_temporary(target))
            _fill(stream, [data], target)
            ready.append((target, file, stream))
        before = {target: target.read_bytes() if target.exists() else None for target in files}
        _renamed(ready, before)
    for folder in {target.parent for target in files}:
        _sync_folder(folder)


def _renamed(ready: Sequence[tuple[Path, Path, BinaryIO]], before: Mapping[Path, bytes | None]) -> None:
    """Rename all; where one cannot be, put back what was there before."""
    stopped: BaseException | None = None
    for target, file, stream in ready:
        while file.exists():
            try:
                if os.name == "nt":
                    stream.close()
                os.replace(file, target)
            except OSError:
                for done, old in before.items():
                    with contextlib.suppress(OSError):
                        if old is None:
                            done.unlink(missing_ok=True)
                        elif done.read_bytes() != old:
                            replace(done, [old])
                raise
            except BaseException as reason:  # an interrupt: the others follow before it is heard
                stopped = reason
    if stopped is not None:
        raise stopped


def _fill(stream: BinaryIO, pieces: Iterable[bytes], target: Path) -> None:
    """Write and sync what takes the place of a target."""
    stream.writelines(pieces)
    stream.flush()
    _take_after(stream.fileno(), target)
    os.fsync(stream.fileno())


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside the target, locked; deleted if it is still there at the end."""
    while True:
        file = target.with_name(f"{_beginning(target)}{_host()}{os.urandom(8).hex()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        for name in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, name, 0)
        descriptor = os.open(file, flags, 0o600)
        try:
            with open(descriptor, "wb") as stream:
                _lock(descriptor, wait=True)
                if os.name == "nt" or os.fstat(descriptor).st_nlink:  # else swept away before it was locked
                    yield file, stream
                    return
        finally:
            with contextlib.suppress(OSError):
                os.unlink(file)


def _beginning(target: Path) -> str:
    """How the names of temporary files of a target begin; short, as a name must not be too long."""
    name = target.name
    if len(name) > 40:
        name = f"{name[:30]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    return f".{name}."


def _host() -> str:
    """Eight digits for this machine: a lock of another one is not always seen from here."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _lock(descriptor: int, wait: bool = False) -> bool | None:
    """Lock an open file: whether it could be done, or None if there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _sweep(target: Path) -> None:
    """Delete what processes that were killed have left beside the target.

    Only files of this user go, under names that :func:`replace` gives, and only those that nobody is writing: on this
    machine what is not locked; from another machine, or without locks, what has not been changed for an hour.
    """
    if os.name != "posix":
        return
    beginning = re.escape(_beginning(target))
    older = re.escape(f".{target.name[:40]}.")  # of lazygrad when files were of version 1; it did not lock them
    names = re.compile(rf"{beginning}([0-9a-f]{{8}})[0-9a-f]{{16}}\.tmp|{older}[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as found:
        for entry in found:
            match = names.fullmatch(entry.name)
            if match is not None:
                with contextlib.suppress(OSError):
                    _delete_if_left(entry.path, here=match[1] == _host())


def _delete_if_left(file: str, here: bool) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            return
        locked = _lock(descriptor)
        old = time.time() - status.st_mtime > _HOUR
        if (old and locked is not False) or (here and locked):
            if os.path.samestat(status, os.lstat(file)):
                os.unlink(file)
    finally:
        os.close(descriptor)


def _take_after(descriptor: int, target: Path) -> None:
    """Give a new file the owner, the group and the permissions of the one that it replaces.

    Where the system does not let this user give a file away, it is this user's; and a group that the old file was not
    of gets no more than everyone.
    """
    if not hasattr(os, "fchown"):
        return
    try:
        old = os.stat(target)
    except FileNotFoundError:
        os.fchmod(descriptor, 0o666 & ~_mask())
        return
    mode = stat.S_IMODE(old.st_mode)
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError:
            mode &= 0o777
            try:
                os.fchown(descriptor, -1, old.st_gid)
            except PermissionError:
                mode &= 0o707 | (mode & 0o007) << 3
    os.fchmod(descriptor, mode)


def _mask() -> int:
    """The permissions that new files of this process do not get."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o077)  # to ask is to change it, for a moment
    os.umask(mask)
    return mask


def _shift(target: Path, keep: int) -> None:
    """Make the old files of a target one generation older, and the present one, which stays in place, the first."""
    last = generation(target, 1)
    try:
        if not target.exists() or os.path.samefile(last, target):  # the same, if a process was killed just then
            return
    except FileNotFoundError:  # there is no older one
        pass
    for number in range(keep - 1, 1, -1):
        with contextlib.suppress(FileNotFoundError):
            os.replace(generation(target, number - 1), generation(target, number))
    with contextlib.suppress(FileNotFoundError):
        os.unlink(last)
    try:
        os.link(target, last)
    except FileExistsError:  # another process has just done the same
        pass
    except OSError:  # a file system without links
        replace(last, _pieces(target))


def _pieces(file: Path) -> Iterator[bytes]:
    with open(file, "rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece


def _sync_folder(folder: Path) -> None:
    """Make the renaming last. Where a folder cannot be synced, a power cut may bring back the old file, whole."""
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
