"""All or nothing: what becomes of the variables."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import lazygrad as lg

opt = lg.optimize


def test_a_limit_of_iterations_is_no_failure(valley: Any, env: Any) -> None:
    """The variables are at ``result.x``, as far as it has come."""
    result = opt.minimize(valley, options={"maxiter": 3})
    assert not result.success
    assert result.x[0] == env["a"] != -1.2


def test_the_callback_finds_the_variables_where_scipy_is(valley: Any, env: Any) -> None:
    """In both forms of callbacks; what it reads is the iterate, by name too."""
    seen, named = [], []
    opt.minimize(valley, callback=lambda x: seen.append((x[0], float(env["a"]))))

    def told(intermediate_result: Any) -> None:
        named.append((intermediate_result.x[0], float(intermediate_result.variables["a"]), float(env["a"])))

    env["a"] = -1.2
    opt.minimize(valley, callback=told)
    assert len(seen) > 5
    assert all(x == a for x, a in seen)
    assert all(x == a == b for x, a, b in named)


def test_a_callback_ends_the_search_by_stop_iteration(valley: Any, env: Any) -> None:
    """As SciPy has it: the result is where it stopped."""
    count = []

    def callback(x: Any) -> None:
        count.append(x.copy())
        if len(count) == 3:
            raise StopIteration

    result = opt.minimize(valley, callback=callback)
    assert 3 == len(count)
    assert (result.x[0], count[-1][0]) == (env["a"], env["a"])


@pytest.mark.parametrize("method", ["L-BFGS-B", "Nelder-Mead", "TNC", "SLSQP", "trust-constr", "COBYLA", "Newton-CG"])
def test_what_a_callback_raises_puts_the_variables_back(valley: Any, fails: Any, method: str) -> None:
    """Also after some iterations."""
    count = []

    def callback(x: Any, *state: Any) -> None:
        count.append(1)
        if len(count) == 2:
            raise ZeroDivisionError("mine")

    assert "mine" == fails(ZeroDivisionError, lambda: opt.minimize(valley, method=method, callback=callback))


class Stop:
    """A callback during which the user interrupts the third time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, x: Any) -> None:
        self.count += 1
        if self.count == 3:
            raise KeyboardInterrupt


def test_an_interrupt_puts_the_variables_back(valley: Any, env: Any) -> None:
    """The best so far is not kept unless it is asked for."""
    with pytest.raises(KeyboardInterrupt):
        opt.minimize(valley, callback=Stop())
    assert (-1.2, 1.0) == (env["a"], env["b"].item())


def test_an_interrupt_keeps_the_best_so_far_if_asked(valley: Any, env: Any) -> None:
    """The variables are where the loss was least of all points that were tried."""
    before = float(env.run(valley.__wrapped__))
    with pytest.raises(KeyboardInterrupt):
        opt.minimize(valley, callback=Stop(), keep_best=True)
    assert env["a"] != -1.2
    assert float(env.run(valley.__wrapped__)) < before


def test_an_error_puts_the_variables_back_even_if_the_best_is_asked_for(valley: Any, fails: Any) -> None:
    """Only an interrupt keeps it."""

    def callback(x: Any) -> None:
        raise ValueError("mine")

    fails(ValueError, lambda: opt.minimize(valley, callback=callback, keep_best=True))


def test_least_squares_keep_the_best_of_an_interrupt(env: Any) -> None:
    """The last point that was taken as a step."""
    calls = []

    def count(value: Any) -> None:
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt

    def residuals(ctx: Any) -> Any:
        a = ctx.variable("a")
        return lg.stack([lg.hook(10 * (lg.sum(ctx.variable("b")) - a**2), count), 1 - a])

    step = env.compile(residuals)
    with pytest.raises(KeyboardInterrupt):
        opt.least_squares(step, keep_best=True)
    assert env["a"] != -1.2
    env["a"] = -1.2
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        opt.least_squares(step)
    assert env["a"] == -1.2


def test_a_root_that_is_not_found_leaves_the_variables(env: Any) -> None:
    """The result says so, and where it was."""
    step = env.compile(lambda ctx: ctx.variable("a") ** 2 + 1)
    result = opt.root(step)
    assert not result.success
    assert -1.2 == env["a"]


def test_a_solution_that_is_not_finite_is_not_taken(env: Any) -> None:
    """Whoever found it: the variables are as before."""

    def lost(fun: Any, x0: Any, **rest: Any) -> Any:
        return scipy.optimize.OptimizeResult(x=x0 * np.inf, fun=fun(x0), success=False)

    step = env.compile(lambda ctx: lg.square(ctx.variable("a")))
    assert -np.inf == opt.minimize(step, method=lost).x[0]
    assert -1.2 == env["a"]


def test_nothing_is_registered_and_nothing_drawn(valley: Any, env: Any) -> None:
    """The environment has the same variables and random state as before."""
    before = env._store.state.runs, len(env)
    opt.minimize(valley)
    assert before == (env._store.state.runs, len(env))


def test_a_step_that_has_been_minimised_can_be_copied_and_pickled(valley: Any, env: Any) -> None:
    """What was compiled of it is not part of it."""
    opt.minimize(valley)
    other_env, other = copy.deepcopy((env, valley))
    other_env["a"] = 0.0
    opt.minimize(other)
    assert (1.0, env["a"]) == (pytest.approx(other_env["a"], abs=1e-3), pytest.approx(env["a"]))
    pickle.loads(pickle.dumps(opt.minimize(valley, method="BFGS")))
