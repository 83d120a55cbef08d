"""A zero cotangent gives a zero gradient, whatever the partial derivative is, in derivatives of every order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CASES
from rows import Case

import lazygrad as lg

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e38, -1e38, 1e-44, 745.0, -745.0], "float32")
DIFFERENTIABLE = [case for case in CASES if case.kind == "elementwise" and case.order and "float32" in case.dtypes]


def both_ways(step: Callable[..., Any], *arrays: Any) -> list[Any]:
    """What a step returns when it is run, and compiled."""
    env = lg.VariableEnvironment(seed=0)
    fast = env.compile(step, wait=True)
    return [env.run(step, *arrays), fast(*arrays)]


def is_zero(array: Any) -> bool:
    """Whether every element is zero; NaN is not."""
    return bool(np.all(np.asarray(array) == 0))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_zeros_pass_through_every_elementwise_op(case: Case) -> None:
    """Cotangents and tangents of zero give zeros at poles, infinities and NaN, in every operand."""
    arrays = [SPECIAL.copy() for _ in case.domains]
    for k in range(1, len(arrays)):
        arrays[k] = np.roll(SPECIAL, 2 * k + 1)

    def step(ctx: Any, *xs: Any) -> Any:
        y = case.call(*xs)
        zero = lg.zeros_like(y) * xs[0].at[:].set(1)  # zeros that no rewrite can see
        reverse = lg.grad(y, list(xs), zero)
        return reverse, [lg.jvp(y, x, zero) for x in xs]

    for reverse, forward in both_ways(step, *arrays):
        assert all(is_zero(g) for g in reverse), reverse
        assert all(is_zero(t) for t in forward), forward


@pytest.mark.thinned(3)
@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_what_is_not_chosen_says_nothing(case: Case) -> None:
    """Beside a ``where`` that does not choose them, poles leave first and second derivatives as they are."""
    good = [array.ravel()[: SPECIAL.size] for array in case.sample("float32", seed=3)]
    arrays = [np.concatenate([a, np.roll(SPECIAL, 2 * k)]) for k, a in enumerate(good)]
    chosen = np.arange(2 * SPECIAL.size) < SPECIAL.size

    def derivatives(xs: Any, mask: Any) -> Any:
        y = lg.sum(lg.where(mask, case.call(*xs), 0) if mask is not None else case.call(*xs))
        first = lg.grad(y, list(xs))
        slope = lg.add_n([lg.sum(g) for g in first])
        return first, [lg.grad(slope, x) for x in xs], [lg.jvp(slope, x, lg.ones_like(x)) for x in xs]

    def step(ctx: Any, *xs: Any) -> Any:
        count = SPECIAL.size
        return derivatives(xs, chosen), derivatives([x[:count] for x in xs], None)

    for (first, second, forward), (expected, expected_second, expected_forward) in both_ways(step, *arrays):
        for wanted, got in zip([*expected, *expected_second], [*first, *second], strict=True):
            assert is_zero(got[SPECIAL.size :]), got
            np.testing.assert_allclose(got[: SPECIAL.size], wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(forward, expected_forward, rtol=1e-4, atol=1e-5)


CORNERS: dict[str, tuple[Callable[[Any], Any], list[float], list[float]]] = {
    "log where positive": (lambda x: lg.where(x > 0, lg.log(x), 0), [0, -1, 2], [0, 0, 0.5]),
    "a root and a floor": (lambda x: lg.maximum(lg.sqrt(x), 1e-3), [0, 4], [0, 0.25]),
    "a root and a ceiling": (lambda x: lg.minimum(lg.sqrt(x), 1e3), [np.inf, 4], [0, 0.25]),
    "a root clipped": (lambda x: lg.clip(lg.sqrt(x), 1e-3, 1e3), [0, 4, np.inf], [0, 0.25, 0]),
    "relu of a pole": (lambda x: lg.nn.relu(-1 / x), [0, -2, -np.inf], [0, 0.25, 0]),
    "exp where small": (lambda x: lg.where(x < 10, lg.exp(x), 0), [1000, 0], [0, 1]),
    "a power where positive": (lambda x: lg.where(x > 0, x**0.5, 0), [0, 4], [0, 0.25]),
    "missing numbers": (lambda x: lg.where(lg.isnan(x), 0, lg.square(lg.tanh(x))), [np.nan, 0], [0, 0]),
    "a product beside infinity": (lambda x: lg.where(lg.isfinite(x), x * x, 0), [np.inf, 3], [0, 6]),
    "a quotient": (lambda x: _sine_over(x), [0, np.inf], [0, 0]),
    "a branch of leaky_relu": (lambda x: lg.nn.leaky_relu(lg.log(x)), [1], [0.01]),
    "softplus of a log": (lambda x: lg.where(x > 0, lg.nn.softplus(lg.log(x)), 0), [0, 1], [0, 0.5]),
    "a chain of poles": (lambda x: lg.where(x > 0, lg.log(lg.sqrt(x)) / x, 0), [0, 1], [0, 0.5]),
    "a moved branch": (lambda x: lg.where(x > 0, lg.flip(lg.log(lg.flip(x, 0)), 0), 0), [0, 2], [0, 0.5]),
    "two branches": (
        lambda x: lg.where(x > 0, lg.log(x), 0) + lg.where(x > 1, lg.log(x), 0),
        [0, 2, 0.5],
        [0, 1, 2],
    ),
    "a mask that multiplies": (lambda x: lg.sqrt(x) * lg.greater(x, 0), [0, 4], [0, 0.25]),
}


def _sine_over(x: Any) -> Any:
    zero = lg.equal(x, 0) | lg.isinf(x)
    return lg.where(zero, 1, lg.sin(x) / x)


@pytest.mark.parametrize("name", CORNERS)
def test_a_branch_that_is_not_taken_has_no_derivative(name: str) -> None:
    """The derivative is that of the branch that is taken, without a second ``where`` inside."""
    f, points, slopes = CORNERS[name]

    def step(ctx: Any, x: Any) -> Any:
        y = lg.sum(f(x))
        return lg.grad(y, x), lg.grad(lg.sum(lg.grad(y, x)), x)

    for first, second in both_ways(step, np.array(points, "float32")):
        np.testing.assert_allclose(first, slopes, rtol=1e-6, atol=0)
        assert not np.isnan(second).any()


def test_a_zero_of_the_cotangent_may_have_a_derivative_itself() -> None:
    """(log x)² has the derivative 2·log(x)/x, which is 0 at 1, and there the second derivative 2."""

    def step(ctx: Any, x: Any) -> Any:
        y = lg.square(lg.log(x))
        first = lg.grad(y, x)
        return first, lg.grad(first, x), lg.jvp(first, x, lg.ones_like(x))

    for first, *seconds in both_ways(step, np.array([1.0, np.e])):
        np.testing.assert_allclose(first, [0, 2 / np.e], rtol=1e-15)
        for second in seconds:
            np.testing.assert_allclose(second, [2, 0], rtol=1e-15, atol=1e-15)


def test_numbers_that_are_not_cotangents_multiply_as_ever() -> None:
    """0·∞ of two values is NaN: only a derivative's zeros are strong."""

    def step(ctx: Any, x: Any) -> Any:
        return x * 0, 0 * x, lg.zeros_like(x) / (x - x)

    for values in both_ways(step, np.array([np.inf, np.nan], "float32")):
        assert all(np.isnan(value).all() for value in values)


