"""CuPy's linear algebra: batched, and silent about what is singular unless it is told to raise."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.linalg

from cupy_double.array import counts, ndarray, wrapped

__all__ = ["errstate", "lu", "over_numpy", "solve_triangular"]

# The status of these is looked at where ``linalg="raise"``; that of Jacobi's methods for batches never is.
CHECKED = ("inv", "solve", "cholesky", "eigh", "eigvalsh", "svd", "pinv")
UNCHECKED_IN_BATCHES = ("eigh", "eigvalsh", "svd", "pinv")

_linalg = "ignore"


@contextlib.contextmanager
def errstate(*, divide=None, over=None, under=None, invalid=None, linalg=None) -> Iterator[None]:  # type: ignore[no-untyped-def]
    """CuPy's: ``linalg="raise"`` has failures of linear algebra raise."""
    global _linalg
    before, _linalg = _linalg, linalg or _linalg
    try:
        yield
    finally:
        _linalg = before


def _on_device(*arrays: Any) -> None:
    if not all(isinstance(a, ndarray) for a in arrays):
        raise np.linalg.LinAlgError("cupy.linalg only supports cupy.ndarray")


def over_numpy(name: str) -> Callable[..., Any]:
    """NumPy's function of that name; where it would raise, NaN."""
    function = getattr(np.linalg, name)

    def computed(*args: Any, **kwargs: Any) -> Any:
        arrays = args[:2] if name == "solve" else args[:1]
        _on_device(*arrays)
        if name == "solve" and args[0].shape[:-1] != args[1].shape[:-1]:
            raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
        plain = [a._a if isinstance(a, ndarray) else a for a in args]
        with np.errstate(all="ignore"):
            try:
                return _tuple(function(*plain, **kwargs))
            except np.linalg.LinAlgError as reason:
                failed = any(word in str(reason) for word in ("ingular", "positive definite", "converge"))
                unseen = name in UNCHECKED_IN_BATCHES and plain[0].ndim > 2
                if not failed or name not in CHECKED:
                    raise
                if _linalg == "raise" and not unseen:
                    raise np.linalg.LinAlgError(f"Error reported by {name} in cuSOLVER. devInfo = [1].") from None
            counts["failures of linear algebra, in silence"] += 1
            # The shapes come from a matrix that can be had; the numbers are none.
            healthy = np.broadcast_to(np.eye(*plain[0].shape[-2:], dtype=plain[0].dtype), plain[0].shape)
            return _tuple(function(healthy, *plain[1:], **kwargs), spoiled=True)

    return computed


def _tuple(y: Any, spoiled: bool = False) -> Any:
    if isinstance(y, tuple):
        return tuple(_tuple(part, spoiled) for part in y)
    return wrapped(np.full_like(y, np.nan) if spoiled else y)


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=False):  # type: ignore[no-untyped-def]
    """A triangular solve of a whole batch, which divides by whatever stands on the diagonal."""
    _on_device(a, b)
    if a.ndim > 2 and a.shape[:-2] != b.shape[: a.ndim - 2]:
        raise ValueError("incompatible batch count")
    t = np.tril(a._a) if lower else np.triu(a._a)
    t = t.mT if trans in (1, "T") else t
    out = np.full(b.shape, np.nan, np.result_type(a.dtype, b.dtype))
    for place in np.ndindex(*t.shape[:-2]):
        with contextlib.suppress(np.linalg.LinAlgError):
            out[place] = np.linalg.solve(t[place], b._a[place])
    return ndarray(out)


def lu(a, permute_l=False, overwrite_a=False, check_finite=True):  # type: ignore[no-untyped-def]
    """The three factors of one matrix; there are no batches."""
    _on_device(a)
    if a.ndim != 2:
        raise ValueError("expected matrix")
    return tuple(map(ndarray, scipy.linalg.lu(a._a, check_finite=check_finite)))
