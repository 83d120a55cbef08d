"""Minima by the methods of SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import lazygrad as lg
from lazygrad.optimize.methods import METHODS

opt = lg.optimize
LOOSE = {"COBYLA": 0.05, "TNC": 1e-3, "SLSQP": 1e-3}  # as far as SciPy's own tolerances go


def rosen(x: Any) -> Any:
    """Rosenbrock's function in NumPy."""
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("method", [m.name for m in METHODS])
def test_every_method_of_scipy_finds_the_minimum(valley: Any, env: Any, method: str) -> None:
    """From the classical start, and leaves the variables there, in their shapes."""
    if method == "COBYLA":  # which is slow in a valley
        env["a"] = 0.9
    result = opt.minimize(valley, method=method)
    assert isinstance(result, scipy.optimize.OptimizeResult)
    np.testing.assert_allclose([1, 1], result.x, atol=LOOSE.get(method, 1e-4) * 3)
    assert (env["a"], env["b"].item()) == tuple(result.x)
    assert (env["a"], env["b"].shape) == (result.variables["a"], result.variables["b"].shape)


def test_the_table_of_methods_is_scipys() -> None:
    """Each that SciPy documents is there, by its name."""
    documented = scipy.optimize.minimize.__doc__
    assert documented is not None
    assert all(str(m.name).lower() in documented.lower() for m in METHODS)
    assert 15 == len(METHODS)


def test_the_path_is_that_of_scipy_with_a_gradient_by_hand(valley: Any) -> None:
    """Same iterations, same evaluations, same digits."""
    theirs = scipy.optimize.minimize(rosen, [-1.2, 1.0], jac=scipy.optimize.rosen_der, method="L-BFGS-B")
    ours = opt.minimize(valley)
    assert (theirs.nit, theirs.nfev, theirs.message) == (ours.nit, ours.nfev, ours.message)
    np.testing.assert_allclose(theirs.x, ours.x, rtol=1e-6)


def test_native_code_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that waits for native code, with data as arguments."""
    monkeypatch.setenv("LAZYGRAD_NATIVE", "auto")
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    env.name("w").set(np.zeros(3))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)

    def loss(ctx: Any, data: Any) -> Any:
        return lg.mean(lg.square(data["x"] @ ctx.variable("w") - data["y"]))

    opt.minimize(env.compile(loss, wait=True), {"x": x, "y": y}, tol=1e-12)
    np.testing.assert_allclose(np.linalg.lstsq(x, y)[0], env["w"], rtol=1e-5)


def test_other_data_are_taken_at_the_next_call(env: Any) -> None:
    """The step is compiled once for data of one shape, and what it computes is that of the data given."""
    step = env.compile(lambda ctx, x: lg.sum(lg.square(ctx.variable("a") - x)))
    for value in (2.0, 5.0):
        opt.minimize(step, np.array([value, value + 2]))
        np.testing.assert_allclose(value + 1, env["a"])
    assert 1 == len(step._derived)


def test_keywords_are_given_for_good(env: Any) -> None:
    """By ``bound``; each setting is a step of its own."""

    def step(ctx: Any, x: Any, train: bool) -> Any:
        return lg.sum(lg.square(ctx.variable("a") - (x if train else 2 * x)))

    compiled = env.compile(step)
    for train, expected in ((True, 3.0), (False, 6.0)):
        opt.minimize(compiled.bound(train=train), np.array([3.0]))
        np.testing.assert_allclose(expected, env["a"])
    with pytest.raises(TypeError, match="train"):
        opt.minimize(compiled, np.array([3.0]))


def test_what_the_step_reads_beside_its_arguments_may_change(env: Any) -> None:
    """A number in the step's surroundings is looked at in each call."""
    target = 3.0

    def step(ctx: Any) -> Any:
        return lg.square(ctx.variable("a") - target)

    compiled = env.compile(step)
    opt.minimize(compiled)
    target = 7.0
    opt.minimize(compiled)
    np.testing.assert_allclose(7.0, env["a"])


