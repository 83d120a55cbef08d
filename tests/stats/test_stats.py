"""Distributions, beside those of scipy.stats."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

import lazygrad as lg
from lazygrad.testing import check_gradient

INF, NAN = np.inf, np.nan

# The shapes of each family, and a place and size.
LINES = {
    "norm": (),
    "t": (3.5,),
    "cauchy": (),
    "laplace": (),
    "logistic": (),
    "lognorm": (0.8,),
    "expon": (),
    "gamma": (2.5,),
    "beta": (2.0, 3.5),
    "uniform": (),
    "chi2": (4.0,),
    "weibull_min": (1.5,),
    "pareto": (2.0,),
    "halfnorm": (),
    "halfcauchy": (),
    "invgamma": (2.5,),
    "gumbel_r": (),
    "gumbel_l": (),
    "rayleigh": (),
    "f": (3.5, 6.0),
    "gennorm": (1.5,),
    "invgauss": (0.7,),
    "skewnorm": (-1.5,),
    "vonmises": (2.5,),
    "truncnorm": (-0.5, 1.5),
}
COUNTS = {
    "poisson": (2.5,),
    "binom": (7, 0.3),
    "bernoulli": (0.3,),
    "geom": (0.3,),
    "nbinom": (3.5, 0.4),
    "betabinom": (7, 2.0, 3.5),
}
OF_PLACES = ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf")
OF_COUNTS = ("logpmf", "pmf", "cdf", "sf", "logcdf", "logsf")
PLACES = np.array([-INF, -30.0, -5.0, -1.0, -0.2, 0.0, 0.1, 0.3, 1.0, 1.4, 2.5, 11.0, 40.0, 300.0, INF, NAN])
NUMBERS = np.array([-INF, -3.0, -1.0, 0.0, 1.0, 2.0, 2.5, 5.0, 7.0, 8.0, 30.0, 200.0, NAN])
PROBABILITIES = np.array([-1.0, 0.0, 1e-30, 1e-9, 0.2, 0.5, 0.9, 1 - 1e-6, 1.0, 2.0, NAN])


def same(expected, actual, what, rtol=1e-12):
    """Equal but for rounding; a logarithm may be more exact where SciPy takes that of 0, or of what is near 1."""
    close = np.isclose(actual, expected, rtol=rtol, atol=2e-15 if what.startswith("log") else 0, equal_nan=True)
    close |= np.isneginf(expected) & (actual < -690) & what.startswith("log")
    assert close.all(), f"{what}: expected {expected[~close]}, got {actual[~close]}"


def run(f, *arrays, dtype="float64"):
    """The value of ``f``."""
    return lg.VariableEnvironment(dtype=dtype).run(lambda ctx, *xs: f(*xs), *arrays)


@pytest.mark.parametrize("place", [(), (0.1, 1.3)], ids=["standard", "moved"])
@pytest.mark.parametrize("name", LINES)
def test_densities_and_probabilities_are_scipys(name, place):
    """On both sides of the support, at its ends, far in the tails, at infinity and NaN."""
    ours, theirs, shapes = getattr(lg.stats, name), getattr(scipy.stats, name), (*LINES[name], *place)
    found = run(lambda x: {key: getattr(ours, key)(x, *shapes) for key in OF_PLACES if key in dir(ours)}, PLACES)
    for key in found:
        with np.errstate(all="ignore"):
            expected = getattr(theirs, key)(PLACES, *shapes)
        if name != "vonmises" and key in ("logpdf", "pdf"):  # at infinity SciPy subtracts two
            ends = np.isinf(PLACES) & np.isnan(expected)
            expected[ends] = -INF if key == "logpdf" else 0.0
        same(expected, found[key], key, rtol=2e-11 if name == "invgauss" else 1e-12)


@pytest.mark.parametrize("name", [name for name in LINES if "ppf" in dir(getattr(lg.stats, name))])
def test_quantiles_are_scipys(name):
    """At the ends and beyond them; the inverse of the upper tail keeps the digits of small numbers."""
    ours, theirs, shapes = getattr(lg.stats, name), getattr(scipy.stats, name), (*LINES[name], 0.1, 1.3)
    found = run(lambda p: {key: getattr(ours, key)(p, *shapes) for key in ("ppf", "isf")}, PROBABILITIES)
    for key in ("ppf", "isf"):
        with np.errstate(all="ignore"):
            if (name, key) == ("f", "isf"):  # SciPy's is infinite for small numbers, of which it knows the probability
                inside = PROBABILITIES[1:-2]
                same(inside, theirs.sf(found[key], *shapes)[1:-2], key, rtol=1e-9)
            else:
                same(getattr(theirs, key)(PROBABILITIES, *shapes), found[key], key, rtol=1e-9)


@pytest.mark.parametrize("loc", [0, 1])
@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_of_counts_are_scipys(name, loc):
    """Numbers between whole ones have none, nor have those out of reach."""
    ours, theirs, shapes = getattr(lg.stats, name), getattr(scipy.stats, name), (*COUNTS[name], loc)
    found = run(lambda k: {key: getattr(ours, key)(k, *shapes) for key in OF_COUNTS if key in dir(ours)}, NUMBERS)
    for key in found:
        with np.errstate(all="ignore"):
            same(getattr(theirs, key)(NUMBERS, *shapes), found[key], key)


@pytest.mark.parametrize(
    ("name", "a"), [("gamma", 1.0), ("beta", 1.0), ("weibull_min", 1.0), ("chi2", 2.0), ("gamma", 0.5)]
)
def test_at_the_edge_of_the_support_densities_are_limits(name, a):
    """Where a power is 0⁰ it is 1, and the density goes on; its derivatives too."""
    shapes = (a, 2.0) if name == "beta" else (a,)
    f = getattr(lg.stats, name).logpdf
    same(getattr(scipy.stats, name).logpdf(np.zeros(1), *shapes), run(lambda x: f(x, *shapes), np.zeros(1)), name)
    g = run(lambda x: lg.grad(f(x, *shapes), x), np.zeros(1))
    expected = {("gamma", 1.0): -1.0, ("beta", 1.0): -1.0, ("weibull_min", 1.0): -1.0, ("chi2", 2.0): -0.5}
    np.testing.assert_allclose(g, expected.get((name, a), -INF))


def operands(name):
    """A place inside of the support, the shapes, loc and scale, as arrays."""
    x = {"beta": [0.4, 0.7], "truncnorm": [0.4, 0.9], "uniform": [0.4, 0.7], "pareto": [1.9, 4.0]}.get(name, [0.6, 2.4])
    return [np.array(x), *(np.array([s, 1.1 * s]) for s in LINES[name]), np.array([0.1, 0.2]), np.array([0.8, 1.3])]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.thinned(4)
def test_densities_have_derivatives_of_all_orders_in_all_arguments(name):
    """Of the place, the shapes, loc and scale; first and second, reverse and forward."""
    check_gradient(getattr(lg.stats, name).logpdf, *operands(name))


@pytest.mark.parametrize("name", [name for name in LINES if "cdf" in dir(getattr(lg.stats, name))])
@pytest.mark.thinned(4)
def test_probabilities_and_quantiles_have_derivatives_in_all_arguments(name):
    """Also for the shapes of the incomplete functions; the distribution function is tried to the second order."""
    x, *others = operands(name)
    family = getattr(lg.stats, name)
    check_gradient(family.cdf, x, *others)
    check_gradient(family.logsf, x, *others, order=1)
    if "ppf" in dir(family):
        check_gradient(family.ppf, np.array([0.3, 0.8]), *others, order=1)


REAL = {
    "poisson": (lambda mu: lg.stats.poisson.logpmf([1, 4], mu), lambda mu: lg.stats.poisson.cdf([1, 4], mu), [2.5]),
    "binom": (lambda p: lg.stats.binom.logpmf([1, 4], 7, p), lambda p: lg.stats.binom.cdf([1, 4], 7, p), [0.3]),
    "bernoulli": (lambda p: lg.stats.bernoulli.logpmf([1, 0], p), lambda p: lg.stats.bernoulli.cdf([0, 0], p), [0.3]),
    "geom": (lambda p: lg.stats.geom.logpmf([1, 4], p), lambda p: lg.stats.geom.cdf([1, 4], p), [0.3]),
    "betabinom": (lambda a, b: lg.stats.betabinom.logpmf([1, 4], 7, a, b), None, [2.0, 3.5]),
    "nbinom": (lambda n, p: lg.stats.nbinom.logpmf([1, 4], n, p), lambda n, p: lg.stats.nbinom.cdf([1, 4], n, p),
               [3.5, 0.4]),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_probabilities_of_counts_have_derivatives_in_all_continuous_parameters(name):
    """First and second, of the logarithm and of the distribution function."""
    logpmf, cdf, parameters = REAL[name]
    arrays = [np.full(2, p) for p in parameters]
    check_gradient(logpmf, *arrays)
    if cdf:
        check_gradient(cdf, *arrays)


def test_probabilities_of_zero_and_one_are_certain_and_have_derivatives():
    """k successes of n with the probability 0 or 1: 0·log 0 is 0."""
    k, p = np.array([0.0, 2.0, 1.0]), np.array([0.0, 1.0, 0.0])
    y, g = run(lambda k, p: (lg.stats.binom.logpmf(k, 2, p), lg.grad(lg.stats.binom.logpmf(k, 2, p), p)), k, p)
    np.testing.assert_allclose(y, [0, 0, -INF], atol=1e-15)
    np.testing.assert_allclose(g[:2], [-2, 2])


@pytest.mark.parametrize("ends", [(2.0, 3.0), (9.0, 11.0), (-40.0, -38.0), (-INF, -1.0), (1.0, INF)])
def test_a_normal_distribution_is_cut_off_far_from_its_middle(ends):
    """On either side, where the probability of all that is left is small, and at one end only."""
    ours, theirs = lg.stats.truncnorm, scipy.stats.truncnorm
    x = np.linspace(max(ends[0], -50), min(ends[1], 50), 9)[[0, 1, 4, 7, 8]] + np.array([-0.1, 0, 0, 0, 0.1])
    if not np.isfinite(ends).all():
        x = np.array([-3.0, -1.1, -0.5, 0.5, 1.1, 3.0])
    found = run(lambda x: (ours.logpdf(x, *ends), ours.cdf(x, *ends), ours.sf(x, *ends)), x)
    for key, got in zip(("logpdf", "cdf", "sf"), found, strict=True):
        same(getattr(theirs, key)(x, *ends), got, key, rtol=1e-10)
    p = np.array([0.0, 0.1, 0.9, 1.0])
    for key in ("ppf", "isf"):
        same(getattr(theirs, key)(p, *ends), run(lambda p, key=key: getattr(ours, key)(p, *ends), p), key, rtol=1e-9)


def test_what_is_cut_off_between_ends_in_the_wrong_order_is_nan():
    """As in SciPy."""
    for key in ("logpdf", "cdf", "sf", "ppf"):
        assert np.isnan(run(lambda x, key=key: getattr(lg.stats.truncnorm, key)(x, 1.0, 0.5), np.array(0.7)))


RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
MEAN = np.array([0.1, -0.2, 0.3])
FACTOR = np.array([[1.0, 0, 0], [0.3, 0.8, 0], [-0.2, 0.4, 1.5]])
COV = FACTOR @ FACTOR.T


def test_the_normal_distribution_of_vectors_is_scipys_however_its_covariances_are_given():
    """None, one number, variances, a matrix, or its factor."""
    f = lg.stats.multivariate_normal
    for cov in (1.0, np.array([0.5, 1.0, 2.0]), COV):
        want = scipy.stats.multivariate_normal.logpdf(X, MEAN, cov)
        np.testing.assert_allclose(run(lambda x, c: f.logpdf(x, MEAN, c), X, cov), want, rtol=1e-12)
    np.testing.assert_allclose(run(lambda x, L: f.logpdf(x, MEAN, cholesky=L), X, FACTOR), want, rtol=1e-12)
    want = scipy.stats.multivariate_normal.pdf(X, np.zeros(3))
    np.testing.assert_allclose(run(f.pdf, X), want, rtol=1e-12)
    stacked = run(lambda x, c: f.logpdf(x, MEAN, c), X, np.broadcast_to(COV, (5, 3, 3)))
    np.testing.assert_allclose(stacked, scipy.stats.multivariate_normal.logpdf(X, MEAN, COV), rtol=1e-12)


def test_the_normal_distribution_of_vectors_has_derivatives():
    """For the covariances as for any symmetric matrix, and for their factor."""
    f = lg.stats.multivariate_normal.logpdf
    check_gradient(lambda x, m, a: f(x, m, a @ lg.matrix_transpose(a)), X[:2], MEAN, FACTOR)
    check_gradient(lambda x, m, a: f(x, m, cholesky=lg.tril(a)), X[:2], MEAN, FACTOR)


@pytest.mark.parametrize(
    "spread", [{"cov": np.eye(2)}, {"cholesky": np.eye(2)}, {"cholesky": np.ones(3)}, {"cov": np.ones(2)}]
)
def test_covariances_of_another_size_are_refused(spread):
    """The message has what was given."""
    with pytest.raises(lg.SpecError) as caught:
        run(lambda x: lg.stats.multivariate_normal.logpdf(x, MEAN, **spread), X)
    assert "Vectors of 3 numbers have covariances of shape [3, 3]." in str(caught.value)
    assert re.search(r"(cov|cholesky): +float64", str(caught.value))


def test_dirichlets_distribution_is_scipys():
    """Components lie along the last axis, where scipy.stats has them along the first."""
    x, alpha = RNG.dirichlet([2.0, 3.0, 1.5], 4), np.array([2.0, 3.0, 1.5])
    want = scipy.stats.dirichlet.logpdf(x.T, alpha)
    np.testing.assert_allclose(run(lg.stats.dirichlet.logpdf, x, alpha), want, rtol=1e-12)
    check_gradient(lg.stats.dirichlet.logpdf, x, alpha)
    assert run(lg.stats.dirichlet.pdf, np.array([1.2, -0.2]), np.ones(2)) == 0


def test_the_multinomial_distribution_is_scipys():
    """Counts of another sum have no probability."""
    x, p = np.array([[1, 2, 3], [0, 0, 6], [1, 1, 1]]), np.array([0.2, 0.3, 0.5])
    want = scipy.stats.multinomial.logpmf(x, 6, p)
    np.testing.assert_allclose(run(lambda p: lg.stats.multinomial.logpmf(x, 6, p), p), want, rtol=1e-12)
    check_gradient(lambda p: lg.stats.multinomial.logpmf(x[:2], 6, p), p)


def test_the_categorical_distribution_takes_probabilities_or_logits():
    """An outcome that there is not has none."""
    logits, k = RNG.normal(size=(4, 3)), np.array([0, 2, 1, 5])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    want = [math.log(p[0, 0]), math.log(p[1, 2]), math.log(p[2, 1]), -INF]
    np.testing.assert_allclose(run(lambda p: lg.stats.categorical.logpmf(k, p), p), want, rtol=1e-12)
    np.testing.assert_allclose(run(lambda z: lg.stats.categorical.logpmf(k, logits=z), logits), want, rtol=1e-12)
    np.testing.assert_allclose(run(lambda p: lg.stats.categorical.pmf(k, p), p), np.exp(want), rtol=1e-12)
    check_gradient(lambda z: lg.stats.categorical.logpmf(k[:3], logits=z), logits[:3])
    for arguments in ({}, {"p": p, "logits": logits}):
        with pytest.raises(lg.SpecError) as caught:
            run(lambda k, a=arguments: lg.stats.categorical.logpmf(k, **a), k)
        assert "Give the probabilities, p, or their logits." in str(caught.value)


# How they are called.


def test_the_reference_shows_every_distribution_with_its_arguments():
    """The table is written by hand, so that it can be read."""
    page = (Path(__file__).parents[2] / "docs" / "api" / "stats.md").read_text(encoding="utf-8")
    for name in lg.stats.__all__:
        shown = re.search(rf"`lg\.stats\.{name}\.(\w+)\((.*?)\)`", page)
        assert shown, f"docs/api/stats.md has no {name}"
        parameters = inspect.signature(getattr(getattr(lg.stats, name), shown[1])).parameters
        assert list(parameters) == [part.split("=")[0] for part in shown[2].split(", ") if part != "*"]


def test_compiled_steps_compute_what_run_does(monkeypatch):
    """One step with the likelihoods of all families, in native code."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")

    def step(ctx, x, k):
        lines = {n: lg.sum(getattr(lg.stats, n).logpdf(x, *s)) for n, s in LINES.items()}
        counts = {n: lg.sum(getattr(lg.stats, n).logpmf(k, *s)) for n, s in COUNTS.items()}
        return lines, counts, lg.grad(lg.add_n(list(lines.values())), x)

    env = lg.VariableEnvironment(backend="numpy", dtype="float64")
    x, k = np.array([0.2, 0.5, 0.9]), np.array([0, 1, 3])
    compiled = env.compile(step, wait=True)
    for want, got in zip(env.run(step, x, k), compiled(x, k), strict=True):
        for name in want if isinstance(want, dict) else [...]:
            np.testing.assert_allclose(got[name], want[name], rtol=1e-12)
    assert compiled.is_native


