"""Arrays that a model has in other files: they are read from its own folder, and from nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["take_in"]


def take_in(tensors: list[Any], folder: Path, needed: Callable[[Any], int | None]) -> None:
    """Put the bytes of all tensors that lie in other files into the tensors; first all are looked at, then read.

    Args:
        tensors: all of the model.
        folder: of the model.
        needed: how many bytes a tensor has by its shape and type; None if it is of none that is read.

    Raises:
        ValueError: one lies outside of the folder, or is not there as a whole.
    """
    outside = [t for t in tensors if t.data_location == t.EXTERNAL]
    places = [_place(t, folder, needed(t)) for t in outside]
    for tensor, (path, offset, length) in zip(outside, places, strict=True):
        with open(path, "rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def _place(tensor: Any, folder: Path, needed: int | None) -> tuple[Path, int, int]:
    """The file of a tensor, where in it the bytes begin, and how many there are."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    location, name = said.get("location", ""), tensor.name
    path = _inside(location, folder, name)
    size = path.stat().st_size
    offset = _number(said.get("offset", "0"), name)
    length = _number(said["length"], name) if "length" in said else size - offset
    if offset + length > size or length < 0:
        raise ValueError(f"array {name!r:.60} ends beyond the end of {location!r:.80}, which has {size} bytes")
    if length != needed:  # a file may have a terabyte of nothing
        shape = list(tensor.dims)
        raise ValueError(
            f"array {name!r:.60} has {length} bytes in {location!r:.80}, and {needed} by its shape {shape}"
        )
    return path, offset, length


def _inside(location: str, folder: Path, name: str) -> Path:
    """The plain file of that name in the folder, of whose path no part is a link."""
    parts = location.replace("\\", "/").split("/")
    absolute = location.startswith(("/", "\\")) or Path(location).is_absolute() or ":" in parts[0]
    if not location or absolute or ".." in parts or "\0" in location:
        raise ValueError(
            f"array {name!r:.60} lies in {location!r:.80}, outside of the folder of the model, where nothing is read"
        )
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise ValueError(f"array {name!r:.60} lies in {location!r:.80}, which is a link: it may lead anywhere")
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        raise ValueError(f"array {name!r:.60} lies in {location!r:.80}, which is not there") from None
    if not stat.S_ISREG(kind):
        raise ValueError(f"array {name!r:.60} lies in {location!r:.80}, which is no plain file")
    return path


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"array {name!r:.60} has {text!r:.40} where a number of bytes stands")
    return int(text)