def test_float32_variables_are_computed_in_float32() -> None:
    """SciPy sees float64; the variables keep their dtype."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.array([3.0, -2.0], "float32"))
    seen = []

    def step(ctx: Any) -> Any:
        seen.append(ctx.variable("w").dtype)
        return lg.sum(lg.square(ctx.variable("w") - 1))

    result = opt.minimize(env.compile(step), tol=1e-3)
    assert {np.dtype("float32")} == set(seen)
    assert (np.float32, np.float64) == (env["w"].dtype, result.x.dtype)
    np.testing.assert_allclose(1, env["w"], rtol=1e-4)


def test_only_trainable_variables_that_the_step_reads_are_moved(env: Any, valley: Any) -> None:
    """A frozen one stays; one that is named is moved all the same; others are not asked for."""
    other = env.name("other").set(np.ones(2))
    b = next(v for v in env if v.path == "b")
    b.trainable = False
    result = opt.minimize(valley)
    assert (["a"], 1.0) == (list(result.variables), env["b"].item())
    b.trainable = True
    assert ["a", "b"] == list(opt.minimize(valley).variables)
    b.trainable = False
    assert ["b"] == list(opt.minimize(valley, variables="b").variables)
    assert ["a"] == list(opt.minimize(valley, variables=[next(iter(env)), b]).variables)
    np.testing.assert_array_equal([1, 1], other.value)


def test_variables_are_chosen_by_namespace_and_by_nesting(env: Any) -> None:
    """A namespace stands for its trainable variables, and a dict for what is in it."""
    inner = env.namespace("net")
    w = inner.name("w").set(np.ones(2))
    inner.name("frozen").set(np.ones(2), trainable=False)
    step = env.compile(lambda ctx: lg.sum(ctx.variable("net/w") ** 2) + lg.sum((ctx.variable("a") - 2) ** 2))
    assert ["net/w"] == list(opt.minimize(step, variables=inner).variables)
    assert ["net/w", "a"] == list(opt.minimize(step, variables={"one": w, "two": ["a"]}).variables)


def test_layers_that_register_their_variables_at_the_first_run_are_minimised() -> None:
    """A network that has not been called yet has its variables when it is solved for."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(30, 2))
    y = x @ [[1.0], [2.0]] + 3

    def loss(ctx: Any, x: Any, y: Any) -> Any:
        w = env.name("late").set(np.zeros((2, 1))) if "late" not in env else next(iter(env))
        return lg.mean(lg.square(x @ ctx.variable(w) - y))

    opt.minimize(env.compile(loss), x, y)
    np.testing.assert_allclose(np.linalg.lstsq(x, y)[0], env["late"], rtol=1e-4)


