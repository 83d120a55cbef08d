"""Files of variables: written whole or not at all, and read without running or believing anything in them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import reprlib
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazygrad.document import DTYPES, FORMAT, VERSION, Document, Entry, from_json, from_rust, pieces
from lazygrad.errors import SaveError, nearest, report
from lazygrad.registry import here
from lazygrad.spec import Spec

__all__ = ["Document", "Entry", "check_fits", "read", "write"]

_EDITED = "The file was damaged or edited: use another copy."
_CUT_OFF = "The file may be cut off: use another copy."
_RUST = "It looks like a file of the Rust crate autograd, but is damaged: use another copy."
_OTHER = "Give a file that env.save wrote."


def write(path: Any, document: Document) -> None:
    """Write the document beside its file, sync, and rename; a crash leaves the old file whole.

    Where ``path`` is a link, the file it points to is replaced, and the link stays.

    Raises:
        SaveError: the file cannot be written, or a variable is of a dtype that no file can hold.
    """
    for entry in document.entries:
        if str(entry.array.dtype) not in DTYPES:
            what = f"cannot save variable {entry.path!r} of {entry.array.dtype}"
            cure = "Its bits mean other numbers on other machines: register the variable as float64."
            raise SaveError(report(what, at=here(), cure=cure))
    try:
        target = _target(path)
        temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
        try:
            with open(temporary, "x", encoding="utf-8", newline="\n") as file:
                file.writelines(pieces(document))
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except (OSError, ValueError) as reason:
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        what = f"cannot save to {_shown(path)}"
        raise SaveError(report(what, at=here(), facts=[_said(reason)], cure=cure)) from reason


def _target(path: Any) -> Path:
    """The file that shall be written. What is not a plain file (a folder, a device) must never be replaced."""
    target = Path(os.path.realpath(_given(path)))
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


def _given(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError("a path is text or a pathlib.Path")
    return os.fsdecode(path)


def _sync_folder(folder: Path) -> None:
    """Make the renaming last. Where a folder cannot be synced, a power cut may bring back the old file, whole."""
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def read(path: Any, dtype: np.dtype[Any] | None = None, mine: Mapping[str, Spec] | None = None) -> Document:
    """The document in a file.

    Args:
        path: the file.
        dtype: of the variables in a file that does not say it; found out from the numbers, if not given.
        mine: likewise, variables whose dtype is known.

    Raises:
        SaveError: the file cannot be read or understood.
    """
    content = _content(path)
    if isinstance(content, dict) and {"array_list", "name_to_id"} <= content.keys():
        with _damage(path, _RUST):
            return from_rust(content, dtype, mine or {})
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _unreadable(path, f'It has no "format": "{FORMAT}".', _OTHER)
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        cure = f"This lazygrad reads version {VERSION}: install the one that wrote the file, or a newer one."
        raise _unreadable(path, f"Its version is {reprlib.repr(version)}.", cure)
    with _damage(path, _EDITED):
        return from_json(content)


def _content(path: Any) -> Any:
    """The JSON in a file."""
    try:
        file = Path(_given(path))
        if file.exists() and not file.is_file() and not file.is_dir():
            raise OSError(errno.EINVAL, "It is a device or a pipe, not a file")  # which may never end
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as reason:
        raise _unreadable(path, f"It is not text in UTF-8: {reason.reason} at byte {reason.start}.", _EDITED) from None
    except (OSError, ValueError) as reason:
        raise _unreadable(path, _said(reason), "Check the path.") from reason
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except ValueError as reason:
        raise _unreadable(path, f"It is not JSON: {reason}.", _CUT_OFF) from None
    except RecursionError:
        raise _unreadable(path, "It is nested too deep.", _OTHER) from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"there is no {text} in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice; of two, one would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{reprlib.repr(twice)} stands twice in one object")
    return found


def _unreadable(path: Any, fact: str, cure: str) -> SaveError:
    return SaveError(report(f"cannot read {_shown(path)}", at=here(), facts=[fact], cure=cure))


@contextlib.contextmanager
def _damage(path: Any, cure: str) -> Iterator[None]:
    """Tell of what does not fit in a file as a SaveError."""
    try:
        yield
    except ValueError as reason:
        said = str(reason)
        raise _unreadable(path, f"{said[:1].upper()}{said[1:]}.", cure) from None


def _shown(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else reprlib.repr(path)


def _said(reason: Exception) -> str:
    return f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"


def check_fits(path: Any, document: Document, mine: Mapping[str, Spec], strict: bool) -> None:
    """Raise SaveError unless the variables in the file are those of the environment."""
    what = f"cannot restore {_shown(path)}"
    cure = "Use strict=False to take only what fits."
    theirs = {entry.path: entry for entry in document.entries}
    for name, entry in theirs.items():
        got = Spec(entry.array.shape, entry.array.dtype)
        if name in mine and mine[name] != got:
            facts = [f"environment:  {mine[name]}", f"file:         {got}"]
            other = f"{what}: variable {name!r} is another"
            raise SaveError(report(other, at=here(), facts=facts, cure="The file belongs to another model."))
        if strict and name not in mine and entry.trainable:
            lacking = f"{what}: the environment has no variable {name!r}"
            raise SaveError(report(lacking, at=here(), facts=[nearest(name, mine)], cure=cure))
    missing = [name for name in mine if name not in theirs]
    if strict and missing:
        lacking = f"{what}: it has no variable {missing[0]!r}"
        raise SaveError(report(lacking, at=here(), facts=[nearest(missing[0], theirs)], cure=cure))
