"""Derivatives: of what has none, with cotangents that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import at, place
from told import of_step

import lazygrad as lg


def test_an_op_without_a_derivative_on_the_path_is_an_error(env: lg.VariableEnvironment) -> None:
    """The gradient of Hurwitz's zeta function for its exponent is unknown, and named at its line."""

    def step(ctx: lg.Context) -> Any:
        s = lg.exp(ctx.variable("b"))
        total = lg.zeta(s, 2.0)
        return lg.grad(lg.sum(total), s)

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot differentiate hurwitz with respect to 'left': no derivative is known

{at(step, "total =")}

    left:  float32[2]   exp, {place(step, "s =")}
    Put lg.stop_gradient around that operand to hold it constant, or give the derivative with lg.custom_gradient."""
    )


def test_an_op_without_a_derivative_beside_the_path_is_no_error(env: lg.VariableEnvironment) -> None:
    """The other operand has one, and a stopped operand gets zeros."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b") + 1
        other = lg.sum(lg.zeta(2.0, b))
        stopped = lg.sum(lg.zeta(lg.stop_gradient(b) + 1, 2.0))
        return lg.grad(other, b), lg.grad(stopped, b)

    *_, zeros = env.run(step)
    assert zeros.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("f", ["floor", "sign", "argmax", "greater", "astype"])
def test_a_derivative_that_is_zero_gives_zeros(env: lg.VariableEnvironment, f: str) -> None:
    """Where a function is constant on both sides of its steps, the gradient is zero, not an error."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        y = {"greater": lambda: w > 0.5, "astype": lambda: w.astype("int32")}.get(f, lambda: getattr(lg, f)(w))()
        return lg.grad(lg.sum(y.astype("float32") * 3), w)

    np.testing.assert_array_equal(np.zeros((2, 3)), env.run(step))


def test_a_gradient_for_whole_numbers_is_an_error(env: lg.VariableEnvironment) -> None:
    """They have no derivative."""

    def step(ctx: lg.Context, i: Any) -> Any:
        return lg.grad(lg.sum(i * ctx.variable("b")), i)

    assert (
        of_step(env, lg.GradientError, step, np.arange(2))
        == f"""cannot differentiate with respect to int64[2]

{at(step, "return")}

    tensor:  int64[2]   placeholder 'i'
    Whole numbers and booleans have no derivative: cast with .astype('float32') first."""
    )


def test_a_gradient_of_whole_numbers_is_an_error(env: lg.VariableEnvironment) -> None:
    """The value must be floating as well."""

    def step(ctx: lg.Context) -> Any:
        count = lg.sum(ctx.variable("b") > 0)
        return lg.grad(count, ctx.variable("b"))

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot differentiate the value int64[]

{at(step, "return")}

    tensor:  int64[]   sum, {place(step, "count =")}
    Whole numbers and booleans have no derivative: cast with .astype('float32') first."""
    )


@pytest.mark.parametrize(("x", "shown"), [("b", "'b'"), (3.0, "3.0"), (None, "None")])
def test_a_gradient_for_what_is_no_tensor_is_an_error(env: lg.VariableEnvironment, x: Any, shown: str) -> None:
    """A name or a number is not a tensor of the step."""

    def step(ctx: lg.Context) -> Any:
        return lg.grad(lg.sum(ctx.variable("b")), x)

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot differentiate: x is {shown}, not a tensor

{at(step, "return")}

    Give a tensor of this step, such as ctx.variable(name), or a list of them."""
    )


def test_a_cotangent_of_another_shape_is_an_error(env: lg.VariableEnvironment) -> None:
    """It must have the shape of its y."""

    def step(ctx: lg.Context) -> Any:
        return lg.grad(ctx.variable("w") * 2, ctx.variable("w"), np.ones(3))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot start from float32[3] for float32[2, 3]

{at(step, "return")}

    A cotangent has the shape of its y, [2, 3]."""
    )


def test_other_numbers_of_cotangents_are_an_error(env: lg.VariableEnvironment) -> None:
    """One a y; and of tangents, one an x."""

    def reverse(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return lg.grad([b * 2], b, [b, b])

    def forward(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return lg.jvp(b * 2, [b], [b, b])

    assert (
        of_step(env, lg.SpecError, reverse)
        == f"""cannot start from 2 cotangents for 1 values

{at(reverse, "return")}

    Give one cotangent for each y, in the same order."""
    )
    assert (
        of_step(env, lg.SpecError, forward)
        == f"""cannot move 1 tensors along 2 tangents

{at(forward, "return")}

    Give one tangent for each x, in the same order."""
    )


def test_the_hessian_of_several_numbers_is_an_error(env: lg.VariableEnvironment) -> None:
    """It is of one number."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return lg.hessian(b * b, b)

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot take the hessian of float32[2]

{at(step, "return")}

    Take it of one number."""
    )


def test_a_custom_gradient_with_another_number_of_cotangents_is_an_error(env: lg.VariableEnvironment) -> None:
    """One for each operand; the line is that of the call."""

    @lg.custom_gradient
    def product(a: lg.Tensor, b: lg.Tensor) -> Any:
        return a * b, lambda g: g

    def step(ctx: lg.Context) -> Any:
        y = product(ctx.variable("b"), ctx.variable("b"))
        return lg.grad(y, ctx.variable("b"))

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot use the gradient of product: it gave 1 cotangents for 2 operands

{at(step, "y =")}"""
    )


@pytest.mark.parametrize("returned", [None, 3, "t"])
def test_a_custom_gradient_that_returns_no_pair_is_an_error(env: lg.VariableEnvironment, returned: Any) -> None:
    """It returns the value and the function that pulls back."""

    @lg.custom_gradient
    def f(x: lg.Tensor) -> Any:
        return x if returned == "t" else returned

    def step(ctx: lg.Context) -> Any:
        return f(ctx.variable("b"))

    found = of_step(env, lg.GradientError, step).split("\n\n")
    assert found[1] == at(step, "return")
    assert "value" in found[-1]
