"""Calling exported steps from Python with NumPy alone: ``lazygrad_runtime.load("predict.so")``.

It imports nothing of lazygrad, whose ops and compiler need not be there; this file may be copied beside the library.
``lazygrad.runtime`` has the same names.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Function", "LoadError", "load"]

_ALIGNMENT = 64
_FORMAT = 1
# Where the header of a library says what processor it is for, and what it says.
_PROCESSORS = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# LLVM's names of what a processor can do that Linux calls otherwise.
_FLAGS = {
    "sse3": "pni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "bmi": "bmi1",
    "lzcnt": "abm",
    "avx512vnni": "avx512_vnni",
}
_LEVELS = {
    "x86-64-v2": {"sse4_2", "popcnt"},
    "x86-64-v3": {"avx2", "fma", "bmi2", "f16c"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
_ASKED = (
    "sse4.1",
    "sse4.2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "bmi",
    "bmi2",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
)


class LoadError(ValueError):
    """A library cannot be loaded, or is called with arrays that do not fit."""


class Function:
    """An exported step; called with its arrays in order, or by name, it returns new arrays.

    Attributes:
        spec: what the library says of itself: inputs and outputs with dtype and shape, the processor, the version.
    """

    def __init__(self, path: Path, library: Any, spec: dict[str, Any], weights: Any) -> None:
        self.spec = spec
        self._path, self._library, self._weights = path, library, weights
        self._inputs = [(one["name"], np.dtype(one["dtype"]), tuple(one["shape"])) for one in spec["inputs"]]
        self._outputs = [(tuple(one["shape"]), np.dtype(one["dtype"])) for one in spec["outputs"]]
        self._names = [one["name"] for one in spec["outputs"]]
        # Inputs are called by their names in C, or as the step calls them where these are others.
        self._said = {one.get("said", ""): one["name"] for one in spec["inputs"]}
        self._said |= {one["name"]: one["name"] for one in spec["inputs"]}
        more = int(spec["draws"]) + int(spec["weights"] is not None) + 1
        self._function = getattr(library, spec["name"])
        self._function.argtypes = [ctypes.c_void_p] * (len(self._inputs) + len(self._outputs) + more)
        self._function.restype = ctypes.c_int
        self._own = threading.local()

    def __call__(self, /, *arrays: Any, **named: Any) -> Any:
        """Run it.

        Args:
            arrays: one for each input; other dtypes of the same kind are cast. Numbers of Python that the dtype does
                not hold are refused.
            named: inputs by name; and where it draws, unless inputs have these names, ``seed=`` of random numbers, that
                of the exported environment unless said, and ``run=0``, the number of the run: other numbers in each.

        Returns:
            The output; where there are several, a tuple of them in order.

        Raises:
            LoadError: an array is missing, too many, or does not fit.
            RuntimeError: it fails: an index is out of range, or a loop takes more turns than it may.
        """
        seed, run = self._drawn(named) if named else (None, 0)
        given = self._given(arrays, named) if named or len(arrays) != len(self._inputs) else arrays
        taken = [
            a if type(a) is np.ndarray and a.dtype == dtype and a.shape == shape and _lies_well(a.flags)
            else self._fitted(a, name, dtype, shape)
            for a, (name, dtype, shape) in zip(given, self._inputs)
        ]  # fmt: skip
        made = [np.empty(shape, dtype) for shape, dtype in self._outputs]
        addresses = [_address(a) for a in taken]
        addresses += [_address(a) for a in made]
        if self.spec["draws"]:
            stream = self._stream(seed, run)
            addresses.append(stream.ctypes.data)
        if self._weights is not None:
            addresses.append(self._weights.ctypes.data)
        if self._function(*addresses, self._workspace()):
            raise RuntimeError(
                f"{self.spec['name']} failed: an index is out of range, or a loop takes more turns than it may"
            )
        return made[0] if len(made) == 1 else tuple(made)

    def _workspace(self) -> int:
        """The address of memory that belongs to this thread."""
        found = getattr(self._own, "address", None)
        if found is None:
            self._own.block = np.empty(self.spec["workspace"], np.uint8)
            found = self._own.address = int(self._own.block.ctypes.data)
        return int(found)

    def _drawn(self, named: dict[str, Any]) -> Any:
        """Seed and run, taken out of what is given by name."""
        found = {name: named.pop(name) for name in ("seed", "run") if name in named and name not in self._said}
        if found and not self.spec["draws"]:
            raise LoadError(f"{self.spec['name']} draws no random numbers: leave out seed and run")
        for name, number in found.items():
            fits = isinstance(number, (int, np.integer)) and number >= 0 and (name == "seed" or number < 1 << 64)
            if not fits and not (name == "seed" and number is None):
                raise LoadError(f"{self.spec['name']} takes a whole number from 0 on as {name}, not {number!r}")
        return found.get("seed"), found.get("run", 0)

    def _stream(self, seed: int | None, run: int) -> Any:
        word = self.spec["word"] if seed is None else np.random.SeedSequence(int(seed)).generate_state(2, np.uint64)[0]
        return np.array([word, run], np.uint64)

    def _given(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        names = [name for name, _, _ in self._inputs]
        found = dict(zip(names, arrays))
        known = {self._said.get(name, ""): array for name, array in named.items()}
        if len(arrays) > len(names) or known.keys() - set(names) or found.keys() & known.keys() or (
            len(found) + len(named) != len(names)
        ):  # fmt: skip
            said = [*(f"{len(arrays)} in order" for _ in arrays[:1]), *named]
            raise LoadError(
                f"{self.spec['name']} takes the arrays {', '.join(names) or 'none'}\n\n"
                f"    given:  {', '.join(said) or 'none'}"
            )
        return [{**found, **known}[name] for name in names]

    def _fitted(self, array: Any, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        """The array as the function wants it."""
        try:
            found = np.asarray(array)
        except ValueError as reason:  # lists of several lengths
            raise self._misfit(name, dtype, shape, str(reason)) from None
        fits = found.shape == shape and np.can_cast(found.dtype, dtype, "same_kind")
        if found.shape == shape and not hasattr(array, "dtype") and found.dtype.kind in "biu" and dtype.kind in "iu":
            # Python's numbers have no dtype of their own, so that it is they that must fit.
            fits = bool(np.array_equal(found.astype(dtype), found))
        if not fits:
            raise self._misfit(name, dtype, shape, f"{found.dtype}{list(found.shape)}")
        return np.require(found, dtype, ["C", "A"])

    def _misfit(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], given: str) -> LoadError:
        return LoadError(
            f"cannot call {self.spec['name']}: {name!r} does not fit\n\n"
            f"    wanted:  {dtype}{list(shape)}\n    given:   {given}\n"
            f"    The exported function is for arrays of this dtype and shape: export it for others too."
        )

    def __reduce__(self) -> Any:
        # Another process, or a copy, loads the library anew.
        return load, (os.fspath(self._path), self.spec["name"])

    def __repr__(self) -> str:
        inputs = ", ".join(f"{name}: {dtype}{list(shape)}" for name, dtype, shape in self._inputs)
        outputs = ", ".join(f"{n}: {d}{list(s)}" for n, (s, d) in zip(self._names, self._outputs))
        return f"<{self.spec['name']}({inputs}) -> {outputs}>"


def _lies_well(flags: Any) -> bool:
    """Whether the elements of an array lie in order, and aligned."""
    return bool(flags.c_contiguous and flags.aligned)


def _address(array: Any) -> int:
    """Where the numbers of an array begin; this is five times as quick as ``array.ctypes.data``."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # it is read-only, or has no elements
        return int(array.ctypes.data)


