"""The CuPy backend: the same kernels, on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.backends.base import SPECIAL
from lazygrad.errors import BackendError, report

__all__ = ["CupyBackend"]


class CupyNamespace:
    """CuPy, and beside it the functions that kernels need and CuPy keeps elsewhere."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy

    def __getattr__(self, name: str) -> Any:
        if name in SPECIAL:
            import cupyx.scipy.special

            return getattr(cupyx.scipy.special, SPECIAL[name])
        return getattr(self._cupy, name)

    def checked(self, x: Any, wrong: Any, say: Any) -> Any:
        """``x``; if any of it is wrong, the error that ``say`` makes of the first such element is raised."""
        if wrong.any():
            raise say(x[wrong].ravel()[0])
        return x

    def concatenate(self, arrays: Any, axis: int = 0) -> Any:
        """CuPy's, which wants a list."""
        return self._cupy.concatenate(list(arrays), axis=axis)

    def solve_triangular(self, a: Any, b: Any, lower: bool, transposed: bool) -> Any:
        """Solve triangular systems, one a matrix of the batch."""
        from cupyx.scipy.linalg import solve_triangular as solve

        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = self._cupy.broadcast_to(a, batch + a.shape[-2:])
        b = self._cupy.broadcast_to(b, batch + b.shape[-2:])
        out = self._cupy.empty(b.shape, np.result_type(a.dtype, b.dtype))
        for place in np.ndindex(*batch):
            if b.shape[-1] and b.shape[-2]:
                out[place] = solve(a[place], b[place], lower=lower, trans=1 if transposed else 0, check_finite=False)
        return out


class CupyBackend:
    """Arrays in a GPU's memory.

    Raises:
        BackendError: CuPy is not installed, or finds no GPU that works.
    """

    name = "cupy"

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as reason:
            raise BackendError(
                report(
                    "cannot use backend='cupy': CuPy is not installed",
                    facts=[f"import cupy: {reason}"],
                    cure='Install it for your driver: pip install "lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]".',
                )
            ) from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
            cupy.zeros(1).sum()
        except Exception as reason:
            raise BackendError(
                report(
                    "cannot use backend='cupy': CuPy finds no GPU that works",
                    facts=[f"{type(reason).__name__}: {reason}"],
                    cure="Look at `nvidia-smi`, and use backend='numpy' on a machine without a GPU.",
                )
            ) from None
        assert count > 0
        self._cupy = cupy
        self.xp = CupyNamespace(cupy)

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """An array on the GPU."""
        return self._cupy.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> Any:
        """The array, copied to main memory."""
        return self._cupy.asnumpy(array)
