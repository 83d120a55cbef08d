"""Files of variables: written whole or not at all, and read without running or believing anything in them."""

from __future__ import annotations

import contextlib
import errno
import os
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from lazygrad.errors import SaveError, nearest, report
from lazygrad.files import replacing
from lazygrad.files.arrays import TEXT
from lazygrad.files.content import checked_path, said
from lazygrad.files.document import (
    FORMAT,
    MOST_LETTERS,
    MOST_VARIABLES,
    NAMES,
    ON_PURPOSE,
    VERSIONS,
    Document,
    Record,
    Rows,
    UnreadableError,
    from_members,
    pieces,
    unknown_version,
    usable,
)
from lazygrad.files.jsontext import MOST_DIGITS, NotJSONError, NotTextError, Reader
from lazygrad.files.npz import npz_pieces, read_npz
from lazygrad.files.others import foreign, other_form
from lazygrad.files.rust import from_rust, is_rust
from lazygrad.files.safetensors import is_safetensors, read_safetensors, safetensors_pieces
from lazygrad.graph.registry import here
from lazygrad.graph.spec import Spec

__all__ = ["Document", "Record", "check_fits", "read", "write"]

MOST_BYTES = 2**40  # of a file

_EDITED = "The file was damaged or edited: use another copy."
_CUT_OFF = "The file may be cut off: use another copy."
_FOREIGN = "The file was damaged, or is not of variables: use another copy."
_RUST = "It looks like a file of the Rust crate autograd, but is damaged: use another copy."
_OTHER = "Give a file that env.save wrote."


def write(path: Any, document: Document, keep: int = 1) -> None:
    """Write the document beside its file, sync, and rename; a crash leaves the old file whole.

    Where ``path`` is a link, the file it points to is replaced, and the link stays.

    A name that ends in ``.npz`` or ``.safetensors`` says the form; all others are JSON, and so is every checkpoint.
    A name that says a form of another program is refused.

    Args:
        path: the file.
        document: what it shall hold.
        keep: how many files stay, the older ones named by numbers: ``model.json``, ``model.json.1``, ....

    Raises:
        SaveError: the file cannot be written, or there is something in it that no file can hold.
        BackendError: it needs a package that is not installed.
    """
    _check_can_be_held(document)
    file = checked_path(path, "save to")
    form = file.suffix.lower() if document.training is None else ""
    _check_form(path, form)
    _check_free(document, form)
    try:
        written = _FORMS.get(form, pieces)
        replacing.replace(replacing.target_of(str(file)), _counted(written(document)), keep)
    except SaveError:
        raise
    except (OSError, ValueError) as reason:
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        what = f"cannot save to {_shown(path)}"
        raise SaveError(report(what, at=here(), facts=said(reason, file), cure=cure)) from reason


_FORMS = {".npz": npz_pieces, ".safetensors": safetensors_pieces}
_KEPT = {".npz": TEXT, ".safetensors": "__metadata__"}  # what a form calls the text among the arrays


def _check_form(path: Any, form: str) -> None:
    """Raise SaveError if the name says a form that is not written."""
    wanted = other_form(form)
    if wanted is not None:
        cure = "A name that ends in .npz or .safetensors makes a file of that form, .json one of lazygrad's own."
        what = f"cannot save to {_shown(path)}: no file of the form {form} is written"
        raise SaveError(report(what, at=here(), facts=[wanted], cure=cure))


def _check_free(document: Document, form: str) -> None:
    """Raise SaveError if a variable is called what the form calls its text."""
    if any(record.path == _KEPT.get(form) for record in document.records):
        what, cure = f"cannot save variable {_KEPT[form]!r} to a file of the form {form}", "Save to a .json file."
        raise SaveError(report(what, at=here(), facts=["There this name is kept for the text."], cure=cure))


def _check_can_be_held(document: Document) -> None:
    """Raise SaveError at what could not be read again."""
    for records, letters in [(document.records, MOST_LETTERS), (document.training or [], 2 * MOST_LETTERS)]:
        if len(records) > MOST_VARIABLES:
            what, cure = f"cannot save {len(records)} variables", f"A file holds at most {MOST_VARIABLES}."
            raise SaveError(report(what, at=here(), cure=cure))
        for record in records:
            if record.array.dtype not in NAMES:
                what = f"cannot save variable {reprlib.repr(record.path)} of {record.array.dtype}"
                cure = "Its bits mean other numbers on other machines: register the variable as float64."
                if record.array.dtype.kind not in "biuf":
                    cure = "A file holds numbers and booleans."
                raise SaveError(report(what, at=here(), cure=cure))
            try:
                usable(record.path, letters)
            except ValueError as reason:
                what = f"cannot save variable {reprlib.repr(record.path)}"
                cure = "A name is printable text without spaces at its ends; '/' divides namespaces."
                raise SaveError(report(what, at=here(), facts=[f"{reason}."], cure=cure)) from None
    if document.seed is not None and document.seed >= 10**MOST_DIGITS:
        what, cure = "cannot save a random state with so large a seed", f"A seed has at most {MOST_DIGITS} digits."
        raise SaveError(report(what, at=here(), cure=cure))


def _counted(data: Iterator[bytes]) -> Iterator[bytes]:
    count = 0
    for piece in data:
        count += len(piece)
        if count > MOST_BYTES:
            raise OSError(errno.EFBIG, f"A file has at most {MOST_BYTES} bytes")
        yield piece


