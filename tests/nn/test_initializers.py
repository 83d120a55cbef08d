"""Initialisers: what they draw, and what they refuse."""

import numpy as np
import pytest

import lazygrad as lg

init = lg.nn.initializers
SHAPE = (400, 600)


def drawn(initializer, shape=SHAPE, fans=None, seed=0):
    """Its numbers, the same in every run."""
    return initializer(np.random.default_rng(seed), shape, fans)


ALL = [
    init.Zeros(), init.Ones(), init.Constant(0.25), init.Uniform(-1, 3), init.SignedUniform(0.5), init.Normal(2, 0.5),
    init.GlorotUniform(), init.GlorotNormal(), init.HeUniform(), init.HeNormal("out"), init.Orthogonal(2),
]  # fmt: skip


@pytest.mark.parametrize("initializer", ALL, ids=str)
def test_an_initialiser_draws_float64_of_the_shape_from_the_generator_alone(initializer):
    """The same generator gives the same numbers."""
    array = drawn(initializer, (4, 3, 2, 2))
    assert ((4, 3, 2, 2), np.float64) == (array.shape, array.dtype)
    np.testing.assert_array_equal(array, drawn(initializer, (4, 3, 2, 2)))


@pytest.mark.parametrize(("initializer", "number"), [(init.Zeros(), 0), (init.Ones(), 1), (init.Constant(-2), -2)])
def test_constants_are_the_same_everywhere(initializer, number):
    """Of any shape, of none too."""
    np.testing.assert_array_equal(np.full((2, 3), float(number)), drawn(initializer, (2, 3)))
    assert number == drawn(initializer, ())


@pytest.mark.parametrize(
    ("initializer", "low", "high"),
    [(init.Uniform(), 0, 1), (init.Uniform(-1, 3), -1, 3), (init.SignedUniform(2), -2, 2)],
)
def test_uniform_numbers_fill_their_interval(initializer, low, high):
    """Of 240,000 the ends come within a thousandth of it, and the mean within 5 standard errors."""
    x = drawn(initializer)
    assert low <= x.min() < low + 0.001 * (high - low)
    assert high - 0.001 * (high - low) < x.max() < high
    assert abs(x.mean() - (low + high) / 2) < 5 * (high - low) / np.sqrt(12 * x.size)


def test_normal_numbers_have_mean_and_deviation():
    """Within 5 standard errors of 240,000."""
    x = drawn(init.Normal(2, 0.5))
    assert abs(x.mean() - 2) < 5 * 0.5 / np.sqrt(x.size)
    assert abs(x.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * x.size)


FANS = [
    (init.GlorotUniform(), lambda a, b: 2 / (a + b), "uniform"),
    (init.GlorotNormal(), lambda a, b: 2 / (a + b), "normal"),
    (init.HeUniform(), lambda a, b: 2 / a, "uniform"),
    (init.HeNormal(), lambda a, b: 2 / a, "normal"),
    (init.HeUniform("out"), lambda a, b: 2 / b, "uniform"),
    (init.HeNormal("out"), lambda a, b: 2 / b, "normal"),
]


@pytest.mark.parametrize(
    ("initializer", "variance", "law"), FANS, ids=lambda x: str(x) if isinstance(x, init.Initializer) else None
)
def test_the_variance_follows_from_the_fans(initializer, variance, law):
    """Given ones, those of a matrix (in, out), and those of filters (out, in, kh, kw)."""
    for shape, given, fans in (
        (SHAPE, (30, 70), (30, 70)),
        (SHAPE, None, (400, 600)),
        ((100, 80, 6, 5), None, (80 * 30, 100 * 30)),
    ):
        x, expected = drawn(initializer, shape, given), variance(*fans)
        # The variance of a variance of n numbers is 2/n of its square for normal ones, 0.8/n for uniform ones.
        assert abs(x.var() / expected - 1) < 5 * np.sqrt(2 / x.size)
        if law == "uniform":
            assert np.abs(x).max() <= np.sqrt(3 * expected)
        else:
            assert np.abs(x).max() > np.sqrt(9 * expected)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (4, 3, 2, 2), (12, 3, 2, 1)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    """Whichever are fewer, times the gain."""
    x = drawn(init.Orthogonal(3), shape).reshape(shape[0], -1) / 3
    gram = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(gram, np.eye(min(x.shape)), atol=1e-14)


def test_orthogonal_matrices_have_no_favoured_sign():
    """Without the signs divided out, a factorisation favours a negative first element."""
    firsts = np.array([drawn(init.Orthogonal(), (3, 3), seed=seed)[0, 0] for seed in range(400)])
    # The first element has the variance 1/3.
    assert abs(firsts.mean()) < 5 * np.sqrt(1 / 3 / 400)


@pytest.mark.parametrize(
    ("make", "cure"),
    [
        (lambda: init.Constant(float("nan")), "value must be a finite number."),
        (lambda: init.Constant(None), "value must be a finite number."),
        (lambda: init.Uniform(1, 0), "low must not be above high."),
        (lambda: init.SignedUniform(-1), "limit must not be negative."),
        (lambda: init.Normal(0, -1), "std must not be negative."),
        (lambda: init.Normal(True), "mean must be a finite number."),
        (
            lambda: init.HeNormal("both"),
            "mode is 'in', to keep the variance on the way forward, or 'out', on the way back.",
        ),
        (lambda: init.Orthogonal(float("inf")), "gain must be a finite number."),
    ],
)
def test_bad_settings_are_refused(make, cure):
    """When it is made."""
    with pytest.raises(lg.SpecError) as error:
        make()
    assert str(error.value).startswith("cannot make ")
    assert str(error.value).endswith(f"    {cure}")


def test_a_vector_has_no_fans():
    """It must be told them, or be filled otherwise."""
    with pytest.raises(lg.SpecError, match=r"cannot tell the fans of the shape \[3\]"):
        drawn(init.GlorotUniform(), (3,))
    assert (3,) == drawn(init.GlorotUniform(), (3,), (4, 5)).shape


def test_orthogonal_fills_no_vector():
    """One row can not be told from one column."""
    with pytest.raises(lg.SpecError, match=r"cannot fill the shape \[3\] with Orthogonal\(gain=1.0\)"):
        drawn(init.Orthogonal(), (3,))


def test_equal_initialisers_are_equal():
    """They are nothing but their numbers, and do not change."""
    assert init.HeNormal("in") == init.HeNormal()
    assert init.Normal(0, 1) != init.Normal(0, 2)
    with pytest.raises(AttributeError):
        init.Normal().std = 2
