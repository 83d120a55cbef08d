"""Values where the formulas meet 0·∞, ties, NaN, infinities and empties, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special as special
from numpy.testing import assert_array_equal

import lazygrad as lg

INF, NAN = np.inf, np.nan
ODD = np.array([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 1e308, -1e-308, 5e-324])


def value(f, *arrays):
    """``f`` of the arrays; run twice, so that the second is compiled, and the two compared."""
    env = lg.VariableEnvironment(dtype="float64")
    arrays = [np.asarray(a) for a in arrays]

    def step(ctx, *xs):
        return f(*xs)

    first, second = env.run(step, *arrays), env.run(step, *arrays)
    for a, b in zip(listed(first), listed(second), strict=True):
        assert_array_equal(a, b)
    return first


def listed(x):
    """A result, or several, as a list."""
    return list(x) if isinstance(x, (tuple, list)) else [x]


def slope(f, *arrays, of=0):
    """The gradient of the sum of ``f``."""
    return value(lambda *xs: lg.grad(f(*xs), xs[of]), *[np.asarray(a, np.float64) for a in arrays])


def push(f, x, t):
    """The tangent of ``f`` at x along t."""
    return value(lambda x, t: lg.jvp(f(x), x, t), np.asarray(x, np.float64), np.asarray(t, np.float64))


def curvature(f, x):
    """The second derivatives of ``f``, a matrix."""
    return value(lambda x: lg.hessian(lg.sum(f(x)), x), np.asarray(x, np.float64))


# Ties.


def test_maximum_shares_the_cotangent_of_a_tie():
    """max(x, x) has the gradient of x."""
    assert_array_equal([0.5, 1, 0], slope(lg.maximum, [1.0, 2, 3], [1.0, 1, 4]))
    assert_array_equal([0.5, 0, 1], slope(lg.maximum, [1.0, 2, 3], [1.0, 1, 4], of=1))
    assert_array_equal([1.0, 1.0], slope(lambda x: lg.maximum(x, x), [1.0, 2.0]))


def test_minimum_shares_the_cotangent_of_a_tie():
    """min(x, x) has the gradient of x."""
    assert_array_equal([0.5, 0, 1], slope(lg.minimum, [1.0, 2, 3], [1.0, 1, 4]))
    assert_array_equal([1.0, 1.0], slope(lambda x: lg.minimum(x, x), [1.0, 2.0]))


def test_max_shares_the_cotangent_among_the_largest():
    """Three that tie get a third each, forward as in reverse."""
    assert_array_equal(np.array([1, 0, 1, 1]) / 3, slope(lg.max, [2.0, 1, 2, 2]))
    assert push(lg.max, [2.0, 1, 2, 2], [3.0, 9, 3, 0]) == 2.0


def test_min_shares_the_cotangent_among_the_smallest_of_each_row():
    """Each row by itself."""
    got = slope(lambda x: lg.min(x, axis=1), [[1.0, 1, 2], [3, 1, 2]])
    assert_array_equal([[0.5, 0.5, 0], [0, 1, 0]], got)


def test_the_median_of_ties_passes_the_cotangent_once():
    """The weights of the elements sum to 1."""
    assert slope(lg.median, [1.0, 2, 2, 2]).sum() == 1.0


def test_argmax_is_the_first_of_several_that_tie():
    """NumPy's rule, over all and along an axis."""
    x = np.array([[1.0, 3, 3], [2, 2, 1]])
    assert value(lg.argmax, x) == 1
    assert_array_equal([1, 0], value(lambda x: lg.argmax(x, axis=1), x))
    assert_array_equal([0, 2], value(lambda x: lg.argmin(x, axis=1), x))


def test_argmax_of_a_row_with_nan_is_the_nan():
    """As in NumPy."""
    x = np.array([1.0, NAN, 3])
    assert value(lg.argmax, x) == np.argmax(x)


def test_sort_keeps_nan_last_and_moves_the_gradient_with_the_elements():
    """NaN counts as largest."""
    x = np.array([3.0, NAN, 1.0, 2.0])
    assert_array_equal([1.0, 2.0, 3.0, NAN], value(lg.sort, x))
    assert_array_equal([NAN, 3.0, 2.0, 1.0], value(lambda x: lg.sort(x, descending=True), x))
    assert_array_equal([30.0, 40.0, 10.0, 20.0], slope(lambda x: lg.sort(x) * np.array([10.0, 20, 30, 40]), x))


