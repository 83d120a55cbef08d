"""Files of NumPy's, ``.npz``: a zip archive of arrays, one a member, and the text as an array without axes."""

from __future__ import annotations

import contextlib
import io
import math
import reprlib
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from lazygrad.files.arrays import TEXT, document_from, document_of_others, little, text_of
from lazygrad.files.document import DTYPES, MOST_AXES, MOST_VARIABLES, Document, UnreadableError
from lazygrad.files.others import PYTORCH

__all__ = ["npz_pieces", "read_npz"]

_SUFFIX = ".npy"
# How much a member can grow when it is unpacked: as np.savez writes them, and as np.savez_compressed does, by zlib.
_GROWTH = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}


class _Poured:
    """What is written and has not been taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> Iterator[bytes]:
        """All that was written since it was asked before."""
        pieces, self._pieces = self._pieces, []
        yield from pieces


def npz_pieces(document: Document) -> Iterator[bytes]:
    """The bytes of a file, in pieces, an array after the other."""
    written = _Poured()
    arrays = [(TEXT, np.array(text_of(document))), *((record.path, record.array) for record in document.records)]
    with zipfile.ZipFile(cast(BinaryIO, written), "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays:
            # A member that is made so is of 1980: the same variables give the same bytes.
            with archive.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(array), allow_pickle=False)
            yield from written.taken()
    yield from written.taken()


def read_npz(stream: BinaryIO, dtype: np.dtype[Any] | None) -> Document:
    """The document in an open file.

    Raises:
        ValueError: it is damaged, or holds what no variable can have; nothing in it is run.
    """
    with _told("it is no whole archive"):
        archive = zipfile.ZipFile(stream)
    with archive:
        members = archive.infolist()
        if any(info.filename.endswith("/data.pkl") for info in members):
            raise UnreadableError(*PYTORCH)
        if len(members) > MOST_VARIABLES + 1:
            raise ValueError(f"it has more than {MOST_VARIABLES} arrays, the most that are read")
        if sum(info.compress_size for info in members) > stream.seek(0, io.SEEK_END):
            raise ValueError("its arrays are larger than the whole file")
        arrays: dict[str, Any] = {}
        for info in members:
            name = info.filename.removesuffix(_SUFFIX)
            if name == info.filename:
                raise ValueError(f"it has {reprlib.repr(name)} in it, which is no array")
            if name in arrays:
                raise ValueError(f"array {reprlib.repr(name)} stands there twice")
            with _told(f"array {reprlib.repr(name)} cannot be read"):
                arrays[name] = _text(archive, info) if name == TEXT else _array(archive, info)
    if TEXT not in arrays:
        return document_of_others(arrays, dtype)
    return document_from(arrays.pop(TEXT), arrays)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Tell of whatever an archive or a header makes the readers of Python and NumPy raise as a ValueError.

    They say nowhere what that may be: of damaged files it is BadZipFile, zlib.error, tokenize.TokenError, SyntaxError,
    OverflowError, MemoryError, and more. What the system raises says that itself.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as reason:
        why = str(reason).partition("\n")[0].rstrip(".") or type(reason).__name__
        raise ValueError(f"{what}: {why if len(why) < 200 else why[:200] + '...'}") from None


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """The text that a member is."""

    def check(shape: tuple[int, ...], dtype: Any) -> None:
        if shape != () or dtype.kind != "U":
            raise ValueError(f"it is {dtype}{list(shape)}, not one text")

    array = _read(archive, info, check)
    return str(little(array).tobytes().decode("utf-32-le").rstrip("\0"))


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    """The array that a member is."""

    def check(_: tuple[int, ...], dtype: Any) -> None:
        if dtype.newbyteorder("=") not in DTYPES.values():
            raise ValueError(f"it is of {dtype}, which no variable has")

    array = _read(archive, info, check)
    if array.dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError("it has bytes that are not true or false")
    return array.astype(array.dtype.newbyteorder("="), order="C", copy=False)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, check: Callable[[tuple[int, ...], Any], None]) -> Any:
    """What NumPy reads of a member. Its header is looked at before memory is taken for what it says."""
    if info.compress_type not in _GROWTH:
        raise ValueError("it is compressed in a way that NumPy does not use")
    if info.file_size > info.compress_size * _GROWTH[info.compress_type]:
        raise ValueError("it cannot be as large as it says")
    with archive.open(info) as stream:
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"it is of version {version} of NumPy's format")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
        check(shape, dtype)
        if len(shape) > MOST_AXES or info.file_size - stream.tell() != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"its bytes are not as many as its shape says, {reprlib.repr(list(shape))}")
    with archive.open(info) as stream:
        array = npy.read_array(stream, allow_pickle=False)
        if stream.read(1):  # asks for the end, where the archive compares its own checksum
            raise ValueError("there is more after its last element")
    return array
