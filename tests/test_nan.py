"""NaN reaches every result that depends on it, in every op and however it is run.

What depends on an element is found by changing it, and by what NumPy's function makes of NaN in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import CASES
from rows import Case

import lazygrad as lg

# What may leave NaN out, and why.
EXEMPT = {
    "nan_to_num": "puts a number in its place",
    "sort": "puts NaN last, and what stood behind it elsewhere",
    "top_k": "puts NaN first, and what stood before it elsewhere",
    "argsort": "gives places",
    **dict.fromkeys(
        ["nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmin", "nanmax", "nanargmin", "nanargmax", "nancumsum"],
        "passes over it: tests/ops/test_array_functions.py",
    ),
    **dict.fromkeys(
        ["nancumprod", "nanmedian", "nanquantile", "nanpercentile", "fmax", "fmin"],
        "passes over it: tests/ops/test_array_functions.py",
    ),
    **dict.fromkeys(
        ["unique", "unique_all", "unique_counts", "unique_inverse", "unique_values"],
        "puts NaN last, and what stood behind it elsewhere",
    ),
    "histogram": "counts what lies in a bin",
    **dict.fromkeys(
        ["linalg.lstsq", "polyfit", "linalg.pinv-hermitian", "linalg.matrix_rank-hermitian", "linalg.svd-hermitian"],
        "raises LinAlgError, in other words than its reference: tests/ops/test_array_functions.py",
    ),
    **dict.fromkeys(["_forward", "_backward"], "a weight of NaN times 0 is 0 there"),
    "nn.conv2d_transpose": "its reference multiplies NaN with padding; what depends on it is checked below",
}
ROWS = [
    pytest.param(case, k, id=f"{case}-{k}")
    for case in CASES
    if "float64" in case.dtypes and not EXEMPT.keys() & {case.name, str(case)}
    for k, array in enumerate(case.sample("float64"))
    if array.dtype.kind == "f"
]
WAYS = ["run", "compile"]


def results(call: Any, arrays: list[Any], way: str) -> list[Any]:
    """All arrays that ``call`` gives."""
    env = lg.VariableEnvironment(dtype="float64")

    def step(ctx: lg.Context, *xs: lg.Tensor) -> Any:
        return call(*xs)

    run = env.compile(step, wait=True) if way == "compile" else lambda *xs: env.run(step, *xs)
    return listed(run(*arrays))


def listed(values: Any) -> list[Any]:
    """One or several arrays as a list."""
    return [np.asarray(y) for y in (values if isinstance(values, (tuple, list)) else [values])]


def placed(arrays: list[Any], k: int, value: Any) -> list[Any]:
    """The operands with another number, or a change of it, in the middle of operand ``k``."""
    changed = arrays[k].copy()
    place = changed.size // 2
    changed.flat[place] = value(changed.flat[place])
    return [*arrays[:k], changed, *arrays[k + 1 :]]


def dependent(case: Case, arrays: list[Any], k: int) -> list[Any]:
    """Where each result changes if a number in the middle of operand ``k`` does; None where it cannot be known."""
    before = results(case.call, arrays, "run")
    changed = [
        results(case.call, placed(arrays, k, nudge), "run") for nudge in (lambda x: x * 1.01, lambda x: x * 0.97)
    ]
    return [np.any([y != other for other in others], axis=0) for y, *others in zip(before, *changed, strict=True)]


def is_nan(y: Any) -> Any:
    """Where there is NaN; nowhere in whole numbers and booleans."""
    return np.isnan(y) if y.dtype.kind == "f" else np.zeros(y.shape, bool)


@pytest.mark.thinned(3)
@pytest.mark.parametrize(("case", "k"), ROWS)
def test_nan_reaches_all_that_depends_on_it(case: Case, k: int) -> None:
    """In each operand of each op, run and compiled; where NumPy says NaN, and where another number makes a change."""
    arrays = case.sample("float64")
    lost = placed(arrays, k, lambda x: np.nan)
    try:
        with np.errstate(all="ignore"):
            expected = [is_nan(y) for y in listed(case.reference(*lost))]
    except np.linalg.LinAlgError as error:
        for way in WAYS:
            with pytest.raises(np.linalg.LinAlgError, match=str(error)):
                results(case.call, lost, way)
        return
    except TypeError:  # no bits of floats
        return
    except ValueError:  # SciPy refuses NaN
        expected = [False] * len(listed(case.reference(*arrays)))
    wanted = [nan | changed for nan, changed in zip(expected, dependent(case, arrays, k), strict=True)]
    for way in WAYS:
        for want, y in zip(wanted, results(case.call, lost, way), strict=True):
            if y.dtype.kind == "f":
                assert not np.any(want & ~np.isnan(y)), (way, want, y)


def test_what_is_exempt_has_rows() -> None:
    """A name that no row has would excuse nothing."""
    assert set(EXEMPT) - {name for case in CASES for name in (case.name, str(case))} == set()


def expect_everywhere(expected: Any, call: Any, *arrays: Any) -> None:
    """The value is the same run and compiled, NaN for NaN."""
    for way in WAYS:
        for want, got in zip(listed(expected), results(call, list(arrays), way), strict=True):
            assert (want.shape, want.dtype) == (got.shape, got.dtype)
            assert np.array_equal(want, got, equal_nan=want.dtype.kind == "f"), (way, want, got)


REDUCED = ["max", "min", "median", "argmax", "argmin", "all", "any", "count_nonzero"]
RUNNING = {"cumulative_max": np.maximum.accumulate, "cumulative_min": np.minimum.accumulate, "sort": np.sort}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 33])
def test_functions_of_order_give_numpys_numbers_beside_nan(dtype: str, size: int) -> None:
    """NaN at the beginning, in the middle and at the end of what is compared, in rows of every length."""
    x = np.random.default_rng(0).uniform(-1, 1, (3, size)).astype(dtype)
    for row, place in enumerate((0, size // 2, size - 1)):
        x[row, place] = np.nan

    def reduced(x: lg.Tensor) -> list[lg.Tensor]:
        found = [getattr(lg, name)(x, axis=axis) for name in REDUCED for axis in (0, 1, None)]
        return [*found, *[getattr(lg, name)(x, axis=1) for name in RUNNING]]

    expected = [getattr(np, name)(x, axis=axis) for name in REDUCED for axis in (0, 1, None)]
    expect_everywhere([*expected, *[f(x, axis=1) for f in RUNNING.values()]], reduced, x)


def test_the_median_beside_nan_is_nan() -> None:
    """NaN is sorted as the largest, and is no number larger than others."""
    for x in ([1, np.nan, 2], [np.nan], [3, 1, np.nan, 2], [np.inf, np.nan, -np.inf]):
        expect_everywhere(np.float64(np.nan), lg.median, np.array(x, "float64"))
    expect_everywhere(
        np.array([[np.nan], [2.5]]), lambda x: lg.median(x, axis=1, keepdims=True), np.array([[1, np.nan], [2, 3]])
    )
    expect_everywhere(np.float64(2.0), lg.median, np.array([1, 3, 2]))
    expect_everywhere(np.float64(np.inf), lg.median, np.array([np.inf, 1, np.inf]))


def test_the_median_of_nothing_is_nan() -> None:
    """As a mean of nothing is."""
    expect_everywhere(np.float64(np.nan), lg.median, np.zeros(0))
    expect_everywhere(np.full((2, 1), np.nan), lambda x: lg.median(x, axis=1, keepdims=True), np.zeros((2, 0)))


def test_the_gradient_of_a_median_is_that_of_its_middle() -> None:
    """A row with NaN changes nothing in another."""
    x = np.array([[1.0, 4.0, 2.0], [1.0, np.nan, 2.0]])

    def gradient(x: lg.Tensor) -> lg.Tensor:
        return lg.grad(lg.sum(lg.median(x, axis=1)), x)[0]

    expect_everywhere(np.array([0.0, 0.0, 1.0]), gradient, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", list(np.ndindex(3, 3)), ids=str)
def test_all_that_is_solved_with_a_matrix_that_has_nan_is_nan(place: tuple[int, int], dtype: str) -> None:
    """LAPACK's search for pivots passes over it; another matrix of the batch has its numbers."""
    a = np.stack([2 * np.eye(3), 2 * np.eye(3)]).astype(dtype)
    a[(1, *place)] = np.nan
    b = np.ones((3, 2), dtype)
    lost = np.ones((2, 1, 1), dtype)
    lost[1] = np.nan
    expect_everywhere(lost * np.eye(3, dtype=dtype) / 2, lg.linalg.inv, a)
    expect_everywhere(lost * b / 2, lg.linalg.solve, a, b)
    for determinant in (lg.linalg.det, lg.linalg.slogdet):
        for y in results(determinant, [a], "run"):
            assert [False, True] == np.isnan(y).tolist()


