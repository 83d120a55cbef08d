"""Adaptive Runge–Kutta methods: coefficients, tolerances, dense output, derivatives, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hull import END, PROBLEMS
from scipy.integrate import solve_ivp

import lazygrad as lg
from lazygrad.integrate.adaptive import _integrated
from lazygrad.integrate.control import Tolerance
from lazygrad.integrate.state import posed
from lazygrad.integrate.tableaux import METHODS, Tableau

EACH_METHOD = pytest.mark.parametrize("method", METHODS)
EACH_TABLEAU = pytest.mark.parametrize("tableau", METHODS.values(), ids=METHODS)
ROUNDING = 1e-13  # of coefficients that are given with sixteen digits, some of them larger than 10


def environment() -> lg.VariableEnvironment:
    """One that computes in float64."""
    return lg.VariableEnvironment(dtype="float64")


def both(step: Callable[..., Any], *arrays: Any, near: float = 1e-10) -> Any:
    """What a step gives by env.run, once it is known that native code gives the same.

    An error that is far below the tolerance has few digits, and the size of the next step no more; so ``near`` is a
    small part of the tolerance.
    """
    env = environment()
    result = env.run(step, *arrays)
    compiled = env.compile(step, wait=True)
    for _ in range(2):
        np.testing.assert_allclose(compiled(*arrays), result, rtol=near, atol=near)
    return result


def pendulum(t: Any, y: Any) -> Any:
    """A pendulum with friction."""
    return lg.stack([y[1], -9.81 * lg.sin(y[0]) - 0.2 * y[1]])


def exact(t: Any, first: Any = (1.2, 0.0)) -> Any:
    """The same by SciPy, to nearly all digits."""

    def slope(_: float, y: Any) -> list[float]:
        return [y[1], -9.81 * np.sin(y[0]) - 0.2 * y[1]]

    return solve_ivp(slope, (t[0], t[-1]), first, "DOP853", t_eval=t, rtol=1e-13, atol=1e-14).y.T


def weights(tableau: Tableau) -> np.ndarray[Any, Any]:
    """b, with the last slope, which it does not use."""
    return np.array([*tableau.rows[-1], 0.0])


def matrix(tableau: Tableau) -> np.ndarray[Any, Any]:
    """a, as a lower triangle."""
    a = np.zeros((7, 7))
    for i, row in enumerate(tableau.rows, 1):
        a[i, : len(row)] = row
    return a


@EACH_TABLEAU
def test_coefficients_fulfil_the_conditions_of_order_five(tableau: Tableau) -> None:
    """All seventeen of them (Hairer, Nørsett and Wanner 1993, §II.2, table 2.2)."""
    a, b, c = matrix(tableau), weights(tableau), np.array(tableau.places)
    np.testing.assert_allclose(a.sum(1), c, atol=ROUNDING)
    ac, ac2, aac = a @ c, a @ c**2, a @ a @ c
    sums = {
        1: [b.sum()], 2: [b @ c], 3: [b @ c**2],
        6: [b @ ac], 4: [b @ c**3], 8: [b @ (c * ac)], 12: [b @ ac2], 24: [b @ aac],
        5: [b @ c**4], 10: [b @ (c**2 * ac)], 15: [b @ (c * ac2)], 30: [b @ (c * aac)],
        20: [b @ ac**2, b @ (a @ c**3)], 40: [b @ (a @ (c * ac))], 60: [b @ (a @ ac2)], 120: [b @ (a @ aac)],
    }  # fmt: skip
    assert sum(map(len, sums.values())) == 17
    for denominator, found in sums.items():
        np.testing.assert_allclose(found, 1 / denominator, atol=ROUNDING)


@EACH_TABLEAU
def test_the_embedded_method_is_of_order_four(tableau: Tableau) -> None:
    """Its weights are b − e; so e alone gives nothing up to that order, and something in the next."""
    a, c, e = matrix(tableau), np.array(tableau.places), np.array(tableau.errors)
    ac = a @ c
    lower = [e.sum(), e @ c, e @ c**2, e @ ac, e @ c**3, e @ (c * ac), e @ (a @ c**2), e @ (a @ ac)]
    np.testing.assert_allclose(lower, 0, atol=ROUNDING)
    assert abs(e @ c**4) > 1e-4


@EACH_TABLEAU
def test_dense_output_is_of_order_four(tableau: Tableau) -> None:
    """Σ bᵢ(θ)·cᵢᵏ = θᵏ⁺¹/(k + 1), and the other conditions, at any θ."""
    a, b, c, q = matrix(tableau), weights(tableau), np.array(tableau.places), np.array(tableau.dense)
    for theta in (0.0, 0.3, 0.71, 1.0):
        rest, first, last = 1 - theta, np.eye(7)[0], np.eye(7)[6]
        cubic = theta * (b + rest * ((first - b) + theta * (2 * b - last - first)))
        bt = cubic + theta**2 * rest**2 * q
        for found, power, part in [
            (bt.sum(), 1, 1), (bt @ c, 2, 2), (bt @ c**2, 3, 3), (bt @ (a @ c), 3, 6),
            (bt @ c**3, 4, 4), (bt @ (c * (a @ c)), 4, 8), (bt @ (a @ c**2), 4, 12), (bt @ (a @ (a @ c)), 4, 24),
        ]:  # fmt: skip
            np.testing.assert_allclose(found, theta**power / part, atol=1e-12)


@EACH_METHOD
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_a_solution_is_as_exact_as_was_asked_for(method: str, tolerance: float) -> None:
    """At many times, most of which lie within steps; by SciPy's method of order eight."""
    t = np.linspace(0, 3, 41)

    def step(ctx: Any, y0: Any) -> Any:
        return lg.odeint(pendulum, y0, t, method=method, rtol=tolerance)

    found = both(step, np.array([1.2, 0.0]), near=max(1e-4 * tolerance, 1e-10))
    truth = exact(t)
    assert (np.abs(found - truth).max(0) < 10 * tolerance * np.abs(truth).max(0)).all()