def test_equal_elements_keep_their_order_when_sorted_either_way():
    """Both sorts are stable."""
    x = np.array([1.0, 0, 1, 0])
    assert_array_equal([1, 3, 0, 2], value(lg.argsort, x))
    assert_array_equal([0, 2, 1, 3], value(lambda x: lg.argsort(x, descending=True), x))


# Zeros.


def test_the_slope_of_abs_at_zero_is_zero():
    """The mean of the two sides."""
    assert_array_equal([-1.0, 0, 0, 1], slope(lg.abs, [-2.0, -0.0, 0, 2]))


def test_prod_with_one_zero_has_the_product_of_the_others_as_slope():
    """Nothing is divided by the zero."""
    assert_array_equal([0.0, 6, 0], slope(lg.prod, [2.0, 0, 3]))


def test_prod_with_two_zeros_has_no_slope_but_a_curvature():
    """∂²(abc)/∂a∂b = c."""
    assert_array_equal([0.0, 0, 0], slope(lg.prod, [0.0, 0, 3]))
    assert_array_equal([[0.0, 3, 0], [3, 0, 0], [0, 0, 0]], curvature(lg.prod, [0.0, 0, 3]))


def test_prod_with_one_zero_has_the_right_curvature():
    """∂²(abcd)/∂b∂c at c = 0 is ad."""
    got = curvature(lg.prod, [2.0, 5, 0, 3])
    assert_array_equal([[0, 0, 15, 0], [0, 0, 6, 0], [15, 6, 0, 10], [0, 0, 10, 0]], got)


def test_cumulative_prod_with_a_zero_has_finite_slopes():
    """The slope of the running product is a product of the others too."""
    jacobian = value(lambda x: lg.jacobian(lg.cumulative_prod(x), x), np.array([2.0, 0, 3]))
    assert_array_equal([[1, 0, 0], [0, 2, 0], [0, 6, 0]], jacobian)


@pytest.mark.parametrize(("exponent", "expected"), [(1.0, 1.0), (2.0, 0.0), (3.0, 0.0), (0.0, 0.0), (1.5, 0.0)])
def test_the_slope_of_a_power_at_zero_is_the_limit(exponent, expected):
    """b·0ᵇ⁻¹, which is 0 for b = 0 and b > 1, and 1 for b = 1; exponents as numbers and as tensors."""
    assert slope(lambda x: lg.power(x, exponent), 0.0) == expected
    assert slope(lambda x: x**exponent, 0.0) == expected
    assert slope(lg.power, 0.0, exponent) == expected


def test_the_slope_of_a_power_for_its_exponent_at_base_zero_is_zero():
    """0ᵇ·log 0 is 0 for b > 0, not NaN."""
    assert slope(lg.power, 0.0, 2.0, of=1) == 0.0


def test_the_curvature_of_a_square_at_zero_is_two():
    """By every way of writing it."""
    for f in (lg.square, lambda x: x * x, lambda x: x**2, lambda x: lg.power(x, 2.0), lambda x: x**2.0):
        assert curvature(f, [0.0]) == 2.0


def test_a_negative_base_has_a_slope_for_the_base():
    """(−2)³ is smooth in the base; the log of the base is needed for the exponent only."""
    assert slope(lambda x: lg.power(x, 3.0), -2.0) == 12.0


def test_the_slope_of_sqrt_at_zero_is_infinite():
    """The limit, not NaN."""
    assert slope(lg.sqrt, 0.0) == INF


def test_where_lets_no_nan_through_from_the_branch_not_chosen():
    """The double where is not needed for the value, and the cotangent of the other branch is 0."""
    safe = lambda x: lg.where(x > 0, lg.log(lg.where(x > 0, x, 1)), 0)  # noqa: E731
    assert_array_equal([0.0, 0.5], slope(safe, [0.0, 2.0]))
    got = value(lambda x, y: lg.grad(lg.where(x > 0, x, y), y), np.array([1.0, -1]), np.array([NAN, 3.0]))
    assert_array_equal([0.0, 1.0], got)


def test_sinc_is_smooth_at_zero():
    """1, 0 and −π²/3 are its first three derivatives there."""
    assert value(lg.sinc, 0.0) == 1.0
    assert slope(lg.sinc, 0.0) == 0.0
    assert curvature(lg.sinc, [0.0]) == pytest.approx(-(np.pi**2) / 3, rel=1e-14)


