"""How a GPU rounds products of float32: in float32, unless it was allowed to take TF32."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.errors import BackendError, report
from lazygrad.graph.registry import here

__all__ = ["Products", "allow_tf32", "is_tf32_allowed"]

# Of CuPy (``cupy._core._routines_linalg``), where a product of two matrices looks, and of cuBLAS, which a batch obeys.
DEFAULT, PEDANTIC, TF32 = 1, 2, 7
DEFAULT_MATH, TF32_MATH = 0, 3

_allowed = False


def allow_tf32(allowed: bool) -> bool:
    """Say whether products of float32 on a GPU may be computed in TF32; without a word they are not.

    TF32 keeps 10 bits of each factor, so that products have three digits, and takes a fraction of the time on GPUs
    since Ampere (``sm_80``). Sums stay float32. It holds for the whole process, for every run from now on. Nothing
    changes for NumPy, for older GPUs, and for products of other dtypes.

    Returns:
        Whether they were allowed before.

    Raises:
        BackendError: ``allowed`` is neither true nor false.
    """
    global _allowed
    if not isinstance(allowed, (bool, np.bool_)):
        cure = "Say lg.allow_tf32(True) or lg.allow_tf32(False)."
        raise BackendError(report(f"cannot use {allowed!r:.60} to allow TF32", at=here(), cure=cure))
    before, _allowed = _allowed, bool(allowed)
    return before


def is_tf32_allowed() -> bool:
    """Whether products of float32 may be computed in TF32."""
    return _allowed


class Products:
    """Products by cuBLAS, with CuPy told each time what float32 means.

    The process may have told CuPy something else (``CUPY_TF32``, a math mode of its handle): that holds before and
    after. CuPy keeps it for all threads, so one that multiplies at the same moment may be rounded as lazygrad is.
    """

    def __init__(self, cupy: Any) -> None:
        self._cupy, self._core = cupy, cupy._core
        self._knows_tf32 = int(cupy.cuda.Device().compute_capability) >= 80

    def __call__(self, a: Any, b: Any, out: Any = None) -> Any:
        """The product, written into ``out`` if that is given."""
        return self._multiplied(a, b, out, _allowed)

    def of_halves(self, a: Any, b: Any, out: Any = None) -> Any:
        """The product of numbers of float16 or bfloat16 in arrays of float32, in TF32, which has all their digits."""
        return self._multiplied(a, b, out, True)

    def _multiplied(self, a: Any, b: Any, out: Any, allowed: bool) -> Any:
        if a.dtype != np.float32 or b.dtype != np.float32:
            return self._cupy.matmul(a, b, out=out)
        core, cublas = self._core, self._cupy.cuda.cublas
        handle = self._cupy.cuda.device.get_cublas_handle()
        before = core.get_compute_type(a.dtype), cublas.getMathMode(handle)
        wanted = (TF32, TF32_MATH) if allowed and self._knows_tf32 else (DEFAULT, DEFAULT_MATH)
        if before == wanted or (before == (PEDANTIC, DEFAULT_MATH) and not allowed):  # which rounds as float32 does
            return self._cupy.matmul(a, b, out=out)
        try:
            core.set_compute_type(a.dtype, wanted[0])
            cublas.setMathMode(handle, wanted[1])
            return self._cupy.matmul(a, b, out=out)
        finally:
            core.set_compute_type(a.dtype, before[0])
            cublas.setMathMode(handle, before[1])
