"""Documents as named arrays with a text beside them: what files of NumPy's and of safetensors have in common.

The text is JSON: all that a document has beyond its arrays, and a checksum of both. Files without it, which another
program wrote, are read too.
"""

from __future__ import annotations

import hashlib
import io
import json
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lazygrad.files.document import (
    DTYPES,
    FORMAT,
    MOST_VARIABLES,
    NAMES,
    ON_PURPOSE,
    VERSION,
    VERSIONS,
    Document,
    Record,
    Rows,
    UnreadableError,
    distinct,
    from_members,
    member,
    shape_of,
    unknown_version,
    usable,
)
from lazygrad.files.jsontext import Reader

__all__ = ["TEXT", "document_from", "document_of_others", "little", "text_of"]

TEXT = "__lazygrad__"  # the name of the text among the arrays of a file

_CHECKSUM = '"checksum": '


def little(array: Any) -> Any:
    """The array with its elements in row-major order, each little-endian."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")


def text_of(document: Document) -> str:
    """All that a document has beside its arrays, with the checksum of both."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": str(document.dtype),
        "random": {"seed": document.seed, "runs": document.runs},
        "variables": [
            {"name": r.path, "dtype": NAMES[r.array.dtype], "shape": list(r.array.shape), "trainable": r.trainable}
            for r in document.records
        ],
    }
    text = json.dumps(head, ensure_ascii=False)[:-1] + ", "
    return f'{text}{_CHECKSUM}"{_checksum(text, [r.array for r in document.records])}"}}'


def _checksum(text: str, arrays: Iterable[Any]) -> str:
    found = hashlib.sha256(text.encode())
    for array in arrays:
        found.update(little(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def document_from(text: str, arrays: dict[str, Any]) -> Document:
    """The document that a text and its arrays are.

    Raises:
        ValueError, UnreadableError: they do not fit together, or the text is none that :func:`text_of` wrote.
    """
    reader, content, last = Reader(io.BytesIO(text.encode())), {}, ""
    if not reader.is_object():
        raise ValueError("its description is no object of JSON")
    for last in reader.members():
        content[last] = reader.value()
    if content.get("format") != FORMAT:
        raise ValueError(f'its description has no "format": "{FORMAT}"')
    if type(content.get("version")) is not int or content["version"] not in VERSIONS:
        raise unknown_version(content.get("version"))
    records = _records(member(content, "variables", list, "the description"), arrays)
    if "checksum" not in content or last != "checksum":
        raise ValueError("its description does not end with a checksum")
    checksum = content.pop("checksum")
    if checksum is not None:
        begun = text.rpartition(_CHECKSUM)[0]
        if checksum != _checksum(begun, [record.array for record in records]):
            raise UnreadableError("It does not fit its checksum: it was damaged or edited.", ON_PURPOSE)
    return from_members({**content, "variables": Rows(records)})


def _records(rows: list[Any], arrays: dict[str, Any]) -> list[Record]:
    """The variables that a description lists, in its order, each with its array; nothing may be left over."""
    left = dict(arrays)
    records = []
    for place, row in enumerate(rows):
        name = usable(member(row, "name", str, f"variable {place}"))
        of = f"variable {name!r}"
        if name not in left:
            raise ValueError(f"it has no array {name!r}, or its description names it twice")
        array = left.pop(name)
        wanted, shape = member(row, "dtype", str, of), shape_of(row, "shape", of)
        if array.dtype != DTYPES.get(wanted) or list(array.shape) != shape:
            got = f"{array.dtype}{list(array.shape)}"
            raise ValueError(f"{of} is {got}, but its description says {reprlib.repr(wanted)}{reprlib.repr(shape)}")
        records.append(Record(name, array, member(row, "trainable", bool, of)))
    if left:
        raise ValueError(f"it has the array {reprlib.repr(next(iter(left)))}, which its description does not name")
    return records


def document_of_others(arrays: Mapping[str, Any], dtype: np.dtype[Any] | None) -> Document:
    """The document in a file of another program: what has floats is trainable, and there is no random state."""
    if len(arrays) > MOST_VARIABLES:
        raise ValueError(f"it has more than {MOST_VARIABLES} arrays, the most that are read")
    records = [Record(usable(name), array, array.dtype.kind == "f") for name, array in arrays.items()]
    if dtype is None:
        floats = {record.array.dtype for record in records if record.trainable}
        dtype = np.dtype(np.float64 if floats == {np.dtype(np.float64)} else np.float32)
    return Document(distinct(records), dtype, None, 0)
