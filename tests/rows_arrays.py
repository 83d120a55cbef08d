"""Rows of the ops on whole arrays: movement, indexing, running ops, sorting, products, sources, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import (
    ALL,
    CUBE,
    MATRIX,
    NUMBERS,
    PICK,
    ROWS,
    SQUARE,
    VECTOR,
    X,
    apart,
    away,
    grid,
    mask,
    real,
    row,
    whole,
)

import lazygrad as lg
from lazygrad.integrate.arrival import arrived
from lazygrad.ops import indexing

# fmt: off

MOVEMENT = [
    row("reshape", lambda x: lg.reshape(x, (2, -1)), lambda x: np.reshape(x, (2, -1)), X, dtypes=ALL),
    row("reshape", lambda x: x.T.reshape(3, 4), lambda x: np.reshape(x.T, (3, 4)), X, label="of a transpose"),
    row("flatten", lg.flatten, np.ravel, CUBE),
    row("permute_dims", lambda x: lg.permute_dims(x, (2, 0, 1)), lambda x: np.transpose(x, (2, 0, 1)), CUBE,
        dtypes=ALL),
    row("permute_dims", lambda x: lg.permute_dims(x, (-1, 0, 1)), lambda x: np.transpose(x, (2, 0, 1)), CUBE,
        label="-1"),
    row("transpose", lg.transpose, np.transpose, CUBE),
    row("transpose", lambda x: lg.transpose(x, [1, 0, 2]), lambda x: np.transpose(x, [1, 0, 2]), CUBE, label="axes"),
    row("matrix_transpose", lg.matrix_transpose, lambda x: np.swapaxes(x, -1, -2), CUBE),
    row("swapaxes", lambda x: lg.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1), CUBE),
    row("moveaxis", lambda x: lg.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), CUBE),
    row("moveaxis", lambda x: lg.moveaxis(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0)), CUBE,
        label="two"),
    row("expand_dims", lambda x: lg.expand_dims(x, 1), lambda x: np.expand_dims(x, 1), X),
    row("expand_dims", lambda x: lg.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1)), X, label="two"),
    row("squeeze", lg.squeeze, np.squeeze, (real(), (1, 3, 1))),
    row("squeeze", lambda x: lg.squeeze(x, -1), lambda x: np.squeeze(x, -1), (real(), (1, 3, 1)), label="axis"),
    row("broadcast_to", lambda x: lg.broadcast_to(x, (2, 3, 4)), lambda x: np.broadcast_to(x, (2, 3, 4)), (real(), (3,
        1)),
        dtypes=ALL),
    row("broadcast_arrays", lg.broadcast_arrays, np.broadcast_arrays, (real(), (3, 1)), VECTOR),
    row("spread", lambda g, x: lg.spread(g, x, axis=(0, 2)), lambda g, x: np.broadcast_to(g[None, :, None], x.shape),
        (real(), (3,)), CUBE),
    row("concat", lambda a, b: lg.concat([a, b]), lambda a, b: np.concatenate([a, b]), X, (real(), (2, 4)), dtypes=ALL),
    row("concat", lambda a, b: lg.concat([a, b, a], axis=-1), lambda a, b: np.concatenate([a, b, a], axis=-1),
        X, (real(), (3, 2)), label="axis"),
    row("concat", lambda a, b: lg.concat([a, b], axis=None), lambda a, b: np.concatenate([a, b], axis=None), X, VECTOR,
        label="flat"),
    row("stack", lambda a, b: lg.stack([a, b]), lambda a, b: np.stack([a, b]), X, X),
    row("stack", lambda a, b: lg.stack([a, b], axis=-1), lambda a, b: np.stack([a, b], axis=-1), X, X, label="axis"),
    row("unstack", lg.unstack, lambda x: tuple(x), X),
    row("unstack", lambda x: lg.unstack(x, axis=1), lambda x: tuple(x.T), X, label="axis"),
    row("split", lambda x: lg.split(x, 3), lambda x: np.split(x, 3), X),
    row("split", lambda x: lg.split(x, [1, -1, 9], axis=1), lambda x: np.split(x, [1, 3, 9], axis=1), X,
        label="places"),
    row("flip", lg.flip, np.flip, CUBE),
    row("flip", lambda x: lg.flip(x, (0, -1)), lambda x: np.flip(x, (0, -1)), CUBE, label="axes"),
    *[row("rot90", lambda x, k=k: lg.rot90(x, k), lambda x, k=k: np.rot90(x, k), X, label=str(k)) for k in (-1, 0, 1,
        2)],
    row("rot90", lambda x: lg.rot90(x, 1, (2, 0)), lambda x: np.rot90(x, 1, (2, 0)), CUBE, label="axes"),
    row("roll", lambda x: lg.roll(x, 3), lambda x: np.roll(x, 3), X),
    row("roll", lambda x: lg.roll(x, (1, -6), (0, 1)), lambda x: np.roll(x, (1, -6), (0, 1)), X, label="axes"),
    row("roll", lambda x: lg.roll(x, 1, (0, 1)), lambda x: np.roll(x, 1, (0, 1)), X, label="one shift"),
    row("repeat", lambda x: lg.repeat(x, 3), lambda x: np.repeat(x, 3), X),
    row("repeat", lambda x: lg.repeat(x, 2, axis=-1), lambda x: np.repeat(x, 2, axis=-1), X, label="axis"),
    row("tile", lambda x: lg.tile(x, 2), lambda x: np.tile(x, 2), X),
    row("tile", lambda x: lg.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), X, label="new axis"),
    row("pad", lambda x: lg.pad(x, 2), lambda x: np.pad(x, 2), X, dtypes=ALL),
    row("pad", lambda x: lg.pad(x, ((1, 0), (2, 3)), 0.5), lambda x: np.pad(x, ((1, 0), (2, 3)), constant_values=0.5),
        X,
        label="value", dtypes=ALL),
    row("pad", lambda x: lg.pad(x, (1, 2)), lambda x: np.pad(x, (1, 2)), X, label="sides"),
    row("tril", lg.tril, np.tril, SQUARE, dtypes=ALL),
    row("tril", lambda x: lg.tril(x, -1), lambda x: np.tril(x, -1), CUBE, label="below"),
    row("triu", lg.triu, np.triu, SQUARE, dtypes=ALL),
    row("triu", lambda x: lg.triu(x, 1), lambda x: np.triu(x, 1), CUBE, label="above"),
    row("atleast_1d", lg.atleast_1d, np.atleast_1d, (real(), ())),
    row("atleast_2d", lg.atleast_2d, np.atleast_2d, VECTOR),
    row("atleast_2d", lg.atleast_2d, np.atleast_2d, (real(), ()), label="of a number"),
    *[
        row("astype", lambda x, to=to: lg.astype(x, to), lambda x, to=to: x.astype(to), (grid(0.3), (3, 4)), label=to,
            dtypes=ALL, order=1 if to == "float64" else 0)
        for to in ALL
    ],
]

INDEXING = [
    row("getitem", lambda x: x[1], lambda x: x[1], CUBE, label="number", dtypes=ALL),
    row("getitem", lambda x: x[-1, 1:, ..., None], lambda x: x[-1, 1:, ..., None], CUBE, label="basic"),
    row("getitem", lambda x: x[:, ::-2, 3:0:-1], lambda x: x[:, ::-2, 3:0:-1], CUBE, label="backwards"),
    row("getitem", lambda x: x[:, 1:1], lambda x: x[:, 1:1], CUBE, label="nothing"),
    row("getitem", lambda x: x[ROWS], lambda x: x[ROWS], X, label="array"),
    row("getitem", lambda x: x[[0, 2, 2, 0]], lambda x: x[[0, 2, 2, 0]], X, label="list with repeats"),
    row("getitem", lambda x: x[:, ROWS], lambda x: x[:, ROWS], CUBE, label="array behind"),
    row("getitem", lambda x: x[ROWS[:, None] % 2, :, ROWS], lambda x: x[ROWS[:, None] % 2, :, ROWS], CUBE,
        label="arrays apart"),
    row("getitem", lambda x: x[:, ROWS, ROWS[:, None]], lambda x: x[:, ROWS, ROWS[:, None]], CUBE,
        label="arrays together"),
    row("getitem", lambda x: x[1, :, ROWS], lambda x: x[1, :, ROWS], CUBE, label="number and array"),
    row("getitem", lambda x: x[PICK], lambda x: x[PICK], X, label="mask"),
    row("getitem", lambda x: x[0, PICK, 1:], lambda x: x[0, PICK, 1:], CUBE, label="mask and slice"),
    row("getitem", lambda x: x[None, ROWS, None], lambda x: x[None, ROWS, None], X, label="new axes and array"),
    row("getitem", lambda x, i: x[:, i], lambda x, i: x[:, i], X, (whole(-4, 4), (2, 3)), label="tensor"),
    row("take", lambda x, i: lg.take(x, i, axis=1), lambda x, i: np.take(x, i, axis=1), X, (whole(-4, 4), (2, 3))),
    row("take", lambda x, i: lg.take(x, i), lambda x, i: np.take(x, i), X, (whole(-12, 12), (5,)), label="flat"),
    row("take", lambda x: lg.take(x, 1, axis=-1), lambda x: np.take(x, 1, axis=-1), X, label="number"),
    row("take", lambda x, i: lg.take(x, i.astype("float32").astype("int8")), lambda x, i: np.take(x, i), X,
        (whole(-12, 12), (5,)), label="cast from floats"),
    row("take_along_axis", lg.take_along_axis, lambda x, i: np.take_along_axis(x, i, -1), X, (whole(-4, 4), (3, 2))),
    row("take_along_axis", lambda x, i: lg.take_along_axis(x, i, axis=0), lambda x, i: np.take_along_axis(x, i, 0),
        CUBE, (whole(0, 2), (5, 3, 1)), label="broadcast"),
    row("diagonal", lg.diagonal, lambda x: np.diagonal(x, axis1=-2, axis2=-1), CUBE),
    row("diagonal", lambda x: lg.diagonal(x, offset=-1), lambda x: np.diagonal(x, -1, -2, -1), CUBE, label="below"),
    row("at", lambda x, v: x.at[1:, 0].set(v), lambda x, v: _at(x, np.s_[1:, 0], v), X, (real(), (2,)),
        label="set a slice", dtypes=ALL),
    row("at", lambda x, v: x.at[ROWS].set(v), lambda x, v: _at(x, ROWS, v), X, X, label="set an array"),
    row("at", lambda x, v: x.at[PICK, 1].set(v), lambda x, v: _at(x, (PICK, 1), v), X, (real(), ()),
        label="set a mask"),
    row("at", lambda x, v: lg.at(x)[..., 1].add(v), lambda x, v: _at(x, np.s_[..., 1], v, np.add), X, (real(), (3,)),
        label="add to a slice"),
    row("at", lambda x, v: x.at[[0, 1, 0, -3]].add(v), lambda x, v: _at(x, [0, 1, 0, -3], v, np.add), X, (real(), (4,
        4)),
        label="add, with repeats"),
    row("at", lambda x, v, m: x.at[m].set(v), lambda x, v, m: np.where(m, v, x), X, (real(), ()), (mask, (3, 4)),
        label="set a mask that is a tensor", dtypes=ALL),
    row("at", lambda x, v, m: x.at[m].add(v), lambda x, v, m: np.where(m[:, None], x + v, x), X, (real(), (4,)),
        (mask, (3,)), label="add to a mask that is a tensor"),
    row("at", lambda x: x.at[1].multiply(3.0), lambda x: _at(x, 1, 3, np.multiply), X, label="multiply"),
    row("segment_sum", lambda x, s: lg.segment_sum(x, s, 4), lambda x, s: _at(np.zeros((4, 3), x.dtype), s, x, np.add),
        (real(), (6, 3)), (whole(0, 4), (6,))),
    row("_on_diagonal", lambda x: indexing._on_diagonal(x, offset=1, size=(4, 5)),
        lambda x: np.stack([np.diag(r, 1)[:4] for r in x]), X),
    row("_place", lambda x: indexing._place(x, index=(slice(1, 3), 0), size=(4, 2)),
        lambda x: _at(np.zeros((4, 2), x.dtype), np.s_[1:3, 0], x), (real(), (2,))),
]


def _at(x: Any, index: Any, value: Any, ufunc: Any = None) -> Any:
    out = np.array(x)
    if ufunc is None:
        out[index] = value
    else:
        ufunc.at(out, index, value)
    return out


RUNNING = [
    row("cumulative_sum", lg.cumulative_sum, lambda x: np.cumsum(x, -1), CUBE, dtypes=ALL),
    row("cumulative_sum", lambda x: lg.cumulative_sum(x, axis=0), lambda x: np.cumsum(x, 0), CUBE, label="axis"),
    row("cumulative_prod", lg.cumulative_prod, lambda x: np.cumprod(x, -1), (away(0.5), (2, 5)), ulps=8, dtypes=ALL),
    row("cumulative_max", lg.cumulative_max, lambda x: np.maximum.accumulate(x, -1), (apart, (2, 5)), dtypes=ALL),
    row("cumulative_min", lambda x: lg.cumulative_min(x, axis=0), lambda x: np.minimum.accumulate(x, 0), (apart, (5,
        2))),
    row("cumulative_logsumexp", lg.cumulative_logsumexp, lambda x: np.logaddexp.accumulate(x, -1), (real(), (2, 5)),
        ulps=4),
    row("diff", lg.diff, np.diff, X, dtypes=ALL),
    row("diff", lambda x: lg.diff(x, axis=0, n=2), lambda x: np.diff(x, axis=0, n=2), X, label="twice"),
]


def found(x: Any, size: int, fill_value: int) -> tuple[Any, ...]:
    """The first ``size`` of NumPy's indices of nonzero elements, filled up."""
    rows = [i[:size] for i in np.nonzero(x)]
    return tuple(np.pad(i, (0, size - len(i)), constant_values=fill_value) for i in rows)


