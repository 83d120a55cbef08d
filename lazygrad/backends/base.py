"""What a backend is."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["SPECIAL", "Backend"]

# Functions that kernels need and array libraries keep elsewhere, with SciPy's and CuPy's names for them.
SPECIAL = {name: name for name in ("erf", "erfc", "erfinv", "gammaln", "log_ndtr", "polygamma", "i0e", "i1e")}
SPECIAL["digamma"] = "psi"


class Backend(Protocol):
    """An array library, as the engine uses it."""

    name: str
    xp: Any

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """An array of this backend, without a copy where it is one already."""

    def to_numpy(self, array: Any) -> Any:
        """The array in NumPy's memory."""
