"""Rows of what NumPy and SciPy have beside the array API: NaN passed over, quantiles, counts, interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.spatial.distance as distance
import scipy.special as special
from rows import (
    FLOATS,
    MATRIX,
    NUMBERS,
    PICK,
    SQUARE,
    VECTOR,
    X,
    apart,
    away,
    elementwise,
    grid,
    mask,
    real,
    reducing,
    row,
    whole,
)

import lazygrad as lg

# fmt: off

BIG = 64  # roundings of sums in another order


def rising(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Increasing numbers, not near each other."""
    return (np.arange(shape[0]) + rng.uniform(0.1, 0.4, shape)).astype(dtype)


def _kept(f: Any) -> Any:
    """SciPy's function without its float64 for Python's numbers."""
    return lambda a, b: f(a, b).astype(np.result_type(a, b))


ELEMENTS = [
    elementwise("fmax", np.fmax, grid(), grid(0.5)),
    elementwise("fmin", np.fmin, grid(), grid(0.5)),
    elementwise("fmod", np.fmod, real(4.2, 4.4), real(1.55, 1.7)),
    elementwise("fmod", np.fmod, real(-5, 5), away(), label="signs", order=0),
    elementwise("heaviside", np.heaviside, away(), real(), dtypes=FLOATS),
    elementwise("logaddexp2", np.logaddexp2, real(), real(), ulps=4, dtypes=NUMBERS),
    elementwise("xlogy", _kept(special.xlogy), real(), real(0.3, 2), dtypes=FLOATS, ulps=2),
    elementwise("xlog1py", _kept(special.xlog1py), real(), real(-0.6, 2), dtypes=FLOATS, ulps=2),
    row("isposinf", lg.isposinf, np.isposinf, X, order=0, dtypes=NUMBERS),
    row("isneginf", lg.isneginf, np.isneginf, X, order=0, dtypes=NUMBERS),
    row("lerp", lg.lerp, lambda a, b, t: a + t * (b - a), X, X, (real(), (3, 1))),
    elementwise("round", lambda x: np.round(x, 2), real(), call=lambda x: lg.round(x, 2), label="decimals",
        dtypes=NUMBERS, order=0),
    elementwise("round", lambda x: np.round(x, -1), real(-40, 40), call=lambda x: lg.round(x, -1), label="tens",
        dtypes=NUMBERS, order=0),
    row("select", lambda m, a, b: lg.select([m, ~m & PICK[:, None]], [a, b], 3.0),
        lambda m, a, b: np.select([m, ~m & PICK[:, None]], [a, b], 3.0), (mask, (3, 4)), X, X),
    elementwise("piecewise", lambda x: np.piecewise(x, [x < 0, x > 1], [np.square, 2, np.exp]), away(0.1),
        call=lambda x: lg.piecewise(x, [x < 0, x > 1], [lg.square, 2, lg.exp]), dtypes=FLOATS),
    row("allclose", lambda x: lg.allclose(x, x + 1e-12), lambda x: np.bool_(np.allclose(x, x + 1e-12)), X, order=0),
    row("array_equal", lambda x, y: lg.array_equal(x, y), lambda x, y: np.bool_(np.array_equal(x, y)), X, X, order=0),
    row("array_equal", lambda x, y: lg.array_equal(x, y), lambda x, y: np.bool_(False), X, VECTOR, order=0,
        label="shapes"),
]

