"""Running sums in native code: the bits of NumPy's, along any axis, of any layout, and in loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

pytest.importorskip("llvmlite", reason="native code is made by llvmlite")
SHAPES = [(7,), (1,), (300,), (5, 33), (33, 5), (4, 5, 6), (1, 9), (3, 1, 40)]


def check(function: Callable[[Any], Any], x: Any) -> None:
    """A function natively and by NumPy, to the bit."""
    step = lg.VariableEnvironment(seed=0).compile(lambda ctx, x: function(x), wait=True)
    step(x)
    assert "  NumPy: " not in step.plan.explain()
    expected, found = lg.VariableEnvironment(seed=0).run(lambda ctx, x: function(x), x), step(x)
    assert (expected.dtype, expected.shape, expected.tobytes()) == (found.dtype, found.shape, found.tobytes())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_running_sums_are_those_of_numpy(shape: tuple[int, ...], dtype: str) -> None:
    """Along the last axis, and the first, where rows lie side by side; an axis may have one element."""
    x = (10 * np.random.default_rng(0).standard_normal(shape)).astype(np.int8).astype(dtype)
    for axis in {0, len(shape) - 1}:
        check(lambda x, axis=axis: lg.cumulative_sum(x * x[..., :1], axis=axis), x)


def test_what_is_added_up_may_lie_in_any_way() -> None:
    """From behind, transposed, with gaps, repeated; the gradient is a running sum from behind."""
    x = np.random.default_rng(0).standard_normal((6, 40))
    for function in (
        lambda x: lg.cumulative_sum(lg.flip(x, axis=1)),
        lambda x: lg.cumulative_sum(x.T, axis=0),
        lambda x: lg.cumulative_sum(x[::2, 1::3], axis=0),
        lambda x: lg.cumulative_sum(lg.broadcast_to(x[:1], (5, 40)), axis=0),
        lambda x: lg.grad(lg.sum(lg.cumulative_sum(x, axis=0) ** 2), x),
        lambda x: lg.scan(lambda c, row: (c + lg.cumulative_sum(row), None), lg.zeros((40,), dtype="float64"), x)[0],
    ):
        check(function, x)


def test_special_values_go_through_as_in_numpy() -> None:
    """The sign of zeros, infinities and NaN."""
    check(lg.cumulative_sum, np.array([-0.0, -0.0, np.inf, 1, -np.inf, 2, np.nan]))
