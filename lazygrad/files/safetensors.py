"""Files of the form safetensors: arrays and one text, without code. The package of that name reads and writes them."""

from __future__ import annotations

import io
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lazygrad.errors import BackendError, report
from lazygrad.files.arrays import document_from, document_of_others, little, text_of
from lazygrad.files.document import FORMAT, MOST_AXES, MOST_VARIABLES, Document
from lazygrad.files.jsontext import Reader
from lazygrad.graph.registry import here

__all__ = ["is_safetensors", "read_safetensors", "safetensors_pieces"]

_MOST_HEADER = 100_000_000  # bytes, that the package reads
_DTYPES = {
    "BOOL": np.bool_,
    "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip


def _package() -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        cure = "Install it: pip install 'lazygrad[safetensors]'. Files that end in .npz or .json need nothing."
        raise BackendError(report("cannot use .safetensors: the package is not there", at=here(), cure=cure)) from None
    return safetensors


def is_safetensors(beginning: bytes) -> bool:
    """Whether a file begins as one of this form: with the length of a header, and an object of JSON."""
    return len(beginning) > 8 and beginning[4:9] == b"\0\0\0\0{"


def safetensors_pieces(document: Document) -> Iterator[bytes]:
    """The bytes of a file."""
    package = _package()
    # One text and no more: the package writes several in any order.
    arrays = {record.path: little(record.array) for record in document.records}
    data = package.numpy.save(arrays, {FORMAT: text_of(document)})
    if int.from_bytes(data[:8], "little") > _MOST_HEADER:
        raise ValueError(f"The names and shapes take more than {_MOST_HEADER} bytes, which nobody could read again")
    yield data


def read_safetensors(stream: BinaryIO, path: Path, dtype: np.dtype[Any] | None) -> Document:
    """The document in an open file of this path.

    Raises:
        ValueError: it is damaged, or holds what no variable can have.
        BackendError: the package is not installed.
    """
    package = _package()
    try:
        with package.safe_open(path, framework="np") as file:
            _check_names(stream)
            names, texts = list(file.keys()), file.metadata() or {}
            if len(names) > MOST_VARIABLES:
                raise ValueError(f"it has more than {MOST_VARIABLES} arrays, the most that are read")
            arrays = {name: _array(file, name) for name in names}
    except package.SafetensorError as reason:
        raise ValueError(f"it is no whole file of that form: {str(reason).rstrip('.'):.200}") from None
    text = texts.get(FORMAT)
    return document_of_others(arrays, dtype) if text is None else document_from(text, arrays)


def _check_names(stream: BinaryIO) -> None:
    """Raise ValueError if a name stands twice in the header, of which the package takes the last."""
    header = Reader(io.BytesIO(stream.read(int.from_bytes(stream.read(8), "little"))))
    for _ in header.members():
        header.value()


def _array(file: Any, name: str) -> Any:
    """The array of that name."""
    found = file.get_slice(name)
    kind = found.get_dtype()
    if kind not in _DTYPES:
        raise ValueError(f"array {reprlib.repr(name)} is of {kind}, which NumPy does not have: write it as F32")
    if len(found.get_shape()) > MOST_AXES:
        raise ValueError(f"array {reprlib.repr(name)} has more than {MOST_AXES} axes")
    array = file.get_tensor(name)
    if kind == "BOOL" and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"array {reprlib.repr(name)} has bytes that are not true or false")
    return array.astype(_DTYPES[kind], copy=False)
