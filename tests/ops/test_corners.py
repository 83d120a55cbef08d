"""Lengths at the ends of the range, their derivatives, and what is smooth where its root has a corner."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from two_ways import raised, slope, value

import lazygrad as lg

la = lg.linalg
INF, NAN = np.inf, np.nan

LENGTHS = {
    "norm": la.norm,
    "vector_norm": la.vector_norm,
    "matrix_norm": lambda x: la.matrix_norm(x[None]),
    "keepdims": lambda x: la.vector_norm(x, keepdims=True)[0],
    "global_norm": lambda x: lg.optim.global_norm([x[:1], x[1:]]),
    "spread": lambda x: lg.std(lg.stack([x, -x], axis=1)) * x.size**0.5,
}

ENDS = [
    ("float32", [3e30, 4e30]),
    ("float32", [3e-30, 4e-30]),
    ("float32", [3e38, 1e38]),
    ("float32", [1e38, 1.0, 1e-38]),
    ("float32", [3e-42, 4e-42]),
    ("float32", [0.0, 1e-38]),
    ("float16", [300, 400]),
    ("float16", [3e4, 4e4]),
    ("float16", [3e-5, 4e-5]),
    ("float64", [3e200, 4e200]),
    ("float64", [3e-200, 4e-200]),
    ("float64", [1.2e308, 1.2e308]),
    ("float64", [1e300, 1e-300, 1.0]),
    ("float64", [3e-320, 4e-320]),
    ("float64", [1e-170, 0.0]),
    ("float64", [1e150, 2e150]),
    ("float64", [1e-150, 2e-150, -2e-150]),
    ("float64", [3.0, -4.0]),
]


def exact(x, p=2):
    """The length of x at 60 digits, and its derivatives."""
    with mpmath.workdps(60):
        sizes = [abs(mpmath.mpf(float(v))) for v in x]
        n = mpmath.power(sum(mpmath.power(v, p) for v in sizes), 1 / mpmath.mpf(p))
        slopes = [mpmath.sign(float(v)) * mpmath.power(s / n, p - 1) if v else 0 for v, s in zip(x, sizes, strict=True)]
        return float(n), [float(s) for s in slopes]


def near(expected, got, roundings):
    """Within so many roundings of the dtype of ``got``, its smallest step included."""
    info = np.finfo(got.dtype)
    assert np.isfinite(got).all()
    bound = roundings * np.maximum(float(info.eps) * np.abs(expected), float(info.smallest_subnormal))
    assert (np.abs(np.asarray(got, float) - expected) <= bound).all(), (expected, got)


@pytest.mark.thinned(3)
@pytest.mark.parametrize("name", LENGTHS)
@pytest.mark.parametrize(("dtype", "x"), ENDS, ids=str)
def test_a_length_is_right_wherever_it_can_be_represented(name, dtype, x):
    """No square of it need be; in any dtype of floats, and at denormal numbers."""
    x = np.array(x, dtype)
    if name == "spread" and dtype == "float16":
        pytest.skip("the mean is rounded to halves")
    if name == "spread" and np.abs(x).max() > np.finfo(dtype).max / 4:
        pytest.skip("the sum in the mean is out of range")
    n, _ = exact(x)
    got = value(LENGTHS[name], x)
    assert got.dtype == x.dtype
    near(n, got, 4)


@pytest.mark.parametrize("name", list(LENGTHS)[:-1])
@pytest.mark.parametrize(("dtype", "x"), ENDS, ids=str)
def test_the_derivative_of_a_length_is_right_at_the_ends_of_the_range(name, dtype, x):
    """x / |x|: divided before anything is multiplied."""
    x = np.array(x, dtype)
    if np.abs(x).max() < 10 * np.finfo(dtype).tiny:
        x = x * 0 + np.array([3, 4], dtype)[: x.size] * np.finfo(dtype).smallest_subnormal * 1000
    _, slopes = exact(x)
    near(np.array(slopes), slope(LENGTHS[name], x), 5)


@pytest.mark.parametrize("p", [3, 4, 1.5, 0.5, -1, -2.5, 1, 10])
@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", 1e30), ("float32", 1e-30), ("float64", 1e250), ("float64", 1e-250)]
)
def test_a_norm_of_any_order_is_right_at_the_ends_of_the_range(p, dtype, scale):
    """Scaled by what counts most: the largest, or for negative orders the smallest."""
    x = (np.array([3.0, -4.0, 1.0, 2.5]) * scale).astype(dtype)
    n, slopes = exact(x, p)
    near(n, value(lambda x: la.vector_norm(x, ord=p), x), 16)
    near(np.array(slopes), slope(lambda x: la.vector_norm(x, ord=p), x), 32)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("p", [2, 1, 3, 4, 0.5, INF])
def test_a_length_of_infinities_and_nan_is_numpys(p, dtype):
    """An infinity makes it infinite, NaN makes it NaN; of nothing it is 0."""
    for x, expected in (([INF, 1.0], INF), ([-INF, 0.0], INF), ([NAN, 1.0], NAN), ([NAN, INF], NAN), ([0.0, 0.0], 0.0)):
        assert_array_equal(expected, value(lambda x: la.vector_norm(x, ord=p), np.array(x, dtype)))
    assert value(lambda x: la.vector_norm(x, ord=p), np.zeros(0, dtype)) == 0


@pytest.mark.parametrize("p", [-1, -2, -0.5])
def test_a_length_of_negative_order_is_zero_beside_a_zero(p):
    """As in NumPy; it is infinite of infinities alone."""
    for x, expected in (([0.0, 2.0], 0.0), ([INF, INF], INF), ([NAN, 0.0], NAN)):
        assert_array_equal(expected, value(lambda x: la.vector_norm(x, ord=p), np.array(x)))
    assert value(lambda x: la.vector_norm(x, ord=p), np.array([INF, 2.0])) == 2.0


def test_lengths_of_whole_numbers_are_float64():
    """Small and unsigned ones become floating before they are squared."""
    for dtype in ("uint8", "int8", "int64", "bool"):
        x = np.array([100, 120, 0], dtype)
        expected = np.linalg.norm(x.astype("float64"))
        for f in (la.norm, la.vector_norm, lambda x: lg.optim.global_norm([x])):
            got = value(f, x)
            assert (got.dtype, float(got)) == (np.float64, pytest.approx(expected, rel=1e-15))


# Corners.


@pytest.mark.parametrize("p", [2, 1, 3, 4, 1.5, 0.5, 0.25, -1, -2, INF, -INF, 0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_derivatives_of_a_norm_at_zeros_are_zero(p, dtype):
    """Of every order of norm, first and second, in reverse and forward; no NaN."""
    x = np.zeros(3, dtype)
    norm = lambda x: la.vector_norm(x, ord=p)  # noqa: E731
    assert_array_equal(np.zeros(3), slope(norm, x))
    assert_array_equal(np.zeros((3, 3)), value(lambda x: lg.hessian(norm(x), x), x))
    assert value(lambda x: lg.jvp(norm(x), x, lg.ones_like(x)), x) == 0


@pytest.mark.parametrize("p", [-1, -2, 0.5, 1.5, 3])
def test_the_derivative_of_a_norm_for_an_element_that_is_zero_is_zero(p):
    """Beside others that are not; those of negative order are 0 for all, as the norm is."""
    got = slope(lambda x: la.vector_norm(x, ord=p), np.array([0.0, 2.0, -3.0]))
    assert got[0] == 0
    _, expected = exact([2.0, -3.0], p)
    np.testing.assert_allclose(got[1:], np.zeros(2) if p < 0 else expected, rtol=1e-13)


SQUARES = {
    "norm ** 2": lambda x: la.norm(x) ** 2,
    "norm ** 2.0": lambda x: la.norm(x) ** 2.0,
    "square": lambda x: lg.square(la.vector_norm(x)),
    "power": lambda x: lg.power(la.norm(x), 2.0),
    "norm * norm": lambda x: (lambda n: n * n)(la.norm(x)),
    "two norms": lambda x: la.norm(x) * la.norm(x),
    "kept": lambda x: lg.sum(la.vector_norm(x, keepdims=True) ** 2),
    "matrix": lambda x: la.matrix_norm(x[None]) ** 2,
    "rows": lambda x: lg.sum(la.vector_norm(x[:, None], axis=1) ** 2),
    "reshaped": lambda x: lg.sum(lg.square(la.norm(x)[None])),
    "halved": lambda x: (la.norm(x) / 2) ** 2 * 4,
    "doubled": lambda x: 0.25 * lg.square(2.0 * la.norm(x)),
    "cast": lambda x: la.norm(x.astype("float32")) ** 2,
    "cast after": lambda x: (-la.norm(x).astype("float32")) ** 2,
    "abs": lambda x: lg.sum(abs(x) ** 2),
    "abs * abs": lambda x: lg.sum(abs(x) * abs(x)),
    "hypot": lambda x: lg.hypot(x[0], x[1]) ** 2 + x[2] ** 2,
    "root": lambda x: lg.sqrt(lg.sum(x * x)) ** 2,
    "global": lambda x: lg.optim.global_norm([x[:1], x[1:]]) ** 2,
    "and a fourth power": lambda x: la.norm(x) ** 2 + la.norm(x) ** 4,
}


@pytest.mark.parametrize("f", SQUARES.values(), ids=SQUARES)
@pytest.mark.parametrize("x", [np.zeros(3), np.array([0.0, 2.0, 0.0])], ids=["zeros", "an axis"])
def test_the_square_of_a_root_has_the_derivatives_of_the_square(f, x):
    """Written in any way, in any order and both modes: the second derivative of x·x is 2, at the corner too."""
    plain = SQUARES["and a fourth power"]
    curved = 2 * np.eye(3) + (8 * np.outer(x, x) + 4 * (x @ x) * np.eye(3) if f is plain else 0)
    steep = 2 * x + (4 * (x @ x) * x if f is plain else 0)
    v = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(slope(f, x), steep, rtol=1e-6)
    np.testing.assert_allclose(value(lambda x: lg.hessian(f(x), x), x), curved, rtol=1e-6, atol=1e-12)
    got = value(lambda x: lg.hessian_vector_product(f(x), x, v), x)
    np.testing.assert_allclose(got, curved @ v, rtol=1e-6)
    forward = value(lambda x: lg.jvp(lg.jvp(f(x), x, lg.asarray(v)), x, lg.asarray(v)), x)
    np.testing.assert_allclose(forward, v @ curved @ v, rtol=1e-6)


def test_the_value_of_a_square_is_what_it_was():
    """Only the derivatives are taken from the other formula."""
    x = np.array([1.1, 2.3, -0.7])
    assert value(lambda x: la.norm(x) ** 2, x) == value(la.norm, x) ** 2
    assert_array_equal([INF, 0.0], value(lambda x: la.norm(x[:, None], axis=1) ** 2, np.array([1e200, 1e-200])))
    assert_array_equal([NAN, 0.0, 4.0], value(lambda x: lg.sqrt(x) ** 2, np.array([-1.0, 0.0, 4.0])))


def test_a_square_of_a_square_root_has_the_slope_one_where_there_is_a_root():
    """At 0 too; below it the value is NaN, and so is the slope."""
    assert_array_equal([1.0, 1.0, 1.0, NAN], slope(lambda x: lg.sqrt(x) ** 2, np.array([0.0, 1e-300, 4.0, -1.0])))


def test_an_even_power_of_a_corner_keeps_the_derivative_for_its_exponent():
    """The exponent may be a tensor that is asked about."""
    step = lambda x: lg.grad(lg.power(abs(x), (b := lg.asarray(4.0))), b)  # noqa: E731
    np.testing.assert_allclose(value(step, np.array(-3.0)), 81 * np.log(3), rtol=1e-14)


def test_nothing_of_the_other_formula_is_left_in_what_is_run():
    """A value alone costs what it did: the square of a norm is one sum."""
    env = lg.VariableEnvironment(dtype="float32")
    plan = env.compile(lambda ctx, x: la.norm(x) ** 2).prepare(np.ones(5, "float32"))
    names = [node.op.name for node in plan.graph.nodes]
    assert not {"length", "derived"} & set(names)
    assert names.count("sum") == 1


# Standard deviation.


@pytest.mark.parametrize(
    ("dtype", "x", "expected", "slopes"),
    [
        ("float32", [0.0, 1e-30], 5e-31, [-0.5, 0.5]),
        ("float32", [0.0, 1e30], 5e29, [-0.5, 0.5]),
        ("float64", [0.0, 1e-300], 5e-301, [-0.5, 0.5]),
        ("float64", [1e200, -1e200], 1e200, [0.5, -0.5]),
        ("float32", [1e36, -1e36] * 50, 1e36, [0.01, -0.01] * 50),
        ("float32", [1e-36, -1e-36] * 50, 1e-36, [0.01, -0.01] * 50),
        ("float64", [2.0, 2.0, 2.0], 0.0, [0.0, 0.0, 0.0]),
        ("float64", [7.0], 0.0, [0.0]),
        ("float32", [0.0, 0.0], 0.0, [0.0, 0.0]),
    ],
    ids=lambda x: str(x)[:20],
)
def test_std_and_its_slopes_at_the_ends_of_the_range_and_at_its_corner(dtype, x, expected, slopes):
    """±½ for two elements however near, and 0 where all are equal."""
    x = np.array(x, dtype)
    np.testing.assert_allclose(value(lg.std, x), expected, rtol=1e-6)
    np.testing.assert_allclose(slope(lg.std, x), slopes, rtol=1e-6)


def test_the_square_of_std_is_as_smooth_as_the_variance():
    """Its second derivatives at a constant are those of the variance; of std itself they are 0."""
    for x in (np.full(4, 3.0), np.array([1.0, 2.0, 4.0, 8.0])):
        expected = 2 / 3 * (np.eye(4) - 0.25)
        for f in (lambda x: lg.var(x, correction=1), lambda x: lg.std(x, correction=1) ** 2):
            got = value(lambda x: lg.hessian(f(x), x), x)  # noqa: B023
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
    assert_array_equal(np.zeros((4, 4)), value(lambda x: lg.hessian(lg.std(x), x), np.full(4, 3.0)))


def test_std_is_numpys():
    """Over any axes, with corrections, of whole numbers, and where there is nothing to divide by."""
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    for settings in ({}, {"axis": 1}, {"axis": (0, 2), "correction": 1}, {"axis": 0, "keepdims": True}):
        expected = np.std(x, **settings)
        np.testing.assert_allclose(value(lambda x: lg.std(x, **settings), x), expected, rtol=1e-14)  # noqa: B023
    whole = np.array([0, 1, 255], "uint8")
    assert value(lg.std, whole) == pytest.approx(np.std(whole), rel=1e-15)
    assert np.isnan(value(lambda x: lg.std(x, correction=1), np.array([3.0])))
    assert np.isnan(value(lg.std, np.zeros(0)))


@pytest.mark.parametrize("p", [2, 3, 4, 1.5, 0.5, 1, -1, -2.5])
def test_derivatives_of_lengths_agree_with_difference_quotients(p):
    """Of rows and of matrices, first and second, in both modes."""
    x = np.random.default_rng(1).uniform(0.5, 2.0, (3, 4)) * np.where(np.arange(4) % 2, -1, 1)
    lg.testing.check_gradient(lambda x: la.vector_norm(x, axis=1, ord=p), x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: lg.std(x, axis=0),
        lambda x: la.norm(x) ** 2 * la.norm(x, axis=0) ** 4,
        lambda x: abs(x) ** 6 + lg.sqrt(abs(x)) ** 4,
        lambda x: lg.optim.normalize_gradient([x], 2.0)[0],
        lambda x: lg.optim.clip_by_global_norm([x[0], x[1:]], 1.0)[1],
    ],
    ids=["std", "powers of norms", "even powers", "normalised", "clipped"],
)
def test_derivatives_of_what_is_said_with_lengths_agree_with_difference_quotients(f):
    """First and second, in both modes."""
    lg.testing.check_gradient(f, np.random.default_rng(2).standard_normal((3, 4)))


# Gradients made shorter.


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        ("float32", 1e30),
        ("float32", 1e35),
        ("float32", 1e-39),
        ("float64", 1e200),
        ("float64", 1e-306),
        ("float16", 80),
    ],
)
def test_gradients_are_scaled_rightly_at_the_ends_of_the_range(dtype, scale):
    """To a length of 5, together; the quotient of lengths need not be representable."""
    x = np.array([300.0 * scale, 400.0 * scale], dtype)
    wide = x.astype("longdouble")
    expected = (wide / np.sqrt((wide**2).sum()) * 5).astype(dtype) if dtype != "float64" else None
    if expected is None:
        unit = wide / np.abs(wide).max()
        expected = (unit / np.sqrt((unit**2).sum()) * 5).astype(dtype)
    both = lambda x: lg.concat(lg.optim.normalize_gradient([x[:1], x[1:]], 5.0))  # noqa: E731
    near(expected, value(both, x), 4)
    clipped = value(lambda x: lg.concat(lg.optim.clip_by_global_norm([x[:1], x[1:]], 5.0)), x)
    near(expected if scale > 1 else x, clipped, 4)


def test_zeros_are_neither_clipped_nor_normalised():
    """They stay zeros; the derivative of clipping is 1 there, that of a direction is 0 by convention."""
    z = np.zeros(3)
    clip = lambda x: lg.optim.clip_by_global_norm([x], 1.0)[0]  # noqa: E731
    normal = lambda x: lg.optim.normalize_gradient([x], 1.0)[0]  # noqa: E731
    assert_array_equal(z, value(clip, z))
    assert_array_equal(np.ones(3), slope(clip, z))
    assert_array_equal(z, value(normal, z))
    assert_array_equal(z, slope(normal, z))
    assert_array_equal(np.zeros((3, 3, 3)), value(lambda x: lg.jacobian(lg.jacobian(normal(x), x), x), z))
    assert_array_equal(z, slope(lambda x: lg.optim.global_norm([x]), z))


def test_a_gradient_that_is_nan_makes_nan_of_all():
    """It reaches every result that depends on the length."""
    x, y = np.array([NAN, 1.0]), np.array([2.0])
    for f in (lg.optim.clip_by_global_norm, lg.optim.normalize_gradient):
        got = value(lambda x, y: f([x, y], 1.0), x, y)  # noqa: B023
        assert np.isnan(got[0]).all()
        assert np.isnan(got[1]).all()


def test_the_length_of_no_gradients_is_refused():
    """There is nothing whose dtype it could have."""
    assert "no gradients" in raised(lg.SpecError, lambda x: lg.optim.global_norm([]), np.ones(2))