def test_i1e_has_its_slope_at_zero():
    """I₁′(0) = ½."""
    assert value(lg.i1e, 0.0) == 0.0
    assert slope(lg.i1e, 0.0) == 0.5
    assert slope(lg.i0e, 0.0) == 0.0


def test_hypot_and_atan2_along_the_axes_have_their_slopes():
    """Where one operand is 0."""
    assert_array_equal(1.0, slope(lg.hypot, 3.0, 0.0))
    assert_array_equal(0.0, slope(lg.hypot, 3.0, 0.0, of=1))
    assert_array_equal(0.5, slope(lg.atan2, 0.0, 2.0))


def test_division_by_zero_is_numpys():
    """Infinities and NaN, without a warning."""
    assert_array_equal([INF, -INF, NAN], value(lg.divide, [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]))
    with np.errstate(all="ignore"):
        expected = np.floor_divide([1, -1, 0], [0, 0, 0])
    assert_array_equal(expected, value(lg.floor_divide, [1, -1, 0], [0, 0, 0]))


# Infinities and NaN.


def test_logsumexp_of_infinities():
    """A row of −∞ alone is −∞, one with +∞ is +∞, and neither is NaN."""
    x = np.array([[-INF, -INF], [-INF, 1.0], [INF, 1.0], [INF, -INF], [NAN, 1.0]])
    assert_array_equal([-INF, 1.0, INF, INF, NAN], value(lambda x: lg.logsumexp(x, axis=1), x))


def test_logsumexp_of_large_numbers_does_not_overflow():
    """And its slope is the softmax."""
    x = np.array([1000.0, 1000.0])
    assert value(lg.logsumexp, x) == 1000 + np.log(2)
    assert_array_equal([0.5, 0.5], slope(lg.logsumexp, x))


def test_logsumexp_of_a_row_with_minus_infinity_has_no_slope_there():
    """exp(−∞) is 0, and so is its cotangent."""
    assert_array_equal([0.0, 1.0], slope(lg.logsumexp, [-INF, 1.0]))


def test_logsumexp_of_no_elements_is_minus_infinity():
    """log 0."""
    assert value(lg.logsumexp, np.zeros(0)) == -INF
    assert_array_equal([-INF] * 3, value(lambda x: lg.logsumexp(x, axis=0), np.zeros((0, 3))))


def test_logaddexp_of_two_minus_infinities_is_minus_infinity():
    """As in NumPy."""
    assert_array_equal([-INF, INF, 1.0], value(lg.logaddexp, [-INF, INF, 1.0], [-INF, 0.0, -INF]))


def test_cumulative_logsumexp_of_minus_infinities_is_minus_infinity():
    """Until the first finite element."""
    assert_array_equal([-INF, -INF, 0.0], value(lg.cumulative_logsumexp, [-INF, -INF, 0.0]))


UNARY = [
    "abs",
    "negative",
    "square",
    "sqrt",
    "sign",
    "floor",
    "ceil",
    "trunc",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "cbrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "isnan",
    "isinf",
    "isfinite",
    "signbit",
    "logical_not",
    "reciprocal",
]
RENAMED = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
}


@pytest.mark.parametrize("name", [*UNARY, *RENAMED])
def test_odd_numbers_go_through_an_op_as_through_numpys(name):
    """NaN, infinities, signed zeros and the ends of the range, the sign of zero included."""
    with np.errstate(all="ignore"):
        expected = getattr(np, RENAMED.get(name, name))(ODD)
    got = value(getattr(lg, name), ODD)
    assert_array_equal(expected, got)
    if expected.dtype.kind == "f":
        zero = expected == 0
        assert_array_equal(np.signbit(expected[zero]), np.signbit(got[zero]))


BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "remainder",
    "floor_divide",
    "maximum",
    "minimum",
    "hypot",
    "copysign",
    "nextafter",
    "logaddexp",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_xor",
]


@pytest.mark.parametrize("name", [*BINARY, "atan2"])
def test_every_pair_of_odd_numbers_goes_through_an_op_as_through_numpys(name):
    """A hundred pairs, by broadcasting."""
    with np.errstate(all="ignore"):
        expected = getattr(np, {"atan2": "arctan2"}.get(name, name))(ODD[:, None], ODD)
    got = value(getattr(lg, name), ODD[:, None], ODD)
    assert_array_equal(expected, got)
    if expected.dtype.kind == "f":
        zero = expected == 0
        assert_array_equal(np.signbit(expected[zero]), np.signbit(got[zero]))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "any", "all"])
