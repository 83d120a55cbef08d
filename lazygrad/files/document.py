"""Document: what a file holds, written as JSON and understood again. ``docs/format.md`` describes the layout.

Nothing that is read is believed: every member is of exactly the type that the layout says, or it raises
ValueError with a sentence that says what is wrong.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import VariableError
from lazygrad.store.variables import joined

__all__ = [
    "DTYPES",
    "FORMAT",
    "MOST_LETTERS",
    "MOST_VARIABLES",
    "NAMES",
    "ON_PURPOSE",
    "VERSION",
    "VERSIONS",
    "Document",
    "Record",
    "Rows",
    "UnreadableError",
    "distinct",
    "from_members",
    "is_checkpoint",
    "member",
    "numbers",
    "pieces",
    "shape_of",
    "shaped",
    "unknown_version",
    "usable",
]

FORMAT = "lazygrad"
VERSION = 2  # which is written
ON_PURPOSE = (
    "Use another copy. If you changed it on purpose, write null in place of the checksum: "
    'the last member is then  "checksum": null'
)
VERSIONS = (1, 2)  # which are read; version 1 has no checksum
READABLE = 1024  # larger arrays are written in base64: a person does not read them, and it is exact and small

MOST_VARIABLES = 1_000_000  # in one file
MOST_LETTERS = 4096  # in the name of a variable, namespaces included; twice as many in that of a state of a training
MOST_AXES = 64  # NumPy's limit
_MOST_RUNS = 2**64  # the generator counts runs in 64 bits

# The names that dtypes have in a file. NumPy's long double is not among them: its bits mean different
# numbers on different machines.
DTYPES = {str(np.dtype(code)): np.dtype(code) for code in "?" + np.typecodes["AllInteger"] + "efd"}

NAMES = {dtype: name for name, dtype in DTYPES.items()}
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode

_CHUNK = 3 << 18  # bytes that are written in base64 at once; a multiple of three


class UnreadableError(Exception):
    """What is wrong with a file, and what to do."""


class Record(NamedTuple):
    """One variable in a file."""

    path: str
    array: Any
    trainable: bool


class Document(NamedTuple):
    """All that a file holds. ``seed`` is None if the file does not say where the random draws were.

    ``training`` is what a checkpoint holds beyond the environment: arrays by name. None if it is no checkpoint.
    """

    records: list[Record]
    dtype: np.dtype[Any]
    seed: int | None
    runs: int
    training: list[Record] | None = None
    version: int = VERSION


def pieces(document: Document) -> Iterator[bytes]:
    """The bytes of a file, one variable a line, in pieces, so that it is never in memory as a whole."""
    checksum = hashlib.sha256()
    for data in _together(_unsigned(document)):
        checksum.update(data)
        yield data
    yield f'"checksum": "{checksum.hexdigest()}"\n}}\n'.encode()


def _together(texts: Iterable[str]) -> Iterator[bytes]:
    """Short texts joined, as bytes."""
    kept: list[str] = []
    size = 0
    for text in texts:
        kept.append(text)
        size += len(text)
        if size >= 1 << 16:
            yield "".join(kept).encode()
            kept, size = [], 0
    yield "".join(kept).encode()


def is_checkpoint(beginning: bytes) -> bool:
    """Whether a file that lazygrad wrote, of which these are the first bytes, has the state of a training."""
    return beginning.startswith(f'{{\n "format": "{FORMAT}",\n'.encode()) and b'\n "training": [' in beginning


def _unsigned(document: Document) -> Iterator[str]:
    head = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": str(document.dtype),
        "random": {"seed": document.seed, "runs": document.runs},
    }
    yield "{\n"
    for key, value in head.items():
        yield f' "{key}": {json.dumps(value)},\n'
    if document.training is not None:  # first, so that a checkpoint is known by its beginning
        yield from _rows("training", document.training)
        yield ",\n"
    yield from _rows("variables", document.records)
    yield ",\n "


def _rows(key: str, records: list[Record]) -> Iterator[str]:
    yield f' "{key}": ['
    for place, record in enumerate(records):
        yield ",\n  " if place else "\n  "
        yield from _row(record)
    yield "\n ]"


def _row(record: Record) -> Iterator[str]:
    array = record.array
    head = {
        "name": record.path,
        "dtype": NAMES[array.dtype],
        "shape": list(array.shape),
        "trainable": record.trainable,
    }
    data = _decimals(array)
    if data is not None:
        yield _encode(head | {"data": data})
        return
    yield _encode(head)[:-1] + ', "base64": "'
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    for start in range(0, len(little), _CHUNK):
        yield binascii.b2a_base64(little[start : start + _CHUNK].data, newline=False).decode("ascii")
    yield '"}'


def _decimals(array: Any) -> list[Any] | None:
    """The elements in row-major order as numbers, if the array is small and every bit of it comes back from them.

    Of floats they are the shortest decimals that read back as the same number, as Python and NumPy write them.
    """
    if array.size > READABLE or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return None
    flat = array.ravel()
    data = [float(str(x)) for x in flat] if array.dtype.kind == "f" and array.dtype.itemsize < 8 else flat.tolist()
    return data if numbers(data, array.dtype, "it").tobytes() == array.tobytes() else None


class Rows(NamedTuple):
    """A list of variables as it was read."""

    records: list[Record]
    wrong: str = ""  # what is wrong with the first that is

    @classmethod
    def of(cls, items: Iterable[Any], what: str, letters: int) -> Rows:
        """All items, one at a time; those after a wrong one are not kept."""
        records: list[Record] = []
        wrong = ""
        for place, row in enumerate(items):
            if not wrong:
                try:
                    if place == MOST_VARIABLES:
                        raise ValueError(f"it has more than {MOST_VARIABLES} of '{what}', the most that are read")
                    records.append(_record(row, f"{_ONE[what]} {place}", letters))
                except ValueError as reason:
                    wrong = str(reason)
        return cls([] if wrong else records, wrong)


_ONE = {"variables": "variable", "training": "state"}
_WORDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object", Rows: "a list"}


def from_members(content: Mapping[str, Any]) -> Document:
    """The document in lazygrad's own layout, whose lists of variables are :class:`Rows`."""
    dtype = _dtype(content, "the file")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"the 'dtype' of the file is {dtype}, not float32 or float64")
    random = member(content, "random", dict, "the file")
    seed, runs = (member(random, key, int, "the random state") for key in ("seed", "runs"))
    if seed < 0 or not 0 <= runs < _MOST_RUNS:
        raise ValueError("the random state is out of range")
    records = _sound(member(content, "variables", Rows, "the file"))
    training = _sound(member(content, "training", Rows, "the file")) if "training" in content else None
    return Document(records, dtype, seed, runs, training, content["version"])


