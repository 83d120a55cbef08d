"""Factors of matrices of any size, as loops over their columns: what LAPACK does, with its signs and its pivots.

Matrices lie in the last two axes; those before are a batch, whose matrices are factored together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.export.onnx.loops import COUNT, Within, counted, turns
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.spec import Shape, broadcast

__all__ = [
    "Packed",
    "cholesky",
    "column",
    "first_rows",
    "identity",
    "packed",
    "picked",
    "qr",
    "row",
    "substituted",
    "triangle",
]


def identity(writer: Writer, shape: Shape, dtype: Any) -> Value:
    """Ones on the diagonal."""
    rows, columns = shape
    row = writer.xp.reshape(counted(writer, rows), (rows, 1))
    return writer.xp.astype(writer.xp.equal(row, counted(writer, columns)), dtype)


def column(x: Value, k: Value) -> Value:
    """Column k of every matrix, or element k of every vector."""
    return x.writer.made("Gather", x, k, shape=x.shape[:-1], axis=x.ndim - 1)


def row(x: Value, k: Value) -> Value:
    """Row k of every matrix."""
    return x.writer.made("Gather", x, k, shape=(*x.shape[:-2], x.shape[-1]), axis=x.ndim - 2)


def picked(x: Value, places: Value, axis: int) -> Value:
    """For every element the one at that place along an axis; places broadcast along the others."""
    places = x.writer.xp.broadcast_to(places, x.shape)
    return x.writer.made("GatherElements", x, places, axis=axis % x.ndim)


def _across(x: Value) -> Value:
    """One number a row."""
    found: Value = x.writer.xp.reshape(x, (*x.shape, 1))
    return found


def _along(x: Value) -> Value:
    """One number a column."""
    found: Value = x.writer.xp.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))
    return found


def _from_end(graph: Within, count: int, k: Value) -> Value:
    """The number of a turn, counted from the last one."""
    return graph.writer.number(count - 1, COUNT) - k


class Packed:
    """P·A = L·U in one array: U, and below its diagonal L, whose diagonal is ones.

    Attributes:
        both: the array, in the shape of A.
        order: the rows of A in their order, in the last axis.
        odd: whether rows were exchanged an odd number of times.
    """

    def __init__(self, both: Value, order: Value, odd: Value) -> None:
        self.both, self.order, self.odd = both, order, odd


def packed(writer: Writer, a: Value) -> Packed:
    """Gaussian elimination, with the largest element of a column as pivot; Golub and Van Loan 2013, algorithm 3.4.1.

    A pivot of 0 stands above zeros alone: nothing is subtracted then.
    """
    m, n = a.shape[-2:]
    batch, xp = a.shape[:-2], writer.xp
    down, right = counted(writer, m), counted(writer, n)

    def turn(graph: Within, k: Value, before: list[Value]) -> Sequence[Value]:
        both, order, odd = before
        xp = graph.writer.xp
        rows, columns = graph.seen([down, right])
        at = xp.argmax(xp.where(rows >= k, xp.abs(column(both, k)), -1), axis=both.ndim - 2)
        pivot = xp.reshape(at, (*batch, 1))
        new = xp.where(xp.equal(rows, k), pivot, xp.where(xp.equal(rows, pivot), k, rows))
        both = picked(both, _across(new), -2)
        order = picked(order, new, -1)
        above = row(both, k)
        by = xp.reshape(column(above, k), (*batch, 1))
        zero = xp.equal(by, 0)
        factor = xp.where(zero, 0, column(both, k) / xp.where(zero, 1, by))
        below, factor, place = _across(rows > k), _across(factor), xp.reshape(columns, (1, n))
        less = both - factor * _along(above)
        changed = xp.where(place > k, less, xp.where(xp.equal(place, k), factor, both))
        return xp.where(below, changed, both), order, xp.logical_xor(odd, xp.not_equal(at, k))

    first = [a, xp.broadcast_to(down, (*batch, m)), xp.broadcast_to(writer.number(False, np.bool_), batch)]
    return Packed(*turns(writer, min(m, n), first, turn))


def substituted(writer: Writer, a: Value, b: Value, lower: bool, ones: bool = False, fails: bool = True) -> Value:
    """The X with A·X = B of triangular A, column by column; Golub and Van Loan 2013, algorithms 3.1.3 and 3.1.4.

    Args:
        writer: of the graph.
        a, b: matrices; those of ``b`` have as many rows.
        lower: which triangle of ``a`` is read.
        ones: whether its diagonal is taken to be ones.
        fails: whether a 0 on the diagonal fails.
    """
    n = a.shape[-1]
    batch, xp = broadcast([a.shape[:-2], b.shape[:-2]]), writer.xp
    down = counted(writer, n)
    if fails and not ones:
        a = xp.checked(a, xp.logical_and(xp.equal(a, 0), xp.equal(identity(writer, (n, n), np.int64), 1)))

    def turn(graph: Within, k: Value, before: list[Value]) -> Sequence[Value]:
        (x,), inner = before, graph.writer.xp
        rows, left = graph.seen([down, a])
        k = k if lower else _from_end(graph, n, k)
        here, own = column(left, k), row(x, k)
        if not ones:
            own = own / inner.reshape(column(here, k), (*here.shape[:-1], 1))
        own = _along(own)
        rest = _across(rows > k if lower else rows < k)
        changed = inner.where(rest, x - _across(here) * own, x)
        return (inner.where(_across(inner.equal(rows, k)), own, changed),)

    return turns(writer, n, [xp.broadcast_to(b, (*batch, *b.shape[-2:]))], turn)[0]


def cholesky(writer: Writer, a: Value) -> Value:
    """The lower triangular L with L·Lᵀ = A, of which the lower triangle is read. A pivot that is not above 0 fails.

    Golub and Van Loan 2013, algorithm 4.2.2.
    """
    n = a.shape[-1]
    down = counted(writer, n)

    def turn(graph: Within, k: Value, before: list[Value]) -> Sequence[Value]:
        (left,), xp = before, graph.writer.xp
        (places,) = graph.seen([down])
        own = column(left, k)
        pivot = column(own, k)
        root = _across(xp.sqrt(xp.checked(pivot, ~(pivot > 0))))
        own = xp.where(xp.equal(places, k), root, xp.where(places > k, own / root, 0))
        rows, columns = _across(places), _along(places)
        less = left - _across(own) * _along(own)
        changed = xp.where(xp.logical_and(columns > k, rows >= columns), less, left)
        return (xp.where(xp.equal(columns, k), _across(own), changed),)

    (found,) = turns(writer, n, [a], turn)
    return triangle(writer, found, lower=True)


def triangle(writer: Writer, x: Value, lower: bool, strict: bool = False) -> Value:
    """The lower triangle, or the upper one, with zeros beside it."""
    m, n = x.shape[-2:]
    rows, columns = _across(counted(writer, m)), counted(writer, n)
    if not lower:
        rows, columns = columns, rows
    found: Value = writer.xp.where(rows > columns if strict else rows >= columns, x, 0)
    return found


def qr(writer: Writer, a: Value, complete: bool = False) -> tuple[Value, Value]:
    """Q and R by Householder's reflections, with LAPACK's signs (geqr2, larfg, org2r).

    A diagonal element of R has the other sign of the element that was there, unless there is nothing below it to
    reflect. Golub and Van Loan 2013, §5.1 and algorithm 5.2.1.
    """
    m, n = a.shape[-2:]
    batch, xp = a.shape[:-2], writer.xp
    down, right = counted(writer, m), counted(writer, n)
    tiny = float(np.finfo(a.dtype).tiny)

    def turn(graph: Within, k: Value, before: list[Value]) -> Sequence[Value]:
        (r, vectors, taus), xp = before, graph.writer.xp
        rows, columns = graph.seen([down, right])
        below = rows > k
        x = xp.where(rows >= k, column(r, k), 0)
        scale = xp.maximum(xp.max(xp.abs(x), axis=x.ndim - 1), tiny)
        first = column(x, k) / scale
        rest = xp.where(below, x / _across(scale), 0)
        squares = xp.sum(rest * rest, axis=x.ndim - 1)
        idle = xp.equal(squares, 0)
        beta = -xp.copysign(xp.sqrt(first * first + squares), first)
        held = xp.where(idle, 1, beta)
        tau = xp.where(idle, 0, (held - first) / held)
        apart = xp.where(idle, 1, first - beta)
        v = xp.where(xp.equal(rows, k), 1, rest / _across(apart))
        reflected = _reflected(r, v, tau)
        own = _across(xp.where(xp.equal(rows, k), _across(xp.where(idle, column(x, k), beta * scale)), 0))
        place = xp.reshape(columns, (1, n))
        kept = xp.logical_and(xp.equal(place, k), _across(rows >= k))
        r = xp.where(kept, own, xp.where(xp.logical_and(place > k, _across(rows >= k)), reflected, r))
        vectors = xp.where(xp.equal(place, k), _across(v), vectors)
        return r, vectors, xp.where(xp.equal(columns, k), _across(tau), taus)

    zeros = xp.broadcast_to(writer.number(0, a.dtype), (*batch, n))
    r, vectors, taus = turns(writer, n, [a, xp.broadcast_to(writer.number(0, a.dtype), a.shape), zeros], turn)
    width = m if complete else n
    q = xp.broadcast_to(identity(writer, (m, width), a.dtype), (*batch, m, width))

    def back(graph: Within, k: Value, before: list[Value]) -> Sequence[Value]:
        (q,), (v, tau) = before, graph.seen([vectors, taus])
        k = _from_end(graph, n, k)
        return (_reflected(q, column(v, k), column(tau, k)),)

    (q,) = turns(writer, n, [q], back)
    if not complete:
        r = first_rows(writer, r, n)
    return q, triangle(writer, r, lower=False)


def _reflected(x: Value, v: Value, tau: Value) -> Value:
    """(1 − τ·v·vᵀ)·X."""
    xp = x.writer.xp
    seen = xp.matmul(_along(v), x)
    found: Value = x - _across(v * _across(tau)) * seen
    return found


def first_rows(writer: Writer, x: Value, count: int) -> Value:
    """The first rows of matrices."""
    if x.shape[-2] == count:
        return x
    ends = [writer.sizes([n]) for n in (0, count, x.ndim - 2, 1)]
    return writer.made("Slice", x, *ends, shape=(*x.shape[:-2], count, x.shape[-1]))
