"""Variables to and from JSON. The layout is described in ``docs/format.md``.

Also reads the layout of the Rust crate autograd. Nothing in a file is ever executed: a reader checks the
type of everything it finds, and knows no more than numbers, text and lists.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import math
import os
import re
import reprlib
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import SaveError, VariableError, nearest, report
from lazygrad.graph import here
from lazygrad.spec import Spec
from lazygrad.variables import joined

__all__ = ["FORMAT", "VERSION", "Document", "Entry", "check_fits", "read", "write"]

FORMAT = "lazygrad"
VERSION = 1
READABLE = 1024  # larger arrays are written in base64: a person does not read them, and it is exact and small

# The names that dtypes have in a file. NumPy's long double is not among them: its bits mean different
# numbers on different machines.
DTYPES = {str(np.dtype(code)): np.dtype(code) for code in "?" + np.typecodes["AllInteger"] + "efd"}

_WORDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object"}
_EDITED = "The file was damaged or edited: use another copy."
_CUT_OFF = "The file may be cut off: use another copy."
_RUST = "It looks like a file of the Rust crate autograd, but is damaged: use another copy."
_MOST_AXES = 64  # NumPy's limit
_MOST_RUNS = 2**64  # the generator counts runs in 64 bits


class Entry(NamedTuple):
    """One variable in a file."""

    path: str
    array: Any
    trainable: bool


class Document(NamedTuple):
    """All that a file holds. ``seed`` is None if the file does not say where the random draws were."""

    entries: list[Entry]
    dtype: np.dtype[Any]
    seed: int | None
    runs: int


# Writing.


def write(path: Any, document: Document) -> None:
    """Write beside the file, sync, and rename; a crash leaves the old file whole.

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
                file.writelines(_pieces(document))
                file.flush()
                os.fsync(file.fileno())
            if target.exists():
                os.chmod(temporary, stat.S_IMODE(target.stat().st_mode))
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except (OSError, ValueError, TypeError) as reason:
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        what = f"cannot save to {_shown(path)}"
        raise SaveError(report(what, at=here(), facts=[_said(reason)], cure=cure)) from reason


def _target(path: Any) -> Path:
    """The file that shall be written. What is not a plain file (a folder, a device) must never be replaced."""
    target = Path(os.path.realpath(os.fspath(path)))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "It is a device or a pipe, not a file")
    if target.exists() and not os.access(target, os.W_OK):
        # The folder alone decides whether a file can be replaced; who made it read-only meant more.
        raise PermissionError(errno.EACCES, "The file is read-only")
    return target


