"""Variables to and from JSON. The layout is described in ``docs/format.md``.

Also reads the layout of the Rust crate autograd. Nothing in a file is ever executed.
"""

from __future__ import annotations

import base64
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lazygrad.errors import SaveError, nearest, report
from lazygrad.graph import here
from lazygrad.spec import Spec

__all__ = ["FORMAT", "VERSION", "Document", "Entry", "check_fits", "read", "write"]

FORMAT = "lazygrad"
VERSION = 1
READABLE = 1024  # larger arrays are written in base64: a person does not read them, and it is exact and small


class Entry(NamedTuple):
    """One variable in a file."""

    path: str
    array: Any
    trainable: bool


class Document(NamedTuple):
    """All that a file holds."""

    entries: list[Entry]
    dtype: np.dtype[Any]
    seed: int | None
    runs: int

    @property
    def has_random_state(self) -> bool:
        """Whether the file records where the random draws were."""
        return self.seed is not None


def write(path: Path, document: Document) -> None:
    """Write beside ``path``, sync, and rename; a crash leaves the old file whole."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "dtype": str(document.dtype),
        "random": {"seed": document.seed, "runs": document.runs},
        "variables": [
            {
                "name": entry.path,
                "dtype": str(entry.array.dtype),
                "shape": list(entry.array.shape),
                "trainable": entry.trainable,
                **_encoded(entry.array),
            }
            for entry in document.entries
        ],
    }
    text = _laid_out(content)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as reason:
        facts = [f"{type(reason).__name__}: {reason.strerror or reason}"]
        cure = "Choose a file in a folder that exists and that you may write to. An old file there is unchanged."
        raise SaveError(report(f"cannot save to {str(path)!r}", at=here(), facts=facts, cure=cure)) from reason
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """The permissions of the file that is replaced, else those that a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    """Make the renaming last, on systems that let a folder be synced."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _laid_out(content: dict[str, Any]) -> str:
    """JSON with one variable a line."""
    rows = content.pop("variables")
    head = json.dumps(content, indent=1, allow_nan=False)[:-2]
    body = ",\n".join("  " + json.dumps(row, allow_nan=False, ensure_ascii=False) for row in rows)
    return f'{head},\n "variables": [\n{body}\n ]\n}}\n'


def _encoded(array: Any) -> dict[str, Any]:
    """The elements in row-major order: as numbers where every bit comes back, else in base64."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    if array.size <= READABLE and not (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return {"data": [_number(x) for x in array.ravel()]}
    return {"base64": base64.b64encode(little.tobytes()).decode("ascii")}


def _number(x: Any) -> Any:
    """The shortest decimal that reads back as the same number."""
    return float(str(x)) if isinstance(x, np.floating) else x.item()


