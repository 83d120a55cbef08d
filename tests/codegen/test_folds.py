"""Folds in native code: reductions over every subset of axes, places of extremes, and sums by segment.

Most data are small whole numbers, for which no order of summation rounds: then results agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native_steps import agree, case, subsets, whole

import lazygrad as lg

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

WIDTHS = pytest.mark.parametrize("width", [4, 8, 16])

# Reductions.

REDUCED: list[tuple[int, ...]] = [(7,), (37,), (3, 5), (33, 4), (4, 33), (2, 3, 5), (9, 1, 4), (2, 3, 2, 5)]
NUMERIC = ["sum", "prod", "max", "min"]


def factors(shape: Any, dtype: Any) -> Any:
    """Numbers whose sums and products are exact: powers of two, small and with signs."""
    chosen = [1, -1, 2, 1] if np.dtype(dtype).kind == "i" else [1, -1, 2, 0.5]
    return np.random.default_rng(0).choice(np.array(chosen), shape).astype(dtype)


@pytest.mark.parametrize("shape", REDUCED, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_every_subset_of_axes_is_reduced(shape: tuple[int, ...], dtype: str) -> None:
    """By sums, products, maxima and minima, with and without the axes kept."""
    x = factors(shape, dtype) if dtype != "bool" else whole(shape, dtype)

    def step(ctx: Any, x: Any) -> Any:
        return [
            getattr(lg, how)(x, axis=axes, keepdims=k % 2 == 0)
            for how in NUMERIC
            for k, axes in enumerate(subsets(len(shape)))
        ]

    this = case(step, x)
    agree(this)
    assert dtype == "bool" or [] == this.calls


@pytest.mark.parametrize("shape", REDUCED, ids=str)
@pytest.mark.parametrize("how", ["all", "any"])
def test_every_subset_of_axes_is_reduced_by_logic(shape: tuple[int, ...], how: str) -> None:
    """Of booleans and of numbers."""
    x, y = whole(shape, "bool"), whole(shape, low=0, high=3)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        reduced = getattr(lg, how)
        return [reduced(z, axis=axes, keepdims=bool(k % 2)) for z in (x, y) for k, axes in enumerate(subsets(x.ndim))]

    this = case(step, x, y)
    agree(this)
    assert [] == this.calls


@pytest.mark.parametrize("shape", REDUCED, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int8", "uint8", "bool"])
def test_the_place_of_an_extreme_is_found_along_every_axis(shape: tuple[int, ...], dtype: str) -> None:
    """The first one of equals; there are many, as few numbers are different."""
    x = whole(shape, dtype, low=-2, high=3)

    def step(ctx: Any, x: Any) -> Any:
        found = [getattr(lg, how)(x) for how in ("argmax", "argmin")]
        for axis in range(len(shape)):
            found += [lg.argmax(x, axis=axis), lg.argmin(x, axis=axis, keepdims=True)]
        return found

    agree(case(step, x))


@WIDTHS
@pytest.mark.parametrize("shape", [(3, 5, 17, 9), (2500,), (250, 10), (10, 250), (700, 3), (3, 700)], ids=str)
def test_larger_arrays_are_reduced_over_every_subset_of_axes(shape: tuple[int, ...], width: int) -> None:
    """So large that a kernel is not written as a single row."""
    x = factors(shape, "float32")

    def step(ctx: Any, x: Any) -> Any:
        return [getattr(lg, how)(x * 2, axis=axes) for how in ("sum", "max") for axes in subsets(len(shape))]

    agree(case(step, x, width=width))


@WIDTHS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_comes_through_a_reduction(dtype: str, width: int) -> None:
    """Wherever it stands, also in lanes of a last register, and as the place of an extreme the first NaN."""
    x = whole((21, 21), dtype)
    np.fill_diagonal(x, np.nan)
    x[5, 9] = np.nan
    x[7], x[8] = np.inf, -np.inf

    def step(ctx: Any, x: Any) -> Any:
        hows = [lg.max, lg.min, lg.sum, lg.argmax, lg.argmin, lg.all, lg.any]
        return [how(x, axis=1) for how in hows] + [how(x, axis=0) for how in hows] + [how(x[3]) for how in hows]

    agree(case(step, x, width=width))


@WIDTHS
def test_the_extremes_of_infinities_are_found(width: int) -> None:
    """Rows of nothing else, where the number that a fold begins with is the result, and its place is 0."""
    x = np.array([[-np.inf] * 11, [np.inf] * 11, [np.inf, -np.inf] * 5 + [0.0], [np.nan] * 11], "float32")
    agree(case(lambda ctx, x: [f(x, axis=1) for f in (lg.max, lg.min, lg.argmax, lg.argmin)], x, width=width))


@WIDTHS
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64", "uint64"])
def test_the_ends_of_whole_numbers_are_found(dtype: str, width: int) -> None:
    """Where the least and the greatest number there is are elements."""
    info = np.iinfo(dtype)
    x = np.array([[info.min] * 9, [info.max] * 9, [info.min, info.max, 1] * 3], dtype)

    def step(ctx: Any, x: Any) -> Any:
        return [f(x, axis=a) for f in (lg.max, lg.min, lg.argmax, lg.argmin, lg.sum, lg.prod) for a in (0, 1)]

    agree(case(step, x, width=width))


# Sums by segment.

SEGMENTS = pytest.mark.parametrize(
    ("segments", "inner"),
    [(3, ()), (8, (4,)), (2, (2, 2)), (32, ()), (33, ()), (100, ()), (7, (5,)), (50, (17,))],
    ids=str,
)


@WIDTHS
@SEGMENTS
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_rows_are_summed_by_segment(segments: int, inner: tuple[int, ...], rows: int, width: int) -> None:
    """Few segments and many; some segments get nothing; negative numbers count from the end."""
    x, i = whole((rows, *inner)), whole(rows, "int64", -segments, segments, seed=1)
    start = whole((segments, *inner), seed=2)

    def step(ctx: Any, x: Any, i: Any, start: Any) -> Any:
        return lg.at(start)[i].add(x), lg.at(start * 2)[i].add(x), lg.at(start * 0)[i].add(x * 2)

    agree(case(step, x, i, start, width=width))


@WIDTHS
@SEGMENTS
def test_many_rows_are_summed_by_segment_in_chunks(segments: int, inner: tuple[int, ...], width: int) -> None:
    """What chunks come to is added to the start once."""
    rows = 150_001 // max(1, int(np.prod(inner)))
    x, i = whole((rows, *inner)), whole(rows, "int32", 0, segments, seed=1)
    start = whole((segments, *inner), seed=2)
    this = case(
        lambda ctx, x, i, start: (lg.at(start)[i].add(x), lg.segment_sum(x, i, segments)), x, i, start, width=width
    )
    agree(this)
    assert [] == this.calls


@WIDTHS
@pytest.mark.parametrize("rows", [7, 40_001])
@pytest.mark.parametrize("segments", [5, 60])
def test_a_sum_by_segments_may_begin_with_any_view_or_number(rows: int, segments: int, width: int) -> None:
    """A part of an argument, one that is reversed, a variable, a number that is not zero, and what is computed."""
    x, i = whole((rows, 3)), whole(rows, "int64", 0, segments, seed=1)
    start = whole((segments + 2, 3), seed=2)

    def step(ctx: Any, x: Any, i: Any, start: Any) -> Any:
        starts = [start[2:], start[:-2][::-1], ctx.variable("w"), lg.full((segments, 3), 2.0), lg.exp(start[1:-1] * 0)]
        return [lg.at(s)[i].add(x) for s in starts], ctx.assign("w", lg.at(ctx.variable("w"))[i].add(x * 2))

    agree(case(step, x, i, start, width=width, w=start[2:]))
