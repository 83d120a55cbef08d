"""The CuPy backend: the same kernels, on a GPU.

What CuPy does otherwise than NumPy is mended here, under NumPy's names, so that kernels know nothing of it. What is
mended and why, and what has been seen on a GPU, is in ``docs/cupy.md``.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.backends import remedies
from lazygrad.backends.base import SPECIAL
from lazygrad.backends.matrices import Linalg, nan_beside_nan, place_in_batch
from lazygrad.backends.products import Products
from lazygrad.backends.raising import Raising
from lazygrad.backends.repeated import repeated
from lazygrad.backends.special import FUNCTIONS
from lazygrad.backends.windows import windows_back, windows_folded
from lazygrad.errors import DeviceMemoryError
from lazygrad.graph.casting import saturated
from lazygrad.philox import word_at

__all__ = ["CupyBackend", "CupyNamespace"]

# Comparisons, and what they are of operands that change places.
COMPARED = {"equal": "equal", "not_equal": "not_equal", "less": "greater", "less_equal": "greater_equal"}
COMPARED |= {"greater": "less", "greater_equal": "less_equal"}
# The dtypes that CUDA adds to in memory at once; for others, one in which sums are the same.
ADDED_IN = {**dict.fromkeys(("bool", "int8", "int16", "uint8", "uint16"), "int32"), "int64": "uint64"}


class CupyNamespace:
    """CuPy, what kernels need and CuPy keeps elsewhere, and what it does as NumPy does only here."""

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self.linalg = Linalg(self, Raising(cupy))
        self.matmul = Products(cupy)
        self.matmul_of_halves = self.matmul.of_halves
        self._orders: dict[int, Any] = {}  # of derivatives, as arrays

    def __getattr__(self, name: str) -> Any:
        special = name in SPECIAL or name in FUNCTIONS
        found = self._special(name) if special else getattr(self._cupy, name)
        setattr(self, name, found)  # so that it is looked up once
        return found

    def _special(self, name: str) -> Callable[..., Any]:
        import cupyx.scipy.special

        if name in FUNCTIONS:
            return functools.partial(FUNCTIONS[name], self, cupyx.scipy.special)
        found = getattr(cupyx.scipy.special, SPECIAL[name])
        return lambda *xs: found(*xs).astype(xs[0].dtype, copy=False)  # of float16 CuPy makes float64

    def concatenate(self, arrays: Any, axis: int = 0) -> Any:
        """CuPy's, which wants a list."""
        return self._cupy.concatenate(list(arrays), axis=axis)

    def asarray(self, a: Any, dtype: Any = None, order: Any = None) -> Any:
        """An array on the GPU. One in main memory goes there by way of pinned memory, and nobody waits.

        CuPy copies what is given into pinned memory of its own, which it keeps until it has arrived; but what lies in
        pinned memory already it reads where it is, some time. As the caller may write there, that is copied first.
        """
        cupy = self._cupy
        if type(a) is np.ndarray and a.nbytes and cupy.cuda.pinned_memory.is_memory_pinned(a.ctypes.data):
            a = a.copy()
        try:
            return cupy.asarray(a, dtype=dtype, order=order)
        except cupy.cuda.memory.OutOfMemoryError as reason:
            spec = f"{getattr(a, 'dtype', dtype)}{list(np.shape(a))}"
            raise remedies.full(cupy, f"cannot send {spec} to the GPU", [], reason) from None

    # Arithmetic.

    def _divided(self, how: Callable[[Any, Any], Any], exact: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
        """``how`` of whole numbers, ``exact`` of floating ones; as in NumPy, half precision is computed in single."""
        if a.dtype.kind != "f":
            return how(a, b)
        if a.dtype == np.float16:
            return exact(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
        return exact(a, b)

    def cast(self, x: Any, dtype: Any) -> Any:
        """Floats as whole numbers."""
        return saturated(self._cupy, x, np.dtype(dtype))

    def _compared(self, name: str, a: Any, b: Any) -> Any:
        """A comparison; of whole numbers with and without a sign exactly, where CuPy makes float64 of both."""
        signs = "".join(x.dtype.kind for x in (a, b) if hasattr(x, "dtype"))
        if signs == "ui" and a.dtype.itemsize == 8:
            return self._compared(COMPARED[name], b, a)
        if signs != "iu" or b.dtype.itemsize < 8:
            return getattr(self._cupy, name)(a, b)
        found = getattr(self._cupy, name)(a.astype(np.uint64), b)  # below 0 it is less than all that have no sign
        return (a < 0) | found if name in ("less", "less_equal", "not_equal") else (a >= 0) & found

    def power(self, a: Any, b: Any) -> Any:
        """Powers; a whole number has no whole one of a negative exponent, where CuPy gives 0, 1 or −1.

        Raises:
            ValueError: an exponent is negative.
        """
        if a.dtype.kind in "iub" and b.dtype.kind == "i" and (b < 0).any():
            raise ValueError("Integers to negative integer powers are not allowed.")
        return self._cupy.power(a, b)

    def remainder(self, a: Any, b: Any) -> Any:
        """Remainders with the sign of the divisor; of floating numbers CuPy's is a − ⌊a/b⌋·b, which is not exact."""
        return self._divided(self._cupy.remainder, self._exact_remainder, a, b)

    def floor_divide(self, a: Any, b: Any) -> Any:
        """Quotients rounded down; of floating numbers CuPy's is the quotient rounded twice."""
        return self._divided(self._cupy.floor_divide, self._exact_floor_divide, a, b)

    def _exact_remainder(self, a: Any, b: Any) -> Any:
        xp = self._cupy
        r = xp.fmod(a, b)
        signed = xp.where((r != 0) & ((b < 0) != (r < 0)), r + b, r)
        return xp.where((r == 0) & (b != 0), xp.copysign(r, b), signed)

    def _exact_floor_divide(self, a: Any, b: Any) -> Any:
        xp = self._cupy
        r = xp.fmod(a, b)
        quotient = (a - r) / b  # a whole number, but for rounding
        quotient = xp.where((r != 0) & ((b < 0) != (r < 0)), quotient - 1, quotient)
        whole = xp.floor(quotient)
        whole = xp.where(quotient - whole > 0.5, whole + 1, whole)
        whole = xp.where(quotient == 0, xp.copysign(xp.zeros_like(whole), a / b), whole)
        return xp.where(b == 0, a / b, whole)

    def polygamma(self, order: int, x: Any) -> Any:
        """The derivative of digamma, ``order`` ≥ 1 times over; CuPy's own text fails for a number."""
        from cupyx.scipy.special import polygamma

        if order not in self._orders:
            self._orders[order] = self._cupy.asarray(order)  # sent once
        return polygamma(self._orders[order], x)

    def windows_folded(self, how: str, x: Any, places: Any) -> Any:
        """The ``sum`` or ``max`` of all windows; see :mod:`lazygrad.backends.windows`."""
        return windows_folded(self._cupy, how, x, places)

    def windows_back(self, columns: Any, shape: Any, places: Any) -> Any:
        """Windows added where they lie; see :mod:`lazygrad.backends.windows`."""
        return windows_back(self._cupy, columns, shape, places)

    def repeated(self, most: int, state: Any, turn: Any) -> Any:
        """A loop over elements; see :mod:`lazygrad.backends.repeated`."""
        return repeated(self._cupy, most, state, turn, block=1 << 30)

    def random_word(self, place: Any, key: Any, run: Any, draw: int, dtype: Any) -> Any:
        """The word of a draw at a place; see :mod:`lazygrad.philox`."""
        return word_at(self._cupy, place, key, run, draw, dtype)

    # Places that index arrays name.

    def checked(self, x: Any, wrong: Any, say: Any) -> Any:
        """``x``; if any of it is wrong, the error that ``say`` makes of the first such element is raised."""
        if wrong.any():
            raise say(x[wrong].ravel()[0])
        return x

    def elements(self, x: Any, places: tuple[Any, ...]) -> Any:
        """The elements of ``x`` that index arrays name."""
        self._check(x, places)
        return x[places]

    def added(self, x: Any, places: tuple[Any, ...], values: Any) -> Any:
        """A copy of ``x`` with ``values`` added at places, in a dtype in which the GPU can."""
        self._check(x, places)
        wide = np.dtype(ADDED_IN.get(x.dtype.name, x.dtype.name))
        out = x.astype(wide)  # always a copy
        self._cupy.add.at(out, places, values.astype(wide, copy=False))
        return out.astype(x.dtype, copy=False)

    def placed(self, x: Any, places: tuple[Any, ...], values: Any) -> Any:
        """A copy of ``x`` with ``values`` at places. Where a place is named twice CuPy keeps any of the values.

        So every value has its number, the highest number of each place is found, and that value is taken.
        """
        self._check(x, places)
        xp = self._cupy
        named = xp.arange(x.size).reshape(x.shape)[places]
        if not named.size:
            return x.copy()
        values = xp.broadcast_to(values, named.shape).ravel()
        numbers = xp.arange(1, named.size + 1, dtype=np.uint64)  # 0 stands for none
        last = xp.zeros(x.size, np.uint64)
        xp.maximum.at(last, named.ravel(), numbers)
        last = last.astype(np.int64).reshape(x.shape)
        return xp.where(last > 0, values[xp.maximum(last - 1, 0)], x)

    def _check(self, x: Any, places: tuple[Any, ...]) -> None:
        """Raise IndexError if an index is out of range, where CuPy would wrap it around; the GPU is asked once."""
        axis, wrong = 0, []
        for part in places:
            if part is None:
                continue
            if isinstance(part, self._cupy.ndarray):
                size = x.shape[axis]
                wide = part.astype(np.uint64 if part.dtype.kind == "u" else np.int64, copy=False)
                outside = wide >= size if part.dtype.kind == "u" else (wide < -size) | (wide >= size)
                wrong.append((axis, size, wide, outside))
            axis += 1
        if wrong and functools.reduce(operator.or_, [outside.any() for *_, outside in wrong]):
            axis, size, indices, outside = next(found for found in wrong if found[-1].any())
            value = int(indices[outside].ravel()[0])
            raise IndexError(f"index {value} is out of bounds for axis {axis} with size {size}")

    # Triangular systems.

    def solve_triangular(self, a: Any, b: Any, lower: bool, transposed: bool) -> Any:
        """Solve triangular systems, the whole batch at once; CuPy does not look for zeros on diagonals."""
        from cupyx.scipy.linalg import solve_triangular as solve

        xp = self._cupy
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = xp.broadcast_to(a, batch + a.shape[-2:])
        b = xp.broadcast_to(b, batch + b.shape[-2:])
        if not b.size:
            return xp.empty(b.shape, np.result_type(a.dtype, b.dtype))
        zero = xp.diagonal(a, 0, -2, -1) == 0
        if zero.any():
            *place, row = np.unravel_index(int(xp.argmax(zero)), zero.shape)
            where = place_in_batch(tuple(map(int, place)), batch)
            raise np.linalg.LinAlgError(f"singular matrix: resolution failed at diagonal {row}{where}")
        return solve(a, b, lower=lower, trans=1 if transposed else 0, check_finite=False)

    def lu(self, a: Any) -> Any:
        """Factors of one matrix after the other; CuPy has no batches of them."""
        from cupyx.scipy.linalg import lu as factored

        xp = self._cupy
        *batch, m, n = a.shape
        k = min(m, n)
        parts = p, lower, upper = tuple(xp.zeros((*batch, *size), a.dtype) for size in ((m, m), (m, k), (k, n)))
        for place in np.ndindex(*batch):
            p[place], lower[place], upper[place] = factored(a[place], check_finite=False)
        return tuple(nan_beside_nan(xp, a, y) for y in parts)


for _name in COMPARED:
    setattr(CupyNamespace, _name, functools.partialmethod(CupyNamespace._compared, _name))


class CupyBackend:
    """Arrays in a GPU's memory.

    Raises:
        BackendError: CuPy is not installed, or finds no GPU that works.
    """

    name = "cupy"

    def __init__(self) -> None:
        found = remedies.builds()
        if len(found) > 1:  # CuPy itself warns, and goes on
            raise remedies.several_builds(found)
        try:
            import cupy
        except ImportError as reason:
            raise remedies.no_cupy(reason) from None
        try:
            count = cupy.cuda.runtime.getDeviceCount()
            cupy.zeros(1).sum()
        except Exception as reason:
            raise remedies.no_gpu(reason) from None
        assert count > 0
        self._cupy = cupy
        self._device = cupy.cuda.runtime.getDevice()
        self._stream = cupy.cuda.get_current_stream()
        self.xp = CupyNamespace(cupy)

    def check(self) -> None:
        """Have a run come after the one before it: on another stream it waits there; on another GPU it cannot.

        Raises:
            BackendError: another GPU than that of the environment is CuPy's current one.
        """
        cuda = self._cupy.cuda
        current = cuda.runtime.getDevice()
        if current != self._device:
            raise remedies.another_current(self._device, current)
        stream = cuda.get_current_stream()
        if stream != self._stream:  # runs share variables and an arena
            stream.wait_event(self._stream.record())
            self._stream = stream

    def asarray(self, array: Any, dtype: Any = None) -> Any:
        """An array on the GPU."""
        return self.xp.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> Any:
        """The array, copied to main memory."""
        return self._cupy.asnumpy(array)

    def full(self, what: str, needed: list[str], reason: BaseException) -> DeviceMemoryError:
        """The error that there is not enough memory."""
        return remedies.full(self._cupy, what, needed, reason)

    @property
    def architecture(self) -> str:
        """What the GPU is, as NVIDIA's compilers call it: ``sm_80``."""
        return f"sm_{self._cupy.cuda.Device().compute_capability}"

    def pinned(self, shape: Any, dtype: Any) -> Any:
        """A NumPy array in memory from which the GPU copies while the host goes on."""
        import cupyx

        return cupyx.empty_pinned(shape, dtype)

    def event(self) -> Any:
        """What tells, once it was recorded, whether all that was asked of the GPU before is done."""
        return self._cupy.cuda.Event(disable_timing=True)

    def captured(self, work: Callable[[], None]) -> Any:
        """What ``work`` launches as a graph, which has a method ``launch``; nothing of it is run.

        It is captured on a stream of its own, as CuPy's usual one, the default stream, cannot be. None if CUDA refuses.
        """
        cuda = self._cupy.cuda
        stream = cuda.Stream(non_blocking=True)
        with stream:
            try:
                stream.begin_capture()
                try:
                    work()
                finally:
                    graph = stream.end_capture()
            except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError):
                return None
        return graph

    def functions(self, image: bytes, names: Sequence[str]) -> dict[str, Any]:
        """Kernels of a cubin, or of PTX, on the GPU: each is called with a grid, a block, and its arguments.

        Raises:
            BackendError: the driver does not take the code; it is too old.
        """
        module = self._cupy.cuda.function.Module()
        try:
            module.load(image)
        except self._cupy.cuda.driver.CUDADriverError as reason:
            raise remedies.old_driver(self._cupy, image, reason) from None
        return {name: module.get_function(name) for name in names}

    def taken(self, array: Any) -> Any:
        """An array of CuPy on the memory of one of another library.

        Raises:
            BackendError: it lies on another device, or its library does not give it.
        """
        if isinstance(array, self._cupy.ndarray):
            found = array
        else:
            try:
                by_dlpack = not hasattr(array, "__cuda_array_interface__")
                found = self._cupy.from_dlpack(array) if by_dlpack else self._cupy.asarray(array)
            except Exception as reason:
                raise remedies.not_given(array, reason) from None
        its = found.device.id
        if its != self._device:
            raise remedies.another_device(array, self._device, its)
        return found
