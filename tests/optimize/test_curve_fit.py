"""Curves through data, with the errors of their parameters."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import lazygrad as lg

opt = lg.optimize


def decay(x: Any, size: Any, rate: Any) -> Any:
    """A decaying exponential."""
    return size * lg.exp(-rate * x)


def by_hand(x: Any, size: Any, rate: Any) -> Any:
    """The same in NumPy."""
    return size * np.exp(-rate * x)


@pytest.fixture
def data() -> tuple[Any, Any, Any]:
    """Where, what, and its standard errors."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 30)
    sigma = 0.02 + 0.05 * rng.uniform(size=30)
    return x, 2.5 * np.exp(-1.3 * x) + sigma * rng.normal(size=30), sigma


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("weights", ["none", "one", "each", "matrix"])
@pytest.mark.parametrize("method", [None, "trf", "dogbox", "lm"])
def test_parameters_and_covariances_are_scipys(data: Any, absolute: bool, weights: str, method: Any) -> None:
    """Without errors of the data, with one for all, one for each, or their covariance matrix."""
    x, y, sigma = data
    given = {"none": None, "one": 0.3, "each": sigma, "matrix": np.diag(sigma**2) + 1e-4}[weights]
    ours, covariance = opt.curve_fit(decay, x, y, [1, 1], given, absolute, method=method)
    theirs = scipy.optimize.curve_fit(
        by_hand, x, y, [1, 1], given, absolute, method=method, ftol=1e-14, xtol=1e-14, gtol=1e-14
    )
    np.testing.assert_allclose(theirs[0], ours, rtol=1e-6)
    np.testing.assert_allclose(theirs[1], covariance, rtol=1e-4)


def test_parameters_are_known_by_name(data: Any) -> None:
    """Their values, their standard errors, and SciPy's result."""
    fit = opt.curve_fit(decay, *data[:2])
    assert ["size", "rate"] == list(fit.values) == list(fit.errors)
    assert (fit.x[0], fit.covariance[1, 1] ** 0.5) == (fit.values["size"], fit.errors["rate"])
    assert fit.result.success
    assert len(data[0]) == len(fit.result.fun)


def test_a_fit_shows_its_parameters_with_their_errors(data: Any) -> None:
    """With two digits of the error."""
    lines = repr(opt.curve_fit(decay, *data[:2])).splitlines()
    assert ["size", "rate"] == [line.split(" = ")[0] for line in lines]
    value, error = lines[0].split(" = ")[1].split(" ± ")
    assert len(value.split(".")[1]) == len(error.split(".")[1])
    assert 10 <= float(error.lstrip("0.")) < 100


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (2.5251, 0.0298, "2.525 ± 0.030"),
        (238.9421, 2.7070, "238.9 ± 2.7"),
        (5.5e-4, 7.3e-6, "5.500e-04 ± 7.3e-06"),
        (6181.34, 233.1, "6181 ± 233"),
        (1.5e-12, 2e-14, "1.500e-12 ± 2.0e-14"),
        (3.5e9, 2e8, "3.50e+09 ± 2.0e+08"),
        (1.0, np.inf, "1 ± inf"),
        (2.0, 0.0, "2 ± 0"),
    ],
)
def test_numbers_are_shown_to_two_digits_of_their_error(value: float, error: float, shown: str) -> None:
    """From tiny to huge ones."""
    from lazygrad.optimize.curve import _plus_minus

    assert shown == _plus_minus(value, error)


def test_the_fitted_curve_is_a_function_with_errors(data: Any) -> None:
    """At other places than the data; the error is that of linear propagation."""
    fit = opt.curve_fit(decay, *data[:2])
    at = np.array([0.5, 1.5, 2.5])
    np.testing.assert_allclose(by_hand(at, *fit.x), fit(at), rtol=1e-12)
    e = np.exp(-fit.x[1] * at)
    J = np.stack([e, -fit.x[0] * at * e], axis=1)
    np.testing.assert_allclose(np.sqrt(np.diag(J @ fit.covariance @ J.T)), fit.error(at), rtol=1e-10)