@pytest.mark.parametrize("settings", [{}, {"padding": 1}, {"stride": 1}, {"stride": 1, "padding": 1}], ids=str)
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "sum_pool2d"])
def test_pooling_hands_nan_on_to_each_window_it_lies_in(name: str, settings: dict[str, int]) -> None:
    """And to no other."""
    image = np.random.default_rng(0).uniform(-1, 1, (1, 1, 6, 6))
    image[0, 0, 2, 3] = image[0, 0, 5, 5] = np.nan
    padding, size = settings.get("padding", 0), 3
    padded = np.pad(np.isnan(image), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(2, 3))
    step = settings.get("stride", size)
    expected = np.any(windows[:, :, ::step, ::step], axis=(-2, -1))
    for way in WAYS:
        (y,) = results(lambda x: getattr(lg.nn, name)(x, size, **settings), [image], way)
        assert np.array_equal(expected, np.isnan(y))


@pytest.mark.parametrize("order", [-np.inf, -2, -1, 0.5, 1, 2, 3, np.inf])
def test_a_norm_of_nan_is_nan(order: float) -> None:
    """Of a row with NaN whatever the order, and of no other row."""
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0], [np.nan, 0.0, np.inf]])
    for way in WAYS:
        (y,) = results(lambda x: lg.linalg.vector_norm(x, axis=1, ord=order), [x], way)
        assert [True, False, True] == np.isnan(y).tolist()


@pytest.mark.parametrize("order", [-1, 1, "fro", -np.inf, np.inf])
def test_a_norm_of_a_matrix_with_nan_is_nan(order: Any) -> None:
    """The largest, and the least, sum of a row or column is one of numbers."""
    x = np.stack([np.eye(3), np.where(np.eye(3) == 1, 1.0, np.nan)])
    for way in WAYS:
        (y,) = results(lambda x: lg.linalg.matrix_norm(x, ord=order), [x], way)
        assert [False, True] == np.isnan(y).tolist()