def _sync_folder(folder: Path) -> None:
    """Make the renaming last. Where a folder cannot be synced, a power cut may bring back the old file, whole."""
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _pieces(document: Document) -> Iterator[str]:
    """The text of a file, with one variable a line, so that it is never in memory as a whole."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": str(document.dtype),
        "random": {"seed": document.seed, "runs": document.runs},
    }
    yield "{\n"
    for key, value in head.items():
        yield f' "{key}": {json.dumps(value)},\n'
    yield ' "variables": ['
    for place, entry in enumerate(document.entries):
        yield (",\n  " if place else "\n  ") + json.dumps(_row(entry), allow_nan=False, ensure_ascii=False)
    yield "\n ]\n}\n"


def _row(entry: Entry) -> dict[str, Any]:
    array = entry.array
    return {
        "name": entry.path,
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "trainable": entry.trainable,
        **_encoded(array),
    }


def _encoded(array: Any) -> dict[str, Any]:
    """The elements in row-major order: as numbers where every bit comes back, else in base64."""
    if array.size <= READABLE and (array.dtype.kind != "f" or np.isfinite(array).all()):
        data = [_number(x) for x in array.ravel()]
        if _numbers(data, array.dtype).tobytes() == array.tobytes():
            return {"data": data}
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"base64": base64.b64encode(little.tobytes()).decode("ascii")}


def _number(x: Any) -> Any:
    """The shortest decimal that reads back as the same number."""
    return float(str(x)) if isinstance(x, np.floating) else x.item()


# Reading.


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
            return _from_rust(content, dtype, mine or {})
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _unreadable(path, 'It has no "format": "lazygrad".', "Give a file that env.save wrote.")
    version = content.get("version")
    if type(version) is not int or version != VERSION:
        cure = f"This lazygrad reads version {VERSION}: install the one that wrote the file, or a newer one."
        raise _unreadable(path, f"Its version is {reprlib.repr(version)}.", cure)
    with _damage(path, _EDITED):
        return _from_lazygrad(content)


def _content(path: Any) -> Any:
    """The JSON in a file."""
    try:
        file = Path(path)
        if file.exists() and not file.is_file() and not file.is_dir():
            raise OSError(errno.EINVAL, "It is a device or a pipe, not a file")  # which may never end
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as reason:
        raise _unreadable(path, f"It is not text in UTF-8: {reason.reason} at byte {reason.start}.", _EDITED) from None
    except (OSError, ValueError, TypeError) as reason:
        raise _unreadable(path, _said(reason), "Check the path.") from reason
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except ValueError as reason:
        raise _unreadable(path, f"It is not JSON: {reason}.", _CUT_OFF) from None
    except RecursionError:
        raise _unreadable(path, "It is nested too deep.", "Give a file that env.save wrote.") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"there is no {text} in JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name stands twice; of two, one would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} stands twice in one object")
    return found


def _unreadable(path: Any, fact: str, cure: str) -> SaveError:
    return SaveError(report(f"cannot read {_shown(path)}", at=here(), facts=[fact], cure=cure))


@contextlib.contextmanager
def _damage(path: Any, cure: str) -> Iterator[None]:
    """Tell of what does not fit in a file as a SaveError."""
    try:
        yield
    except (ValueError, OverflowError) as reason:
        raise _unreadable(path, f"{str(reason)[:1].upper()}{str(reason)[1:]}.", cure) from None


def _shown(path: Any) -> str:
    return repr(os.fspath(path)) if isinstance(path, os.PathLike) else reprlib.repr(path)


def _said(reason: Exception) -> str:
    return f"{type(reason).__name__}: {getattr(reason, 'strerror', None) or reason}"


def _member(owner: Any, key: str, kind: type, of: str = "the file") -> Any:
    """What stands under ``key``, which is exactly of this kind: true is not taken for 1, nor 1.0 for 1."""
    if type(owner) is not dict:
        raise ValueError(f"{of} is {reprlib.repr(owner)}, not an object")
    if key not in owner:
        raise ValueError(f"{of} has no {key!r}")
    if type(owner[key]) is not kind:
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(owner[key])}, not {_WORDS[kind]}")
    return owner[key]


def _from_lazygrad(content: dict[str, Any]) -> Document:
    dtype = _dtype(content, "the file")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"the 'dtype' of the file is {dtype}, not float32 or float64")
    random = _member(content, "random", dict)
    seed, runs = (_member(random, key, int, "the random state") for key in ("seed", "runs"))
    if seed < 0 or not 0 <= runs < _MOST_RUNS:
        raise ValueError("the random state is out of range")
    rows = _member(content, "variables", list)
    entries = [_entry(row, f"variable {place}") for place, row in enumerate(rows)]
    return Document(_distinct(entries), dtype, seed, runs)


def _entry(row: Any, of: str) -> Entry:
    name = _usable(_member(row, "name", str, of))
    of = f"variable {name!r}"
    dtype, shape = _dtype(row, of), _shape(row, "shape", of)
    if ("data" in row) == ("base64" in row):
        raise ValueError(f"{of} has not one of 'data' and 'base64'")
    if "data" in row:
        array = _numbers(_member(row, "data", list, of), dtype, of)
    else:
        array = _unpacked(_member(row, "base64", str, of), dtype, of)
    return Entry(name, _shaped(array, shape, of), _member(row, "trainable", bool, of))


def _usable(name: str) -> str:
    try:
        return joined("", name)
    except VariableError:
        raise ValueError(f"{reprlib.repr(name)} cannot be the name of a variable") from None


def _distinct(entries: list[Entry]) -> list[Entry]:
    seen: set[str] = set()
    for entry in entries:
        if entry.path in seen:
            raise ValueError(f"variable {entry.path!r} stands there twice")
        seen.add(entry.path)
    return entries


def _dtype(owner: Any, of: str) -> np.dtype[Any]:
    name = _member(owner, "dtype", str, of)
    if name not in DTYPES:
        raise ValueError(f"the 'dtype' of {of} is {reprlib.repr(name)}, not a number's or bool")
    return DTYPES[name]


def _shape(owner: Any, key: str, of: str) -> list[int]:
    shape: list[Any] = _member(owner, key, list, of)
    if len(shape) > _MOST_AXES or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(shape)}, not sizes of axes")
    return shape


def _shaped(array: Any, shape: list[int], of: str) -> Any:
    if array.size != math.prod(shape):
        raise ValueError(f"{of} has {array.size} elements, but its shape is {reprlib.repr(shape)}")
    return array.reshape(shape)


def _numbers(data: list[Any], dtype: np.dtype[Any], of: str = "it") -> Any:
    """The numbers as an array; text, null, and what the dtype cannot hold are not taken."""
    kinds = {"b": {bool}, "f": {int, float}}.get(dtype.kind, {int})
    if not set(map(type, data)) <= kinds:
        odd = next(x for x in data if type(x) not in kinds)
        raise ValueError(f"{of} has the element {reprlib.repr(odd)}, which is no {dtype}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(data, dtype=dtype)
    except OverflowError:
        array = np.array([np.inf])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{of} has a number that is out of the range of {dtype}")
    return array


def _unpacked(text: str, dtype: np.dtype[Any], of: str) -> Any:
    """The bits as an array."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"the 'base64' of {of} is not base64") from None
    if len(raw) % dtype.itemsize:
        raise ValueError(f"{of} has {len(raw)} bytes, which are not whole elements of {dtype}")
    if dtype.kind == "b" and raw.strip(b"\0\1"):
        raise ValueError(f"{of} has bytes that are not true or false")
    array = np.zeros(len(raw) // dtype.itemsize, dtype.newbyteorder("<"))
    array.data.cast("B")[:] = raw
    return array.astype(dtype, copy=False)


def _from_rust(content: dict[str, Any], dtype: np.dtype[Any] | None, mine: Mapping[str, Spec]) -> Document:
    """The layout of the Rust crate autograd: names joined to namespaces by U+0001, and no dtypes."""
    arrays = []
    for place, row in enumerate(_member(content, "array_list", list)):
        of = f"array {place}"
        if _member(row, "v", int, of) != 1:
            raise ValueError(f"{of} is of version {row['v']}")
        values = _numbers(_member(row, "data", list, of), np.dtype(np.float64), of)
        arrays.append(_shaped(values, _shape(row, "dim", of), of))
    places: dict[int, tuple[str, str]] = {}
    for key, place in _member(content, "name_to_id", dict).items():
        namespace, mark, name = key.partition("\u0001")
        if not mark:
            raise ValueError(f"the name {reprlib.repr(key)} has no U+0001 in it")
        if type(place) is not int or not 0 <= place < len(arrays):
            raise ValueError(f"{reprlib.repr(key)} names array {reprlib.repr(place)}, which is not there")
        if place in places:
            raise ValueError(f"array {place} has two names")
        places[place] = namespace, name
    found = dtype or _dtype_of_decimals(arrays)
    entries = []
    for place, (namespace, name) in sorted(places.items()):
        path = _usable(f"{namespace}/{name}" if namespace else name)
        known = mine[path].dtype if path in mine and mine[path].dtype.kind == "f" else found
        array = _numbers(arrays[place].ravel().tolist(), known, f"variable {path!r}").reshape(arrays[place].shape)
        entries.append(Entry(path, array, not _is_state(place, places, arrays)))
    return Document(_distinct(entries), found, None, 0)


def _is_state(place: int, places: Mapping[int, tuple[str, str]], arrays: list[Any]) -> bool:
    """Whether an array is an optimizer's: the crate calls it by the number of an array elsewhere, and m, v or t.

    Taken for trainable, it would be a parameter of the next optimizer.
    """
    namespace, name = places[place]
    match = re.fullmatch(r"([0-9]{1,9})([mvt]?)", name)
    if match is None or not namespace:
        return False
    owner = int(match[1])
    elsewhere = owner < place and owner in places and places[owner][0] != namespace
    return elsewhere and (match[2] == "t" or arrays[owner].shape == arrays[place].shape)


def _dtype_of_decimals(arrays: Iterable[Any]) -> np.dtype[Any]:
    """float32 if every number is the shortest decimal of one, as the crate writes them; else float64."""
    for array in arrays:
        with np.errstate(over="ignore"):
            single = array.astype(np.float32).ravel().tolist()
        for x, decimal in zip(single, array.ravel().tolist(), strict=True):
            if x != decimal and float(str(np.float32(x))) != decimal:
                return np.dtype(np.float64)
    return np.dtype(np.float32)


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
