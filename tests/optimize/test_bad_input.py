"""What cannot be solved is refused, in the four-part form, with the variables as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize

import lazygrad as lg

opt = lg.optimize


def said(message: str) -> list[str]:
    """The parts of a message, without the place."""
    return [line.strip() for line in message.splitlines() if line.strip() and ", in " not in line]


def test_bounds_of_another_shape(valley: Any, fails: Any) -> None:
    """By name, as pairs, and as a pair."""
    assert [
        "a bound of variable 'b' is of another shape",
        "variable:  float64[1, 1]",
        "bound:     [3]",
        "A bound is one number, or has the shape of its variable, [1, 1].",
    ] == said(fails(lg.SpecError, lambda: opt.minimize(valley, bounds={"b": ([0, 0, 0], None)})))
    assert [
        "there are not as many pairs of bounds as numbers",
        "pairs of bounds:  [1]",
        "variables:  'a' [], 'b' [1, 1]",
        "The variables have 2 numbers; by name it is easier: bounds={'a': (low, high)}.",
    ] == said(fails(lg.SpecError, lambda: opt.minimize(valley, bounds=[(0, 1)])))
    for bounds in (5, "none", [1, 2], {"a": 3}, {"a": ("x", "y")}):
        assert "as bounds" in fails(lg.SpecError, lambda bounds=bounds: opt.minimize(valley, bounds=bounds))


def test_bounds_with_nothing_between_them(valley: Any, fails: Any) -> None:
    """And those of what is not solved for."""
    message = fails(lg.DataError, lambda: opt.minimize(valley, bounds={"b": (2, 1)}))
    assert "variable 'b'[0, 0]:  from 2 to 1" in message
    message = fails(lg.VariableError, lambda: opt.minimize(valley, bounds={"c": (2, 1)}))
    assert ["bounds of 'c', which is not solved for", "There are: 'a', 'b'."] == said(message)


@pytest.mark.parametrize("solve", ["minimize", "least_squares"])
def test_a_start_beyond_the_bounds(env: Any, fails: Any, solve: str) -> None:
    """The variables are named, with where they are and where they should be."""
    step = env.compile(lambda ctx: lg.sum(ctx.variable("a") ** 2) if solve == "minimize" else ctx.variable("b") ** 2)
    name, value = ("a", "-1.2") if solve == "minimize" else ("b", "1")
    message = fails(lg.DataError, lambda: getattr(opt, solve)(step, bounds={name: (2, 3)}))
    where = f"variable {name!r}" + ("[0, 0]" if name == "b" else "")
    assert [
        "the start is not within the bounds",
        f"{where}:  {value}, to be from 2 to 3",
        "Set them to start within their bounds: env[name] = array.",
    ] == said(message)


def test_residuals_that_are_one_number(valley: Any, fails: Any) -> None:
    """A loss given to least squares."""
    parts = said(fails(lg.SpecError, lambda: opt.least_squares(valley)))
    assert "the residuals are a single number" == parts[0]
    assert parts[-1].endswith("one number is for lg.optimize.minimize.")


def test_a_loss_that_is_not_one_number(env: Any, fails: Any) -> None:
    """Residuals given to minimize, or whole numbers."""
    step = env.compile(lambda ctx: ctx.variable("a") - np.ones(3))
    message = fails(lg.SpecError, lambda: opt.minimize(step))
    assert message.endswith("Return one number, such as lg.mean(loss); residuals are for lg.optimize.least_squares.")
    step = env.compile(lambda ctx: lg.sum(ctx.variable("a") > 0))
    assert "not a single floating number" in fails(lg.SpecError, lambda: opt.minimize(step))
    step = env.compile(lambda ctx: (ctx.variable("a"), 3))
    assert "not only the loss" in fails(lg.GraphError, lambda: opt.minimize(step))


def test_a_loss_that_is_not_finite_names_the_variables_that_did_it(env: Any, fails: Any) -> None:
    """The line is that where it came up, and the variables are those that this line is computed from."""

    def step(ctx: Any) -> Any:
        good = lg.sum(ctx.variable("b") ** 2)
        return good * 2 + lg.log(ctx.variable("a"))

    message = fails(lg.DataError, lambda: opt.minimize(env.compile(step)))
    assert "return good * 2 + lg.log(ctx.variable" in message
    assert [
        "the loss of step is not finite at the start",
        "loss:        nan",
        "comes from:  log",
        "variables:   'a'",
        "'a' is -1.2",
        "Start where it is finite: set the variables, env[name] = array, or write what is defined there.",
    ] == said(message)


@pytest.mark.parametrize("method", ["L-BFGS-B", "Nelder-Mead", "TNC", "COBYLA", "COBYQA", "trust-constr", "SLSQP"])
def test_variables_that_are_not_finite_themselves(valley: Any, env: Any, fails: Any, method: str) -> None:
    """They did it, whatever is computed of them; each method lets the error through."""
    env["b"] = [[np.nan]]
    message = fails(lg.DataError, lambda: opt.minimize(valley, method=method))
    assert "variables:   'b'" in message


def test_residuals_and_data_that_are_not_finite(env: Any, fails: Any) -> None:
    """Of least squares and roots likewise; data are named as the step names them."""
    step = env.compile(lambda ctx, x, y: ctx.variable("a") * x - y)
    x, y = np.ones(3), np.array([1.0, np.inf, 2.0])
    message = fails(lg.DataError, lambda: opt.least_squares(step, x, y))
    assert "residual:    -inf of 3" in message
    assert "arguments:   'y'" in message
    step = env.compile(lambda ctx: lg.sqrt(ctx.variable("a")))
    assert "variables:   'a'" in fails(lg.DataError, lambda: opt.root(step))


def test_an_unknown_method(valley: Any, env: Any, fails: Any) -> None:
    """It is answered with what is near."""
    message = fails(lg.DataError, lambda: opt.minimize(valley, method="l-bfgs"))
    assert ["there is no method 'l-bfgs'", "Did you mean 'L-BFGS-B' or 'BFGS'?"] == said(message)
    step = env.compile(lambda ctx: ctx.variable("b"))
    assert "'trf'" in fails(lg.DataError, lambda: opt.least_squares(step, method="trff"))
    assert "'huber'" in fails(lg.DataError, lambda: opt.least_squares(step, loss="hubr"))
    assert "'hybr'" in fails(lg.DataError, lambda: opt.root(step, method="hybrd"))


def test_a_method_that_does_not_take_what_is_given(valley: Any, env: Any, fails: Any) -> None:
    """Bounds, constraints, callbacks, robust losses: SciPy would only warn, or not even that."""
    message = fails(lg.DataError, lambda: opt.minimize(valley, method="BFGS", bounds={"a": (-2, 2)}))
    assert "method 'BFGS' takes no bounds" in message
    circle = {"type": "eq", "fun": valley}
    message = fails(lg.DataError, lambda: opt.minimize(valley, constraints=circle))
    assert said(message)[1] == "These take constraints: 'COBYLA', 'COBYQA', 'SLSQP', 'trust-constr'."
    fails(lg.DataError, lambda: opt.minimize(valley, method="SLSQP", constraints=circle, keep_best=True))
    step = env.compile(lambda ctx: [ctx.variable("a"), ctx.variable("b")])
    assert "no bounds" in fails(lg.DataError, lambda: opt.least_squares(step, method="lm", bounds={"a": (-9, 9)}))
    assert "no robust loss" in fails(lg.DataError, lambda: opt.least_squares(step, method="lm", loss="huber"))
    assert "no callback" in fails(lg.DataError, lambda: opt.root(step, callback=print))
    one = env.compile(lambda ctx: ctx.variable("a") * ctx.variable("b"))
    assert "as many residuals" in fails(lg.DataError, lambda: opt.least_squares(one, method="lm"))


def test_a_method_that_needs_a_derivative_that_there_is_not(env: Any, fails: Any) -> None:
    """An op without one is named, where it was written; a method without derivatives goes on."""

    @lg.define.elementwise(dtype=lg.define.floating)
    def opaque_square(xp: Any, x: Any) -> Any:
        """Square, without a derivative."""
        return x * x

    step = env.compile(lambda ctx: opaque_square(ctx.variable("a")))
    message = fails(lg.GradientError, lambda: opt.minimize(step))
    assert "cannot differentiate opaque_square with respect to 'x': no derivative is known" in message
    assert 0 == pytest.approx(opt.minimize(step, method="Nelder-Mead").x[0], abs=1e-4)


def test_constraints_that_are_none(valley: Any, env: Any, fails: Any) -> None:
    """Of no type, of an unknown one, or of another environment."""
    for constraint in (valley, {"fun": valley}, {"type": "eq"}, [3]):
        message = fails(lg.DataError, lambda c=constraint: opt.minimize(valley, method="SLSQP", constraints=c))
        assert "as a constraint" in message
    wrong = {"type": "equal", "fun": valley}
    assert "of type 'equal'" in fails(lg.DataError, lambda: opt.minimize(valley, method="SLSQP", constraints=wrong))
    other = lg.VariableEnvironment()
    far = scipy.optimize.NonlinearConstraint(other.compile(lambda ctx: lg.ones(1)), 0, 1)
    fails(lg.GraphError, lambda: opt.minimize(valley, method="trust-constr", constraints=far))


def test_no_variables(valley: Any, env: Any, fails: Any) -> None:
    """None that the step reads, none that is trainable, or none that is named."""
    nothing = env.compile(lambda ctx, x: lg.sum(x))
    message = fails(lg.DataError, lambda: opt.minimize(nothing, np.ones(2)))
    assert ["the step reads no trainable variable", "it reads:  none"] == said(message)[:2]
    assert "no variable to solve for" in fails(lg.DataError, lambda: opt.minimize(valley, variables=[]))
    for v in env:
        v.trainable = False
    assert "it reads:  'a', 'b'" in fails(lg.DataError, lambda: opt.minimize(valley))
    assert "no variable to solve for" in fails(lg.DataError, lambda: opt.minimize(valley, variables=list(env)))


def test_variables_that_cannot_be_solved_for(valley: Any, env: Any, fails: Any) -> None:
    """Twice the same, whole numbers, of another environment, unknown, or no variables at all."""
    env.name("k").set(np.arange(3))
    alien = lg.VariableEnvironment().name("z").set(np.ones(1))
    assert "twice" in fails(lg.VariableError, lambda: opt.minimize(valley, variables=["a", "a"]))
    assert "int64[3]" in fails(lg.SpecError, lambda: opt.minimize(valley, variables=["k"]))
    assert "another environment" in fails(lg.VariableError, lambda: opt.minimize(valley, variables=[alien]))
    assert "no variable 'aa'" in fails(lg.VariableError, lambda: opt.minimize(valley, variables="aa"))
    assert "cannot solve for 3" in fails(lg.VariableError, lambda: opt.minimize(valley, variables=[3]))


def test_steps_that_change_variables_or_draw(env: Any, fails: Any) -> None:
    """Updates, running statistics and random numbers are refused, and functions that are not compiled."""
    sgd = lg.optim.SGD(env, 0.1)

    def train(ctx: Any) -> Any:
        loss = lg.square(ctx.variable("a"))
        return loss, sgd.minimize(loss)

    def draw(ctx: Any) -> Any:
        return lg.square(ctx.variable("a") - ctx.random.normal(()))

    assert "the step returns an update op" in fails(lg.GraphError, lambda: opt.minimize(env.compile(train)))
    assert "it draws random numbers" in fails(lg.GraphError, lambda: opt.minimize(env.compile(draw)))
    assert "it is not a compiled step" in fails(lg.GraphError, lambda: opt.minimize(draw))
    assert "cannot call 3" in fails(
        lg.DataError, lambda: opt.minimize(env.compile(lambda ctx: lg.square(ctx.variable("a"))), callback=3)
    )


def test_more_or_fewer_equations_than_numbers(env: Any, fails: Any) -> None:
    """A root of two numbers has two equations."""
    step = env.compile(lambda ctx: ctx.variable("a") + ctx.variable("b"))
    assert [
        "there are not as many residuals as numbers to find",
        "residuals:  1",
        "numbers:    2, of 'a' [], 'b' [1, 1]",
        "Return one residual for each number; variables=[...] says which are sought.",
    ] == said(fails(lg.SpecError, lambda: opt.root(step)))


def test_a_sparsity_of_another_shape(env: Any, fails: Any) -> None:
    """A row a residual, a column a number."""
    step = env.compile(lambda ctx: [ctx.variable("a"), ctx.variable("b")])
    assert "jac_sparsity:  [3, 3]" in fails(lg.SpecError, lambda: opt.least_squares(step, jac_sparsity=np.eye(3)))
    assert "jac_sparsity:  [3]" in fails(lg.SpecError, lambda: opt.least_squares(step, jac_sparsity=np.ones(3)))