def load(path: str | os.PathLike[str], name: str = "") -> Function:
    """The step that was exported to a library.

    Args:
        path: the library, ``predict.so``; its weights are found beside it, where they are in a file.
        name: of the function, if the library has another name.

    Raises:
        LoadError: there is no such library, it is damaged, for another processor, or not one of lazygrad's.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise LoadError(f"cannot load a {type(path).__name__}: it is no path")
    file = Path(path).absolute()
    name = name or file.stem
    _check(file)
    try:
        library = ctypes.CDLL(str(file.resolve()))
    except OSError as reason:
        raise _cannot(file, f"{reason}", "Export it anew, on this machine or for it.") from None
    try:
        said = getattr(library, f"{name}_spec")
    except AttributeError:
        cure = f"Say load(path, name='…') if it was exported under another name than {name!r}."
        raise _cannot(file, f"it has no function {name}_spec", cure) from None
    said.argtypes, said.restype = [], ctypes.c_char_p
    spec = json.loads(said())
    if spec["format"] != _FORMAT:
        raise _cannot(file, f"its format is {spec['format']}, not {_FORMAT}", "Take the lazygrad_runtime it came with.")
    _check_features(file, spec)
    return Function(file, library, spec, None if spec["weights"] is None else _weights(file.with_name(name), spec))


def _cannot(file: Path, fact: str, cure: str) -> LoadError:
    return LoadError(f"cannot load {str(file)!r}\n\n    {fact}\n    {cure}")


def _check(file: Path) -> None:
    """Raise LoadError for what is no library of this machine: the system's own message does not say so."""
    try:
        with open(file, "rb") as stream:
            head = stream.read(20)
    except (OSError, ValueError) as reason:
        what = getattr(reason, "strerror", None) or str(reason)
        raise _cannot(file, f"{type(reason).__name__}: {what}", "Say where the library lies.") from None
    if not sys.platform.startswith("linux"):
        return
    if head[:4] != b"\x7fELF" or len(head) < 20:
        kind = "WebAssembly" if head[:4] == b"\0asm" else "no shared library"
        raise _cannot(file, f"it is {kind}", "Load the file with the suffix .so.")
    number, own = int.from_bytes(head[18:20], "little"), platform.machine()
    processor = _PROCESSORS.get(number, f"another processor ({number})")
    if processor != own and own in _PROCESSORS.values():
        cure = "Export it on a machine like this one, or with target=."
        raise _cannot(file, f"it is for {processor}, and this machine is {own}", cure)


