"""What an environment asks for: a backend by its name, and the dtype of what has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.backends.base import Backend
from lazygrad.backends.cupy import CupyBackend
from lazygrad.backends.numpy import NumpyBackend
from lazygrad.errors import BackendError, SpecError, nearest, report
from lazygrad.graph.registry import here

__all__ = ["backend_of", "default_dtype"]


def backend_of(name: str) -> Backend:
    """The backend of a name; ``"auto"`` is CuPy's where it is installed and finds a GPU, else NumPy's.

    Raises:
        BackendError: there is none, it is not installed, or it finds no GPU.
    """
    if name == "numpy":
        return NumpyBackend()
    if name == "cupy":
        return CupyBackend()
    if name == "auto":
        try:
            return CupyBackend()
        except BackendError:
            return NumpyBackend()
    cure = nearest(str(name), ["numpy", "cupy", "auto"])
    raise BackendError(report(f"there is no backend {name!r}", at=here(), cure=cure))


def default_dtype(dtype: Any) -> np.dtype[Any]:
    """``dtype``, if an environment can compute in it by default.

    Raises:
        SpecError: it is neither float32 nor float64.
    """
    try:
        found: np.dtype[Any] = np.dtype(object if dtype is None else dtype)
    except TypeError:
        found = np.dtype(object)
    if found not in (np.float32, np.float64):
        cure = "Choose 'float32' or 'float64'; single variables may have any real dtype."
        raise SpecError(report(f"cannot compute in {dtype!r} by default", at=here(), cure=cure))
    return found
