"""Copying an operand that lies far from the way in which a product reads it.

Register tiles read a few rows of A side by side while k passes by. Where A lies column by column and stays in no near
cache, every step along k is another page, and the product takes up to four times as long. So such an operand is first
copied to memory of its own, row by row. The copy is cut into chunks by its sizes alone, and changes no bit.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import NamedTuple

from lazygrad.engine.emit.products.form import Product, formed, offset
from lazygrad.engine.emit.products.pack import SQUARE, pack
from lazygrad.engine.emit.products.shape import Needs
from lazygrad.engine.emit.products.tile import OtherLanes
from lazygrad.engine.lanes.registers import I64
from lazygrad.engine.lanes.target import cpu
from lazygrad.engine.lanes.writer import Writer

__all__ = ["Turned", "turned"]

# Measured from 0.4 to 17 MB: from these sizes on, copy and product together take 0.3 to 1.0 times as long.
FAR = 1 << 18  # numbers of A
LONG = 256  # steps along k
COLUMNS = 64  # of the result
ROWS = 64  # that are copied at once
CPU = cpu(8)  # but for lanes all are alike


class Turned(NamedTuple):
    """A product, one of whose operands is copied before.

    Attributes:
        operand: which one, 0 or 1.
        product: the product on the copy.
        size: numbers of the copy.
        plan: what the kernel of the copy asks of its caller.
    """

    operand: int
    product: Product
    size: int
    plan: Needs


def turned(product: Product, w: Writer) -> Turned | None:
    """Write the kernel that copies an operand, of its address and that of the copy; None if it is not far."""
    form = formed(product)
    rows, k = (product.n if form.turned else product.m), product.k
    operand = 1 if form.turned else 0
    batch, row, column = product.b if operand else product.a
    if operand:
        row, column = column, row
    itemsize = product.dtype.itemsize
    if product.dtype.kind != "f" or row != 1 or column == 1 or form.n < COLUMNS or rows < SQUARE or k < LONG:
        return None
    if rows * k < FAR:
        return None
    sizes = [n if step else 1 for n, step in zip(product.batch, batch, strict=True)]
    # Rows that lie a page apart share one set of the first cache.
    length = k + 64 // itemsize if k * itemsize % CPU.page == 0 else k
    steps = tuple(rows * length * math.prod(sizes[axis + 1 :]) if size > 1 else 0 for axis, size in enumerate(sizes))
    items = math.prod(sizes)
    parts = max(1, min(CPU.chunks // min(items, CPU.chunks), rows // ROWS))
    with w.loop(w.begin, w.end) if items * parts > 1 else nullcontext(w.constant(0, I64)) as chunk:
        item = chunk if parts == 1 else w.binary("div", chunk, w.constant(parts, I64))
        part = w.constant(0, I64) if parts == 1 else w.binary("rem", chunk, w.constant(parts, I64))
        first, last = (w.binary("div", x * rows, w.constant(parts, I64)) for x in (part, part + 1))
        index = []
        for axis, size in enumerate(sizes):
            at = w.binary("div", item, w.constant(math.prod(sizes[axis + 1 :]), I64))
            index.append(w.binary("rem", at, w.constant(size, I64)))
        source = w.at(w.argument(0), offset(w, *zip(index, batch), (first, row)), product.dtype)
        to = w.at(w.argument(1), offset(w, *zip(index, steps), (first, length)), product.dtype)
        whole, ks = w.constant(k, I64), last - first
        pack(OtherLanes(w, product.dtype), source, (row, column), k, length, True, ks, w.constant(0, I64), whole, to)
    if operand:
        on_copy = product._replace(b=(steps, 1, length))
    else:
        on_copy = product._replace(a=(steps, length, 1))
    return Turned(operand, on_copy, items * rows * length, Needs(items * parts, 0))