def test_the_curve_takes_numbers_and_lists(data: Any) -> None:
    """As ``x`` of the fit, of whole numbers too."""
    fit = opt.curve_fit(decay, *data[:2])
    expected = by_hand(np.array([1.0, 2.0]), *fit.x)
    np.testing.assert_allclose(expected, fit([1, 2]), rtol=1e-12)
    np.testing.assert_allclose(expected, fit(np.array([1, 2], "int32")), rtol=1e-12)
    np.testing.assert_allclose(expected[1], fit(2), rtol=1e-12)
    assert () == fit.error(2.0).shape


def test_a_lambda_in_a_loop_is_compiled_once_unless_it_reads_something(data: Any) -> None:
    """What it closes over is another function each time; what was compiled for many of them is forgotten."""
    from lazygrad.optimize import model

    x, y, _ = data
    model._curves.clear()
    for _ in range(3):
        opt.curve_fit(lambda x, a, b: a * lg.exp(-b * x), x, y)
    assert 1 == len(model._curves)
    for shift in range(model.MAX_CURVES + 3):
        fit = opt.curve_fit(lambda x, a, b: a * lg.exp(-b * x) + shift, x, y + shift)  # noqa: B023
        np.testing.assert_allclose(2.5, fit.x[0], rtol=0.05)
    assert model.MAX_CURVES == len(model._curves)


def test_an_object_that_is_called_is_a_curve(data: Any) -> None:
    """Also one that has no hash, and a method."""

    class Decay:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, x: Any, size: Any, rate: Any) -> Any:
            return decay(x, size, rate)

        def shifted(self, x: Any, size: Any, rate: Any, shift: Any) -> Any:
            return decay(x, size, rate) + shift

    expected = opt.curve_fit(decay, *data[:2]).x
    np.testing.assert_allclose(expected, opt.curve_fit(Decay(), *data[:2]).x)
    assert ["size", "rate", "shift"] == list(opt.curve_fit(Decay().shifted, *data[:2]).values)


def test_a_fit_can_be_pickled(data: Any) -> None:
    """And is a curve again."""
    fit = opt.curve_fit(decay, *data[:2])
    again = pickle.loads(pickle.dumps(fit))
    np.testing.assert_array_equal(fit.x, again.x)
    np.testing.assert_array_equal(fit(np.ones(2)), again(np.ones(2)))


@pytest.mark.parametrize("p0", [[[1.0, 1.0, 1.0], 0.5], {"b": 0.5, "a": np.ones(3)}])
def test_parameters_may_have_any_shape(p0: Any) -> None:
    """And the data too: several channels with a rate in common."""
    x = np.linspace(0, 2, 10)
    y = np.array([[1.0], [2.0], [3.0]]) * np.exp(-0.7 * x)
    fit = opt.curve_fit(lambda x, a, b: a[:, None] * lg.exp(-b * x), x, y, p0)
    np.testing.assert_allclose([1, 2, 3], fit.values["a"])
    np.testing.assert_allclose(0.7, fit.values["b"])
    assert (3,) == fit.errors["a"].shape
    assert y.shape == fit(x).shape


@pytest.mark.parametrize("nested", [tuple, list, lambda pair: dict(zip("uv", pair, strict=True)), np.array])
def test_the_places_may_be_nested(nested: Any) -> None:
    """As the function takes them; whole numbers and lists become float64."""
    u, v = np.arange(6), np.arange(6)[::-1] ** 2

    def plane(x: Any, a: Any, b: Any) -> Any:
        first, second = (x["u"], x["v"]) if isinstance(x, dict) else (x[0], x[1])
        return a * first + b * second

    np.testing.assert_allclose([3, -2], opt.curve_fit(plane, nested((u, v)), 3 * u - 2 * v).x)
    np.testing.assert_allclose([2], opt.curve_fit(lambda x, a: a * x**-1, [1, 2, 4], [2, 1, 0.5]).x)


def test_a_constant_is_a_curve() -> None:
    """It has one value for all data; its error is that of a mean."""
    y = np.array([1.0, 2.0, 4.0, 5.0])
    fit = opt.curve_fit(lambda x, a: a, np.arange(4), y)
    np.testing.assert_allclose([3, np.std(y, ddof=1) / 2], [fit.x[0], fit.errors["a"]])