def test_arguments_are_given_by_place_or_by_name_as_in_scipy():
    """``help`` and editors see the signature; what is missing or unknown is named."""
    assert "(x, a, loc=0.0, scale=1.0)" in str(inspect.signature(lg.stats.gamma.logpdf))
    assert "(k, n, p, loc=0.0)" in str(inspect.signature(lg.stats.binom.logpmf))
    assert "Logarithm of the density at x.\n\nGamma distribution of shape" in lg.stats.gamma.logpdf.__doc__
    want = scipy.stats.gamma.logpdf(3.0, 2.0, loc=1.0, scale=2.0)
    assert want == pytest.approx(run(lambda x: lg.stats.gamma.logpdf(x, scale=2.0, a=2.0, loc=1.0), np.array(3.0)))
    with pytest.raises(TypeError) as caught:
        lg.stats.gamma.logpdf(3.0)
    assert str(caught.value) == "gamma.logpdf(x, a, loc=0, scale=1): missing a required argument: 'a'"
    with pytest.raises(TypeError) as caught:
        lg.stats.norm.cdf(3.0, sigma=2.0)
    assert str(caught.value) == "norm.cdf(x, loc=0, scale=1): got an unexpected keyword argument 'sigma'"


@pytest.mark.parametrize("number", [0.0, -1, np.float32(-2), np.int64(0)])
def test_a_number_that_is_no_scale_is_an_error(number):
    """It says which, and what it must be."""
    with pytest.raises(lg.SpecError) as caught:
        run(lambda x: lg.stats.norm.logpdf(x, 0.0, number), np.ones(2))
    assert f"cannot ask lg.stats.norm with scale={number}" in str(caught.value)
    assert "scale must be positive." in str(caught.value)