def read(path: Any, dtype: np.dtype[Any] | None = None, mine: Mapping[str, Spec] | None = None) -> Document:
    """The document in a file.

    Args:
        path: the file.
        dtype: of the variables in a file that does not say it; found out from the numbers, if not given.
        mine: likewise, variables whose dtype is known.

    Raises:
        SaveError: the file cannot be read or understood.
        BackendError: it needs a package that is not installed.
    """
    file = checked_path(path, "read")
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise OSError(errno.EINVAL, "It is a device or a pipe, not a file")  # which may never end
        with open(file, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MOST_BYTES:
                raise UnreadableError(f"It has {size} bytes, more than {MOST_BYTES}.", _OTHER)
            beginning = stream.read(64)
            stream.seek(0)
            other, form = foreign(beginning), _form(file.suffix.lower(), beginning)
            if other is not None:
                raise UnreadableError(*other)
            if form == ".npz":
                with _damage(_FOREIGN):
                    return read_npz(stream, dtype)
            if form == ".safetensors":
                with _damage(_FOREIGN):
                    return read_safetensors(stream, file, dtype)
            return understood(stream, dtype, mine or {})
    except UnreadableError as reason:
        raise _unreadable(path, [reason.args[0]], reason.args[1]) from None
    except (OSError, ValueError) as reason:
        raise _unreadable(path, said(reason, file), "Check the path.") from reason


def _form(suffix: str, beginning: bytes) -> str:
    """Which form a file has: its beginning says it, and its name only where that says nothing."""
    if is_safetensors(beginning):
        return ".safetensors"
    if beginning.startswith(b"PK"):
        return ".npz"
    return "" if beginning.lstrip(b" \t\r\n").startswith(b"{") else suffix


@contextlib.contextmanager
def _damage(cure: str) -> Iterator[None]:
    """Tell of what does not fit in a file as an UnreadableError."""
    try:
        yield
    except NotTextError as reason:
        raise UnreadableError(f"{reason}.", _EDITED) from None
    except NotJSONError as reason:
        raise UnreadableError(f"It is not JSON: {reason}.", _CUT_OFF) from None
    except ValueError as reason:
        said = str(reason)
        raise UnreadableError(f"{said[:1].upper()}{said[1:]}.", cure) from None


def understood(stream: BinaryIO, dtype: np.dtype[Any] | None, mine: Mapping[str, Spec]) -> Document:
    """The document in an open file; raises UnreadableError."""
    with _damage(_OTHER):
        reader = Reader(stream)
        if not reader.is_object():
            reader.value()
            reader.end()
            raise ValueError(f'it has no "format": "{FORMAT}"')
        content, digest, last = _members(reader)
    if is_rust(content):
        with _damage(_RUST):
            return from_rust(content, dtype, mine)
    if content.get("format") != FORMAT:
        raise UnreadableError(f'It has no "format": "{FORMAT}".', _OTHER)
    version = content.get("version")
    if type(version) is not int or version not in VERSIONS:
        raise unknown_version(version)
    if version > 1 and "checksum" not in content:
        raise UnreadableError("It has no checksum.", ON_PURPOSE)
    checksum = content.get("checksum")
    if checksum is not None and (version > 1 or _is_checksum(checksum)):
        if checksum != digest:
            raise UnreadableError("It does not fit its checksum: it was damaged or edited.", ON_PURPOSE)
        if last != "checksum":
            raise UnreadableError(f"The member {last!r} stands after the checksum, which is not of it.", ON_PURPOSE)
    with _damage(_EDITED):
        return from_members(content)


def _members(reader: Reader) -> tuple[dict[str, Any], str, str]:
    """The members, variables taken out of the text one after the other; what the checksum should be; the last name."""
    content: dict[str, Any] = {}
    digest = name = ""
    for name in reader.members():
        if name == "checksum":
            digest = reader.digest()
        if name in ("variables", "training") and reader.is_list():
            content[name] = Rows.of(reader.items(), name, MOST_LETTERS * (2 if name == "training" else 1))
        else:
            content[name] = reader.value()
    return content, digest, name


def _is_checksum(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _unreadable(path: Any, facts: list[str], cure: str) -> SaveError:
    return SaveError(report(f"cannot read {_shown(path)}", at=here(), facts=facts, cure=cure))


def _shown(path: Any) -> str:
    return repr(os.fspath(path))


def check_fits(path: Any, document: Document, mine: Mapping[str, Spec], strict: bool) -> None:
    """Raise SaveError unless the variables in the file are those of the environment."""
    what = f"cannot restore {_shown(path)}"
    cure = "Use strict=False to take only what fits."
    theirs = {record.path: record for record in document.records}
    for name, record in theirs.items():
        got = Spec(record.array.shape, record.array.dtype)
        if name in mine and mine[name] != got:
            facts = [f"environment:  {mine[name]}", f"file:         {got}"]
            other = f"{what}: variable {name!r} is another"
            cure = "The file belongs to another model."
            if mine[name].shape == got.shape:
                cure = f"To cast it, load the file: env[{name!r}] = lg.VariableEnvironment.load(path)[{name!r}]."
            raise SaveError(report(other, at=here(), facts=facts, cure=cure))
        if strict and name not in mine and record.trainable:
            lacking = f"{what}: the environment has no variable {name!r}"
            raise SaveError(report(lacking, at=here(), facts=[nearest(name, mine)], cure=cure))
    missing = [name for name in mine if name not in theirs]
    if strict and missing:
        lacking = f"{what}: it has no variable {missing[0]!r}"
        raise SaveError(report(lacking, at=here(), facts=[nearest(missing[0], theirs)], cure=cure))
