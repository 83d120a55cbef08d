"""Rows of NumPy's functions that join, cut, pad, fill and edit arrays, and of grids and diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import ALL, CUBE, FLOATS, NUMBERS, SQUARE, VECTOR, X, apart, grid, real, row, whole

import lazygrad as lg

# fmt: off

JOINING = [
    row("vstack", lambda a, b: lg.vstack([a, b]), lambda a, b: np.vstack([a, b]), X, (real(), (4,)), dtypes=ALL),
    row("hstack", lambda a, b: lg.hstack([a, b]), lambda a, b: np.hstack([a, b]), X, (real(), (3, 2))),
    row("hstack", lambda a, b: lg.hstack([a, b]), lambda a, b: np.hstack([a, b]), VECTOR, (real(), ()), label="flat"),
    row("dstack", lambda a, b: lg.dstack([a, b]), lambda a, b: np.dstack([a, b]), X, X),
    row("column_stack", lambda a, b: lg.column_stack([a, b]), lambda a, b: np.column_stack([a, b]), X, (real(), (3,))),
    row("append", lg.append, np.append, X, VECTOR),
    row("append", lambda a, b: lg.append(a, b, axis=1), lambda a, b: np.append(a, b, axis=1), X, (real(), (3, 1)),
        label="axis"),
    row("array_split", lambda x: lg.array_split(x, 3, axis=1), lambda x: np.array_split(x, 3, axis=1), X),
    row("vsplit", lambda x: lg.vsplit(x, 3), lambda x: np.vsplit(x, 3), X),
    row("hsplit", lambda x: lg.hsplit(x, [1]), lambda x: np.hsplit(x, [1]), X),
    row("hsplit", lambda x: lg.hsplit(x, 5), lambda x: np.hsplit(x, 5), VECTOR, label="vector"),
    row("dsplit", lambda x: lg.dsplit(x, 2), lambda x: np.dsplit(x, 2), CUBE),
    row("flipud", lg.flipud, np.flipud, X),
    row("fliplr", lg.fliplr, np.fliplr, X),
    *[
        row("rollaxis", lambda x, a=a, s=s: lg.rollaxis(x, a, s), lambda x, a=a, s=s: np.rollaxis(x, a, s), CUBE,
            label=f"{a} {s}")
        for a, s in [(2, 0), (0, 3), (1, -1), (0, 2)]
    ],
    *[row("atleast_3d", lg.atleast_3d, np.atleast_3d, (real(), s), label=str(len(s))) for s in [(), (5,), (3, 4)]],
    row("repeat", lambda x: lg.repeat(x, [2, 0, 1], axis=0), lambda x: np.repeat(x, [2, 0, 1], axis=0), X,
        label="counts"),
    row("repeat", lambda x: lg.repeat(x, np.arange(12)), lambda x: np.repeat(x, np.arange(12)), X, label="all counts"),
    *[
        row("pad", lambda x, m=m: lg.pad(x, ((1, 2), (0, 3)), m), lambda x, m=m: np.pad(x, ((1, 2), (0, 3)), m),
            (apart, (3, 4)), label=m, dtypes=NUMBERS if m not in ("mean", "median", "linear_ramp") else FLOATS, ulps=8)
        for m in ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "minimum", "mean", "median")
    ],
    row("pad", lambda x: lg.pad(x, 7, "reflect"), lambda x: np.pad(x, 7, "reflect"), X, label="far"),
    row("pad", lambda x: lg.pad(x, 2, "reflect", reflect_type="odd"), lambda x: np.pad(x, 2, "reflect",
        reflect_type="odd"), X, label="odd", ulps=4),
    row("pad", lambda x: lg.pad(x, {-1: (1, 2)}, constant_values=3), lambda x: np.pad(x, ((0, 0), (1, 2)),
        constant_values=3), X, label="dict"),
    row("pad", lambda x: lg.pad(x, 2, constant_values=((1, 2), (3, 4))), lambda x: np.pad(x, 2, constant_values=((1, 2),
        (3, 4))), X, label="values"),
    row("pad", lambda x: lg.pad(x, 2, "linear_ramp", end_values=((1, 2), (3, 4))), lambda x: np.pad(x, 2, "linear_ramp",
        end_values=((1, 2), (3, 4))), X, label="ends", ulps=8),
    row("pad", lambda x: lg.pad(x, 2, "maximum", stat_length=2), lambda x: np.pad(x, 2, "maximum", stat_length=2),
        (apart, (3, 4)), label="length"),
]

DIAGONALS = [
    row("diag", lg.diag, np.diag, VECTOR, dtypes=ALL),
    row("diag", lambda x: lg.diag(x, -2), lambda x: np.diag(x, -2), VECTOR, label="below"),
    row("diag", lambda x: lg.diag(x, 1), lambda x: np.diag(x, 1), X, label="of a matrix"),
    row("diagflat", lambda x: lg.diagflat(x, 1), lambda x: np.diagflat(x, 1), X),
    row("fill_diagonal", lg.fill_diagonal, lambda x, v: np.where(np.eye(4, dtype=bool), v[:, None], x), SQUARE,
        (real(), (4,))),
    row("tri", lambda: lg.tri(3, 4, -1), lambda: np.tri(3, 4, -1)),
    row("tril_indices", lambda: lg.tril_indices(3, 1, 4), lambda: np.tril_indices(3, 1, 4)),
    row("triu_indices", lambda: lg.triu_indices(3), lambda: np.triu_indices(3)),
    row("diag_indices", lambda: lg.diag_indices(3, 3), lambda: np.diag_indices(3, 3)),
    row("vander", lambda x: lg.vander(x, 4), lambda x: np.vander(x, 4), VECTOR, ulps=4, dtypes=("float64",)),
    row("vander", lambda x: lg.vander(x, increasing=True), lambda x: np.vander(x, increasing=True), VECTOR, ulps=4,
        label="increasing", dtypes=("float64",)),
]

GRIDS = [
    row("logspace", lambda: lg.logspace(-1, 2, 7), lambda: np.logspace(-1, 2, 7), ulps=8),
    row("geomspace", lambda: lg.geomspace(-1, -256, 9), lambda: np.geomspace(-1, -256, 9), ulps=16),
    row("indices", lambda: lg.indices((2, 3)), lambda: np.indices((2, 3))),
    row("meshgrid", lambda a, b: lg.meshgrid(a, b, sparse=True), lambda a, b: np.meshgrid(a, b, sparse=True), VECTOR,
        (real(), (3,)), label="sparse"),
    row("unravel_index", lambda i: lg.unravel_index(i, (2, 3, 4)), lambda i: np.unravel_index(i, (2, 3, 4)),
        (whole(0, 24), (5,)), order=0),
    row("ravel_multi_index", lambda i, j: lg.ravel_multi_index((i, j), (3, 4)),
        lambda i, j: np.ravel_multi_index((i, j), (3, 4)), (whole(0, 3), (5,)), (whole(0, 4), (5,)), order=0),
    row("put_along_axis", lambda x, v: lg.put_along_axis(x, np.array([[1], [0], [3]]), v),
        lambda x, v: _put(x, np.array([[1], [0], [3]]), v), X, (real(), (3, 1))),
    row("put_along_axis", lambda x, v: lg.put_along_axis(x, [[1, 1]], v, axis=1, add=True),
        lambda x, v: x + np.stack([0 * v[:, 0], v.sum(1), 0 * v[:, 0], 0 * v[:, 0]], 1), X, (real(), (3, 2)),
        label="add", ulps=2),
]


def _put(x: Any, indices: Any, values: Any) -> Any:
    out = x.copy()
    np.put_along_axis(out, indices, values, -1)
    return out

EDITING = [
    row("delete", lambda x: lg.delete(x, [0, -1], axis=1), lambda x: np.delete(x, [0, -1], axis=1), X),
    row("delete", lambda x: lg.delete(x, slice(None, None, 2)), lambda x: np.delete(x, slice(None, None, 2)), X,
        label="slice"),
    row("insert", lambda x, v: lg.insert(x, 1, v, axis=1), lambda x, v: np.insert(x, 1, v, axis=1), X, (real(), (3,))),
    row("insert", lambda x, v: lg.insert(x, [3, 0, -1], v, axis=0), lambda x, v: np.insert(x, [3, 0, -1], v, axis=0), X,
        (real(), (3, 4)), label="several"),
    row("insert", lambda x, v: lg.insert(x, 2, v), lambda x, v: np.insert(x, 2, v), X, (real(), (3,)), label="flat"),
    row("insert", lambda x: lg.insert(x, [1, 1], 7, axis=1), lambda x: np.insert(x, [1, 1], 7, axis=1), X,
        label="number"),
    row("block", lambda a, b: lg.block([[a, b], [b, a]]),
        lambda a, b: np.block([[a, b], [b, a]]), X, (real(), (3, 2))),
    row("unwrap", lg.unwrap, np.unwrap, (real(-9, 9), (2, 9)), ulps=64, dtypes=("float64",)),
    row("unwrap", lambda x: lg.unwrap(x, 2, axis=0, period=3), lambda x: np.unwrap(x, 2, axis=0, period=3),
        (real(-9, 9), (9, 2)), ulps=64, dtypes=("float64",), label="period"),
    *[
        row(name, lambda a, v, n=name, m=mode: getattr(lg, n)(a, v, m),
            lambda a, v, n=name, m=mode: getattr(np, n)(a, v, m), (real(), (sizes[0],)), (real(), (sizes[1],)),
            label=f"{mode} {sizes[0]} {sizes[1]}", ulps=8, dtypes=("float64", "int64"))
        for name in ("convolve", "correlate") for mode in ("full", "same", "valid") for sizes in [(5, 2), (2, 5)]
    ],
    row("matvec", lg.matvec, lambda a, x: np.einsum("...ij,...j->...i", a, x), CUBE, (real(), (2, 4)),
        ulps=8, dtypes=NUMBERS),
    row("vecmat", lg.vecmat, lambda x, a: np.einsum("...i,...ij->...j", x, a), (real(), (2, 3)), CUBE,
        ulps=8, dtypes=NUMBERS),
    row("flatnonzero", lambda x: lg.flatnonzero(x, size=12, fill_value=-1),
        lambda x: np.append(np.flatnonzero(x), np.full(12 - np.count_nonzero(x), -1)), (grid(), (3, 4)), order=0),
    row("argwhere", lambda x: lg.argwhere(x, size=5), lambda x: np.argwhere(x)[:5], (grid(), (3, 4)), order=0),
]

SHAPES = [*JOINING, *DIAGONALS, *GRIDS, *EDITING]