# What is missing is checked in ops/test_array_functions.py.
SKIPPING = [
    reducing("nansum", np.nansum, real(), dtypes=NUMBERS, ulps=BIG, order=1),
    reducing("nanprod", np.nanprod, real(), dtypes=FLOATS, ulps=BIG, order=1),
    reducing("nanmean", np.nanmean, real(), dtypes=NUMBERS, ulps=BIG, order=1),
    reducing("nanvar", np.nanvar, real(), dtypes=FLOATS, ulps=BIG, order=1),
    reducing("nanstd", np.nanstd, real(), dtypes=FLOATS, ulps=BIG, order=1),
    reducing("nanmax", np.nanmax, apart, dtypes=NUMBERS, order=1),
    reducing("nanmin", np.nanmin, apart, dtypes=NUMBERS, order=1),
    reducing("ptp", np.ptp, apart, dtypes=NUMBERS, order=1),
    row("nanargmax", lambda x: lg.nanargmax(x, axis=1), lambda x: np.nanargmax(x, axis=1), (apart, (3, 4)), order=0,
        dtypes=NUMBERS),
    row("nanargmin", lambda x: lg.nanargmin(x), lambda x: np.nanargmin(x), (apart, (3, 4)), order=0),
    row("nancumsum", lg.nancumsum, lambda x: np.nancumsum(x, -1), X, ulps=4),
    row("nancumprod", lg.nancumprod, lambda x: np.nancumprod(x, -1), X, ulps=8),
    row("nanmedian", lambda x: lg.nanmedian(x, axis=1), lambda x: np.nanmedian(x, axis=1), (apart, (3, 4)), ulps=4,
        order=1),
    row("nanquantile", lambda x: lg.nanquantile(x, [0.2, 0.7], axis=1), lambda x: np.nanquantile(x, [0.2, 0.7], axis=1),
        (apart, (3, 4)), ulps=8, order=1, dtypes=("float64",)),
    row("nanpercentile", lambda x: lg.nanpercentile(x, 30, axis=0), lambda x: np.nanpercentile(x, 30, axis=0),
        (apart, (3, 4)), ulps=8, order=1),
]

METHODS = ["linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf",
    "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased"]
SHARES = np.array([0.0, 0.13, 0.4, 0.5, 0.87, 1.0])

QUANTILES = [
    *[
        row("quantile", lambda x, m=m: lg.quantile(x, SHARES, axis=1, method=m),
            lambda x, m=m: np.quantile(x, SHARES.astype(x.dtype), axis=1, method=m), (apart, (3, 8)), label=m, ulps=32,
            dtypes=("float64",), order=int(m in ("linear", "higher", "averaged_inverted_cdf")))
        for m in METHODS
    ],
    row("quantile", lambda x: lg.quantile(x, 0.3), lambda x: np.quantile(x, 0.3), (apart, (3, 4)), label="all", ulps=8,
        dtypes=NUMBERS),
    row("quantile", lambda x: lg.quantile(x, [[0.3], [0.6]], axis=(0, -1), keepdims=True),
        lambda x: np.quantile(x, [[0.3], [0.6]], axis=(0, -1), keepdims=True), (apart, (2, 3, 4)), label="axes", ulps=8,
        dtypes=("float64",)),
    row("quantile", lambda x, q: lg.quantile(x, q, axis=0), lambda x, q: np.quantile(x, q, axis=0), (apart, (5, 2)),
        (real(0.05, 0.2), (3,)), label="probabilities", ulps=8, dtypes=("float64",)),
    row("percentile", lambda x: lg.percentile(x, [10, 90], axis=0),
        lambda x: np.percentile(x, np.asarray([10, 90], x.dtype), axis=0), (apart, (3, 4)), ulps=16),
]


def filled(found: Any, size: int, fill: Any) -> Any:
    """What NumPy finds, filled up."""
    return np.append(found, np.full(size - len(found), fill)).astype(found.dtype)


def distinct(x: Any, size: int) -> tuple[Any, ...]:
    """NumPy's distinct elements, in places for ``size``."""
    values, places, inverse, counts = np.unique(x, True, True, True)
    return (filled(values, size, values[0]), filled(places, size, places[0]), inverse.reshape(x.shape),
        filled(counts, size, 0))