def test_nan_goes_through_a_reduction_as_through_numpys(name):
    """Row by row."""
    x = np.array([[1.0, NAN], [INF, -INF], [INF, 1.0], [0.0, -0.0]])
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, axis=1)
    assert_array_equal(expected, value(lambda x: getattr(lg, name)(x, axis=1), x))


def test_clip_passes_the_cotangent_on_its_bounds_and_nan_through():
    """A parameter that was clipped to a bound can still move."""
    clip = lambda x: lg.clip(x, -1.0, 1.0)  # noqa: E731
    assert_array_equal([0.0, 1, 1, 1, 0], slope(clip, [-2.0, -1, 0, 1, 2]))
    assert_array_equal([NAN, 1.0, -1.0], value(clip, [NAN, INF, -INF]))


def test_clip_with_bounds_that_cross_is_the_upper_bound():
    """As in NumPy; then the upper bound gets the whole cotangent."""
    assert_array_equal(np.clip([0.0, 3.0], 2.0, 1.0), value(lambda x: lg.clip(x, 2.0, 1.0), [0.0, 3.0]))
    bounds = (np.array([0.0, 3.0]), np.array(2.0), np.array(1.0))
    assert [0.0, 0.0] == [slope(lg.clip, *bounds, of=0).sum(), slope(lg.clip, *bounds, of=1)]
    assert slope(lg.clip, *bounds, of=2) == 2.0


def test_nan_to_num_replaces_nan_and_infinities():
    """As in NumPy, for float32 too."""
    for dtype in ("float64", "float32"):
        x = np.array([NAN, INF, -INF, 1.0], dtype)
        got = value(lambda x: lg.nan_to_num(x, nan=7.0), x)
        assert_array_equal(np.nan_to_num(x, nan=7.0), got)
        assert got.dtype == x.dtype


def test_isclose_of_infinities_and_nan_is_numpys():
    """An infinity is close to itself; NaN only if asked for."""
    left, right = np.array([INF, INF, NAN, 1.0, 1.0]), np.array([INF, -INF, NAN, 1.0 + 1e-9, INF])
    for equal_nan in (False, True):
        expected = np.isclose(left, right, equal_nan=equal_nan)
        assert_array_equal(expected, value(lambda a, b: lg.isclose(a, b, equal_nan=equal_nan), left, right))  # noqa: B023


# Tails.


def test_the_tails_of_erf_keep_their_digits():
    """erfc where 1 − erf has none left, and log_ndtr where the distribution is 0; references by arbitrary precision."""
    x = np.array([-40.0, -6, 6, 26, 40])
    assert_array_equal(special.erf(x), value(lg.erf, x))
    complements = [2.0, 2.0, 2.1519736712498913e-17, 5.663192408856143e-296, 0.0]
    np.testing.assert_allclose(value(lg.erfc, x), complements, rtol=9e-16)
    logarithms = [-804.6084420137538, -20.736768949974707, -9.865876455243758e-10, -2.4760633155033892e-149, 0.0]
    np.testing.assert_allclose(value(lg.log_ndtr, x), logarithms, rtol=9e-16)


def test_the_slope_of_log_ndtr_far_left_is_minus_x():
    """φ(x)/Φ(x) → −x, where both underflow."""
    assert slope(lg.log_ndtr, -40.0) == pytest.approx(40.0, rel=1e-3)


def test_erfinv_at_its_ends_is_infinite():
    """And beyond them NaN."""
    assert_array_equal([-INF, INF, NAN], value(lg.erfinv, [-1.0, 1.0, 2.0]))


# Indexing.


def test_a_place_named_twice_is_added_to_twice():
    """Unlike ``x[i] += v`` in NumPy."""
    got = value(lambda x, v: x.at[[0, 0, 2]].add(v), np.zeros(3), np.array([1.0, 2, 4]))
    assert_array_equal([3.0, 0, 4], got)
    assert_array_equal([1.0, 1, 1], slope(lambda v: lg.zeros(3).at[[0, 0, 2]].add(v), [1.0, 2, 4]))