def test_a_number_that_is_no_probability_or_shape_is_an_error():
    """Of counts, and of a shape."""
    for call in (lambda x: lg.stats.bernoulli.pmf(x, 1.5), lambda x: lg.stats.gamma.pdf(x, a=-1.0)):
        with pytest.raises(lg.SpecError) as caught:
            run(call, np.ones(2))
        assert "must be" in str(caught.value)


def test_a_parameter_in_a_tensor_that_is_out_of_its_domain_gives_nan():
    """As in SciPy, element by element."""
    scale = np.array([1.0, 0.0, -1.0, NAN])
    assert [False, True, True, True] == np.isnan(run(lambda s: lg.stats.norm.cdf(0.3, 0.0, s), scale)).tolist()
    assert [True, False] == np.isnan(run(lambda p: lg.stats.geom.pmf(1, p), np.array([1.5, 0.5]))).tolist()


def test_numbers_are_weak_and_counts_do_not_widen():
    """float32 stays so, with Python's numbers, and with whole numbers of which the probability is asked."""
    x = np.ones(3, "float32")
    assert np.float32 == run(lambda x: lg.stats.gamma.logpdf(x, 2, loc=0.5, scale=2.5), x, dtype="float32").dtype
    assert np.float32 == run(lambda mu: lg.stats.poisson.logpmf([1, 2, 3], mu), x, dtype="float32").dtype
    assert np.float32 == run(lambda k, mu: lg.stats.poisson.cdf(k, mu), np.arange(3), x, dtype="float32").dtype
    assert np.float64 == run(lambda k: lg.stats.poisson.logpmf(k, 2.0), np.arange(3)).dtype
    n, p = np.array([3, 4, 5]), np.full(3, 0.5, "float32")
    for trials in (n, 5):
        got = run(lambda p, trials=trials: lg.stats.binom.logpmf([0, 1, 2], trials, p), p, dtype="float32")
        np.testing.assert_allclose(got, scipy.stats.binom.logpmf([0, 1, 2], trials, 0.5), rtol=1e-6)
        assert np.float32 == got.dtype
    for scale in (2, 2.5, True):
        assert np.float32 == run(lambda x, s=scale: lg.stats.norm.logpdf(x, 1, s), x, dtype="float32").dtype
        assert np.float32 == run(lambda x, s=scale: lg.stats.gamma.ppf(x / 2, 3, 1, s), x, dtype="float32").dtype
    assert np.float16 == run(lambda x: lg.stats.norm.logpdf(x, 0.1), x.astype("float16")).dtype


