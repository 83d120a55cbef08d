"""Loops with a condition, choices, counted loops, and functions that are computed again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Float64, and one variable."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    env.name("w").set(np.array([1.5, 1.7]))
    return env


def squared(ctx: lg.Context, x: Any, derivative: str, loop: Any) -> Any:
    """A loss of what a loop gives, with a derivative for where it starts and for what it reads."""
    w = ctx.variable("w")
    loss = lg.sum(lg.sin(loop(x, w)))
    if derivative == "forward":
        return loss, lg.jvp(loss, [x, w], [lg.cos(x), w * w])
    if derivative == "forward over reverse":
        return loss, lg.hessian_vector_product(loss, [x, w], [lg.cos(x), w * w])
    grads = lg.grad(loss, [x, w])
    if derivative == "second":
        grads = lg.grad(lg.sum(grads[0] ** 2) + lg.sum(grads[1] ** 3), [x, w])
    return loss, grads


def turn(c: Any, w: Any) -> Any:
    """One turn."""
    return lg.exp(c * w * 0.3)


def conditioned(x: Any, w: Any) -> Any:
    """A loop that takes three turns."""
    return lg.while_loop(
        lambda c: (c[0] < 3) & (lg.sum(c[1] * w) < 50), lambda c: (c[0] + 1, turn(c[1], w)), (0, x), max_steps=20
    )[1]


def counted(x: Any, w: Any) -> Any:
    """The same with a counter."""
    return lg.fori_loop(2, 5, lambda i, c: turn(c, w), x)


def chosen(x: Any, w: Any) -> Any:
    """The same with choices, of which the second ones fail."""
    for _ in range(3):
        x = lg.cond(lg.sum(x) > -1, lambda c: turn(c, w), lambda c: lg.linalg.inv(lg.zeros((2, 2)) * c[0]) @ c, x)
    return x


def again(x: Any, w: Any) -> Any:
    """The same with turns that are computed again."""
    f = lg.checkpoint(lambda c: turn(c, w))
    return f(f(f(x)))


def written_out(x: Any, w: Any) -> Any:
    """The same, written out."""
    return turn(turn(turn(x, w), w), w)


@pytest.mark.parametrize("loop", [conditioned, counted, chosen, again])
@pytest.mark.parametrize("derivative", ["first", "second", "forward", "forward over reverse"])
def test_a_loop_and_its_derivatives_are_those_written_out(
    env: lg.VariableEnvironment, loop: Any, derivative: str
) -> None:
    """Both modes, and one over the other; in run and compile."""
    x = np.array([0.3, 0.4])
    expected = env.run(squared, x, derivative, written_out)
    compiled = env.compile(squared, wait=True)
    for found in (env.run(squared, x, derivative, loop), compiled(x, derivative, loop), compiled(x, derivative, loop)):
        for a, b in zip(found, expected, strict=True):
            for one, other in zip(a if isinstance(a, list) else [a], b if isinstance(b, list) else [b], strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_a_counted_loop_may_have_tensors_as_bounds(env: lg.VariableEnvironment) -> None:
    """Then it is a loop with a condition; its counter is an int64 tensor."""

    def step(ctx: lg.Context, stop: Any) -> Any:
        return lg.fori_loop(1, stop, lambda i, c: c + i, 0)

    assert [0, 0, 1, 3] == [int(env.run(step, np.int64(stop) * np.ones((), np.int64))) for stop in (0, 1, 2, 3)]


def test_a_choice_known_while_writing_writes_only_what_is_chosen(env: lg.VariableEnvironment) -> None:
    """A boolean of Python's."""
    assert 1.0 == env.run(lambda ctx: lg.cond(True, lambda: lg.asarray(1.0), lambda: 1 / 0))


def test_a_choice_may_update_a_variable(env: lg.VariableEnvironment) -> None:
    """Where the other function was chosen, it keeps its value."""

    def step(ctx: lg.Context, x: Any) -> Any:
        w = ctx.variable("w")
        return lg.cond(lg.sum(x) > 0, lambda: ctx.assign("w", w * 2), lambda: ctx.assign("w", w))

    for x, expected in ((-1.0, [1.5, 1.7]), (1.0, [3.0, 3.4])):
        assert env.run(step, np.array([x])) is None
        np.testing.assert_array_equal(env["w"], expected)
