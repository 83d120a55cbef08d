"""Derivatives of solutions by the implicit function theorem."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import lazygrad as lg

M = np.linspace(0.1, 3, 4)


def kepler(E: Any, e: Any, M: Any) -> Any:
    """Kepler's equation."""
    return E - e * lg.sin(E) - M


def solver(e: Any, M: Any) -> Any:
    """Its solution by SciPy, of arrays."""
    return scipy.optimize.newton(lambda E: E - e * np.sin(E) - M, M, fprime=lambda E: 1 - e * np.cos(E), tol=1e-15)


def steps(e: Any, M: Any) -> Any:
    """Its solution by Newton's method, written as a graph."""
    E = M
    for _ in range(8):
        E = E - kepler(E, e, M) / (1 - e * lg.cos(E))
    return E


WAYS = {
    "arrays": lg.implicit(solver, kepler, shape=lambda e, M: M),
    "arrays, elementwise": lg.implicit(solver, kepler, shape=lambda e, M: M, elementwise=True),
    "graph": lg.implicit(steps, kepler),
    "graph, elementwise": lg.implicit(steps, kepler, elementwise=True),
}


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Eccentricity and mean anomaly."""
    made = lg.VariableEnvironment(dtype="float64", seed=0)
    made.name("e").set(np.array(0.3))
    made.name("M").set(M)
    return made


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_of_three_orders_agree_with_those_of_the_way_to_the_solution(env: Any, way: str) -> None:
    """Reverse over reverse over reverse, under ``run`` and ``compile`` alike."""

    def derivatives(anomaly: Any) -> Any:
        def step(ctx: Any) -> Any:
            e, M = ctx.variable("e"), ctx.variable("M")
            E = anomaly(e, M)
            g = lg.grad(lg.sum(E**2), [e, M])
            h = lg.grad(g[0] + lg.sum(g[1] ** 2), [e, M])
            return E, g, h, lg.grad(h[0] + lg.sum(h[1] ** 2), [e, M])

        return step

    expected = env.run(derivatives(steps))
    for found in (env.run(derivatives(WAYS[way])), env.compile(derivatives(WAYS[way]), wait=True)()):
        for a, b in zip(expected, found, strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_allclose(x, y, rtol=1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_forward_mode_and_matrices(env: Any, way: str) -> None:
    """Directional derivatives, Jacobians, Hessians and their products."""

    def derivatives(anomaly: Any) -> Any:
        def step(ctx: Any) -> Any:
            e, M = ctx.variable("e"), ctx.variable("M")
            E = anomaly(e, M)
            total = lg.sum(E**3)
            along = [1.0, lg.ones_like(M)]
            return [
                lg.jvp(E, [e, M], along),
                lg.jacobian(E, M),
                lg.hessian(total, M),
                *lg.hessian_vector_product(total, [e, M], along),
            ]

        return step

    for a, b in zip(env.run(derivatives(steps)), env.run(derivatives(WAYS[way])), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_the_derivative_of_a_linear_system_is_that_of_solve(env: Any) -> None:
    """With a matrix as a parameter, and a solution of another shape than its parameters."""
    solution = lg.implicit(np.linalg.solve, lambda x, A, b: A @ x - b, shape=lambda A, b: b)

    def step(ctx: Any, A: Any, b: Any) -> Any:
        x, y = solution(A, b), lg.linalg.solve(A, b)
        return lg.grad(lg.sum(x**2), [A, b]), lg.grad(lg.sum(y**2), [A, b])

    found, expected = env.run(step, np.array([[3.0, 1], [1, 2]]), np.array([1.0, 2]))
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_minimum_depends_on_the_data_it_is_fitted_to(env: Any) -> None:
    """The residual is the gradient of a loss; the derivative is the influence of each datum."""
    x = np.linspace(0, 1, 6)

    def slope(w: Any, y: Any) -> Any:
        return lg.grad(lg.sum(lg.square(w[0] + w[1] * x - y)), w)

    def fit(y: Any) -> Any:
        return np.polyfit(x, y, 1)[::-1]

    fitted = lg.implicit(fit, slope, shape=2)
    J = env.run(lambda ctx, y: lg.jacobian(fitted(y), y), np.sin(x))
    np.testing.assert_allclose(np.linalg.pinv(np.stack([np.ones(6), x], axis=1)), J, atol=1e-12)


def test_whole_numbers_among_the_parameters_have_no_derivative(env: Any) -> None:
    """They are passed on, and the others are differentiated."""
    root = lg.implicit(lambda a, n: a ** (1 / n), lambda x, a, n: x**n - a, shape=())

    def step(ctx: Any, n: Any) -> Any:
        a = ctx.variable("e")
        return lg.grad(root(a, n), a)

    assert 1 / 3 * 0.3 ** (-2 / 3) == pytest.approx(float(env.run(step, np.array(3))))


def test_a_solver_may_change_the_arrays_it_is_given(env: Any) -> None:
    """They are copies of its own."""

    def halved(a: Any) -> Any:
        a *= 0.5
        return a

    half = lg.implicit(halved, lambda x, a: 2 * x - a, shape=lambda a: a)
    np.testing.assert_array_equal(M / 2, env.run(lambda ctx: half(ctx.variable("M"))))
    np.testing.assert_array_equal(M, env["M"])


def test_float32_stays_float32() -> None:
    """What the solver finds in float64 is cast to the dtype of the parameters."""
    root = lg.implicit(np.sqrt, lambda x, a: x * x - a, shape=lambda a: a)
    env = lg.VariableEnvironment()
    x, g = env.run(lambda ctx, a: (y := root(a), lg.grad(y, a)), np.array([4.0], "float32"))
    assert (np.float32, np.float32) == (x.dtype, g.dtype)
    np.testing.assert_allclose([2, 0.25], [x[0], g[0]])


def failing(env: Any, kind: type[Exception], step: Any) -> str:
    """The message of an error; the variables are as before."""
    before = env["e"], env["M"]
    with pytest.raises(kind) as caught:
        env.run(step)
    np.testing.assert_array_equal(before[0], env["e"])
    np.testing.assert_array_equal(before[1], env["M"])
    return str(caught.value)


def test_a_residual_of_another_shape_is_an_error(env: Any) -> None:
    """Where the solution is asked for."""
    wrong = lg.implicit(solver, lambda E, e, M: lg.sum(E), shape=lambda e, M: M)
    message = failing(env, lg.SpecError, lambda ctx: wrong(ctx.variable("e"), ctx.variable("M")))
    assert "the residual is not like the solution" in message
    assert "solution:  float64[4]" in message


def test_a_solver_that_finds_another_shape_is_an_error(env: Any) -> None:
    """When it is run."""
    wrong = lg.implicit(lambda e, M: M[:2], kepler, shape=lambda e, M: M)
    message = failing(env, lg.SpecError, lambda ctx: wrong(ctx.variable("e"), ctx.variable("M")))
    assert "found:  [2]" in message
    forgotten = lg.implicit(lambda e, M: 3.0, kepler)
    message = failing(env, lg.SpecError, lambda ctx: forgotten(ctx.variable("e"), ctx.variable("M")))
    assert "say shape=" in message


def test_a_residual_that_reads_a_variable_by_itself_is_an_error(env: Any) -> None:
    """Its derivative would be missed; held constant, it may."""

    def hidden(ctx: Any, hold: Any) -> Any:
        e = ctx.variable("e")
        anomaly = lg.implicit(lambda M: steps(0.3, M), lambda E, M: kepler(E, hold(e), M))
        return lg.grad(lg.sum(anomaly(ctx.variable("M"))), ctx.variable("M"))

    message = failing(env, lg.GradientError, lambda ctx: hidden(ctx, lambda t: t))
    assert "variable:  'e'" in message
    expected = env.run(lambda ctx: lg.grad(lg.sum(steps(0.3, ctx.variable("M"))), ctx.variable("M")))
    np.testing.assert_allclose(expected, env.run(lambda ctx: hidden(ctx, lg.stop_gradient)), rtol=1e-8)


@pytest.mark.parametrize("given", [(3, kepler), (solver, "kepler")])
def test_both_are_functions(given: Any) -> None:
    """It is said at once."""
    with pytest.raises(lg.DefinitionError, match="not a function"):
        lg.implicit(*given)
