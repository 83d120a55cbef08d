"""The backend that an environment asks for by its name."""

from __future__ import annotations

from lazygrad.backends.base import Backend
from lazygrad.backends.cupy import CupyBackend
from lazygrad.backends.numpy import NumpyBackend
from lazygrad.errors import BackendError, nearest, report
from lazygrad.graph.registry import here

__all__ = ["backend_of"]


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