def test_parameters_with_defaults_are_fitted_or_not() -> None:
    """Those that ``p0`` has no start of keep their default."""
    x = np.linspace(0, 1, 8)

    def line(x: Any, a: Any, b: Any = 2.0) -> Any:
        return a * x + b

    assert ["a"] == list(opt.curve_fit(line, x, 3 * x + 2, {"a": 1}).values)
    assert ["a", "b"] == list(opt.curve_fit(line, x, 3 * x + 2).values)


def test_any_number_of_parameters_by_p0() -> None:
    """Of a function that takes them by a star."""
    x = np.linspace(-1, 1, 9)
    fit = opt.curve_fit(lambda x, *c: c[0] + c[1] * x + c[2] * x**2, x, 1 - x + 3 * x**2, np.zeros(3))
    np.testing.assert_allclose([1, -1, 3], fit.x, atol=1e-12)
    assert ["p0", "p1", "p2"] == list(fit.values)


def test_bounds_and_robust_losses(data: Any) -> None:
    """By name; an outlier hardly moves a robust fit."""
    x, y, _ = data
    assert 1.1 == pytest.approx(opt.curve_fit(decay, x, y, bounds={"rate": (0, 1.1)}).values["rate"])
    wild = y.copy()
    wild[3] = 40
    robust = opt.curve_fit(decay, x, wild, loss="soft_l1", f_scale=0.05)
    np.testing.assert_allclose(opt.curve_fit(decay, x, y).x, robust.x, rtol=0.05)


def test_a_search_that_gets_lost_on_a_plain_begins_again(data: Any) -> None:
    """BoxBOD from its first start, where Levenberg and Marquardt's method ends where nothing depends on b."""
    x, y = np.array([1, 2, 3, 5, 7, 10]), np.array([109, 149, 149, 191, 213, 224])
    f = lambda x, a, b: a * (1 - lg.exp(-b * x))  # noqa: E731
    np.testing.assert_allclose([2.1380940889e02, 5.4723748542e-01], opt.curve_fit(f, x, y, [1, 1]).x, rtol=1e-8)
    assert opt.curve_fit(f, x, y, [1, 1], method="lm").x[1] > 20


