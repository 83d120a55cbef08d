"""Ops without a kernel are exported in other words: windows, convolutions, indices, what is empty, pseudo-inverses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from exported import bits, called, listed
from exported_rows import symbols, tally

import lazygrad as lg

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
RNG = np.random.default_rng(0)


def floats(*shape: int, dtype: str = "float32") -> Any:
    """Numbers around 0."""
    return RNG.standard_normal(shape).astype(dtype)


def both(function: Callable[..., Any], *arrays: Any, lapack: bool = False) -> tuple[list[Any], list[Any]]:
    """What a step returns, compiled and exported."""
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, *xs: function(*xs), wait=True)
    step(*arrays)
    exported = called(step, *arrays, lapack=lapack, symbols=symbols() if lapack else None)
    return listed(step(*arrays)), exported(*arrays)


NOTHING = np.zeros((0, 3), np.float32)
SAME: dict[str, tuple[Any, ...]] = {
    "places of extremes along any axis": (
        lambda x: (lg.argmax(x, axis=0), lg.argmin(x, axis=1, keepdims=True), lg.argmax(x > 0, axis=0)),
        floats(5, 4, 3),
    ),
    "gradients of a convolution": (
        lambda x, w: lg.grad(lg.sum(lg.square(lg.nn.conv2d(x, w, stride=2, padding=1))), [x, w]),
        floats(2, 3, 9, 8),
        floats(4, 3, 3, 3),
    ),
    "a transposed convolution": (
        lambda x, w: lg.nn.conv2d_transpose(x, w, stride=2),
        floats(2, 3, 4, 5),
        floats(3, 2, 3, 3),
    ),
    "elements that are added to": (
        lambda x, i, v: (x.at[:, i].add(1), x.at[i, i].add(2), x.at[1:3].add(v[0]), x.at[i].add(v), x.at[0, 1].add(3)),
        floats(6, 6),
        np.array([1, -1, 1]),
        floats(3, 6),
    ),
    "elements that are written": (
        lambda x, i, v, m: (
            *(x.at[i].set(v), x.at[1:3].set(1.0), x.at[i, i].set(2.0), x.at[:, i].set(v[0, :3]), x.at[m].set(-0.0)),
            *(x.at[i, ::2].set(v[:, :3]), x.at[..., 0].set(3.0), x.at[2, 3].set(5.0), x.at[i].multiply(v)),
            *((x > 0).at[i].set(v > 0), *lg.grad(lg.sum(lg.square(x.at[i].set(v))), [x, v])),
        ),
        floats(6, 6),
        np.array([1, -1, 1]),
        floats(3, 6),
        floats(6, 6) > 0,
    ),
    "running sums": (lambda x: (lg.cumulative_sum(x, axis=0), lg.unique(x.astype(int), size=4)), floats(9, 5)),
    "a differential equation": (
        lambda y: lg.odeint(lambda t, y: lg.stack([y[1], -y[0]]), y, np.linspace(0, 3, 7)),
        floats(2, dtype="float64"),
    ),
    "what is empty": (
        lambda x, y, i: (
            *(lg.sum(x, axis=0), lg.prod(x), lg.any(x > 0), lg.max(y[:0] @ y.T, axis=1), lg.ones((2, 0)) @ x),
            *(lg.concat([x, y]), y[i], y.at[i].add(x), y.at[i].set(x), lg.mean(y[i], axis=1)),
        ),
        NOTHING,
        floats(4, 3),
        np.zeros(0, np.int64),
    ),
    "whole numbers that are convolved": (lg.convolve, np.array([1, 7, 2]), np.array([3, 4])),
    "convolved infinities": (lg.convolve, np.array([1, np.inf, 2]), np.array([np.inf, 0.0, 1.0])),
    "the body of a loop": (
        lambda x: lg.scan(lambda c, row: (c + lg.argmax(lg.outer(row, row), axis=0), None), np.zeros(4, np.int64), x)[
            0
        ],
        floats(5, 4),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_other_words_give_the_same_bits(name: str) -> None:
    """Where the order of what is added up is the same, or nothing is added up."""
    expected, found = both(*SAME[name])
    assert bits(expected) == bits(found)


@pytest.mark.parametrize("size", [(7, 7), (2, 61)])
def test_windows_of_any_size_are_laid_back(size: tuple[int, int]) -> None:
    """Larger ones in parts, which are added up in another order."""
    settings = {"stride": (3, 2), "dilation": (2, 1)}
    expected, found = both(
        lambda x: lg.nn.fold(lg.nn.windows(x, size, **settings), (13, 90), **settings), floats(2, 13, 90)
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-5)


def test_vectors_are_convolved_in_every_mode() -> None:
    """And correlated, whichever is longer; with their gradients."""

    def convolved(a: Any, v: Any) -> Any:
        modes = [f(*pair, mode) for f in (lg.convolve, lg.correlate) for pair in ((a, v), (v, a)) for mode in MODES]
        return [*modes, *lg.grad(lg.sum(lg.square(modes[0])), [a, v])]

    expected, found = both(convolved, floats(9, dtype="float64"), floats(4, dtype="float64"))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


MODES = ("full", "same", "valid")


def test_pseudo_inverses_are_those_of_singular_values() -> None:
    """Tall, wide and of lower rank, by the LAPACK that is linked."""
    tall, low = floats(2, 5, 3, dtype="float64"), floats(4, 2, dtype="float64")
    low = low @ low.T

    def inverted(a: Any, b: Any) -> Any:
        return lg.linalg.pinv(a), lg.linalg.pinv(a.mT), lg.linalg.pinv(b), lg.linalg.pinv(b, rtol=0.5)

    expected, found = both(inverted, tall, low, lapack=True)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    with pytest.raises(lg.ExportError, match=r"'svd' has no native form[\s\S]*lapack='-llapack'"):
        both(inverted, tall, low)


def test_an_index_out_of_range_fails_as_it_does_in_a_step() -> None:
    """The function returns 1, however elements are written."""
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, x, i: (x.at[i].set(1), x.at[:, i].add(2)), wait=True)
    x, i = floats(4, 5), np.array([3, 4])
    made = called(step, x, np.array([0, -4]))
    outputs = [np.empty_like(x), np.empty_like(x)]
    workspace = np.empty(made.signature.workspace, np.uint8)
    assert made.function(*[a.ctypes.data for a in (x, i, *outputs, workspace)]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("lapack", "floor"), [(False, 553), (True, 568)])
def test_so_many_rows_of_the_table_are_exported(lapack: bool, floor: int) -> None:
    """None of which gives anything else than the compiled step."""
    found = tally(lapack)
    assert found.differing == []
    assert len(found.same) + len(found.near) >= floor