@pytest.mark.parametrize("method", ["L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "COBYQA"])
def test_bounds_hold(valley: Any, env: Any, method: str) -> None:
    """By name, of one number for a variable, and of no number."""
    result = opt.minimize(valley, method=method, bounds={"a": (None, 0.5), "b": (-10, [[10.0]])})
    np.testing.assert_allclose([0.5, 0.25], result.x, atol=5e-3)
    assert env["a"] <= 0.5


@pytest.mark.parametrize("bounds", [[(None, 0.5), (None, None)], scipy.optimize.Bounds(-np.inf, [0.5, np.inf])])
def test_bounds_may_be_scipys(valley: Any, bounds: Any) -> None:
    """A list of pairs for the vector, or its object."""
    np.testing.assert_allclose([0.5, 0.25], opt.minimize(valley, bounds=bounds).x, atol=1e-4)


def disk(env: Any) -> Any:
    """A step that is positive within the disk of radius 1."""
    return env.compile(lambda ctx, r: r**2 - ctx.variable("a") ** 2 - lg.sum(ctx.variable("b") ** 2))


@pytest.mark.parametrize("method", ["SLSQP", "trust-constr", "COBYLA", "COBYQA"])
def test_constraints_are_steps(valley: Any, env: Any, method: str) -> None:
    """SciPy's example: the least value within the disk."""
    env["a"], env["b"] = 0.1, [[0.1]]
    constraint = {"type": "ineq", "fun": disk(env), "args": (np.array(1.0),)}
    options = {"maxiter": 3000} if method == "COBYLA" else None
    result = opt.minimize(valley, method=method, constraints=constraint, options=options)
    np.testing.assert_allclose([0.7864, 0.6177], result.x, atol=0.02 if method == "COBYLA" else 1e-3)


def test_an_equation_and_scipys_own_constraints(valley: Any, env: Any) -> None:
    """A step that is to vanish, beside one of SciPy's, on the vector."""
    line = env.compile(lambda ctx: ctx.variable("a") + lg.sum(ctx.variable("b")) - 1)
    own = scipy.optimize.LinearConstraint([[1.0, -1.0]], -9, 9)
    result = opt.minimize(valley, method="SLSQP", constraints=[{"type": "eq", "fun": line}, own], tol=1e-10)
    assert 1 == pytest.approx(env["a"] + env["b"].item())
    by_hand = {"type": "eq", "fun": lambda x: x[0] + x[1] - 1}
    expected = scipy.optimize.minimize(rosen, [-1.2, 1], method="SLSQP", constraints=by_hand, tol=1e-10)
    np.testing.assert_allclose(expected.x, result.x, atol=1e-5)


@pytest.mark.parametrize("method", ["SLSQP", "COBYLA", "COBYQA", "trust-constr"])
def test_scipys_object_holds_a_step(valley: Any, env: Any, method: str) -> None:
    """Each method is given what it takes, and nothing that SciPy warns of."""
    env["a"], env["b"] = 0.1, [[0.1]]
    far = env.compile(lambda ctx: ctx.variable("a") ** 2 + lg.sum(ctx.variable("b") ** 2))
    result = opt.minimize(valley, method=method, constraints=scipy.optimize.NonlinearConstraint(far, -np.inf, 1))
    np.testing.assert_allclose([0.7864, 0.6177], result.x, atol=0.05)


def test_second_derivatives_of_constraints_are_the_graphs(env: Any) -> None:
    """``trust-constr`` is given the Jacobian and the products with the curvature; they agree with differences."""
    from lazygrad.optimize.constraints import constraints_of
    from lazygrad.optimize.flat import loss_of
    from lazygrad.optimize.problem import posed

    step = env.compile(lambda ctx: lg.sum(ctx.variable("a") + lg.sum(ctx.variable("b"))))
    both = env.compile(lambda ctx: [lg.sin(ctx.variable("a")) * ctx.variable("b"), ctx.variable("a") ** 3])
    problem, _ = posed(step, (), None, "minimize", loss_of)
    (made,) = constraints_of([scipy.optimize.NonlinearConstraint(both, 0, 1)], problem, "trust-constr")
    x, u, v = np.array([0.4, 0.7]), np.array([2.0, -1.0]), np.array([0.3, 0.5])
    h = 1e-6
    J = np.stack([(made.fun(x + h * e) - made.fun(x - h * e)) / (2 * h) for e in np.eye(2)], axis=1)
    np.testing.assert_allclose(J, made.jac(x), atol=1e-8)
    expected = (made.jac(x + h * v).T @ u - made.jac(x - h * v).T @ u) / (2 * h)
    np.testing.assert_allclose(expected, made.hess(x, u) @ v, atol=1e-8)


def test_a_method_of_the_users_gets_all_derivatives(valley: Any) -> None:
    """A function in place of a method, as SciPy calls it."""

    def newton(fun: Any, x0: Any, args: Any, jac: Any, hessp: Any, **rest: Any) -> Any:
        x = x0
        for _ in range(20):
            H = np.stack([hessp(x, e) for e in np.eye(2)])
            x = x - np.linalg.solve(H, jac(x))
        return scipy.optimize.OptimizeResult(x=x, fun=fun(x), success=True)

    np.testing.assert_allclose([1, 1], opt.minimize(valley, method=newton).x)


def test_rosenbrock_in_a_thousand_dimensions() -> None:
    """One variable of a thousand numbers, to the last digits."""
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    env.name("x").set(np.tile([-1.2, 1.0], 500))

    @env.compile
    def loss(ctx: Any) -> Any:
        x = ctx.variable("x")
        return lg.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)

    opt.minimize(loss, tol=1e-14)
    np.testing.assert_allclose(1, env["x"], atol=1e-6)
