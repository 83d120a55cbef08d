"""Arrays of other libraries, and above all those on a device, known by the protocols that libraries share."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["described", "dtype_of", "has_dlpack", "lent", "on_device"]

# DLPack's numbers for memory that a CPU reads: its own, and what CUDA and ROCm pin of it.
HOST = (1, 3, 11)


def on_device(x: Any) -> bool:
    """Whether ``x`` is an array in the memory of a device, such as a GPU."""
    kind = type(x)
    if kind is np.ndarray or kind in (int, float, bool):
        return False
    if hasattr(kind, "__dlpack_device__"):
        try:
            return int(x.__dlpack_device__()[0]) not in HOST
        except Exception:  # a library that has the protocol, but not for this array
            return False
    return hasattr(x, "__cuda_array_interface__")


def has_dlpack(x: Any) -> bool:
    """Whether ``x`` is an array that another library lends by DLPack."""
    return hasattr(type(x), "__dlpack__")


def lent(x: Any) -> Any:
    """An array in the memory of the CPU as NumPy sees it, by whichever protocol ``x`` has."""
    if has_dlpack(x) and not hasattr(x, "__array__") and not hasattr(x, "__array_interface__"):
        return np.from_dlpack(x)
    return np.asarray(x)


def dtype_of(x: Any) -> np.dtype[Any]:
    """The dtype of an array of any library, in NumPy's terms; of objects, if NumPy has none like it."""
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, np.dtype):
        return dtype
    try:
        found: np.dtype[Any] = np.dtype(x.__cuda_array_interface__["typestr"])
        return found
    except Exception:  # no such protocol, or not for this dtype
        try:
            return np.dtype(str(dtype).rpartition(".")[2])  # torch.float32
        except TypeError:
            return np.dtype(object)


def described(x: Any) -> str:
    """Dtype, shape and type of an array on a device, as messages say it."""
    return f"{dtype_of(x)}{list(getattr(x, 'shape', ()))}, a {type(x).__module__}.{type(x).__qualname__}"
