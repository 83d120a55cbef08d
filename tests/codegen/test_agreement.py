"""Whether native code agrees with NumPy: what is rounding, and what is a fault."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.engine.agreement import TOLERANCE, disagreement, nudge
from lazygrad.engine.cpu.binding import Binding

pytest.importorskip("llvmlite", reason="llvmlite is not installed")

F32 = np.dtype("float32")


@pytest.fixture(autouse=True)
def _checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code from the first call on, and each run compared."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "wait")
    monkeypatch.setenv("LAZYGRAD_CHECK", "1")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", "int8", "uint64", "bool"])
def test_an_array_agrees_with_itself(dtype: str) -> None:
    """Of any dtype, of no elements, of no axes."""
    for shape in ((3, 4), (0,), ()):
        x = np.ones(shape, dtype)
        assert disagreement(x, x.copy()) is None


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_nan_agrees_with_nan_and_an_infinity_with_itself(dtype: str) -> None:
    """And with nothing else."""
    x = np.array([np.nan, np.inf, -np.inf, 1], dtype)
    assert disagreement(x, x.copy()) is None
    for place in range(3):
        other = x.copy()
        other[place] = 1
        assert disagreement(other, x) is not None
        assert disagreement(x, other) is not None


def test_infinities_of_other_signs_disagree() -> None:
    """Though both are infinite."""
    assert disagreement(np.array([np.inf]), np.array([-np.inf])) is not None


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_whole_numbers_must_be_equal(dtype: str) -> None:
    """The first place that is not, and how many, are named."""
    reference = np.ones((2, 2), dtype)
    native = reference.copy()
    native[1] = 0
    expected = f"{native[1, 0]!r} in place of {reference[1, 0]!r} at [1, 0], 2 elements in all"
    assert expected == disagreement(native, reference)


def test_another_dtype_or_shape_is_a_disagreement() -> None:
    """Which is said."""
    x = np.zeros((2, 3), F32)
    assert "float64[2, 3] in place of float32[2, 3]" == disagreement(x.astype("float64"), x)
    assert "float32[3, 2] in place of float32[2, 3]" == disagreement(x.T, x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_a_small_part_of_the_largest_element(dtype: str) -> None:
    """Up to the tolerance, not beyond it."""
    reference = np.array([1000.0, 1e-3, 0.0], dtype)
    allowed = TOLERANCE[reference.dtype] * 1000
    for factor, agrees in ((0.9, True), (1.1, False)):
        native = reference.copy()
        native[2] = factor * allowed
        assert agrees == (disagreement(native, reference) is None)


def test_what_moves_with_the_last_bits_of_the_arguments_may_differ_as_much() -> None:
    """As a sum does whose terms cancel."""
    reference = np.array([1e-6], F32)
    native, moved = np.array([3e-6], F32), np.array([2e-6], F32)
    assert disagreement(native, reference) is not None
    assert disagreement(native, reference, [moved]) is None
    assert disagreement(np.array([1.0], F32), reference, [moved]) is not None


def test_a_whole_number_may_differ_only_where_nudged_runs_do() -> None:
    """As the place of one of two nearly equal extremes."""
    reference, nudged = np.array([1, 1]), np.array([2, 1])
    assert disagreement(np.array([2, 1]), reference, [nudged]) is None
    assert disagreement(np.array([1, 2]), reference, [nudged]) is not None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_nudge_moves_a_float_by_at_most_one_bit(dtype: str) -> None:
    """Up, down or not at all, and what is not finite stays."""
    x = np.array([1.0, -3.0, 0.0, 1e30, np.inf, -np.inf, np.nan] * 20, dtype)
    y = nudge(x, np.random.default_rng(0))
    assert x.dtype == y.dtype
    finite = np.isfinite(x)
    up, down = np.nextafter(x, np.inf, dtype=dtype), np.nextafter(x, -np.inf, dtype=dtype)
    assert ((y == x) | (y == up) | (y == down))[finite].all()
    assert (y != x)[finite].any()
    np.testing.assert_array_equal(x[~finite], y[~finite])


def test_a_nudge_leaves_whole_numbers_alone() -> None:
    """There is nothing between them."""
    x = np.arange(5)
    assert x is nudge(x, np.random.default_rng(0))


# LAZYGRAD_CHECK=1.


def step(ctx: Any, x: Any) -> Any:
    """Values of several dtypes, and a variable that is changed."""
    w = ctx.variable("w")
    return lg.tanh(x * w), lg.argmax(x), ctx.assign("w", w + lg.sum(x))


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with one variable."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(3, "float32"))
    return env


X = np.array([1.0, 2.0, -0.5], "float32")


def test_right_native_code_passes_the_check(env: lg.VariableEnvironment) -> None:
    """Run after run, and commits as it does without."""
    fast = env.compile(step)
    for _ in range(3):
        fast(X)
    assert fast.is_native
    assert [8.5, 8.5, 8.5] == env["w"].tolist()


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_wrong_native_code_is_an_error(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    """A float, a place, or a variable; the message names it, and nothing is committed."""
    run = Binding.step

    def spoilt(self: Binding, *inputs: Any) -> Any:
        values = run(self, *inputs)
        if wrong == 2:
            next(a for k, a in self.arrays.items() if type(k).__name__ == "Spare")[0] += 1
        else:
            values[wrong] = values[wrong] + 1
        return values

    monkeypatch.setattr(Binding, "step", spoilt)
    fast = env.compile(step)
    name = ["tanh", "argmax", "variable 'w'"][wrong]
    with pytest.raises(lg.errors.BackendError, match=f"native code and NumPy disagree[^$]*{name}"):
        fast(X)
    assert [1.0, 1.0, 1.0] == env["w"].tolist()


def test_without_the_check_native_code_is_not_compared(
    env: lg.VariableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which shows that the check is what finds it."""
    monkeypatch.delenv("LAZYGRAD_CHECK")
    run = Binding.step
    monkeypatch.setattr(Binding, "step", lambda self, *inputs: [v + 1 for v in run(self, *inputs)])
    assert 2 == env.compile(step)(X)[1]


