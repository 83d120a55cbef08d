"""CuPy's functions of arrays: the names and keywords of the real wheel, NumPy's arithmetic, and CuPy's refusals."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from cupy_double import runtime
from cupy_double.array import NUMBERS, cast, counts, functions, ndarray, unwrapped, wrapped

__all__ = ["OWN", "called_as", "over_numpy"]


def called_as(name: str, parameters: str | None, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which takes only what CuPy's takes."""
    if parameters is None:
        return function
    kind, kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, []
    for word in parameters.split(", ") if parameters else ():
        if word == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif word.startswith("**"):
            kinds.append(inspect.Parameter(word[2:], inspect.Parameter.VAR_KEYWORD))
        elif word.startswith("*"):
            kinds.append(inspect.Parameter(word[1:], inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = None if word.endswith("=") else inspect.Parameter.empty
            kinds.append(inspect.Parameter(word.rstrip("="), kind, default=default))
    signature = inspect.Signature(kinds)

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as reason:
            raise TypeError(f"{name}(): {reason}") from None
        return function(*args, **kwargs)

    called.__name__ = called.__qualname__ = name
    return called


def _plain(x: Any) -> Any:
    """An argument for NumPy's function; arrays of the host are refused, as CuPy does."""
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, ndarray):
        return x._a
    return type(x)(map(_plain, x)) if type(x) in (tuple, list) else x


def over_numpy(name: str) -> Callable[..., Any]:
    """NumPy's function of that name, of arrays on the device."""
    function = getattr(np, name)

    def computed(*args: Any, **kwargs: Any) -> Any:
        with np.errstate(all="ignore"):
            return wrapped(function(*map(_plain, args), **{key: _plain(value) for key, value in kwargs.items()}))

    return computed


def _from_host(x: Any) -> Any:
    """What ``cupy.array`` takes: anything like an array, also of other libraries on the device."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, (list, tuple)):
        return type(x)(map(_from_host, x))
    if hasattr(x, "__cuda_array_interface__"):
        counts["arrays taken over"] += 1
        return np.asarray(_Holder(x.__cuda_array_interface__))
    counts["to the device"] += 1
    if isinstance(x, np.ndarray) and runtime.is_memory_pinned(x.ctypes.data):  # it is read where it is, some time
        before = x.copy()
        runtime.later(lambda: np.testing.assert_array_equal(x, before, "changed before it was copied"))
    return x


class _Holder:
    def __init__(self, interface: dict[str, Any]) -> None:
        self.__array_interface__ = interface


def array(obj, dtype=None, copy=True, order="K", subok=False, ndmin=0, *, blocking=False):  # type: ignore[no-untyped-def]
    made = np.array(_from_host(obj), dtype=None if isinstance(obj, ndarray) else dtype, order=order or "K", ndmin=ndmin)
    return ndarray(made if dtype is None else cast(made, dtype))


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):  # type: ignore[no-untyped-def]
    if isinstance(a, ndarray) and not copy:
        contiguous = order in (None, "K", "A") or (order == "C" and a.flags.c_contiguous)
        if contiguous and (dtype is None or a.dtype == dtype):
            return a
    elif hasattr(a, "__cuda_array_interface__") and not isinstance(a, ndarray):
        return ndarray(np.asarray(_from_host(a), dtype=dtype))
    return array(a, dtype, order=order or "K")


def asnumpy(a, stream=None, order="C", out=None, *, blocking=True):  # type: ignore[no-untyped-def]
    return a.get(order=order) if isinstance(a, ndarray) else np.asarray(a)


def from_dlpack(array):  # type: ignore[no-untyped-def]
    if int(array.__dlpack_device__()[0]) != 2:
        raise BufferError("the array does not lie on a CUDA device")
    counts["arrays taken over"] += 1
    return array if isinstance(array, ndarray) else ndarray(array.__dlpack__())


def where(condition, x=None, y=None):  # type: ignore[no-untyped-def]
    if x is None and y is None:
        return wrapped(np.nonzero(unwrapped(condition)))
    a, b = unwrapped(x), unwrapped(y)
    strong = [v.dtype for v in (a, b) if hasattr(v, "dtype")]
    dtype = np.result_type(*strong, *[v for v in (a, b) if not hasattr(v, "dtype")])
    chosen = np.where(condition._a.astype(bool), np.asarray(a).astype(dtype), np.asarray(b).astype(dtype))
    return ndarray(np.asarray(chosen))


def concatenate(tup, axis=0, out=None, *, dtype=None, casting="same_kind"):  # type: ignore[no-untyped-def]
    if not isinstance(tup, list):
        raise TypeError(f"Argument 'arrays' has incorrect type (expected list, got {type(tup).__name__})")
    if not all(isinstance(a, ndarray) for a in tup):
        raise TypeError("Only cupy arrays can be concatenated")
    return ndarray(np.concatenate([a._a for a in tup], axis=axis, dtype=dtype))


def broadcast_arrays(*args):  # type: ignore[no-untyped-def]
    shape = np.broadcast_shapes(*[a.shape for a in args if isinstance(a, ndarray)])
    return tuple(ndarray(np.broadcast_to(a._a, shape)) if isinstance(a, ndarray) else a for a in args)


def searchsorted(a, v, side="left", sorter=None):  # type: ignore[no-untyped-def]
    if not isinstance(a, ndarray):
        raise NotImplementedError("Only int or ndarray are supported for a")
    return ndarray(np.asarray(np.searchsorted(a._a, unwrapped(v), side)))


def argsort(a, axis=-1, kind=None):  # type: ignore[no-untyped-def]
    if kind not in (None, "stable"):
        raise ValueError("kind can only be None or 'stable'")
    return ndarray(np.argsort(unwrapped(a), axis=axis, kind="stable"))


def matmul(a, b, *, out=None):  # type: ignore[no-untyped-def]
    if not isinstance(a, ndarray) or not isinstance(b, ndarray):
        raise TypeError("Argument 'a' has incorrect type (expected cupy.ndarray)")
    if a.dtype == b.dtype == np.float32 and (runtime.settings.mode == 3 or runtime.settings.compute.get("f") == 7):
        counts["products in TF32"] += 1
    with np.errstate(all="ignore"):
        if out is None:
            return wrapped(np.matmul(a._a, b._a))
        np.matmul(a._a, b._a, out=out._a)
        return out


def copyto(dst, src, casting="same_kind", where=None):  # type: ignore[no-untyped-def]
    made = src if isinstance(src, (ndarray, *NUMBERS)) else array(src)
    if where is None:
        dst[...] = made
    else:
        runtime.refuse_while_capturing()
        np.copyto(dst._a, unwrapped(made), casting, where._a)


OWN = [array, asarray, from_dlpack, where, concatenate, broadcast_arrays, searchsorted, argsort, matmul, copyto]
functions["asnumpy"] = asnumpy
