"""The NumPy backend, with SciPy for special functions and triangular systems."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

import numpy as np

from lazygrad.backends.base import SPECIAL
from lazygrad.backends.matrices import Linalg, nan_beside_nan, place_in_batch
from lazygrad.backends.repeated import repeated
from lazygrad.backends.special import FUNCTIONS
from lazygrad.backends.windows import windows_back, windows_folded
from lazygrad.errors import BackendError, report
from lazygrad.graph.casting import cast
from lazygrad.graph.registry import here
from lazygrad.philox import word_at
from lazygrad.values.foreign import described

__all__ = ["NumpyBackend", "NumpyNamespace"]


def solve_triangular(a: Any, b: Any, lower: bool, transposed: bool) -> Any:
    """Solve triangular systems, one a matrix of the batch."""
    from scipy.linalg import solve_triangular as solve

    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = np.broadcast_to(a, batch + a.shape[-2:])
    b = np.broadcast_to(b, batch + b.shape[-2:])
    out = np.empty(b.shape, np.result_type(a, b))
    for place in np.ndindex(*batch):
        if b.shape[-1] and b.shape[-2]:
            try:
                out[place] = solve(a[place], b[place], lower=lower, trans=1 if transposed else 0, check_finite=False)
            except np.linalg.LinAlgError as reason:
                raise np.linalg.LinAlgError(f"{reason}{place_in_batch(place, batch)}") from None
    return out


def lu(a: Any) -> Any:
    """Permutation, lower and upper triangular factor of each matrix."""
    from scipy.linalg import lu as factored

    return tuple(nan_beside_nan(np, a, y) for y in factored(a, check_finite=False))


def checked(x: Any, wrong: Any, say: Any) -> Any:
    """``x``; if any of it is wrong, the error that ``say`` makes of the first such element is raised."""
    if wrong.any():
        raise say(x[wrong].ravel()[0])
    return x


def elements(x: Any, places: tuple[Any, ...]) -> Any:
    """The elements of ``x`` that index arrays name."""
    return x[places]


def added(x: Any, places: tuple[Any, ...], values: Any) -> Any:
    """A copy of ``x`` with ``values`` added at places."""
    out = x.copy()
    np.add.at(out, places, values)
    return out


def placed(x: Any, places: tuple[Any, ...], values: Any) -> Any:
    """A copy of ``x`` with ``values`` at places; NumPy writes them one after the other."""
    out = x.copy()
    out[places] = values
    return out


class NumpyNamespace:
    """NumPy, and beside it the functions that kernels need and NumPy has not.

    SciPy is imported when one of its functions is first used, as that takes longer than the rest of lazygrad.
    """

    cast = staticmethod(cast)
    checked = staticmethod(checked)
    repeated = staticmethod(functools.partial(repeated, np))
    random_word = staticmethod(functools.partial(word_at, np))
    elements = staticmethod(elements)
    added = staticmethod(added)
    placed = staticmethod(placed)
    windows_folded = staticmethod(functools.partial(windows_folded, np))
    windows_back = staticmethod(functools.partial(windows_back, np))
    lu = staticmethod(lu)
    solve_triangular = staticmethod(solve_triangular)
    matmul_of_halves = np.matmul  # of float32, as any

    def __init__(self) -> None:
        self.linalg = Linalg(self, np.linalg)

    def __getattr__(self, name: str) -> Any:
        if name in SPECIAL or name in FUNCTIONS:
            import scipy.special

            if name in SPECIAL:
                found = getattr(scipy.special, SPECIAL[name])
            else:
                found = functools.partial(FUNCTIONS[name], self, scipy.special)
        else:
            found = getattr(np, name)
        setattr(self, name, found)
        return found


class NumpyBackend:
    """Arrays in main memory."""

    name = "numpy"
    xp = NumpyNamespace()

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """A NumPy array."""
        return np.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> Any:
        """The array itself."""
        return np.asarray(array)

    def taken(self, array: Any) -> NoReturn:
        """Nothing is copied between memories unasked.

        Raises:
            BackendError: always.
        """
        raise BackendError(
            report(
                "cannot use an array that lies on a device with backend='numpy'",
                at=here(),
                facts=[f"array:  {described(array)}"],
                cure="Copy it to main memory first, as with cupy.asnumpy(x) or x.cpu(), or compute where it lies: "
                "VariableEnvironment(backend='cupy').",
            )
        )
