"""What is said of functions of many examples that do not fit what they are given, or what they return."""

from __future__ import annotations

from typing import Any

import pytest
from snapshots import at, place
from told import of_step

import lazygrad as lg


def test_arguments_of_other_numbers_of_examples_are_named_with_both(env: lg.VariableEnvironment) -> None:
    """And with the axis along which the examples were looked for."""

    def step(ctx: lg.Context) -> Any:
        five = lg.zeros((2, 5))
        four = {"a": lg.ones((4, 5))}
        return lg.vmap(lambda x, y: x + y["a"], in_axes=(-1, 0))(five, four)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot vmap <lambda> over 5 and 4 examples

{at(step, "return lg.vmap")}

    x:  float32[2, 5]   5 along axis 1   full, {place(step, "five =")}
    y['a']:  float32[4, 5]   4 along axis 0   full, {place(step, "four =")}
    All have as many examples: look which axes in_axes names; None is for what all examples share."""
    )


def test_an_axis_that_an_argument_has_not_is_named_with_its_spec(env: lg.VariableEnvironment) -> None:
    """A single number has none."""

    def step(ctx: lg.Context) -> Any:
        number = lg.zeros(())
        return lg.vmap(lambda x: x)(number)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot vmap <lambda>: x has no axis 0

{at(step, "return lg.vmap")}

    x:  float32[]   full, {place(step, "number =")}
    in_axes:  0
    Axis 0 does not exist: there are 0 axes. Give None for what is the same for all examples."""
    )


def test_an_assignment_in_a_function_of_one_example_is_named_with_its_line(env: lg.VariableEnvironment) -> None:
    """Every example would give the variable another value."""

    def step(ctx: lg.Context) -> Any:
        def f(x: Any) -> Any:
            ctx.assign("b", x)
            return x

        return lg.vmap(f)(lg.zeros((3, 2)))

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot vmap f: it assigns a variable

{at(step, "return lg.vmap")}

    update:  of 'b', {place(step, "ctx.assign")}
    Every example would give it another value: return the value, and assign it outside, such as its mean."""
    )


def test_what_else_does_not_fit_is_said_in_its_first_line(env: lg.VariableEnvironment) -> None:
    """Axes that are nested otherwise, no examples, results that differ, and what is no tensor."""
    three = lambda: lg.zeros((3, 2))  # noqa: E731
    said = {
        lambda ctx: lg.vmap(lambda x: x, in_axes=None)(three()): (
            "SpecError: cannot vmap <lambda>: no argument has examples"
        ),
        lambda ctx: lg.vmap(lambda x: x, in_axes=(0, 0))(three()): (
            "SpecError: cannot vmap <lambda>: in_axes has 2 entries for 1 arguments"
        ),
        lambda ctx: lg.vmap(lambda x: x, in_axes=({"a": 0},))(three()): (
            "SpecError: cannot vmap <lambda>: in_axes does not fit x"
        ),
        lambda ctx: lg.vmap(lambda x: x, in_axes=0.0)(three()): (
            "SpecError: cannot vmap <lambda>: in_axes does not fit x"
        ),
        lambda ctx: lg.vmap(lambda x, how: x)(three(), "fast"): (
            "SpecError: cannot vmap <lambda>: how is 'fast', not an array"
        ),
        lambda ctx: lg.vmap(lambda x: x, out_axes=2)(three()): (
            "SpecError: cannot vmap <lambda>: a result has no axis 2"
        ),
        lambda ctx: lg.vmap(lambda x: x, out_axes=(0, 0))(three()): (
            "SpecError: cannot vmap <lambda>: out_axes does not fit the result"
        ),
        lambda ctx: lg.vmap(lambda x: x, out_axes=None)(three()): (
            "GraphError: cannot vmap <lambda>: a result is not the same for all examples"
        ),
        lambda ctx: lg.vmap(lambda x: "text")(three()): "GraphError: cannot vmap <lambda>: it returned 'text'",
    }
    for step, first in said.items():
        with pytest.raises(lg.LazygradError) as caught:
            env.run(step)
        assert first == f"{type(caught.value).__name__}: {str(caught.value).splitlines()[0]}"


def test_a_tensor_of_one_example_does_not_leave_its_function(env: lg.VariableEnvironment) -> None:
    """What is computed of an example is returned."""
    kept: list[lg.Tensor] = []

    def step(ctx: lg.Context) -> Any:
        lg.vmap(lambda x: kept.append(x) or x)(lg.zeros((3, 2)))
        return kept[-1] + 1

    assert of_step(env, lg.GraphError, step).startswith("cannot add: the tensor was made in the body of <lambda>")
