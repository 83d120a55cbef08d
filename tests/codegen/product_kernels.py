"""Kernels of matrix products, compiled and called on arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.engine.cpu import llvm
from lazygrad.engine.emit.products import Needs, Place, Product
from lazygrad.engine.lanes.registers import Register
from lazygrad.engine.lanes.writer import Writer

Written = Callable[[Product, Writer], Needs]


def elements(array: np.ndarray) -> tuple[int, ...]:
    """Strides in elements."""
    return tuple(stride // array.itemsize for stride in array.strides)


def product_of(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> Product:
    """The product that fills ``c``, whose batch axes ``a`` and ``b`` broadcast to."""
    batch = c.shape[:-2]
    strides = []
    for x in (a, b, c):
        steps = elements(np.broadcast_to(x, batch + x.shape[-2:]))
        strides.append((steps[:-2], steps[-2], steps[-1]))
    return Product(batch, c.shape[-2], c.shape[-1], a.shape[-1], c.dtype, *strides)


class Kernel:
    """A compiled product of these arrays.

    Args:
        written: what writes the kernel.
        symbols: addresses of functions that it calls.
        width: lanes of the writer; that of the machine if not given.
    """

    def __init__(
        self,
        written: Written,
        a: np.ndarray,
        b: np.ndarray,
        c: np.ndarray,
        symbols: dict[str, int] | None = None,
        width: int | None = None,
    ) -> None:
        w = Writer(width or llvm.machine().width)
        self.plan = written(product_of(a, b, c), w)
        text = w.function("kernel") + "".join(f"{line}\n" for line in w.definitions.values())
        text += 'attributes #0 = { nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512" }\n!0 = !{}\n'
        self.code = llvm.load(llvm.compiled(text), ["kernel"], symbols or {})
        self.call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
            self.code.addresses["kernel"]
        )
        self.room = np.full(self.plan.scratch + 64, 255, np.uint8)  # all NaN, so that what was not written shows
        scratch = self.room.ctypes.data + -self.room.ctypes.data % 64
        self.arrays = (a, b, c)
        self.arguments = np.array([*(x.ctypes.data for x in self.arrays), scratch])

    def run(self, chunks: Sequence[int] | None = None) -> np.ndarray:
        """Compute all chunks in one call, or these one by one; the result."""
        if chunks is None:
            self.call(self.arguments.ctypes.data, 0, self.plan.chunks)
        else:
            for chunk in chunks:
                self.call(self.arguments.ctypes.data, chunk, chunk + 1)
        return self.arrays[2]


def whole(random: np.random.Generator, shape: tuple[int, ...], dtype: Any, layout: str = "rows") -> np.ndarray:
    """Small whole numbers, so that sums are exact, laid out by ``rows``, ``columns``, ``steps`` or ``reversed``."""
    dtype = np.dtype(dtype)
    numbers = (random.random(shape) < 0.3) if dtype == np.bool_ else random.integers(-4, 5, shape).astype(dtype)
    if layout == "columns":
        return np.ascontiguousarray(numbers.swapaxes(-1, -2)).swapaxes(-1, -2)
    if layout == "rows":
        return np.ascontiguousarray(numbers)
    room = np.zeros((*shape[:-2], shape[-2] * 2, shape[-1] * 3), dtype)
    room[..., ::2, ::3] = numbers
    return room[..., ::2, ::3] if layout == "steps" else room[..., ::2, ::3][..., ::-1, ::-1]


def place_number(w: Writer, place: Place, dtype: np.dtype[Any]) -> Register:
    """A number of each lane that says where it is: 1000·row + column + 10⁶·(place in the batch, by digits)."""
    along = w.widened(w.constant(0, np.dtype(np.int64))) + w.lanes()
    row = place.row + along if place.rows else w.widened(place.row)
    column = w.widened(place.column) if place.rows else place.column + along
    number = row * 1000 + column
    for axis, index in enumerate(place.batch):
        number = number + w.widened(index * 10 ** (6 + axis))
    return number.astype(dtype)
