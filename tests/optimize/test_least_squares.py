"""Least squares and roots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import lazygrad as lg

opt = lg.optimize


@pytest.fixture
def decay() -> Any:
    """An environment, a step of residuals of a decaying exponential, data, and their parameters."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    env.name("size").set(np.array(1.0))
    env.name("rate").set(np.array([1.0]))
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 40)
    y = 2.5 * np.exp(-1.3 * x) + 0.01 * rng.normal(size=40)
    step = env.compile(lambda ctx, x, y: ctx.variable("size") * lg.exp(-ctx.variable("rate") * x) - y)
    return env, step, x, y


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_each_method_agrees_with_scipys(decay: Any, method: str) -> None:
    """The same solution, residuals and Jacobian as with a function in NumPy."""
    env, step, x, y = decay
    ours = opt.least_squares(step, x, y, method=method)
    theirs = scipy.optimize.least_squares(lambda p: p[0] * np.exp(-p[1] * x) - y, [1.0, 1.0], method=method)
    np.testing.assert_allclose(theirs.x, ours.x, rtol=1e-5)
    np.testing.assert_allclose(theirs.fun, ours.fun, atol=1e-5)
    np.testing.assert_allclose(theirs.jac, ours.jac, atol=1e-4)
    assert (ours.x[0], ours.x[1]) == (env["size"], env["rate"].item())


def test_bounds_are_given_by_name_or_as_scipy_takes_them(decay: Any) -> None:
    """By name, a pair for the vector, or the object."""
    env, step, x, y = decay
    for bounds in ({"rate": (None, 1.1)}, ([-np.inf, -np.inf], [np.inf, 1.1]), scipy.optimize.Bounds(-9, [9, 1.1])):
        env["rate"] = [1.0]
        assert 1.1 == pytest.approx(opt.least_squares(step, x, y, bounds=bounds).x[1], abs=1e-6)


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_robust_losses_hold_against_an_outlier(decay: Any, loss: str) -> None:
    """One wild datum moves the plain fit far, and a robust one hardly."""
    env, step, x, y = decay
    y[3] = 30.0
    plain = opt.least_squares(step, x, y).x
    env["size"], env["rate"] = 2.0, [1.0]
    robust = opt.least_squares(step, x, y, loss=loss, f_scale=0.05).x
    assert abs(plain[0] - 2.5) > 1
    np.testing.assert_allclose([2.5, 1.3], robust, rtol=0.03)


@pytest.fixture
def chain() -> Any:
    """An environment of 60 numbers, and Broyden's tridiagonal residuals of them, with where its Jacobian is not 0."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    env.name("x").set(np.full(60, -1.0))

    @env.compile
    def residuals(ctx: Any) -> Any:
        x = ctx.variable("x")
        wide = lg.pad(x, ((1, 1),))
        return (3 - 2 * x) * x - wide[:-2] - 2 * wide[2:] + 1

    return env, residuals, np.eye(60) + np.eye(60, k=1) + np.eye(60, k=-1)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.coo_array, lambda a: a.tolist()])
def test_a_sparse_jacobian_comes_from_three_products(chain: Any, form: Any) -> None:
    """It is kept sparse, and is that of the dense way."""
    env, step, places = chain
    result = opt.least_squares(step, jac_sparsity=form(places), tr_solver="lsmr")
    assert scipy.sparse.issparse(result.jac)
    np.testing.assert_allclose(0, result.fun, atol=1e-8)
    env["x"] = result.x
    dense = opt.least_squares(step, max_nfev=1).jac
    np.testing.assert_allclose(dense, result.jac.toarray(), atol=1e-6)


def test_columns_that_share_no_row_are_one_product(chain: Any) -> None:
    """Of a band of width three there are three groups, whatever the size."""
    from lazygrad.optimize.sparsity import _groups

    groups = _groups(scipy.sparse.csr_matrix(chain[2]))
    assert {0, 1, 2} == set(groups)


def test_without_a_matrix_only_products_are_computed(chain: Any) -> None:
    """With ``lsmr`` the Jacobian is an operator."""
    result = opt.least_squares(chain[1], tr_solver="lsmr")
    np.testing.assert_allclose(0, result.fun, atol=1e-6)
    assert not isinstance(result.jac, np.ndarray)


@pytest.mark.parametrize(("rows", "columns"), [(40, 30), (30, 40), (5, 40), (40, 5)])
def test_large_jacobians_are_computed_row_by_row_or_column_by_column(rows: int, columns: int) -> None:
    """Whichever are fewer, and written into one step where they are few."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    A = np.random.default_rng(0).normal(size=(rows, columns))
    env.name("x").set(np.linspace(0, 1, columns))
    step = env.compile(lambda ctx, A: lg.sin(A @ ctx.variable("x")))
    result = opt.least_squares(step, A, max_nfev=1)
    np.testing.assert_allclose(np.cos(A @ result.x)[:, None] * A, result.jac, atol=1e-12)


def test_residuals_may_be_several_of_any_shape(env: Any) -> None:
    """They are taken in a row, as are variables of several shapes."""
    step = env.compile(lambda ctx: {"one": ctx.variable("b") - 2, "two": [ctx.variable("a") * ctx.variable("b") - 6]})
    result = opt.least_squares(step)
    np.testing.assert_allclose([3, 2], result.x)
    assert (2,) == result.fun.shape


@pytest.mark.parametrize("method", ["hybr", "lm", "broyden1", "krylov", "df-sane"])
def test_roots_are_found_by_scipys_methods(env: Any, method: str) -> None:
    """SciPy's example, over two variables."""
    env["a"], env["b"] = 0.8, [[0.4]]

    @env.compile
    def equations(ctx: Any) -> Any:
        x, y = ctx.variable("a"), lg.reshape(ctx.variable("b"), ())
        return [x + 0.5 * (x - y) ** 3 - 1, 0.5 * (y - x) ** 3 + y]

    result = opt.root(equations, method=method)
    assert result.success
    np.testing.assert_allclose([0.8411639, 0.1588361], result.x, atol=1e-5)
    assert (result.x[0], result.x[1]) == (env["a"], env["b"].item())


def test_a_callback_of_roots_finds_the_variables_there(env: Any) -> None:
    """Where the method takes one."""
    seen = []
    step = env.compile(lambda ctx: ctx.variable("a") ** 3 + 8)
    opt.root(step, method="broyden1", callback=lambda x, f: seen.append((x.item(), float(env["a"]))))
    assert seen
    assert all(x == a for x, a in seen)
