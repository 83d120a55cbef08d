"""The checks in ``lg.testing`` find what is wrong, and say it."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.define import elementwise, opaque
from lazygrad.testing import check_gradient, check_value

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))


def failure(check, *args, **kwargs):
    """What the AssertionError says."""
    with pytest.raises(AssertionError) as caught:
        check(*args, **kwargs)
    return str(caught.value)


@elementwise(vjp=lambda g, y, x: g * (1 - y))
def wrong(xp, x):
    """tanh, with a wrong derivative."""
    return xp.tanh(x)


@elementwise(vjp=lambda g, y, x: g * lg.stop_gradient(lg.cos(x)))
def wrong_twice(xp, x):
    """sin, with a right first derivative and a wrong second one."""
    return xp.sin(x)


@opaque(shape=lambda x: x, vjp=lambda g, y, x: 3 * g, jvp=lambda t, y, x: 2 * t)
def wrong_forward(xp, x):
    """3x, with a wrong forward derivative."""
    return 3 * x


def test_a_wrong_first_derivative_is_found_and_named():
    """Mode, function, argument, and both numbers."""
    text = failure(check_gradient, lambda a, x: a * wrong(x), X, X)
    assert text.startswith("first derivative, reverse mode, of ")
    assert "with respect to argument 1 is wrong along a random direction:" in text
    assert "lambda a, x: a * wrong(x)" in text
    assert "    expected " in text
    assert "    actual   " in text


def test_a_wrong_second_derivative_is_found_when_the_first_is_right():
    """And not looked for when only the first is asked for."""
    check_gradient(wrong_twice, X, order=1)
    assert failure(check_gradient, wrong_twice, X).startswith("second derivative, reverse over reverse, of ")


def test_a_wrong_forward_derivative_of_a_linear_op_is_found():
    """The mode that is wrong is named."""
    assert failure(check_gradient, wrong_forward, X).startswith("first derivative, forward mode, of ")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_derivative_that_is_not_a_number_is_a_failure(bad):
    """NaN compares false with everything, and must not pass for that."""

    @elementwise(vjp=lambda g, y, x: g * bad)
    def broken(xp, x):
        """x, with a derivative that is no number."""
        return xp.positive(x)

    failure(check_gradient, broken, X)


def test_a_value_that_is_not_a_number_is_a_failure():
    """The difference quotient is NaN as the derivative is, and that is no agreement."""
    failure(check_gradient, lg.log, -X)


def test_a_small_error_is_found():
    """A hundred thousandth is too much, a ten millionth is not told from truncation."""

    def off(by):
        @elementwise(vjp=lambda g, y, x: g * lg.cos(x) * (1 + by))
        def op(xp, x):
            """sin, with a derivative that is a little off."""
            return xp.sin(x)

        return op

    failure(check_gradient, off(1e-5), X, order=1)
    check_gradient(off(1e-8), X, order=1)


def test_whole_numbers_booleans_and_what_is_no_array_are_passed_on():
    """They are not differentiated."""
    check_gradient(lambda x, i, m, n: lg.where(m, x[i] * n, 0.0), X, np.array([2, 0, -1]), X > 1, 3)


def test_several_results_are_checked_together_and_whole_numbers_among_them_left_out():
    """A wrong one among right ones is found."""
    check_gradient(lambda x: (lg.sin(x), lg.argmax(x), [lg.sum(x)][0]), X)
    failure(check_gradient, lambda x: (lg.sin(x), wrong(x)), X)


def test_nothing_to_differentiate_is_an_error_not_a_pass():
    """Neither without a floating argument nor without a floating result."""
    with pytest.raises(ValueError, match="no argument of"):
        check_gradient(lambda i: lg.sum(i), np.arange(3))
    with pytest.raises(ValueError, match="returns no floating tensor"):
        check_gradient(lg.isnan, X)


def test_float32_arrays_are_checked_in_float64():
    """Rounding in float32 would hide everything."""
    check_gradient(lg.exp, X.astype("float32"))


def test_a_wrong_value_is_found_with_both_arrays():
    """Bit for bit, unless roundings are allowed."""
    text = failure(check_value, lg.exp, lambda x: np.exp(x) * (1 + 1e-15), X)
    assert "result 0" in text
    assert "expected" in text
    check_value(lg.exp, lambda x: np.exp(x) * (1 + 1e-15), X, ulps=8)


def test_another_dtype_or_shape_is_found_even_if_the_numbers_agree():
    """Promotion is part of the value."""
    assert "expected float32[3, 4], got float64[3, 4]" in failure(check_value, lg.abs, lambda x: x.astype("float32"), X)
    assert "expected float64[12], got float64[3, 4]" in failure(check_value, lg.abs, np.ravel, X)
    assert "2 results expected, got 1" in failure(check_value, lg.abs, lambda x: (x, x), X)


def test_the_sign_of_a_zero_counts():
    """-0.0 == 0.0 in Python, but not bit for bit."""
    failure(check_value, lg.negative, lambda x: x, np.zeros(3))


def test_a_kernel_that_gives_other_numbers_when_called_again_is_found():
    """A hidden state shows when a step is run twice."""
    calls = []

    @opaque(shape=lambda x: x)
    def counting(xp, x):
        """x plus the number of calls."""
        calls.append(1)
        return x + float(len(calls))

    assert "beside the first" in failure(check_value, counting, lambda x: x + 1, X)