def _check_features(file: Path, spec: dict[str, Any], flags_of: Path = Path("/proc/cpuinfo")) -> None:
    """Raise LoadError where this processor lacks what the code uses: it would end the process."""
    features = set(spec["features"].split(","))
    needed = {_FLAGS.get(name, name) for name in _ASKED if f"+{name}" in features}
    needed |= _LEVELS.get(spec["cpu"], set())
    try:
        with open(flags_of, encoding="utf-8", errors="replace") as stream:
            flags = next((set(line.split(":", 1)[1].split()) for line in stream if line.startswith("flags")), None)
    except OSError:
        return
    if flags is not None and needed - flags:
        cure = "Export it with target='x86-64-v2', which runs on more processors, or on a machine like this one."
        raise _cannot(file, f"this processor lacks {', '.join(sorted(needed - flags))}", cure)


def _weights(stem: Path, spec: dict[str, Any]) -> Any:
    """The numbers of the file beside the library, at an address that the code can use."""
    file = stem.with_name(stem.name + ".weights")
    try:
        data = file.read_bytes()
    except OSError as reason:
        cure = "Keep it beside the library."
        raise _cannot(file, f"{type(reason).__name__}: {reason.strerror}", cure) from None
    if len(data) != spec["weights"] or zlib.crc32(data) != spec["checksum"]:
        fact = f"it has {len(data)} bytes, wanted are {spec['weights']} with the checksum {spec['checksum']:08x}"
        raise _cannot(file, fact, "It is damaged, or of another export: copy both files anew.")
    block = np.empty(len(data) + _ALIGNMENT, np.uint8)
    start = -int(block.ctypes.data) % _ALIGNMENT
    weights = block[start : start + len(data)]
    weights[:] = np.frombuffer(data, np.uint8)
    return weights