COUNTING = [
    row("unique", lambda x: lg.unique(x, True, True, True, size=8), lambda x: distinct(x, 8), (grid(), (3, 4)),
        dtypes=NUMBERS, order=0),
    row("unique", lambda x: lg.unique(x, size=7, fill_value=9), lambda x: filled(np.unique(x), 7, 9), (grid(), (12,)),
        label="filled", order=0),
    row("unique", lambda x: lg.unique(x, size=4), lambda x: np.unique(x)[:4], (apart, (3, 4)), label="fewer"),
    row("unique_all", lambda x: lg.unique_all(x, size=8), lambda x: distinct(x, 8), (grid(), (3, 4)), order=0),
    row("unique_counts", lambda x: lg.unique_counts(x, size=8), lambda x: distinct(x, 8)[::3], (grid(), (3, 4)),
        order=0),
    row("unique_inverse", lambda x: lg.unique_inverse(x, size=8), lambda x: distinct(x, 8)[::2], (grid(), (3, 4)),
        order=0),
    row("unique_values", lambda x: lg.unique_values(x, size=8), lambda x: distinct(x, 8)[0], (grid(), (3, 4)), order=0),
    row("bincount", lambda x: lg.bincount(x, length=6), lambda x: np.bincount(x, minlength=6), (whole(0, 5), (9,)),
        order=0),
    row("bincount", lambda x, w: lg.bincount(x, w, 6), lambda x, w: np.bincount(x, w, 6).astype(w.dtype),
        (whole(0, 5), (9,)), (real(), (9,)), label="weights", ulps=8),
    row("digitize", lambda x: lg.digitize(x, np.arange(-2, 2)), lambda x: np.digitize(x, np.arange(-2, 2)),
        (grid(), (3, 4)), order=0, dtypes=NUMBERS),
    row("digitize", lambda x: lg.digitize(x, [2.0, 0.0, -1.0], right=True),
        lambda x: np.digitize(x, [2.0, 0.0, -1.0], right=True), (grid(), (3, 4)), order=0, label="falling"),
    row("histogram", lambda x: lg.histogram(x, 5), lambda x: np.histogram(x, 5), (grid(), (3, 8)), order=0, ulps=2,
        dtypes=NUMBERS),
    row("histogram", lambda x: lg.histogram(x, 4, (-1, 2), True), lambda x: np.histogram(x, 4, (-1, 2), True),
        (real(), (30,)), order=0, ulps=4, label="density", dtypes=("float64",)),
    row("histogram", lambda x, w: lg.histogram(x, [-2.0, -0.5, 0.2, 3.0], weights=w)[0],
        lambda x, w: np.histogram(x, [-2.0, -0.5, 0.2, 3.0], weights=w)[0], (grid(0.3), (9,)), (real(), (9,)), ulps=8,
        label="weights"),
    row("histogram_bin_edges", lambda x: lg.histogram_bin_edges(x, 3), lambda x: np.histogram_bin_edges(x, 3),
        (apart, (9,)), ulps=2),
]

POINTS = (rising, (5,))

BETWEEN = [
    row("interp", lg.interp, np.interp, (real(-0.5, 5.5), (3, 4)), POINTS, VECTOR, dtypes=("float64",), ulps=4),
    row("interp", lambda x, xp, fp: lg.interp(x, xp, fp, left=-3, right=4.5),
        lambda x, xp, fp: np.interp(x, xp, fp, left=-3, right=4.5), (real(-0.5, 5.5), (9,)), POINTS, VECTOR,
        dtypes=("float64",), ulps=4, label="ends"),
    row("interp", lambda x, xp, fp: lg.interp(x, xp, fp, period=4.6),
        lambda x, xp, fp: np.interp(x, xp, fp, period=4.6), (real(-9, 9), (9,)), POINTS, VECTOR, dtypes=("float64",),
        ulps=64, label="period"),
    row("trapezoid", lambda y, x: lg.trapezoid(y, x), lambda y, x: np.trapezoid(y, x), (real(), (3, 5)), POINTS,
        ulps=8),
    row("trapezoid", lambda y: lg.trapezoid(y, dx=0.5, axis=0), lambda y: np.trapezoid(y, dx=0.5, axis=0), X,
        label="axis", ulps=4),
    row("cumulative_trapezoid", lambda y, x: lg.cumulative_trapezoid(y, x, initial=0),
        lambda y, x: scipy.integrate.cumulative_trapezoid(y, x, initial=0), (real(), (3, 5)), POINTS, ulps=8),
    *[
        row("central_difference", lambda f, k=k: lg.central_difference(f, edge_order=k),
            lambda f, k=k: tuple(np.gradient(f, edge_order=k)), X, label=f"order {k}", ulps=8)
        for k in (1, 2)
    ],
    *[
        row("central_difference", lambda f, x, k=k: lg.central_difference(f, x, axis=1, edge_order=k),
            lambda f, x, k=k: np.gradient(f, x, axis=1, edge_order=k), (real(), (3, 5)), POINTS, label=f"points {k}",
            ulps=64)
        for k in (1, 2)
    ],
    row("central_difference", lambda f: lg.central_difference(f, 0.5), lambda f: np.gradient(f, 0.5), VECTOR,
        label="vector", ulps=4),
    row("polyval", lg.polyval, np.polyval, VECTOR, X, ulps=16),
    row("polyfit", lambda x, y: lg.polyfit(x, y, 2), lambda x, y: np.polyfit(x, y, 2).astype(x.dtype), POINTS, VECTOR,
        ulps=4000),
    row("polyfit", lambda x, y, w: lg.polyfit(x, y, 1, w), lambda x, y, w: np.polyfit(x, y, 1, w=w).astype(x.dtype),
        POINTS, (real(), (5, 2)), (real(0.5, 1.5), (5,)), label="weights", ulps=4000),
]

