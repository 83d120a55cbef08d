"""Document: what a file holds, written as JSON and understood again. ``docs/format.md`` describes the layout.

Nothing that is read is believed: every member is of exactly the type that the layout says, or it raises
ValueError with a sentence that says what is wrong.
"""

from __future__ import annotations

import base64
import json
import math
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import VariableError
from lazygrad.spec import Spec
from lazygrad.variables import joined

__all__ = ["DTYPES", "FORMAT", "VERSION", "Document", "Entry", "from_json", "from_rust", "pieces"]

FORMAT = "lazygrad"
VERSION = 1
READABLE = 1024  # larger arrays are written in base64: a person does not read them, and it is exact and small

# The names that dtypes have in a file. NumPy's long double is not among them: its bits mean different
# numbers on different machines.
DTYPES = {str(np.dtype(code)): np.dtype(code) for code in "?" + np.typecodes["AllInteger"] + "efd"}

_WORDS = {str: "text", bool: "true or false", int: "a whole number", list: "a list", dict: "an object"}
_MOST_AXES = 64  # NumPy's limit
_MOST_RUNS = 2**64  # the generator counts runs in 64 bits


class Entry(NamedTuple):
    """One variable in a file."""

    path: str
    array: Any
    trainable: bool


class Document(NamedTuple):
    """All that a file holds. ``seed`` is None if the file does not say where the random draws were.

    ``training`` is what a checkpoint holds beyond the environment: arrays by name. None if it is no checkpoint.
    """

    entries: list[Entry]
    dtype: np.dtype[Any]
    seed: int | None
    runs: int
    training: list[Entry] | None = None


def pieces(document: Document) -> Iterator[str]:
    """The text of a file, one variable a line, in pieces, so that it is never in memory as a whole."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": str(document.dtype),
        "random": {"seed": document.seed, "runs": document.runs},
    }
    yield "{\n"
    for key, value in head.items():
        yield f' "{key}": {json.dumps(value)},\n'
    yield from _rows("variables", document.entries)
    if document.training is not None:
        yield ",\n"
        yield from _rows("training", document.training)
    yield "\n}\n"


def _rows(key: str, entries: list[Entry]) -> Iterator[str]:
    yield f' "{key}": ['
    for place, entry in enumerate(entries):
        yield (",\n  " if place else "\n  ") + json.dumps(_row(entry), allow_nan=False, ensure_ascii=False)
    yield "\n ]"


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
        if _numbers(data, array.dtype, "it").tobytes() == array.tobytes():
            return {"data": data}
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return {"base64": base64.b64encode(little.tobytes()).decode("ascii")}


def _number(x: Any) -> Any:
    """The shortest decimal that reads back as the same number."""
    return float(str(x)) if isinstance(x, np.floating) else x.item()


def from_json(content: dict[str, Any]) -> Document:
    """The document in lazygrad's own layout."""
    dtype = _dtype(content, "the file")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"the 'dtype' of the file is {dtype}, not float32 or float64")
    random = _member(content, "random", dict, "the file")
    seed, runs = (_member(random, key, int, "the random state") for key in ("seed", "runs"))
    if seed < 0 or not 0 <= runs < _MOST_RUNS:
        raise ValueError("the random state is out of range")
    rows = _member(content, "variables", list, "the file")
    entries = [_entry(row, f"variable {place}") for place, row in enumerate(rows)]
    training = None
    if "training" in content:
        rows = _member(content, "training", list, "the file")
        training = _distinct([_entry(row, f"state {place} of the training") for place, row in enumerate(rows)])
    return Document(_distinct(entries), dtype, seed, runs, training)


def _entry(row: Any, of: str) -> Entry:
    name = _usable(_member(row, "name", str, of))
    of = f"variable {name!r}"
    dtype, shape = _dtype(row, of), _shape(row, "shape", of)
    if ("data" in row) == ("base64" in row):
        raise ValueError(f"{of} has not just one of 'data' and 'base64'")
    if "data" in row:
        array = _numbers(_member(row, "data", list, of), dtype, of)
    else:
        array = _unpacked(_member(row, "base64", str, of), dtype, of)
    return Entry(name, _shaped(array, shape, of), _member(row, "trainable", bool, of))


