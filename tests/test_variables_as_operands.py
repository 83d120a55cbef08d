"""A variable is used in a step as a tensor is: beside a tensor, and as an argument of a function."""

from __future__ import annotations

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """With a vector ``a`` and a matrix ``w``."""
    env = lg.VariableEnvironment(seed=0)
    env.name("a").set(np.array([1.0, 2.0, 3.0], "float32"))
    env.name("w").set(np.arange(9.0).reshape(3, 3).astype("float32"))
    return env


def variable(env: lg.VariableEnvironment, path: str) -> lg.Variable:
    """The variable of that path."""
    return next(v for v in env if v.path == path)


@pytest.mark.parametrize("mode", ["run", "compile"])
def test_a_variable_computes_as_ctx_variable_does(env: lg.VariableEnvironment, mode: str) -> None:
    """In operators on either side, in functions of one, two and many operands, and in derivatives."""
    a, w = variable(env, "a"), variable(env, "w")

    def results(a, w, x, read):
        y = x * a + a * x + x @ w + w @ x + lg.exp(a) + lg.where(x > 0, a, 0) + lg.concat([a, a])[:3] - lg.sum(w)
        y = y - 2 * a + (1 - a) * -a + a**2 + 2**a + a / 3 + 3 / a + np.ones(3, "float32") * a + a @ w + w @ a
        y = y + a[0] * w[1] + w[:, 2] + abs(a) + w.T[0]
        return y, lg.grad(lg.sum(y), [read(a), read(w)])

    def step(ctx, x):
        names = [ctx.variable("a"), ctx.variable("w")]
        return results(a, w, x, lambda v: v), results(*names, x, lambda v: v)

    x = np.array([-1.0, 0.5, 2.0], "float32")
    found = env.run(step, x) if mode == "run" else env.compile(step, wait=True)(x)
    for one, other in zip(*((y, *grads) for y, grads in found), strict=True):
        assert np.array_equal(one, other)
        assert one.dtype == np.float32


@pytest.mark.parametrize("mode", ["run", "compile"])
def test_variables_are_compared_and_divided_as_tensors_are(env: lg.VariableEnvironment, mode: str) -> None:
    """All operators of tensors but ``==`` and ``!=``, which ask whether two variables are the same."""
    a = variable(env, "a")
    k = env.name("k").set(np.array([6, 5, 4]))

    def results(a, k, x):
        order = [a < x, a <= 2, 2 > a, a >= x, x < a]
        return [*order, a // 2, 7 // a, a % 2, 7 % a, k & 3, 3 | k, k ^ k, 1 ^ k]

    def step(ctx, x):
        return results(a, k, x), results(ctx.variable("a"), ctx.variable("k"), x)

    x = np.array([-1.0, 0.5, 3.0], "float32")
    for one, other in zip(*(env.run(step, x) if mode == "run" else env.compile(step, wait=True)(x)), strict=True):
        np.testing.assert_array_equal(one, other)
        assert other.dtype == one.dtype
    assert a == variable(env, "a")
    assert a != k


@pytest.mark.parametrize("mode", ["run", "compile"])
def test_the_transpose_of_a_variable_is_that_of_its_tensor(env: lg.VariableEnvironment, mode: str) -> None:
    """On either side of an operator, and in a derivative."""
    w = variable(env, "w")

    def step(ctx, x):
        t = ctx.variable("w").T
        found = x @ w.T + w.T @ x + lg.sum(2 * w.T)
        expected = x @ t + t @ x + lg.sum(2 * t)
        return found, expected, lg.grad(found, w), lg.grad(expected, w)

    x = np.array([-1.0, 0.5, 2.0], "float32")
    found = env.run(step, x) if mode == "run" else env.compile(step, wait=True)(x)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[2], found[3])


def test_a_variable_of_another_environment_is_an_error(env: lg.VariableEnvironment) -> None:
    """Its numbers are not those of the environment that runs the step."""
    a = variable(env, "a")
    with pytest.raises(lg.GraphError, match=r"cannot read <Variable 'a' float32\[3\]>: it is of another environment"):
        lg.VariableEnvironment().run(lambda ctx, x: x * a, np.ones(3, "float32"))


def test_outside_of_a_step_there_is_nothing_to_compute(env: lg.VariableEnvironment) -> None:
    """A variable has a value there, which is an array."""
    a = variable(env, "a")
    with pytest.raises(lg.GraphError, match="no graph is being written"):
        a * 2
    assert np.array_equal([2, 4, 6], a.value * 2)


def test_two_variables_are_equal_only_if_they_are_one(env: lg.VariableEnvironment) -> None:
    """So they can be looked for in lists and sets, and be keys."""
    a, w = variable(env, "a"), variable(env, "w")
    assert [a, w].index(w) == 1
    assert {a: 1}[a] == 1


def test_a_variable_is_not_gone_through(env: lg.VariableEnvironment) -> None:
    """Though it has an index: there is no end to what is written in a step."""
    with pytest.raises(TypeError, match="not iterable"):
        list(variable(env, "a"))