COVARIANCE = [
    row("cov", lg.cov, np.cov, X, ulps=16, dtypes=("float64", "int64")),
    row("cov", lg.cov, np.cov, VECTOR, ulps=16, dtypes=("float64",), label="one variable"),
    row("cov", lambda x, y: lg.cov(x, y, rowvar=False, ddof=0), lambda x, y: np.cov(x, y, rowvar=False, ddof=0), MATRIX,
        (real(), (4, 1)), ulps=16, dtypes=("float64",), label="columns"),
    row("cov", lambda x, w: lg.cov(x, fweights=[1, 2, 1, 3], aweights=w),
        lambda x, w: np.cov(x, fweights=[1, 2, 1, 3], aweights=w), X, (real(0.5, 1.5), (4,)), ulps=32,
        dtypes=("float64",), label="weights"),
    row("corrcoef", lg.corrcoef, np.corrcoef, X, ulps=16, dtypes=("float64",)),
    *[
        row("cdist", lambda a, b, p=p: lg.cdist(a, b, p=p),
            lambda a, b, p=p: distance.cdist(a, b, "minkowski", p=p) if p != np.inf
            else distance.cdist(a, b, "chebyshev"), X, (real(), (5, 4)), label=str(p), ulps=8, dtypes=("float64",))
        for p in (1, 2, 3, np.inf)
    ],
    row("pdist", lg.pdist, distance.pdist, X, ulps=8, dtypes=("float64",)),
]

KEYWORDS = [
    row("sum", lambda x: lg.sum(x, dtype="int8"), lambda x: np.sum(x, dtype="int8"), (grid(), (3, 4)), label="small",
        order=0, dtypes=("int64",)),
    row("cumulative_sum", lambda x: lg.cumulative_sum(x, axis=0, include_initial=True),
        lambda x: np.cumsum(np.pad(x, ((1, 0), (0, 0))), axis=0), X, label="initial", dtypes=NUMBERS),
    row("cumulative_sum", lambda x: lg.cumulative_sum(x, axis=None, dtype="int8"), lambda x: np.cumsum(x, dtype="int8"),
        (grid(), (3, 4)), label="small", order=0, dtypes=("int64",)),
    row("cumulative_prod", lambda x: lg.cumulative_prod(x, axis=None, include_initial=True),
        lambda x: np.cumprod(np.pad(x.ravel(), (1, 0), constant_values=1)), (away(0.5), (2, 3)), label="initial",
        ulps=8),
    row("cumulative_max", lambda x: lg.cumulative_max(x, axis=None), lambda x: np.maximum.accumulate(x.ravel()),
        (apart, (2, 3)), label="flat"),
    row("diff", lambda x, a: lg.diff(x, prepend=0, append=a), lambda x, a: np.diff(x, prepend=0, append=a), X,
        (real(), (3, 2)), label="ends", dtypes=("float64",)),
    row("searchsorted", lambda x: lg.searchsorted([3.0, 1.0, 2.0], x, sorter=[1, 2, 0]),
        lambda x: np.searchsorted([3.0, 1.0, 2.0], x, sorter=[1, 2, 0]), (real(0, 4), (3, 4)), order=0, label="sorter"),
    row("sort", lambda x: lg.sort(x, stable=False), np.sort, (apart, (3, 4)), label="unstable"),
    row("isin", lambda x: lg.isin(x, [1, 2], invert=True), lambda x: np.isin(x, [1, 2], invert=True), (grid(), (3, 4)),
        order=0, label="invert"),
    row("average", lambda x, w: lg.average(x, axis=0, weights=w, keepdims=True),
        lambda x, w: np.average(x, axis=0, weights=w, keepdims=True), X, (real(0.5, 1.5), (3,)), label="along", ulps=4),
    row("logsumexp", lambda x, b: lg.logsumexp(x, b=b, axis=1), lambda x, b: special.logsumexp(x, b=b, axis=1), X,
        (real(0.2, 1.5), (4,)), label="b", ulps=8),
    row("einsum", lambda a, b: lg.einsum(a, [0, 1], b, [1, 2], [0, 2]),
        lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [0, 2]), X, MATRIX, label="lists", ulps=8),
    row("einsum", lambda a: lg.einsum(a, [..., 5, 5]), lambda a: np.einsum(a, [..., 5, 5]), (real(), (2, 3, 3)),
        label="trace by lists", ulps=4),
    *[
        row("einsum", lambda *xs, o=o: lg.einsum("ij,jk,kl,l->i", *xs, optimize=o),
            lambda *xs: np.einsum("ij,jk,kl,l->i", *xs), X, MATRIX, (real(), (2, 3)), (real(), (3,)),
            label=f"chain {o}", ulps=16)
        for o in (True, "optimal")
    ],
    row("vdot", lg.vdot, np.vdot, X, X, ulps=8),
    row("asarray", lambda x: lg.asarray(x, copy=True, device=None), lambda x: x, X, label="keywords"),
    row("reshape", lambda x: lg.reshape(x, (4, 3), copy=True), lambda x: np.reshape(x, (4, 3)), X, label="copy"),
    row("zeros", lambda: lg.zeros(3, device=None), lambda: np.zeros(3), label="device"),
]


