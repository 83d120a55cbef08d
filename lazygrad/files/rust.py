"""Files of the Rust crate autograd."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from lazygrad.files.document import Document, Record, distinct, member, numbers, shape_of, shaped, usable
from lazygrad.graph.spec import Spec

__all__ = ["from_rust", "is_rust"]


def is_rust(content: Mapping[str, Any]) -> bool:
    """Whether a file looks like one of the crate."""
    return {"array_list", "name_to_id"} <= content.keys()


def from_rust(content: dict[str, Any], dtype: np.dtype[Any] | None, mine: Mapping[str, Spec]) -> Document:
    """The document in the layout of the Rust crate autograd: namespaces and names joined by U+0001, no dtypes."""
    arrays = []
    for place, row in enumerate(member(content, "array_list", list, "the file")):
        of = f"array {place}"
        if member(row, "v", int, of) != 1:
            raise ValueError(f"{of} is of version {row['v']}")
        values = numbers(member(row, "data", list, of), np.dtype(np.float64), of)
        arrays.append(shaped(values, shape_of(row, "dim", of), of))
    names: dict[int, tuple[str, str]] = {}
    for key, place in member(content, "name_to_id", dict, "the file").items():
        namespace, mark, name = key.partition("\u0001")
        if not mark:
            raise ValueError(f"the name {reprlib.repr(key)} has no U+0001 in it")
        if type(place) is not int or not 0 <= place < len(arrays):
            raise ValueError(f"{reprlib.repr(key)} names array {reprlib.repr(place)}, which is not there")
        if place in names:
            raise ValueError(f"array {place} has two names")
        names[place] = namespace, name
    found = dtype or _dtype_of_decimals(arrays)
    records = []
    for place, (namespace, name) in sorted(names.items()):
        path = usable(f"{namespace}/{name}" if namespace else name)
        known = mine[path].dtype if path in mine and mine[path].dtype.kind == "f" else found
        array = numbers(arrays[place].ravel().tolist(), known, f"variable {path!r}").reshape(arrays[place].shape)
        records.append(Record(path, array, not _is_state(place, names, arrays)))
    return Document(distinct(records), found, None, 0)


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