def test_of_a_place_set_twice_the_last_value_counts_and_gets_the_whole_cotangent():
    """What was written over has no influence, so no gradient."""
    got = value(lambda x, v: x.at[[0, 0, 2]].set(v), np.zeros(3), np.array([1.0, 2, 4]))
    assert_array_equal([2.0, 0, 4], got)
    weights = np.array([10.0, 20, 30])
    assert_array_equal([0.0, 10, 30], slope(lambda v: lg.zeros(3).at[[0, 0, -1]].set(v) * weights, [1.0, 2, 4]))
    assert_array_equal([0.0, 20, 0], slope(lambda x: x.at[[0, 0, 2]].set(7.0) * weights, [1.0, 2, 4]))


def test_negative_indices_count_from_the_end():
    """In slices, arrays and take; the cotangent goes where the element came from."""
    x = np.arange(4.0)
    assert_array_equal([3.0, 2.0], value(lambda x: x[[-1, -2]], x))
    assert_array_equal([3.0, 0.0], value(lambda x, i: lg.take(x, i), x, np.array([-1, -4])))
    assert_array_equal([0.0, 0, 1, 2], slope(lambda x: x[[-1, -2, -1]], x))


def test_an_index_out_of_range_is_an_error_however_it_is_given():
    """A number at the line that says it, an array when it is evaluated."""
    with pytest.raises(lg.SpecError):
        value(lambda x: x[4], np.arange(4.0))
    for bad in (4, -5):
        with pytest.raises(IndexError):
            value(lambda x, i: lg.take(x, i), np.arange(4.0), np.array([bad]))


def test_a_segment_without_rows_sums_to_zero():
    """Segments may come in any order."""
    got = value(lambda x: lg.segment_sum(x, np.array([2, 0, 2]), 4), np.array([1.0, 2, 4]))
    assert_array_equal([2.0, 0, 5, 0], got)
    assert_array_equal(np.zeros((2, 3)), value(lambda x: lg.segment_sum(x, np.zeros(0, int), 2), np.zeros((0, 3))))


def test_an_empty_index_takes_nothing():
    """An empty list is no list of floats."""
    assert value(lambda x: x[[]], np.arange(3.0)).shape == (0,)
    assert_array_equal([0.0, 0, 0], slope(lambda x: x[[]], np.arange(3.0)))


# Running ops of no elements and of one.


@pytest.mark.parametrize(
    "name", ["cumulative_sum", "cumulative_prod", "cumulative_max", "cumulative_min", "cumulative_logsumexp"]
)
def test_a_running_op_of_few_elements_returns_them(name):
    """None and one."""
    f = getattr(lg, name)
    assert value(f, np.zeros(0)).shape == (0,)
    assert value(f, np.zeros((0, 3))).shape == (0, 3)
    assert_array_equal([3.0], value(f, np.array([3.0])))


def test_running_extremes_share_ties_and_pass_nan_on():
    """As maximum does; from the first NaN all are NaN."""
    assert_array_equal([1.0, NAN, NAN], value(lg.cumulative_max, [1.0, NAN, 3.0]))
    assert slope(lambda x: lg.cumulative_max(x)[-1], [2.0, 2.0]).sum() == 1.0


def test_the_mean_of_nothing_is_nan_and_its_sum_is_zero():
    """As in NumPy, without its warning."""
    assert np.isnan(value(lg.mean, np.zeros(0)))
    assert value(lg.sum, np.zeros(0)) == 0.0
    assert value(lg.prod, np.zeros(0)) == 1.0


def test_the_variance_of_one_element_with_correction_is_nan():
    """0 / 0, also where the correction is larger than the count."""
    assert np.isnan(value(lambda x: lg.var(x, correction=1), np.ones(1)))
    assert np.isnan(value(lambda x: lg.var(x, correction=2), np.ones(1)))


@pytest.mark.parametrize("mode", ["run", "compile"])
def test_a_shape_may_be_a_number(mode: str) -> None:
    """As in NumPy: one axis."""
    env = lg.VariableEnvironment()
    step = env.compile(flat) if mode == "compile" else lambda x: env.run(flat, x)
    values, gradient = step(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(np.arange(6.0), values)
    np.testing.assert_array_equal(2 * np.arange(6.0).reshape(2, 3), gradient)


def flat(ctx, x):
    """A reshape to one axis, and a gradient through it."""
    y = lg.reshape(x, -1)
    return y, lg.grad(lg.sum(lg.square(y)), x)
