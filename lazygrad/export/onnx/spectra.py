"""Eigenvalues and singular values of matrices of any size, by Jacobi's rotations of all pairs of columns in turn.

In a round every column has a partner, so that all of them are rotated at once; after n − 1 rounds (n for odd n), a
sweep, all pairs have met. Golub and Van Loan 2013, §8.5.6; Brent and Luk 1985, "The solution of singular-value and
symmetric eigenvalue problems on multiprocessor arrays".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lazygrad.engine.lanes.matrices import SWEEPS
from lazygrad.export.onnx.factors import identity, picked, qr
from lazygrad.export.onnx.loops import Within, counted, turns
from lazygrad.export.onnx.writer import Value, Writer
from lazygrad.graph.spec import Spec

__all__ = ["eigh", "svd"]


def _partners(n: int) -> np.ndarray[Any, Any]:
    """For every round the partner of every column; itself, if it has none. All pairs meet once.

    As in a tournament: one stays, the others go round.
    """
    even = n + n % 2
    rounds = np.tile(np.arange(n), (max(even - 1, 1), 1))
    for k in range(even - 1):
        ring = [0, *np.roll(np.arange(1, even), k).tolist()]
        for p, q in zip(ring[: even // 2], ring[: even // 2 - 1 : -1], strict=True):
            if max(p, q) < n:
                rounds[k, p], rounds[k, q] = q, p
    return rounds


def _turned(x: Value, partner: Value, cosine: Value, sine: Value) -> Value:
    """Columns c·xᵢ − s·xⱼ; the sine of the partner has the other sign."""
    return x * cosine - picked(x, partner, -1) * sine


def _angles(xp: Any, own: Value, other: Value, between: Value, first: Value) -> tuple[Value, Value, Value]:
    """Tangent, cosine and sine of the smaller angle by which two columns are rotated; 0 if there is nothing between.

    Args:
        xp: the namespace.
        own, other: what a column and its partner have on the diagonal.
        between: what stands between them.
        first: whether the column is the first of the two.
    """
    idle = xp.equal(between, 0)
    slope = (other - own) / (2 * xp.where(idle, 1, between))
    size = 1 / (xp.abs(slope) + xp.hypot(slope, xp.full_like(slope, 1)))
    positive = xp.where(xp.equal(slope, 0), first, slope > 0)
    tangent = xp.where(idle, 0, xp.where(positive, size, -size))
    cosine = 1 / xp.sqrt(1 + tangent * tangent)
    return tangent, cosine, tangent * cosine


def _line(x: Value) -> Value:
    """One number a column."""
    found: Value = x.writer.xp.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))
    return found


def _rounds(graph: Within, n: int, table: Value, first: Sequence[Value], turn: Any) -> list[Value]:
    """One sweep: ``turn`` has the graph, the partners of a round and what it changes."""
    rounds, _ = table.shape

    def one(inner: Within, k: Value, before: list[Value]) -> Any:
        (seen,) = inner.seen([table])
        partner = inner.writer.made("Gather", seen, k, shape=(n,), axis=0)
        return turn(inner, partner, before)

    return turns(graph.writer, rounds, first, one)


def eigh(writer: Writer, a: Value) -> tuple[Value, Value]:
    """Eigenvalues in increasing order, and eigenvectors in columns, of symmetric A whose lower triangle is read.

    Sweeps go on until what is left beside the diagonal is less than a rounding error of the size of the matrix. The
    signs of vectors are arbitrary. An element that is not finite fails.
    """
    n, batch, xp = a.shape[-1], a.shape[:-2], writer.xp
    one = identity(writer, (n, n), a.dtype)
    down = counted(writer, n)
    rows = xp.reshape(down, (n, 1))
    lower = xp.where(rows >= down, a, 0)
    order = [*range(len(batch)), a.ndim - 1, a.ndim - 2]
    whole = lower + xp.transpose(xp.where(rows > down, a, 0), order)
    size = xp.sum(xp.abs(lower), axis=(a.ndim - 2, a.ndim - 1), keepdims=True)
    whole = xp.checked(whole, ~(size < np.inf))
    least = size * (0.125 * float(np.finfo(a.dtype).eps))
    table = writer.array(_partners(n))

    def round_(graph: Within, partner: Value, before: list[Value]) -> Any:
        (s, v), xp = before, graph.writer.xp
        eye, places = graph.seen([one, down])
        partners = xp.reshape(partner, (n, 1))
        met = xp.equal(partners, places)
        own = xp.sum(s * eye, axis=s.ndim - 1)
        # Rounding leaves s a little unsymmetric; a pair that saw two numbers would not stay at a right angle.
        beside = xp.sum(xp.where(met, s, 0), axis=s.ndim - 1)
        beside = xp.where(places < partner, beside, picked(beside, partner, -1))
        between = xp.where(xp.equal(partner, places), 0, beside)
        other = xp.sum(xp.where(met, _line(own), 0), axis=s.ndim - 1)
        tangent, cosine, sine = _angles(xp, own, other, between, places < partner)
        half = _turned(s, partner, _line(cosine), _line(sine))
        tall = (*s.shape[:-1], 1)
        full = half * xp.reshape(cosine, tall) - picked(half, partners, -2) * xp.reshape(sine, tall)
        diagonal = xp.equal(eye, 1)
        full = xp.where(diagonal, _line(own - tangent * between), xp.where(met, 0, full))
        return full, _turned(v, partner, _line(cosine), _line(sine))

    def sweep(graph: Within, _: Value, before: list[Value]) -> Any:
        return _rounds(graph, n, graph.seen([table])[0], before, round_)

    def again(after: list[Value]) -> Value:
        s, inner = after[0], after[0].writer
        eye, limit = (Value(inner, x.name, x.spec) for x in (one, least))
        left = inner.xp.sum(inner.xp.abs(s * (1 - eye)), axis=(s.ndim - 2, s.ndim - 1), keepdims=True)
        found: Value = inner.xp.any(left > limit)
        return found

    first = [whole, xp.broadcast_to(one, a.shape)]
    s, v = turns(writer, SWEEPS, first, sweep, again)
    values = xp.sum(s * one, axis=s.ndim - 1)
    return _ordered(values, values, v, largest=False)


def _ordered(key: Value, values: Value, v: Value, largest: bool) -> tuple[Value, Value]:
    """Values and columns in the order of keys."""
    writer, n = key.writer, key.shape[-1]
    names = writer.node("TopK", [key.name, writer.sizes([n])], 2, axis=key.ndim - 1, largest=int(largest), sorted=1)
    order = Value(writer, names[1], Spec(key.shape, np.dtype(np.int64)))
    return picked(values, order, -1), picked(v, _line(order), -1)


def svd(writer: Writer, a: Value) -> tuple[Value, Value, Value]:
    """U, the singular values in decreasing order, and Vᵀ.

    Columns are rotated until any two are orthogonal to rounding (Hestenes 1958): then they are U·Σ, and V is what they
    were rotated by. Their QR decomposition makes U orthonormal where singular values are 0 too.
    """
    xp = writer.xp
    turned = [*range(a.ndim - 2), a.ndim - 1, a.ndim - 2]
    if a.shape[-2] < a.shape[-1]:
        v, s, ut = svd(writer, xp.transpose(a, turned))
        return xp.transpose(ut, turned), s, xp.transpose(v, turned)
    n, batch = a.shape[-1], a.shape[:-2]
    dtype, eps = a.dtype, float(np.finfo(a.dtype).eps)
    largest = xp.max(xp.abs(a), axis=(a.ndim - 2, a.ndim - 1), keepdims=True)
    largest = xp.checked(largest, ~(largest < np.inf))
    scale = xp.where(xp.equal(largest, 0), 1, largest)
    table = writer.array(_partners(n))
    down = counted(writer, n)
    nothing = writer.number(0, dtype)

    def round_(graph: Within, partner: Value, before: list[Value]) -> Any:
        (g, v, worst), xp = before, graph.writer.xp
        (places,) = graph.seen([down])
        beside = picked(g, partner, -1)
        own, other = xp.sum(g * g, axis=g.ndim - 2), xp.sum(beside * beside, axis=g.ndim - 2)
        between = xp.where(xp.equal(partner, places), 0, xp.sum(g * beside, axis=g.ndim - 2))
        size = xp.sqrt(own) * xp.sqrt(other)
        cosine_between = xp.where(xp.equal(size, 0), 0, xp.abs(between) / xp.where(xp.equal(size, 0), 1, size))
        _, cosine, sine = _angles(xp, own, other, between, places < partner)
        g, v = (_turned(x, partner, _line(cosine), _line(sine)) for x in (g, v))
        return g, v, xp.maximum(worst, xp.max(cosine_between))

    def sweep(graph: Within, _: Value, before: list[Value]) -> Any:
        return _rounds(graph, n, graph.seen([table])[0], [*before[:2], graph.seen([nothing])[0]], round_)

    one = xp.broadcast_to(identity(writer, (n, n), dtype), (*batch, n, n))
    g, v, _ = turns(writer, SWEEPS, [a / scale, one, nothing], sweep, lambda after: after[2] > 8 * eps)
    norms = xp.sqrt(xp.sum(g * g, axis=g.ndim - 2))
    g, v = (_ordered(norms, norms, x, largest=True)[1] for x in (g, v))
    q, r = qr(writer, g)
    diagonal = xp.sum(r * identity(writer, (n, n), dtype), axis=r.ndim - 2)
    signs = xp.copysign(xp.full_like(diagonal, 1), diagonal)
    s = xp.sqrt(xp.sum(g * g, axis=g.ndim - 2)) * xp.reshape(scale, (*batch, 1))
    return q * _line(signs), s, xp.transpose(v, turned)