SORTING = [
    row("sort", lg.sort, np.sort, (apart, (3, 4)), dtypes=ALL),
    row("sort", lambda x: lg.sort(x, axis=0, descending=True), lambda x: np.sort(x, axis=0)[::-1], (apart, (3, 4)),
        label="descending"),
    row("argsort", lg.argsort, lambda x: np.argsort(x, kind="stable"), (grid(), (3, 8)), order=0, dtypes=ALL),
    row("argsort", lambda x: lg.argsort(x, descending=True), lambda x: np.argsort(-x, kind="stable"), (grid(), (3, 8)),
        order=0, label="descending", dtypes=NUMBERS),
    row("top_k", lambda x: lg.top_k(x, 2), lambda x: (np.sort(x)[:, :-3:-1], np.argsort(x)[:, :-3:-1]), (apart, (3,
        4))),
    row("top_k", lambda x: lg.top_k(x, 1, axis=0), lambda x: (x.max(0, keepdims=True), x.argmax(0, keepdims=True)),
        (apart, (3, 4)), label="axis"),
    row("searchsorted", lambda x: lg.searchsorted(np.arange(4.0), x), lambda x: np.searchsorted(np.arange(4.0), x),
        (grid(), (3, 4)), order=0, dtypes=NUMBERS),
    row("searchsorted", lambda x: lg.searchsorted(np.arange(4.0), x, side="right"),
        lambda x: np.searchsorted(np.arange(4.0), x, side="right"), (grid(), (3, 4)), order=0, label="right"),
    row("nonzero", lambda x: lg.nonzero(x, size=5, fill_value=-1), lambda x: found(x, 5, -1), (grid(), (3, 4)),
        order=0),
    row("nonzero", lambda x: lg.nonzero(x, size=20), lambda x: found(x, 20, 0), (grid(), (3, 4)), order=0,
        label="more"),
    row("isin", lambda x: lg.isin(x, [1, 2]), lambda x: np.isin(x, [1, 2]), (grid(), (3, 4)), order=0, dtypes=NUMBERS),
    row("average", lambda x, w: lg.average(x, axis=1, weights=w), lambda x, w: np.average(x, 1, np.broadcast_to(w,
        x.shape)),
        X, (real(0.5, 1.5), (4,)), label="weights", ulps=4),
]