def unknown_version(version: Any) -> UnreadableError:
    """What is said of a file of another version."""
    known = " and ".join(map(str, VERSIONS))
    cure = f"This lazygrad reads versions {known}: install the one that wrote the file, or a newer one."
    return UnreadableError(f"Its version is {reprlib.repr(version)}.", cure)


def _sound(rows: Rows) -> list[Record]:
    if rows.wrong:
        raise ValueError(rows.wrong)
    return distinct(rows.records)


def _record(row: Any, of: str, letters: int) -> Record:
    name = usable(member(row, "name", str, of), letters)
    of = f"variable {name!r}"
    dtype, shape = _dtype(row, of), shape_of(row, "shape", of)
    if ("data" in row) == ("base64" in row):
        raise ValueError(f"{of} has not just one of 'data' and 'base64'")
    if "data" in row:
        array = numbers(member(row, "data", list, of), dtype, of)
    else:
        raw = _bytes(member(row, "base64", str, of), dtype, of)
        del row["base64"]  # so that a large array and its text are in memory together no longer than they must
        array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
    return Record(name, shaped(array, shape, of), member(row, "trainable", bool, of))


def member(owner: Any, key: str, kind: type, of: str) -> Any:
    """What stands under ``key``, which is exactly of this kind: true is not taken for 1, nor 1.0 for 1."""
    if type(owner) is not dict:
        raise ValueError(f"{of} is {reprlib.repr(owner)}, not an object")
    if key not in owner:
        raise ValueError(f"{of} has no {key!r}")
    if type(owner[key]) is not kind:
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(owner[key])}, not {_WORDS[kind]}")
    return owner[key]


def usable(name: str, letters: int = MOST_LETTERS) -> str:
    """A name that a variable may have."""
    if len(name) > letters:
        raise ValueError(f"{reprlib.repr(name)} has {len(name)} letters, more than {letters}")
    try:
        return joined("", name)
    except VariableError:
        raise ValueError(f"{reprlib.repr(name)} cannot be the name of a variable") from None


def distinct(records: list[Record]) -> list[Record]:
    """The records, no two of which have the same name."""
    seen: set[str] = set()
    for record in records:
        if record.path in seen:
            raise ValueError(f"variable {record.path!r} stands there twice")
        seen.add(record.path)
    return records


def _dtype(owner: Any, of: str) -> np.dtype[Any]:
    name = member(owner, "dtype", str, of)
    if name not in DTYPES:
        raise ValueError(f"the 'dtype' of {of} is {reprlib.repr(name)}, which is none that a variable has")
    return DTYPES[name]


def shape_of(owner: Any, key: str, of: str) -> list[int]:
    """The sizes of axes that stand under ``key``."""
    shape: list[Any] = member(owner, key, list, of)
    if len(shape) > MOST_AXES or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(shape)}, not sizes of axes")
    return shape


def shaped(array: Any, shape: list[int], of: str) -> Any:
    """The elements in a shape, if they are as many as it says."""
    if array.size != math.prod(shape):
        raise ValueError(f"{of} has {array.size} elements, but its shape is {reprlib.repr(shape)}")
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):  # one size is 0, and the others are beyond what NumPy can count
        raise ValueError(f"{of} has a shape that no array can have, {reprlib.repr(shape)}") from None


def numbers(data: list[Any], dtype: np.dtype[Any], of: str) -> Any:
    """The numbers as an array; text, null, and what the dtype cannot hold are not taken."""
    kinds: set[type] = {bool} if dtype.kind == "b" else {int, float} if dtype.kind == "f" else {int}
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


def _bytes(text: str, dtype: np.dtype[Any], of: str) -> bytes:
    """The bytes of an array."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise ValueError(f"the 'base64' of {of} is not base64") from None
    if len(raw) % dtype.itemsize:
        raise ValueError(f"{of} has {len(raw)} bytes, which are not whole elements of {dtype}")
    if dtype.kind == "b" and raw.strip(b"\0\1"):
        raise ValueError(f"{of} has bytes that are not true or false")
    return raw
