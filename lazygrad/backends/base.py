"""What a backend is."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["Backend"]


class Backend(Protocol):
    """An array library, as the engine uses it."""

    name: str
    xp: Any

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """An array of this backend, without a copy where it is one already."""

    def to_numpy(self, array: Any) -> Any:
        """The array in NumPy's memory."""

    def synchronize(self) -> None:
        """Wait until everything asked for has been computed."""