def read(path: Path, dtype: np.dtype[Any] | None) -> Document:
    """The document in a file.

    Raises:
        SaveError: the file cannot be read or understood.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise _damaged(path, f"{type(reason).__name__}: {reason}", "Check the path.") from reason
    try:
        content = json.loads(text, parse_constant=_no_constant)
    except ValueError as reason:
        raise _damaged(path, f"not JSON: {reason}", "The file may be cut off: use another copy.") from None
    except RecursionError:
        raise _damaged(path, "not JSON that lazygrad writes: nested too deep", "") from None
    if isinstance(content, dict) and {"array_list", "name_to_id"} <= set(content):
        return _from_rust(path, content, dtype)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, "it has no \"format\": \"lazygrad\"", "Give a file that env.save wrote.")
    if content.get("version") != VERSION:
        cure = f"This lazygrad reads version {VERSION}: install the one that wrote the file, or a newer one."
        raise _damaged(path, f"its version is {content.get('version')!r}", cure)
    try:
        return _from_lazygrad(content)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as reason:
        shown = f"{type(reason).__name__}: {reason}"
        raise _damaged(path, shown, "The file was damaged or edited: use another copy.") from None


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _damaged(path: Path, fact: str, cure: str) -> SaveError:
    return SaveError(report(f"cannot read {str(path)!r}", at=here(), facts=[fact], cure=cure))


def _from_lazygrad(content: dict[str, Any]) -> Document:
    entries = []
    for row in content["variables"]:
        dtype = np.dtype(row["dtype"])
        if dtype.kind not in "biuf":
            raise ValueError(f"variable {row['name']!r} has dtype {dtype}")
        shape = tuple(int(n) for n in row["shape"])
        if "base64" in row:
            raw = base64.b64decode(row["base64"], validate=True)
            array = np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype)
        else:
            array = np.array(row["data"], dtype=dtype)
            if array.ndim != 1 or (dtype.kind in "iu" and any(isinstance(x, float) for x in row["data"])):
                raise ValueError(f"variable {row['name']!r} is not a list of numbers of {dtype}")
        if array.size != math.prod(shape):
            raise ValueError(f"variable {row['name']!r} has {array.size} elements, its shape is {list(shape)}")
        if not isinstance(row["name"], str) or not isinstance(row["trainable"], bool):
            raise TypeError(f"variable {row['name']!r}: name or trainable flag is of the wrong type")
        entries.append(Entry(row["name"], array.reshape(shape), row["trainable"]))
    names = [entry.path for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError("a variable stands there twice")
    random = content["random"]
    seed, runs = random["seed"], random["runs"]
    if not isinstance(seed, int) or not isinstance(runs, int) or seed < 0 or runs < 0:
        raise ValueError("the random state is not two whole numbers")
    return Document(entries, np.dtype(content["dtype"]), seed, runs)


def _from_rust(path: Path, content: dict[str, Any], dtype: np.dtype[Any] | None) -> Document:
    """The layout of the Rust crate autograd: names joined to namespaces by U+0001, and no dtypes."""
    try:
        arrays = []
        for place, row in enumerate(content["array_list"]):
            values = np.array(row["data"], dtype=np.float64)
            if row["v"] != 1 or values.size != math.prod(row["dim"]):
                raise ValueError(f"array {place} is of another version, or its size is not that of its shape")
            arrays.append(values.reshape(row["dim"]))
        found = dtype or _dtype_of_decimals(arrays)
        entries = []
        for key, place in sorted(content["name_to_id"].items(), key=lambda item: item[1]):
            namespace, _, name = key.partition("\u0001")
            if not isinstance(place, int) or not 0 <= place < len(arrays):
                raise ValueError(f"{key!r} names array {place!r}, which is not there")
            entries.append(Entry(f"{namespace}/{name}" if namespace else name, arrays[place].astype(found), True))
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        shown = f"{type(reason).__name__}: {reason}"
        raise _damaged(path, shown, "It looks like a file of the Rust crate autograd, but is damaged.") from None
    return Document(entries, found, None, 0)


def _dtype_of_decimals(arrays: Sequence[Any]) -> np.dtype[Any]:
    """float32 if every number is the shortest decimal of one, as the crate writes them; else float64."""
    for array in arrays:
        single = array.astype(np.float32).ravel()
        if any(float(str(s)) != d for s, d in zip(single, array.ravel(), strict=True)):
            return np.dtype(np.float64)
    return np.dtype(np.float32)


def check_fits(path: Path, document: Document, mine: Mapping[str, Spec], strict: bool) -> None:
    """Raise SaveError unless the variables in the file are those of the environment."""
    theirs = {entry.path: entry for entry in document.entries}
    for name, entry in theirs.items():
        got = Spec(entry.array.shape, entry.array.dtype)
        if name in mine and mine[name] != got:
            facts = [f"environment:  {mine[name]}", f"file:         {got}"]
            what = f"cannot restore {str(path)!r}: variable {name!r} is another"
            raise SaveError(report(what, at=here(), facts=facts, cure="The file belongs to another model."))
        if strict and name not in mine and entry.trainable and document.has_random_state:
            cure = f"{nearest(name, mine)} Use strict=False to take only what fits."
            what = f"cannot restore {str(path)!r}: the environment has no variable {name!r}"
            raise SaveError(report(what, at=here(), cure=cure))
    missing = [name for name in mine if name not in theirs]
    if strict and missing:
        cure = f"{nearest(missing[0], theirs)} Use strict=False to take only what fits."
        what = f"cannot restore {str(path)!r}: it has no variable {missing[0]!r}"
        raise SaveError(report(what, at=here(), cure=cure))