@EACH_METHOD
def test_times_may_fall(method: str) -> None:
    """From the end back to the beginning."""
    t = np.linspace(0, 2, 9)
    forth = exact(t)
    found = both(lambda ctx, y0: lg.odeint(pendulum, y0, t[::-1].copy(), method=method, rtol=1e-9), forth[-1])
    np.testing.assert_allclose(found[::-1], forth, atol=1e-7)


@pytest.mark.slow
@EACH_METHOD
@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_of_hull_reach_the_tolerance_in_every_step(name: str, tolerance: float, method: str) -> None:
    """A step errs by no more than ten times the tolerance (in the norm of the controller), at most thirty of them."""
    problem = PROBLEMS[name]
    env = environment()

    def step(ctx: Any, y0: Any) -> Any:
        def slope(t: Any, y: Any) -> Any:
            return problem.slope(lg, t, y)

        equation = posed("odeint", slope, y0, np.array([0, END]))
        found = _integrated(equation, METHODS[method], Tolerance(tolerance, tolerance), None, 1000)
        return found.taken.t, found.taken.y[0]

    starts, states = env.run(step, np.array(problem.first))
    kept = np.flatnonzero(np.diff(starts))
    for i in kept[:: max(len(kept) // 30, 1)]:
        ends = starts[i], starts[i + 1]
        truth = solve_ivp(lambda t, y: problem.slope(np, t, y), ends, states[i], "DOP853", rtol=1e-13, atol=1e-14)
        scale = tolerance * (1 + np.maximum(np.abs(states[i]), np.abs(states[i + 1])))
        assert np.sqrt(np.mean(((states[i + 1] - truth.y[:, -1]) / scale) ** 2)) < 10


@pytest.mark.slow
@EACH_METHOD
@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_of_hull_are_solved_as_well_as_by_scipy(name: str, method: str) -> None:
    """At the end, in at most 1.5 times the steps: errors grow on the way as the equation makes them grow."""
    problem = PROBLEMS[name]
    tolerance = 1e-6

    def slope(t: float, y: Any) -> Any:
        return problem.slope(np, t, y)

    truth = solve_ivp(slope, (0, END), problem.first, "DOP853", rtol=2.3e-14, atol=1e-15).y[:, -1]
    theirs = solve_ivp(slope, (0, END), problem.first, "RK45", rtol=tolerance, atol=tolerance)
    most = int(1.5 * theirs.nfev / 6) + 5  # which counts the steps that were tried too
    ours = environment().run(
        lambda ctx, y0: lg.odeint(
            lambda t, y: problem.slope(lg, t, y), y0, [0, END], method=method, rtol=tolerance, atol=tolerance,
            max_steps=most,
        ),
        np.array(problem.first),
    )[-1]  # fmt: skip
    errors = [np.sqrt(np.mean(((y - truth) / (1 + np.abs(truth))) ** 2)) for y in (ours, theirs.y[:, -1])]
    assert errors[0] < 10 * max(tolerance, errors[1])


def solution(y0: Any, p: Any, t: Any, method: str = "dopri5") -> Any:
    """A forced pendulum that reads a tensor from outside, and the time."""

    def slope(t: Any, y: Any) -> Any:
        return lg.stack([y[1], -p[0] * lg.sin(y[0]) - p[1] * y[1] + 0.3 * lg.cos(t)])

    return lg.odeint(slope, y0, t, method=method, rtol=1e-11, atol=1e-11, max_steps=32)


@EACH_METHOD
@pytest.mark.thinned(2)
def test_derivatives_are_those_of_finite_differences(method: str) -> None:
    """In the state, in what the slope reads, and in the times; reverse and forward, of both orders."""
    arrays = np.array([0.7, 0.1]), np.array([2.0, 0.3]), np.array([0.1, 0.2, 0.33, 0.4])
    lg.testing.check_gradient(lambda *xs: solution(*xs, method), *arrays)


def test_a_gradient_is_the_same_in_native_code() -> None:
    """Of the last state and of one within a step."""
    t = np.linspace(0, 0.4, 5)

    def step(ctx: Any, y0: Any, p: Any) -> Any:
        y = solution(y0, p, t)
        return lg.concat(lg.grad(lg.sum(y[-1] * y[2]), [y0, p]))

    both(step, np.array([0.7, 0.1]), np.array([2.0, 0.3]))


def test_a_state_may_be_nested() -> None:
    """In tuples and dicts, with shapes and dtypes of their own."""

    def slope(t: Any, y: Any) -> Any:
        return {"place": y["speed"], "speed": (-y["place"][0], -y["place"][1])}

    def step(ctx: Any) -> Any:
        place = lg.asarray([[1.0, 2.0]]), lg.asarray(3.0, dtype="float32")
        y0 = {"place": place, "speed": (lg.zeros((1, 2)), lg.zeros((), "float32"))}
        slopes = {"place": y0["speed"], "speed": place}
        assert slopes.keys() == y0.keys()
        return lg.odeint(slope, y0, [0, 1, np.pi], rtol=1e-6)

    found = environment().run(step)
    assert (3, 1, 2) == found["place"][0].shape
    assert (np.float64, np.float32) == tuple(part.dtype for part in found["place"])
    np.testing.assert_allclose(found["place"][0][:, 0], np.outer(np.cos([0, 1, np.pi]), [1, 2]), atol=1e-4)
    np.testing.assert_allclose(found["place"][1], 3 * np.cos([0, 1, np.pi]), atol=1e-4)


def test_one_time_gives_the_state_there() -> None:
    """Nothing is integrated."""
    found = both(lambda ctx, y0: lg.odeint(pendulum, y0, [0.5]), np.array([1.2, 0.0]))
    np.testing.assert_array_equal(found, [[1.2, 0.0]])


def test_a_first_step_that_is_too_long_is_tried_again() -> None:
    """And the state at the beginning is what was given, bit for bit."""
    t = np.linspace(0, 1, 4)
    found = both(lambda ctx, y0: lg.odeint(pendulum, y0, t, rtol=1e-8, first=1.0), np.array([1.2, 0.0]))
    assert found[0].tolist() == [1.2, 0.0]
    np.testing.assert_allclose(found, exact(t), atol=1e-7)


def test_a_variable_of_the_environment_may_be_read() -> None:
    """And learned: the gradient is for it."""
    env = environment()
    env.name("rate").set(np.array(0.5))

    def step(ctx: Any, y0: Any) -> Any:
        rate = ctx.variable("rate")
        y = lg.odeint(lambda t, y: -rate * y, y0, [0, 2], rtol=1e-10)[-1]
        return y, lg.grad(y, rate)

    y, slope = env.run(step, np.array(3.0))
    np.testing.assert_allclose([y, slope], [3 * np.exp(-1), -6 * np.exp(-1)], rtol=1e-8)


def refused(step: Callable[..., Any], *arrays: Any) -> str:
    """The message, without the line of this file that it names; the environment is as before."""
    env = environment()
    env.name("kept").set(np.array(1.0))

    def changing(ctx: Any, *xs: Any) -> Any:
        return step(ctx, *xs), ctx.assign("kept", ctx.variable("kept") + 1)

    with pytest.raises(lg.LazygradError) as error:
        env.run(changing, *arrays)
    assert float(env["kept"]) == 1.0
    what, place, rest = (str(error.value) + "\n\n").split("\n\n", 2)
    assert "test_odeint.py:" in place
    return f"{type(error.value).__name__}: {what}\n{rest.rstrip()}"


def test_too_few_steps_are_an_error() -> None:
    """That says how far they went."""
    said = refused(lambda ctx, y0: lg.odeint(lambda t, y: 0 * y, y0, [0, 900], first=0.5, max_steps=3), np.array(1.0))
    assert said == (
        "LoopError: odeint has tried max_steps=3 steps, and is not at the end\n"
        "    reached:  t = 15.5 of 900\n"  # 0.5 + 2.5 + 12.5: no step has an error, and each is five times the last
        "    step:     62.5\n"
        "    Give more max_steps or a larger rtol and atol; a stiff equation needs very many steps."
    )


@EACH_METHOD
def test_a_step_that_becomes_too_small_is_an_error(method: str) -> None:
    """The solution of y' = y² from 1 is 1/(1 − t): nothing goes on from there."""
    said = refused(lambda ctx, y0: lg.odeint(lambda t, y: y * y, y0, [0, 2], method=method), np.array(1.0))
    assert said.startswith("DataError: odeint cannot go on from t = 1: its steps become too small to change t\n")
    assert said.endswith("\n    Look at f there: the solution may grow without bound or have a jump, or f gives NaN.")


def test_a_slope_that_is_nan_is_an_error() -> None:
    """From the first step on."""
    said = refused(lambda ctx, y0: lg.odeint(lambda t, y: y * np.nan, y0, [0, 2]), np.array(1.0))
    assert said.startswith("DataError: odeint cannot go on from t = 0: its steps become too small to change t\n")


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda y: lg.odeint(lambda t, y: y[:1], y, [0, 1]),
            "SpecError: cannot odeint: the slope does not fit y\n"
            "    y:      float64[2]\n    dy/dt:  float64[1]\n"
            "    f(t, y) gives dy/dt, of the shape of y, in floating numbers.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: [y[0]], [y, y], [0, 1]),
            "SpecError: cannot odeint: f gives another structure than y\n"
            "    state:  [float64[2], float64[2]]\n    slope:  [float64[2]]\n"
            "    f(t, y) gives dy/dt, nested as y is.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 2, 1]),
            "SpecError: cannot odeint: the times do not go in one direction\n    t:  [0 2 1]\n"
            "    Give times that rise from the first to the last, or fall.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, lg.zeros((2, 2))),
            "SpecError: cannot odeint at float64[2, 2]\n"
            "    t is a vector: the time of y0, then the times at which the state is wanted.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, lg.astype(y, "int64"), [0, 1]),
            "SpecError: cannot odeint from y0, int64[2]\n"
            "    It changes by small steps: give floating numbers, such as lg.astype(y0, 'float64').",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, (), [0, 1]),
            "SpecError: cannot odeint from (): there is no state\n    Give a tensor.",
        ),
        (
            lambda y: lg.odeint(3, y, [0, 1]),
            "DefinitionError: cannot odeint 3: it is not a function\n"
            "    Give odeint(f, y0, t): f(t, y) gives dy/dt.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 1], method="euler"),
            "SpecError: cannot odeint with method='euler'\n    method is 'dopri5' or 'tsit5'.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 1], rtol=-1),
            "SpecError: cannot odeint with rtol=-1\n    It is a number that is not negative.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 1], first=0),
            "SpecError: cannot odeint with first=0\n    It is a number greater than 0.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 1], rtol=0),
            "SpecError: cannot odeint with rtol=0 and atol=0\n"
            "    One of the two is greater than 0: no step has no error.",
        ),
        (
            lambda y: lg.odeint(lambda t, y: y, y, [0, 1], max_steps=0),
            "SpecError: cannot odeint with max_steps=0\n"
            "    It is a whole number, 1 or more: so many steps may be tried.",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_where_it_is_written(call: Callable[[Any], Any], expected: str) -> None:
    """The whole message, with what to do."""
    assert expected == refused(lambda ctx, y: call(y), np.array([1.0, 2.0]))