@pytest.fixture
def modelled() -> Any:
    """An environment, and a step that computes a curve from its variables."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    env.name("size").set(np.array(1.0))
    env.name("rate").set(np.array([1.0]))
    return env, env.compile(lambda ctx, x: decay(x, ctx.variable("size"), ctx.variable("rate")))


def test_a_step_is_fitted_over_its_variables(modelled: Any, data: Any) -> None:
    """They are left at the solution, and start where they are or where it is said."""
    env, step = modelled
    expected = scipy.optimize.curve_fit(by_hand, *data[:2])[0]
    fit = opt.curve_fit(step, *data[:2])
    np.testing.assert_allclose(expected, [env["size"], env["rate"].item()], rtol=1e-6)
    assert ["size", "rate"] == list(fit.values)
    for p0 in ({"rate": [0.5]}, [2.0, 0.5]):
        np.testing.assert_allclose(expected, opt.curve_fit(step, *data[:2], p0).x, rtol=1e-6)
    np.testing.assert_allclose(by_hand(data[0], *expected), fit(data[0]), rtol=1e-5)


def test_only_the_variables_that_are_named_are_fitted(modelled: Any, data: Any) -> None:
    """The others stay."""
    env, step = modelled
    assert ["size"] == list(opt.curve_fit(step, *data[:2], variables="size").values)
    assert 1.0 == env["rate"].item()


def refused(kind: type[Exception], *args: Any, **given: Any) -> str:
    """The message of an error."""
    with pytest.raises(kind) as caught:
        opt.curve_fit(*args, **given)
    return str(caught.value)


def test_data_that_are_not_finite_or_not_there(data: Any) -> None:
    """They are named, with the first place."""
    x, y, _ = data
    y[4] = np.nan
    message = refused(lg.DataError, decay, x, y)
    assert "y[4]:  nan" in message
    assert "1 of 30 in all" in message
    x[2] = np.inf
    assert "x is not finite" in refused(lg.DataError, decay, x, np.ones(30))
    assert "there are no data" in refused(lg.DataError, decay, np.ones(0), np.ones(0))


def test_a_curve_of_another_shape_than_the_data(data: Any) -> None:
    """It is not broadcast: a column of data is not a row of values."""
    x, y, _ = data
    message = refused(lg.SpecError, decay, x, y[:, None])
    assert "decay is of another shape than y" in message
    assert "y:      float64[30, 1]" in message
    assert "Return the curve at x" in refused(lg.SpecError, lambda x, a: (a, x), x, y)


def test_sigma_that_cannot_be(data: Any) -> None:
    """Of another shape, not positive, no covariance matrix."""
    x, y, sigma = data
    assert "sigma:  [29]" in refused(lg.SpecError, decay, x, y, sigma=sigma[1:])
    assert "sigma is not positive: 0 is its least" in refused(lg.DataError, decay, x, y, sigma=0 * sigma)
    assert "positive definite" in refused(lg.DataError, decay, x, y, sigma=-np.eye(30))


def test_starts_that_do_not_fit(data: Any, modelled: Any) -> None:
    """Too few, too many, unknown names, other shapes."""
    x, y, _ = data
    assert "p0 does not fit decay" in refused(lg.DataError, decay, x, y, [1])
    assert "p0 does not fit decay" in refused(lg.DataError, decay, x, y, [1, 2, 3])
    assert "'speed'" in refused(lg.DataError, decay, x, y, {"size": 1, "rate": 1, "speed": 2})
    assert "are not known" in refused(lg.DataError, lambda x, *p: p[0], x, y)
    assert "not within the bounds" in refused(lg.DataError, decay, x, y, [1, 1], bounds={"rate": (2, 3)})
    _, step = modelled
    assert "Did you mean 'rate'?" in refused(lg.VariableError, step, x, y, {"rat": [1.0]})
    assert "p0 of 'rate' is of another shape" in refused(lg.SpecError, step, x, y, {"rate": 1.0})
    assert "p0:          [3]" in refused(lg.DataError, step, x, y, [1, 2, 3])
    assert "as many residuals" in refused(lg.DataError, decay, [1], [2], method="lm")
    assert "cannot fit 3" in refused(lg.DataError, 3, x, y)


def test_a_curve_that_is_not_finite_at_the_start(data: Any, modelled: Any) -> None:
    """The parameters that did it are named; so are a step's variables, which stay."""
    x, y, _ = data
    message = refused(lg.DataError, lambda x, a, b: a * x + lg.sqrt(b), x, y, [1, -1])
    assert "variables:   'b'" in message
    env, step = modelled
    assert "variables:   'rate'" in refused(lg.DataError, step, x, y, {"rate": [-1e6]})
    assert 1.0 == env["rate"].item()


def test_a_search_that_ends_where_the_curve_is_not_finite_begins_again(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MINPACK then calls a success is none."""

    def lost(residuals: Any, jacobian: Any, start: Any, **given: Any) -> Any:
        x = start * np.nan
        return scipy.optimize.OptimizeResult(
            x=x, fun=residuals(x), jac=jacobian(x), cost=np.nan, success=True, message="x", nfev=1
        )

    expected = opt.curve_fit(decay, *data[:2]).x
    monkeypatch.setattr(sys.modules["lazygrad.optimize.curve_fit"], "levenberg_marquardt", lost)
    np.testing.assert_allclose(expected, opt.curve_fit(decay, *data[:2]).x)
    assert "found no optimum" in refused(lg.DataError, decay, *data[:2], method="lm")


def test_a_fit_that_finds_no_optimum_raises_and_leaves_the_variables(modelled: Any, data: Any) -> None:
    """As SciPy's does; the message says what to do."""
    env, step = modelled
    message = refused(lg.DataError, step, *data[:2], max_nfev=2)
    assert "curve_fit found no optimum" in message
    assert "max_nfev" in message
    assert (1.0, 1.0) == (env["size"], env["rate"].item())


def test_data_that_do_not_determine_the_parameters_are_said() -> None:
    """The covariance is infinite, and SciPy's warning says so."""
    x = np.linspace(0, 1, 9)
    with pytest.warns(scipy.optimize.OptimizeWarning, match="do not determine"):
        fit = opt.curve_fit(lambda x, a, b: (a + b) * x, x, 2 * x)
    assert np.isinf(fit.covariance).all()
    with pytest.warns(scipy.optimize.OptimizeWarning):
        assert np.isinf(opt.curve_fit(lambda x, a, b: a + b * x, [1, 2], [3, 4]).covariance).all()