def _member(owner: Any, key: str, kind: type, of: str) -> Any:
    """What stands under ``key``, which is exactly of this kind: true is not taken for 1, nor 1.0 for 1."""
    if type(owner) is not dict:
        raise ValueError(f"{of} is {reprlib.repr(owner)}, not an object")
    if key not in owner:
        raise ValueError(f"{of} has no {key!r}")
    if type(owner[key]) is not kind:
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(owner[key])}, not {_WORDS[kind]}")
    return owner[key]


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
        raise ValueError(f"the 'dtype' of {of} is {reprlib.repr(name)}, which is none that a variable has")
    return DTYPES[name]


def _shape(owner: Any, key: str, of: str) -> list[int]:
    shape: list[Any] = _member(owner, key, list, of)
    if len(shape) > _MOST_AXES or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"the {key!r} of {of} is {reprlib.repr(shape)}, not sizes of axes")
    return shape


def _shaped(array: Any, shape: list[int], of: str) -> Any:
    if array.size != math.prod(shape):
        raise ValueError(f"{of} has {array.size} elements, but its shape is {reprlib.repr(shape)}")
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError):  # one size is 0, and the others are beyond what NumPy can count
        raise ValueError(f"{of} has a shape that no array can have, {reprlib.repr(shape)}") from None


def _numbers(data: list[Any], dtype: np.dtype[Any], of: str) -> Any:
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
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)


def from_rust(content: dict[str, Any], dtype: np.dtype[Any] | None, mine: Mapping[str, Spec]) -> Document:
    """The document in the layout of the Rust crate autograd: namespaces and names joined by U+0001, no dtypes."""
    arrays = []
    for place, row in enumerate(_member(content, "array_list", list, "the file")):
        of = f"array {place}"
        if _member(row, "v", int, of) != 1:
            raise ValueError(f"{of} is of version {row['v']}")
        values = _numbers(_member(row, "data", list, of), np.dtype(np.float64), of)
        arrays.append(_shaped(values, _shape(row, "dim", of), of))
    names: dict[int, tuple[str, str]] = {}
    for key, place in _member(content, "name_to_id", dict, "the file").items():
        namespace, mark, name = key.partition("\u0001")
        if not mark:
            raise ValueError(f"the name {reprlib.repr(key)} has no U+0001 in it")
        if type(place) is not int or not 0 <= place < len(arrays):
            raise ValueError(f"{reprlib.repr(key)} names array {reprlib.repr(place)}, which is not there")
        if place in names:
            raise ValueError(f"array {place} has two names")
        names[place] = namespace, name
    found = dtype or _dtype_of_decimals(arrays)
    entries = []
    for place, (namespace, name) in sorted(names.items()):
        path = _usable(f"{namespace}/{name}" if namespace else name)
        known = mine[path].dtype if path in mine and mine[path].dtype.kind == "f" else found
        array = _numbers(arrays[place].ravel().tolist(), known, f"variable {path!r}").reshape(arrays[place].shape)
        entries.append(Entry(path, array, not _is_state(place, names, arrays)))
    return Document(_distinct(entries), found, None, 0)


def _is_state(place: int, names: Mapping[int, tuple[str, str]], arrays: list[Any]) -> bool:
    """Whether an array is an optimizer's: the crate calls it by the number of an array elsewhere, and m, v or t.

    Taken for trainable, it would be a parameter of the next optimizer.
    """
    namespace, name = names[place]
    match = re.fullmatch(r"([0-9]{1,9})([mvt]?)", name)
    if match is None or not namespace:
        return False
    owner = int(match[1])
    elsewhere = owner < place and owner in names and names[owner][0] != namespace
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
