"""Values and derivatives over the whole range of arguments, against sixty digits: see ``benchmarks/truths.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mpmath", reason="exact values come from mpmath")
sys.path.insert(0, str(Path(__file__).parent.parent))

import lazygrad as lg
from benchmarks.truths import TRUTHS, Truth, measured, sampled

INF = np.inf


@pytest.mark.thinned(4)
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("truth", TRUTHS, ids=[truth.name for truth in TRUTHS])
def test_values_and_derivatives_keep_their_digits_over_the_whole_range(truth: Truth, dtype: str, way: str) -> None:
    """Random bits, dense samples and the ends of the range; a few ulp, denormal results included."""
    found = measured(truth, way, dtype, sampled(truth, dtype, 60))
    assert [] == [m for m in found if m is not None and not m.greatest <= truth.bound]


def slopes(f: Any, *xs: Any, way: str) -> list[Any]:
    """The derivatives of the sum of ``f``, one an operand."""

    def step(ctx: Any, *tensors: Any) -> Any:
        return lg.grad(f(*tensors), list(tensors))

    env = lg.VariableEnvironment()
    if way == "run":
        return [x.tolist() for x in env.run(step, *xs)]
    fast = env.compile(step, wait=True)
    fast(*xs)
    return [x.tolist() for x in fast(*xs)]


WAYS = pytest.mark.parametrize("way", ["run", "compile"])
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


@WAYS
@DTYPES
def test_equal_operands_of_logaddexp_share_its_derivative_and_infinities_too(way: str, dtype: str) -> None:
    """The greater one gets all of it; at 3·10⁷ float32 has no place for log 2."""
    a = np.array([INF, -INF, -INF, INF, 3e7, 1e5, 1e20], dtype)
    b = np.array([2.0, -INF, 1.0, INF, 3e7, 1e5, 1e20], dtype)
    left = [1.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5]
    assert [left, [1 - x for x in left]] == slopes(lg.logaddexp, a, b, way=way)


@WAYS
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([INF, 1.0, 2.0], [1.0, 0.0, 0.0]),
        ([INF, INF, 2.0, -INF], [0.5, 0.5, 0.0, 0.0]),
        ([-INF, -INF], [0.5, 0.5]),
        ([-INF, 0.0, 0.0], [0.0, 0.5, 0.5]),
    ],
)
def test_the_largest_elements_of_a_sum_of_exponentials_share_its_derivative(way: str, row: Any, expected: Any) -> None:
    """Also where they are infinite: logsumexp, its running form, and softmax, which is the derivative."""
    x = np.array(row)
    assert [expected] == slopes(lg.logsumexp, x, way=way)
    assert [expected] == slopes(lambda x: lg.cumulative_logsumexp(x)[-1], x, way=way)
    y = lg.VariableEnvironment(dtype="float64").run(lambda ctx, x: lg.nn.softmax(x), x)
    assert expected == y.tolist()


@WAYS
def test_the_second_derivatives_of_logaddexp_hold_at_infinities(way: str) -> None:
    """σ(a − b)·σ(b − a), which is 0 where one is all there is."""
    f = lambda a, b: lg.grad(lg.logaddexp(a, b), a)  # noqa: E731
    a, b = np.array([INF, -INF, 0.0]), np.array([2.0, 1.0, 0.0])
    assert [[0.0, 0.0, 0.25], [0.0, 0.0, -0.25]] == slopes(f, a, b, way=way)


@WAYS
@DTYPES
def test_a_hypotenuse_has_the_derivatives_of_a_norm(way: str, dtype: str) -> None:
    """They are 0 at the origin, and neither over- nor underflow far from it."""
    ends = np.finfo(dtype)
    a = np.array([0.0, 0.6 * ends.max, 3 * ends.tiny, INF, 1.0], dtype)
    b = np.array([0.0, 0.8 * ends.max, 4 * ends.tiny, 1.0, -INF], dtype)
    left, right = slopes(lg.hypot, a, b, way=way)
    np.testing.assert_allclose(left, [0.0, 0.6, 0.6, 1.0, 0.0], rtol=4 * ends.eps)
    np.testing.assert_allclose(right, [0.0, 0.8, 0.8, 0.0, -1.0], rtol=4 * ends.eps)


@WAYS
def test_the_derivatives_of_sinc_near_zero_are_its_series(way: str) -> None:
    """−π²x/3, −π²/3, π⁴x/5 and π⁴/5, to float32's last digits."""
    x = np.array([1e-4, -1e-4, 1e-20, 0.0], "float32")
    f: Any = lg.sinc
    for expected in (-(np.pi**2) / 3 * x, 0 * x - np.pi**2 / 3, np.pi**4 / 5 * x, 0 * x + np.pi**4 / 5):
        np.testing.assert_allclose(slopes(f, x, way=way)[0], expected, rtol=5e-7)
        f = lambda x, f=f: lg.grad(f(x), x)  # noqa: E731


@WAYS
def test_sinc_is_zero_at_whole_numbers(way: str) -> None:
    """Where sin of π rounded is not 0; and so is it at infinity."""
    x = np.array([1.0, -2.0, 1e6, INF])
    env = lg.VariableEnvironment(dtype="float64")
    step = lambda ctx, x: lg.sinc(x)  # noqa: E731
    y = env.run(step, x) if way == "run" else env.compile(step, wait=True)(x)
    assert [0.0, 0.0, 0.0, 0.0] == y.tolist()


@WAYS
def test_binary_cross_entropy_of_what_is_certain_is_zero(way: str) -> None:
    """Of infinite logits that are right, and its derivative; that of wrong ones is 1."""
    x, t = np.array([INF, -INF, 40.0, INF]), np.array([1.0, 0.0, 1.0, 0.0])
    loss = lg.nn.binary_cross_entropy_with_logits
    left, _ = slopes(loss, x, t, way=way)
    np.testing.assert_allclose(left, [0.0, 0.0, -4.248354255291589e-18, 1.0], rtol=1e-15)
    y = lg.VariableEnvironment(dtype="float64").run(lambda ctx, x, t: loss(x, t), x, t)
    np.testing.assert_allclose(y, [0.0, 0.0, 4.248354255291589e-18, INF], rtol=1e-15)


@WAYS
def test_the_slope_of_log_ndtr_far_left_is_minus_x_to_all_digits(way: str) -> None:
    """φ(x)/Φ(x) = a + 1/a − 2/a³ + … with a = −x."""
    x = np.array([-1e4, -1e8, -1e200, -INF])
    np.testing.assert_allclose(slopes(lg.log_ndtr, x, way=way)[0], [10000.000099999998, 1e8, 1e200, INF], rtol=9e-16)