def test_nan_shows_in_what_the_result_depends_on() -> None:
    """A zero partial derivative does not swallow a cotangent that is NaN."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.grad(lg.sqrt(lg.square(x) - 1) * 1, x), lg.grad(lg.exp(x), x)

    for root, exponential in both_ways(step, np.array([0.0, np.nan], "float32")):
        assert np.isnan(root).all()
        assert np.isnan(exponential[1])


def test_a_gradient_is_a_tensor_like_any_other() -> None:
    """What grad returns multiplies as tensors do, not as a cotangent."""

    def step(ctx: Any, x: Any) -> Any:
        g = lg.grad(lg.sum(lg.square(x)), x)
        assert type(g) is type(x)
        return g * np.inf

    for value in both_ways(step, np.zeros(2, "float32")):
        assert np.isnan(value).all()


def test_a_users_rule_gets_strong_zeros_too() -> None:
    """The rule of an op of the user's own is pulled through in the same place."""

    @lg.define.elementwise(vjp=lambda g, y, x: 3 * g / x)
    def three_logs(xp: Any, x: Any) -> Any:
        """3·log x."""
        return 3 * xp.log(x)

    @lg.custom_gradient
    def given(x: Any) -> Any:
        return lg.log(x), lambda g: g / x

    @lg.custom_gradient
    def scaled(x: Any) -> Any:
        return lg.log(x), lambda g: np.float32(2) * g * np.ones(2, "float32") / x

    def step(ctx: Any, x: Any) -> Any:
        return [lg.grad(lg.sum(lg.where(x > 0, f(x), 0)), x) for f in (three_logs, given, scaled)]

    for three, one, two in both_ways(step, np.array([0, 2], "float32")):
        np.testing.assert_array_equal(three, [0, 1.5])
        np.testing.assert_array_equal(one, [0, 0.5])
        np.testing.assert_array_equal(two, [0, 1])


def test_the_select_stands_in_the_kernel_that_was_there() -> None:
    """The strong product is computed in the kernel of the derivative: no kernel and no array more."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.grad(lg.sum(lg.where(x > 0, lg.log(x), 0)), x)

    env = lg.VariableEnvironment()
    fast = env.compile(step, wait=True)
    fast(np.ones(1000, "float32"))
    report = fast.plan.explain()
    assert "strong_divide" in report, report
    assert report.count("kernel") <= 3, report