PRODUCTS = [
    row("matmul", lg.matmul, np.matmul, X, MATRIX, dtypes=ALL),
    row("matmul", lg.matmul, np.matmul, (real(), (4,)), MATRIX, label="row"),
    row("matmul", lg.matmul, np.matmul, X, (real(), (4,)), label="column"),
    row("matmul", lg.matmul, np.matmul, VECTOR, VECTOR, label="vectors"),
    row("matmul", lg.matmul, np.matmul, (real(), (2, 1, 3, 4)), (real(), (5, 4, 2)), label="batches", ulps=2),
    row("dot", lg.dot, np.dot, CUBE, (real(), (3, 4, 2)), ulps=8),
    row("dot", lg.dot, np.dot, X, (real(), ()), label="with a number"),
    row("vecdot", lg.vecdot, lambda a, b: np.sum(a * b, -1), X, (real(), (4,))),
    row("inner", lg.inner, np.inner, CUBE, X, ulps=8),
    row("outer", lg.outer, np.outer, X, VECTOR),
    row("kron", lg.kron, np.kron, X, MATRIX),
    row("cross", lg.cross, np.cross, (real(), (4, 3)), (real(), (4, 3))),
    row("tensordot", lg.tensordot, np.tensordot, CUBE, (real(), (3, 4, 2)), ulps=8),
    row("tensordot", lambda a, b: lg.tensordot(a, b, axes=([0, -1], [2, 0])),
        lambda a, b: np.tensordot(a, b, axes=([0, -1], [2, 0])), CUBE, (real(), (4, 5, 2)), label="axes", ulps=8),
    row("tensordot", lambda a, b: lg.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, axes=0), X, VECTOR,
        label="none"),
    *[
        row("einsum", lambda *xs, text=text: lg.einsum(text, *xs), lambda *xs, text=text: np.einsum(text, *xs),
            *[(real(), shape) for shape in shapes], label=text, ulps=8)
        for text, *shapes in [
            ("ij,jk->ik", (3, 4), (4, 2)),
            ("ij->ji", (3, 4)),
            ("ii", (4, 4)),
            ("ii->i", (4, 4)),
            ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
            ("...ij,...j->...i", (2, 3, 4), (4,)),
            ("i,j,k->kij", (2,), (3,), (4,)),
            ("ij,ij", (3, 4), (3, 4)),
        ]
    ],
]

