"""The double's array: NumPy's, hidden behind CuPy's methods, with nothing that converts it unasked."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from cupy_double import runtime
from cupy_double.runtime import refuse_while_capturing

__all__ = ["NUMBERS", "cast", "counts", "functions", "memory", "ndarray", "unwrapped", "wrapped"]

NUMBERS = (bool, int, float, complex, np.generic)
ADDED = ("int32", "float16", "float32", "float64", "uint32", "uint64", "complex64", "complex128")
COMPARED = ("int32", "float32", "float64", "uint32", "uint64")

counts: Counter[str] = Counter()  # what a GPU's run would pay for, or would not tell: copies, wrapped indices, …
runtime._counts = counts
functions: dict[str, Callable[..., Any]] = {}  # CuPy's functions by name, filled where they are made


def cast(a: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """A cast as a GPU makes it: of floats beyond the whole numbers the nearest one, and 0 of NaN."""
    dtype = np.dtype(dtype)
    if a.dtype.kind != "f" or dtype.kind not in "iu":
        return a.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    inside = np.where(np.isnan(a), 0, np.trunc(a)).astype(np.float64)
    whole = np.clip(inside, float(limits.min), float(limits.max))
    # float64 has not the largest number of 64 bits; what reaches beyond it becomes that.
    with np.errstate(invalid="ignore"):
        return np.where(whole >= float(limits.max), limits.max, whole.astype(dtype)).astype(dtype)


def unwrapped(x: Any) -> Any:
    """NumPy's array or number in an argument of a function.

    Raises:
        TypeError: it is neither an array of this library nor a number.
    """
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, NUMBERS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def wrapped(y: Any) -> Any:
    """What a function returns: arrays, also of no axes, where NumPy would give numbers."""
    if isinstance(y, tuple):
        return tuple(wrapped(part) for part in y)
    if isinstance(y, list):
        return [wrapped(part) for part in y]
    return ndarray(np.asarray(y)) if isinstance(y, (np.ndarray, np.generic)) else y


def _axes(part: Any) -> int:
    """How many axes a part of an index stands for."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


class _Flags:
    """Which of CuPy's flags are set."""

    def __init__(self, flags: Any) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


def _asked(name: str) -> property:
    return property(lambda self: getattr(self._a, name))


