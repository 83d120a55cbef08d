"""CuPy's linear algebra, made to say when it fails."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Raising"]

# What NumPy says when a routine of LAPACK fails.
LINALG = {
    "inv": "Singular matrix",
    "solve": "Singular matrix",
    "cholesky": "Matrix is not positive definite",
    "eigh": "Eigenvalues did not converge",
    "eigvalsh": "Eigenvalues did not converge",
    "svd": "SVD did not converge",
    "pinv": "SVD did not converge",
}


class Raising:
    """CuPy's linear algebra, which says when it fails; by itself CuPy gives NaN."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cupy.linalg, name)
        if name in LINALG:
            found = _raising(found, LINALG[name])
        if name in ("eigh", "eigvalsh", "svd", "pinv"):
            found = _finding_nan(found, LINALG[name])
        setattr(self, name, found)
        return found


def _finding_nan(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """The function, which raises if it gives NaN; the methods that CuPy takes for batches tell of nothing."""

    @functools.wraps(function)
    def looking(*args: Any, **settings: Any) -> Any:
        y = function(*args, **settings)
        parts = y if isinstance(y, tuple) else (y,)
        if functools.reduce(operator.or_, [(part != part).any() for part in parts]):
            raise np.linalg.LinAlgError(what)
        return y

    return looking


def _raising(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """The function, which raises LinAlgError in NumPy's words."""
    import cupyx

    @functools.wraps(function)
    def raising(*args: Any, **settings: Any) -> Any:
        with cupyx.errstate(linalg="raise"):
            try:
                return function(*args, **settings)
            except np.linalg.LinAlgError:
                raise np.linalg.LinAlgError(what) from None

    return raising