SOURCES = [
    row("zeros", lambda: lg.zeros((2, 3)), lambda: np.zeros((2, 3))),
    row("ones", lambda: lg.ones((2, 3)), lambda: np.ones((2, 3))),
    row("empty", lambda: lg.empty((2, 3)), lambda: np.zeros((2, 3))),
    row("full", lambda: lg.full((2, 3), 7), lambda: np.full((2, 3), 7)),
    row("full", lambda x: lg.full((2, 3), x), lambda x: np.full((2, 3), x), (real(), ()), label="of a tensor"),
    row("zeros_like", lg.zeros_like, np.zeros_like, X, dtypes=ALL),
    row("ones_like", lg.ones_like, np.ones_like, X, dtypes=ALL),
    row("empty_like", lg.empty_like, np.zeros_like, X),
    row("full_like", lambda x: lg.full_like(x, 3), lambda x: np.full_like(x, 3), X, dtypes=ALL),
    row("eye", lambda: lg.eye(3), lambda: np.eye(3)),
    row("eye", lambda: lg.eye(3, 4, k=-1), lambda: np.eye(3, 4, k=-1), label="shifted"),
    row("arange", lambda: lg.arange(5), lambda: np.arange(5)),
    row("arange", lambda: lg.arange(1.0, 2.0, 0.3), lambda: np.arange(1.0, 2.0, 0.3), label="steps", ulps=1),
    row("arange", lambda: lg.arange(5, -5, -3), lambda: np.arange(5, -5, -3), label="backwards"),
    row("linspace", lambda: lg.linspace(-1, 2, 7), lambda: np.linspace(-1, 2, 7)),
    row("linspace", lambda: lg.linspace(-1, 2, 7, endpoint=False), lambda: np.linspace(-1, 2, 7, endpoint=False),
        label="open"),
    row("meshgrid", lg.meshgrid, np.meshgrid, VECTOR, (real(), (3,))),
    row("meshgrid", lambda a, b: lg.meshgrid(a, b, indexing="ij"), lambda a, b: np.meshgrid(a, b, indexing="ij"),
        VECTOR,
        (real(), (3,)), label="ij"),
    row("asarray", lambda: lg.asarray([[1.5, 2.0]]), lambda: np.asarray([[1.5, 2.0]]), label="of a list"),
]

GRADIENTS = [
    row("arrived", lambda x: arrived(x, False, False, 0.5, 0.5, 0.1, max_steps=1), lambda x: x,
        (whole(0, 9), (3,)), order=0),
    row("stop_gradient", lambda x: lg.stop_gradient(x) * 2, lambda x: x * 2, X, order=0),
    row("grad", lambda x: lg.grad(lg.sin(x), x), np.cos, X),
    row("jvp", lambda x, t: lg.jvp(lg.sin(x), x, t), lambda x, t: np.cos(x) * t, X, X),
    row("jacobian", lambda x: lg.jacobian(x * x, x), lambda x: np.diag(2 * x), VECTOR, ulps=1),
    row("hessian", lambda x: lg.hessian(lg.sum(x**3), x), lambda x: np.diag(6 * x), VECTOR, ulps=1),
    row("hessian_vector_product", lambda x, v: lg.hessian_vector_product(lg.sum(x**3), x, v), lambda x, v: 6 * x * v,
        VECTOR, VECTOR, ulps=2),
    row("custom_gradient", lg.custom_gradient(lambda x: (lg.exp(x), lambda g: g * lg.exp(x))), np.exp, X),
]