def test_a_hook_is_called_once_under_the_check(env: lg.VariableEnvironment) -> None:
    """Such a step is not compared."""
    seen: list[Any] = []
    fast = env.compile(lambda ctx, x: lg.hook(x * 2, seen.append) + 1)
    fast(X)
    assert 1 == len(seen)


def test_draws_are_the_same_on_both_sides(env: lg.VariableEnvironment) -> None:
    """A step is compared on the numbers of its run."""
    fast = env.compile(lambda ctx: (ctx.random.normal(5), lg.sum(ctx.random.uniform(3))))
    one, two = fast(), fast()
    assert one[0].tolist() != two[0].tolist()


def test_an_error_of_numpy_is_not_a_disagreement(env: lg.VariableEnvironment) -> None:
    """An index out of range is an IndexError under the check too."""
    with pytest.raises(IndexError, match="out of bounds"):
        env.compile(lambda ctx, i: ctx.variable("w")[i])(np.array([5]))


@pytest.mark.parametrize("cast", ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"])
def test_what_has_no_whole_number_is_cast_as_on_numpy(env: lg.VariableEnvironment, cast: str) -> None:
    """NaN to the least number of the dtype, what lies beyond the range to its end."""
    x = np.array([np.nan, np.inf, -np.inf, -1e30, 1e30, 2.9, -0.9], "float32")
    least, largest = np.iinfo(cast).min, np.iinfo(cast).max
    expected = np.array([least, largest, least, least, largest, 2, 0], cast)
    np.testing.assert_array_equal(env.compile(lambda ctx, x: (x * 1).astype(cast))(x), expected)


def test_a_half_float_that_is_nan_is_no_fault_of_native_code(env: lg.VariableEnvironment) -> None:
    """It is compared as every float is."""
    fast = env.compile(lambda ctx, x: (x * 2).astype("float16"))
    assert np.isnan(fast(np.array([np.nan, 1.0], "float32"))[0])


def test_a_half_float_that_is_rounded_otherwise_is_no_fault_of_native_code(env: lg.VariableEnvironment) -> None:
    """What is cast may differ in its last bit, and so decide how it is rounded."""
    x = np.linspace(-8, 8, 100_001, dtype="float32")
    assert x.size == env.compile(lambda ctx, x: lg.exp(lg.sin(x)).astype("float16"))(x).size