def _viewing(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> ndarray:
        return ndarray(getattr(self._a, name)(*args, **kwargs))

    return method


def _function(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        return functions[name](self, *args, **kwargs)

    return method


def _operator(name: str, swapped: bool = False) -> Callable[..., Any]:
    def method(self: ndarray, other: Any) -> Any:
        return functions[name](other, self) if swapped else functions[name](self, other)

    return method


def _in_place(name: str) -> Callable[..., Any]:
    def method(self: ndarray, other: Any) -> ndarray:
        functions[name](self, other, out=self)
        return self

    return method


def _waiting(name: str) -> Callable[..., Any]:
    def method(self: ndarray) -> Any:
        _waited()
        return getattr(self._a, name)()

    return method


def _waited() -> None:
    refuse_while_capturing()
    counts["waits for the device"] += 1
    runtime.wait()


memory: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # all that lies "on the device"


class ndarray:  # noqa: N801
    """An array "on the device"."""

    __slots__ = ("__weakref__", "_a", "_device")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: Any) -> None:
        if array.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {array.dtype}")
        refuse_while_capturing()
        self._a, self._device = array, runtime.settings.device
        root, under = array, array.base
        while under is not None:  # a strided view has no array for its base, but what has one
            root, under = under if isinstance(under, np.ndarray) else root, getattr(under, "base", None)
        memory[id(root)] = root

    shape, dtype, ndim, size = _asked("shape"), _asked("dtype"), _asked("ndim"), _asked("size")
    nbytes, itemsize, strides = _asked("nbytes"), _asked("itemsize"), _asked("strides")
    flags = property(lambda self: _Flags(self._a.flags))
    T = property(lambda self: ndarray(self._a.T))
    mT = property(lambda self: ndarray(self._a.mT))  # noqa: N815
    base = property(lambda self: None if self._a.base is None else ndarray(np.asarray(self._a.base)))

    # To and from other libraries, and kernels.

    @property
    def data(self) -> Any:
        """Where it lies."""
        return SimpleNamespace(ptr=self._a.__array_interface__["data"][0])

    @property
    def device(self) -> Any:
        """On which device it lies."""
        return runtime.Device(self._device)

    def set(self, arr: Any, stream: Any = None) -> None:
        """Take over the numbers of a NumPy array of the same shape and dtype; from pinned memory at any time."""
        assert (arr.shape, arr.dtype) == (self.shape, self.dtype)
        refuse_while_capturing()
        counts["to the device"] += 1
        self._a[...] = arr
        if runtime.is_memory_pinned(arr.ctypes.data):
            before = arr.copy()
            runtime.later(lambda: np.testing.assert_array_equal(arr, before, "changed before it was copied"))
        else:
            counts["copies that may wait"] += 1

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self._a.__array_interface__, "version": 3}

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device  # CUDA's

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or ufunc.__name__ not in functions:
            return NotImplemented
        return functions[ufunc.__name__](*inputs, **kwargs)

    def get(self, stream: Any = None, order: Any = "C", out: Any = None, blocking: bool = True) -> Any:
        refuse_while_capturing()
        counts["to the host"] += 1
        if not blocking:
            assert out is not None
            assert runtime.is_memory_pinned(out.ctypes.data)
            now = self._a.copy()
            runtime.later(lambda: np.copyto(out, now))
            return out
        counts["waits for a copy"] += 1
        runtime.wait()
        return np.array(self._a, order=order)

    def item(self, *index: Any) -> Any:
        _waited()
        return self._a.item(*index)

    def tobytes(self, order: Any = "C") -> bytes:
        counts["to the host"] += 1
        return self._a.tobytes(order)

    def tolist(self) -> Any:
        counts["to the host"] += 1
        return self._a.tolist()

    # Copies, casts, views.

    def copy(self, order: Any = "C") -> ndarray:
        return ndarray(self._a.copy(order))

    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        made = cast(self._a, dtype)
        return ndarray(made.copy() if copy and np.may_share_memory(made, self._a) else made)

    def view(self, dtype: Any = None) -> ndarray:
        return ndarray(self._a.view() if dtype is None else self._a.view(dtype))

    def fill(self, value: Any) -> None:
        refuse_while_capturing()
        self._a.fill(unwrapped(value))

    reshape, ravel, flatten = _viewing("reshape"), _viewing("ravel"), _viewing("flatten")
    transpose, swapaxes, squeeze = _viewing("transpose"), _viewing("swapaxes"), _viewing("squeeze")

    # Numbers of it, for which the host waits.

    __bool__, __int__, __float__ = _waiting("__bool__"), _waiting("__int__"), _waiting("__float__")
    __index__ = _waiting("__index__")

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self._a)))

    def __repr__(self) -> str:
        return repr(self._a)

    def __str__(self) -> str:
        return str(self._a)

    def __format__(self, spec: str) -> str:
        return format(self._a, spec)

    # Parts.

    def _places(self, key: Any) -> tuple[Any, ...]:
        """An index as NumPy takes it: indices out of range wrap around, and nobody says so."""
        parts = [self._plain(p) for p in (key if isinstance(key, tuple) else (key,))]
        named = sum(_axes(p) for p in parts)
        places, axis = [], 0
        for part in parts:
            if isinstance(part, np.ndarray) and part.dtype.kind != "b":
                part = self._wrapped_around(part, self.shape[axis])
            places.append(part)
            axis = self.ndim - (named - axis) if part is Ellipsis else axis + _axes(part)
        return tuple(places)

    @staticmethod
    def _plain(part: Any) -> Any:
        if not isinstance(part, (ndarray, np.ndarray, list)):
            return part
        part = part._a if isinstance(part, ndarray) else np.asarray(part)
        if part.dtype.kind not in "biu":
            raise IndexError("arrays used as indices must be of integer or boolean type.")
        return part

    @staticmethod
    def _wrapped_around(indices: Any, size: int) -> Any:
        whole = indices.astype(object) if indices.dtype == np.uint64 else indices.astype(np.int64)
        if size and ((whole < -size) | (whole >= size)).any():
            counts["wrapped indices"] += 1
        return np.asarray(whole % max(size, 1), np.int64)

    def __getitem__(self, key: Any) -> ndarray:
        found = self._a[self._places(key)]
        if isinstance(found, np.generic):  # a view even of one element
            whole = all(isinstance(p, (int, np.integer)) for p in (key if isinstance(key, tuple) else (key,)))
            found = self._a[(*self._places(key), ...)] if whole else np.asarray(found)
        return ndarray(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        refuse_while_capturing()
        places = self._places(key)
        if not isinstance(value, (ndarray, *NUMBERS)):
            value = functions["array"](value)
        values = unwrapped(value)
        if not any(isinstance(p, np.ndarray) and p.dtype.kind != "b" for p in places):
            self._a[places] = values if not isinstance(values, np.ndarray) else cast(values, self.dtype)
            return
        # Of a place that is named twice any value may stay: here the first.
        named = np.arange(self.size).reshape(self.shape)[places]
        written = np.broadcast_to(cast(np.asarray(values), self.dtype), named.shape)
        if np.unique(named).size < named.size:
            counts["places written twice"] += 1
        self._a.flat[named.ravel()[::-1]] = written.ravel()[::-1]

    def _scatter(self, ufunc: Any, key: Any, value: Any, allowed: tuple[str, ...], name: str) -> None:
        places = self._places(key)
        if any(isinstance(p, np.ndarray) for p in places) and self.dtype.name not in allowed:
            raise TypeError(f"{name} only supports {', '.join(allowed)}, but not {self.dtype} as data type")
        ufunc.at(self._a, places, cast(np.asarray(unwrapped(value)), self.dtype))

    def scatter_add(self, slices: Any, value: Any) -> None:
        self._scatter(np.add, slices, value, ADDED, "scatter_add")

    def scatter_max(self, slices: Any, value: Any) -> None:
        self._scatter(np.maximum, slices, value, COMPARED, "scatter_max")

    def scatter_min(self, slices: Any, value: Any) -> None:
        self._scatter(np.minimum, slices, value, COMPARED, "scatter_min")

    # Functions that are methods too.

    sum, prod, max, min, all, any = map(_function, ("sum", "prod", "max", "min", "all", "any"))
    argmax, argmin, argsort, cumsum = map(_function, ("argmax", "argmin", "argsort", "cumsum"))
    mean, diagonal, take, dot, round = map(_function, ("mean", "diagonal", "take", "dot", "round"))
    clip, nonzero, conj = map(_function, ("clip", "nonzero", "conj"))

    __neg__, __abs__, __invert__ = _function("negative"), _function("abs"), _function("invert")
    __add__, __radd__, __iadd__ = _operator("add"), _operator("add", True), _in_place("add")
    __sub__, __rsub__, __isub__ = _operator("subtract"), _operator("subtract", True), _in_place("subtract")
    __mul__, __rmul__, __imul__ = _operator("multiply"), _operator("multiply", True), _in_place("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _operator("divide"), _operator("divide", True), _in_place("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide"), _operator("floor_divide", True)
    __mod__, __rmod__ = _operator("remainder"), _operator("remainder", True)
    __pow__, __rpow__ = _operator("power"), _operator("power", True)
    __matmul__, __rmatmul__ = _operator("matmul"), _operator("matmul", True)
    __and__, __rand__ = _operator("bitwise_and"), _operator("bitwise_and", True)
    __or__, __ror__ = _operator("bitwise_or"), _operator("bitwise_or", True)
    __xor__, __rxor__ = _operator("bitwise_xor"), _operator("bitwise_xor", True)
    __lshift__, __rshift__ = _operator("left_shift"), _operator("right_shift")
    __lt__, __le__, __gt__, __ge__ = map(_operator, ("less", "less_equal", "greater", "greater_equal"))
    __eq__, __ne__ = _operator("equal"), _operator("not_equal")  # type: ignore[assignment]