def regular(rng: np.random.Generator, shape: Any, dtype: Any) -> Any:
    """Matrices far from singular ones, with no ties for a pivot."""
    return (rng.uniform(-1, 1, shape) + 3 * np.eye(*shape[-2:])[::-1]).astype(dtype)


FACTORS = [
    *[
        row("linalg.lu", lg.linalg.lu, scipy.linalg.lu, (regular, shape), label=str(shape), ulps=1000)
        for shape in [(3, 3), (4, 3), (2, 3, 4)]
    ],
    row("linalg.lstsq", lambda a, b: lg.linalg.lstsq(a, b), lambda a, b: _lstsq(a, b), (real(), (6, 3)),
        (real(), (6, 2)), ulps=4000),
    row("linalg.lstsq", lambda a, b: lg.linalg.lstsq(a, b).x, lambda a, b: np.linalg.lstsq(a, b)[0], (real(), (3, 5)),
        (real(), (3,)), label="wide", ulps=4000),
    row("linalg.solve_triangular", lambda a, b: lg.linalg.solve_triangular(a, b, lower=True, unit_diagonal=True),
        lambda a, b: scipy.linalg.solve_triangular(a, b, lower=True, unit_diagonal=True), SQUARE, MATRIX,
        label="unit diagonal", ulps=1000),
    row("linalg.pinv", lambda a: lg.linalg.pinv(a, hermitian=True), lambda a: np.linalg.pinv(a, hermitian=True),
        (regular, (3, 3)), label="hermitian", ulps=1000),
    row("linalg.matrix_rank", lambda a: lg.linalg.matrix_rank(a, hermitian=True),
        lambda a: np.linalg.matrix_rank(a, hermitian=True), (regular, (3, 3)), label="hermitian", order=0),
    row("linalg.svd", lambda a: lg.linalg.svd(a, hermitian=True)[1], lambda a: np.linalg.svd(a, hermitian=True)[1],
        (regular, (3, 3)), label="hermitian", order=1, ulps=1000),
]


def _lstsq(a: Any, b: Any) -> Any:
    x, left, rank, s = np.linalg.lstsq(a, b)
    return x, left, np.int64(rank), s


NUMPYS = [*ELEMENTS, *SKIPPING, *QUANTILES, *COUNTING, *BETWEEN, *COVARIANCE, *KEYWORDS, *FACTORS]
