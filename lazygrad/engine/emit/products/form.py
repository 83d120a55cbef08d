"""A product of matrices, and the form in which it is computed: its lanes run along the columns of the result."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lazygrad.engine.lanes.registers import I64, Register
from lazygrad.engine.lanes.writer import Writer

__all__ = ["Form", "Place", "Product", "Strides", "formed", "offset"]

Strides = tuple[tuple[int, ...], int, int]  # in elements: of the batch axes, of the rows, of the columns


class Product(NamedTuple):
    """C = A·B for every item of a batch, where A is m × k and B is k × n.

    Strides count elements and may be 0 (an operand that is broadcast) or negative; those of C name every
    element once.
    """

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    dtype: np.dtype[Any]
    a: Strides
    b: Strides
    c: Strides


class Place(NamedTuple):
    """Where the lanes of a register belong in C."""

    batch: tuple[Register, ...]
    row: Register  # of the first lane
    column: Register  # of the first lane
    rows: bool  # the lanes are rows row, row + 1, … of one column, not columns of one row
    mask: Register | None  # lanes that are part of C; None: all


class Form(NamedTuple):
    """A product turned so that lanes run along n, and with batch axes folded into m where B is shared."""

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    dtype: np.dtype[Any]
    a: Strides
    b: Strides
    c: Strides
    turned: bool  # this is Cᵀ = Bᵀ·Aᵀ
    folded: tuple[int, ...]  # batch axes that are part of m, the last one fastest
    row_count: int  # rows of one item

    @property
    def items(self) -> int:
        """Products in the batch."""
        return math.prod(self.batch)

    def split(self, w: Writer, item: Register) -> tuple[Register, ...]:
        """The indices of an item along the batch axes."""
        return _split(w, item, self.batch)

    def place(
        self, w: Writer, batch: tuple[Register, ...], row: Register, column: Register, mask: Register | None
    ) -> Place:
        """The same place in the product as it was asked for."""
        if self.folded:
            inner = w.binary("rem", row, w.constant(self.row_count, I64))
            item = w.binary("div", row, w.constant(self.row_count, I64))
            batch, row = (*batch, *_split(w, item, self.folded)), inner
        if self.turned:
            return Place(batch, column, row, True, mask)
        return Place(batch, row, column, False, mask)


def _split(w: Writer, item: Register, sizes: tuple[int, ...]) -> tuple[Register, ...]:
    indices = []
    rest = math.prod(sizes)
    for size in sizes:
        rest //= size
        outer = item if rest == 1 else w.binary("div", item, w.constant(rest, I64))
        indices.append(w.constant(0, I64) if size == 1 else outer)
        if size > 1 and rest > 1:
            item = w.binary("rem", item, w.constant(rest, I64))
    return tuple(indices)


def formed(product: Product) -> Form:
    """The form in which a product is computed."""
    if product.dtype.kind not in "fiub" or (product.dtype.itemsize == 2 and product.dtype.kind == "f"):
        raise TypeError(f"no kernel multiplies matrices of {product.dtype}")
    batch, m, n, k, dtype, a, b, c = product
    turned = n > 1 and c[2] != 1 and m > 1 and c[1] == 1
    turned |= n == 1 and m > 1 and c[1] == 1
    if turned:
        m, n = n, m
        a, b, c = (b[0], b[2], b[1]), (a[0], a[2], a[1]), (c[0], c[2], c[1])
    if k <= 1:
        a, b = (a[0], a[1], 1), (b[0], 1, b[2])
    if n == 1:
        b, c = (b[0], b[1], 1), (c[0], c[1], 1)
    folded: tuple[int, ...] = ()
    row_count = m
    while batch and (batch[-1] == 1 or (b[0][-1] == 0 and a[0][-1] == a[1] * m and c[0][-1] == c[1] * m)):
        if m == 1 and batch[-1] > 1:
            a, c = (a[0], a[0][-1], a[2]), (c[0], c[0][-1], c[2])
        folded, m = (batch[-1], *folded), m * batch[-1]
        batch = batch[:-1]
        a, b, c = ((x[0][:-1], x[1], x[2]) for x in (a, b, c))
    if m == 1:
        a, c = (a[0], 0, a[2]), (c[0], 0, c[2])
    return Form(batch, m, n, k, dtype, a, b, c, turned, folded, row_count)


def offset(w: Writer, *terms: tuple[Register | int, int]) -> Register:
    """The sum of indices times strides, in elements."""
    total = w.constant(0, I64)
    for index, stride in terms:
        if stride == 0 or (isinstance(index, int) and index == 0):
            continue
        index = w.constant(index, I64) if isinstance(index, int) else index
        term = index if stride == 1 else index * stride
        total = term if total.name == "0" else total + term
    return total
