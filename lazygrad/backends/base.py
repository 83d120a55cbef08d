"""What a backend is, and what the namespace ``xp`` of each has beside its library's own functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

__all__ = ["SPECIAL", "Backend", "Device", "Namespace"]

# Functions that kernels need and array libraries keep elsewhere, with SciPy's and CuPy's names for them.
SPECIAL = {
    name: name
    for name in (
        *("erf", "erfinv", "erfcinv", "ndtri", "polygamma", "gamma", "binom", "zeta"),
        *("i0", "i1", "i0e", "i1e"),
    )
}
SPECIAL["digamma"] = "psi"


class Namespace(Protocol):
    """What kernels may call where NumPy and CuPy differ, so that a kernel is written once.

    The rest of ``xp`` are the library's functions under NumPy's names, with what NumPy does: where CuPy does
    otherwise (see ``docs/cupy.md``), its namespace mends it under the same name.
    """

    def cast(self, x: Any, dtype: Any) -> Any:
        """Floats as whole numbers; beyond these the nearest, and of NaN the least."""

    def checked(self, x: Any, wrong: Any, say: Any) -> Any:
        """``x``; if any of it is wrong, the error that ``say`` makes of the first such element is raised."""

    def repeated(self, most: int, state: Any, turn: Any) -> Any:
        """``state`` after at most so many turns, and where another one was wanted last; each element goes by itself."""

    def random_word(self, place: Any, key: Any, run: Any, draw: int, dtype: Any) -> Any:
        """The word of a draw at a place; see :mod:`lazygrad.philox`."""

    def elements(self, x: Any, places: tuple[Any, ...]) -> Any:
        """``x[places]``, where among the places there are index arrays.

        Raises:
            IndexError: an index is out of range; of all three.
        """

    def added(self, x: Any, places: tuple[Any, ...], values: Any) -> Any:
        """A copy of ``x`` with ``values`` added at places; one named twice is added to twice."""

    def placed(self, x: Any, places: tuple[Any, ...], values: Any) -> Any:
        """A copy of ``x`` with ``values`` at places; of values for one place the last counts."""

    def matmul_of_halves(self, a: Any, b: Any, out: Any = None) -> Any:
        """A product of float32 whose operands are numbers of 16 bits: any way of multiplying will do that has those."""

    def windows_folded(self, how: str, x: Any, places: Sequence[Any]) -> Any:
        """The ``sum`` or ``max`` of all windows of ``x`` at once.

        Args:
            how: which.
            x: the array.
            places: row and column of each place in a window, with the slice that takes the elements there.
        """

    def windows_back(self, columns: Any, shape: Any, places: Sequence[Any]) -> Any:
        """Windows, whose rows and columns are the first axes, added where they lie in an array of ``shape``."""

    def lu(self, a: Any) -> Any:
        """The permutation, lower and upper triangular factor of each matrix of a batch, as matrices of its dtype."""

    def solve_triangular(self, a: Any, b: Any, lower: bool, transposed: bool) -> Any:
        """Solve triangular systems, one a matrix of the batch.

        Raises:
            numpy.linalg.LinAlgError: there is a zero on a diagonal.
        """


class Backend(Protocol):
    """An array library, as the engine uses it."""

    name: str
    xp: Any

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """An array of this backend, without a copy where it is one already."""

    def to_numpy(self, array: Any) -> Any:
        """The array in NumPy's memory."""

    def taken(self, array: Any) -> Any:
        """An array of any library that lies in the memory of a device, as one of this backend, without a copy.

        Raises:
            BackendError: the backend does not compute there, or the array cannot be had.
        """


class Device(Backend, Protocol):
    """A backend whose arrays lie in the memory of a GPU that runs kernels."""

    @property
    def architecture(self) -> str:
        """What the GPU is, as NVIDIA's compilers call it: ``sm_80``."""

    def check(self) -> None:
        """Have a run come after the one before it, or raise BackendError: another GPU is the current one."""

    def full(self, what: str, needed: list[str], reason: BaseException) -> Exception:
        """The error that there is not enough memory: for what, and how much is needed."""

    def pinned(self, shape: Any, dtype: Any) -> Any:
        """A NumPy array in memory from which the GPU copies while the host goes on."""

    def event(self) -> Any:
        """What tells, once it was recorded, whether all that was asked of the GPU before is done."""

    def captured(self, work: Callable[[], None]) -> Any:
        """What ``work`` launches as a graph, with a method ``launch``; nothing of it is run. None if it cannot be."""

    def functions(self, image: bytes, names: Sequence[str]) -> dict[str, Any]:
        """Kernels of a cubin, or of PTX, on the GPU: each is called with a grid, a block, and its arguments."""