def test_a_function_that_a_family_has_not_is_named():
    """Random numbers are drawn otherwise here."""
    with pytest.raises(AttributeError) as caught:
        lg.stats.norm.rvs(3)
    assert "there is no lg.stats.norm.rvs" in str(caught.value)
    assert "ctx.random" in str(caught.value)
    assert dir(lg.stats.norm) == ["cdf", "isf", "logcdf", "logpdf", "logsf", "pdf", "ppf", "sf"]


def test_far_in_the_tails_the_logarithms_keep_their_digits():
    """Where the density and the probability are 0; references by arbitrary precision."""
    y = run(
        lambda x: (lg.stats.norm.logpdf(x), lg.stats.norm.logcdf(x), lg.stats.norm.logsf(-x)), np.array([-1e3, -40.0])
    )
    np.testing.assert_allclose(y[0], [-500000.9189385332, -800.9189385332047], rtol=1e-15)
    np.testing.assert_allclose(y[1], [-500007.8266948121843, -804.6084420137538], rtol=1e-15)
    np.testing.assert_allclose(y[2], y[1], rtol=1e-15)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_family_is_copied_and_pickled_as_itself(copied):
    """So that a step that holds one as its prior can go to another process."""
    assert all(copied(family) is family for family in (lg.stats.norm, lg.stats.poisson, lg.stats.weibull_min))
