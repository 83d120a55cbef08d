"""Shapes, dtypes, indices and assignments, answered at the user's line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from snapshots import at, place
from told import message, of_step

import lazygrad as lg


def test_shapes_that_do_not_broadcast_are_named_with_their_origin(env: lg.VariableEnvironment) -> None:
    """A variable and a computed tensor."""

    def step(ctx: lg.Context) -> Any:
        doubled = ctx.variable("b") * 2
        return ctx.variable("w") - doubled

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot subtract float32[2, 3] and float32[2]

{at(step, "return")}

    left:   float32[2, 3]   variable 'w'
    right:  float32[2]      multiply, {place(step, "doubled =")}
    The last axes are 3 and 2; they must be equal, or one of them 1."""
    )


def test_shapes_that_do_not_broadcast_name_the_axis(env: lg.VariableEnvironment) -> None:
    """An axis that is not the last, of an argument."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return x / ctx.variable("w")

    assert (
        of_step(env, lg.SpecError, step, np.ones((4, 3)))
        == f"""cannot divide float64[4, 3] and float32[2, 3]

{at(step, "return")}

    left:   float64[4, 3]   placeholder 'x'
    right:  float32[2, 3]   variable 'w'
    The axes 2 from the end are 4 and 2; they must be equal, or one of them 1."""
    )


def test_matrices_that_do_not_fit_are_named(env: lg.VariableEnvironment) -> None:
    """Columns and rows."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w") @ ctx.variable("w")

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot matmul float32[2, 3] and float32[2, 3]

{at(step, "return")}

    a:  float32[2, 3]   variable 'w'
    b:  float32[2, 3]   variable 'w'
    The left has 3 columns, the right 2 rows; they must be as many."""
    )


def test_a_reshape_to_another_size_is_an_error(env: lg.VariableEnvironment) -> None:
    """The numbers of elements are named."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w").reshape(5)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot reshape float32[2, 3] with shape=(5,)

{at(step, "return")}

    x:  float32[2, 3]   variable 'w'
    [2, 3] has 6 elements, [5] has 5."""
    )


def test_an_axis_that_does_not_exist_is_an_error(env: lg.VariableEnvironment) -> None:
    """The number of axes is named."""

    def step(ctx: lg.Context) -> Any:
        return lg.sum(ctx.variable("w"), axis=2)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot sum float32[2, 3] with axis=2, keepdims=False

{at(step, "return")}

    x:  float32[2, 3]   variable 'w'
    Axis 2 does not exist: there are 2 axes."""
    )


def test_dtypes_that_an_op_cannot_take_are_an_error(env: lg.VariableEnvironment) -> None:
    """As NumPy refuses to subtract booleans."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return x - x

    assert (
        of_step(env, lg.SpecError, step, np.array([True]))
        == f"""cannot subtract bool[1] and bool[1]

{at(step, "return")}

    left:   bool[1]   placeholder 'x'
    right:  bool[1]   placeholder 'x'
    NumPy's subtract has no form for these dtypes."""
    )


def test_a_number_out_of_the_range_of_a_dtype_is_an_error(env: lg.VariableEnvironment) -> None:
    """A Python number is weak: it takes the dtype of the tensor, and must fit."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return x + 300

    assert (
        of_step(env, lg.SpecError, step, np.zeros(2, "int8"))
        == f"""cannot write 300 as int8: it is out of range

{at(step, "return")}

    Cast the tensor first."""
    )


DTYPED: dict[str, Callable[[lg.Context, Any], Any]] = {
    "astype": lambda ctx, dtype: ctx.variable("w").astype(dtype),
    "placeholder": lambda ctx, dtype: ctx.placeholder("x", 3, dtype),
    "constant": lambda ctx, dtype: ctx.constant([1.0], dtype),
    "zeros": lambda ctx, dtype: lg.zeros(3, dtype),
    "full_like": lambda ctx, dtype: lg.full_like(ctx.variable("w"), 1, dtype),
    "arange": lambda ctx, dtype: lg.arange(3, dtype=dtype),
    "linspace": lambda ctx, dtype: lg.linspace(0, 1, 3, dtype=dtype),
    "eye": lambda ctx, dtype: lg.eye(3, dtype=dtype),
    "asarray": lambda ctx, dtype: lg.asarray([1.0], dtype=dtype),
    "normal": lambda ctx, dtype: ctx.random.normal(3, dtype=dtype),
    "gamma": lambda ctx, dtype: ctx.random.gamma(3, dtype=dtype),
}


@pytest.mark.parametrize("dtype", ["float31", "complex64", "U3", object, 7])
@pytest.mark.parametrize("what", DTYPED)
def test_what_is_no_dtype_of_numbers_is_refused(env: lg.VariableEnvironment, what: str, dtype: Any) -> None:
    """Wherever a dtype is given."""
    call = DTYPED[what]

    def step(ctx: lg.Context) -> Any:
        return call(ctx, dtype)

    found = of_step(env, lg.SpecError, step).split("\n\n")
    assert found[0] == f"cannot use {dtype!r} as a dtype"
    assert found[2] == "    A dtype is one of NumPy's real or boolean ones, such as 'float32' or 'int64'."


@pytest.mark.parametrize("dtype", ["float16", "int32", "bool"])
@pytest.mark.parametrize("what", ["normal", "gamma"])
def test_a_draw_of_another_dtype_is_refused(env: lg.VariableEnvironment, what: str, dtype: str) -> None:
    """Numbers are drawn in two dtypes."""

    def step(ctx: lg.Context) -> Any:
        return getattr(ctx.random, what)(3, dtype=dtype)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot draw {dtype} numbers

{at(step, "return")}

    Random numbers are drawn in float32 or float64: cast them with .astype afterwards."""
    )


def test_a_shape_that_is_not_whole_numbers_is_refused(env: lg.VariableEnvironment) -> None:
    """Where an array is made."""

    def step(ctx: lg.Context) -> Any:
        return lg.zeros((2, 1.5))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot make full

{at(step, "return")}

    A shape is whole numbers, not (2, 1.5)."""
    )


def test_a_shape_with_a_negative_size_is_refused(env: lg.VariableEnvironment) -> None:
    """Where numbers are drawn."""

    def step(ctx: lg.Context) -> Any:
        return ctx.random.uniform((2, -3))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot make uniform

{at(step, "return")}

    The sizes of a shape are not negative; this one is (2, -3)."""
    )


RANDOM: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda r: r.normal(3, std=-1.0), "std -1.0", "A standard deviation is not negative."),
    (lambda r: r.exponential(3, scale=-1), "scale -1", "A scale is not negative."),
    (lambda r: r.gamma(3, -2.0), "alpha -2.0", "A shape parameter is not negative."),
    (lambda r: r.gamma(3, scale=float("nan")), "scale nan", "A scale is not negative."),
    (lambda r: r.bernoulli(3, 1.5), "p 1.5", "A probability is a number from 0 to 1."),
    (lambda r: r.bernoulli(3, -0.5), "p -0.5", "A probability is a number from 0 to 1."),
    (lambda r: r.integers(3, 0.5, 2), "low 0.5", "A bound is a whole number."),
    (
        lambda r: r.integers(3, 2, 2),
        "low and high (2, 2)",
        "There is no whole number between them: low is below high.",
    ),
]


@pytest.mark.parametrize(("draw", "shown", "cure"), RANDOM, ids=[shown for _, shown, _ in RANDOM])
def test_a_parameter_of_a_draw_that_cannot_be_is_refused(
    env: lg.VariableEnvironment, draw: Callable[[Any], Any], shown: str, cure: str
) -> None:
    """Numbers are checked when the draw is written."""

    def step(ctx: lg.Context) -> Any:
        return draw(ctx.random)

    found = of_step(env, lg.SpecError, step).split("\n\n")
    assert [found[0], found[2]] == [f"cannot draw with {shown}", f"    {cure}"]


def test_a_parameter_of_a_draw_must_broadcast_to_its_shape(env: lg.VariableEnvironment) -> None:
    """The draw has the shape that was asked for, never a larger one."""

    def step(ctx: lg.Context) -> Any:
        return ctx.random.normal((3,), mean=ctx.variable("w"))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot draw float32[3] with this mean

{at(step, "return")}

    mean:  float32[2, 3]   variable 'w'
    It must broadcast to the shape of the draw, [3]."""
    )


def test_a_mask_known_only_later_cannot_index(env: lg.VariableEnvironment) -> None:
    """How many elements it picks is not known while writing."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        return w[w > 0]

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot index float32[2, 3] with a mask that is not known while the graph is being written

{at(step, "return")}

    mask:  bool[2, 3]   greater, {place(step, "return")}
    How many elements it picks would only be known later. Write lg.where(mask, x, 0), x.at[mask].set(value), \
x[lg.nonzero(mask, size=n)], or use a NumPy mask."""
    )


def test_an_index_out_of_range_is_an_error(env: lg.VariableEnvironment) -> None:
    """A number, checked when written."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w")[0, 3]

    found = of_step(env, lg.SpecError, step)
    assert found.startswith("cannot slice float32[2, 3] with index=(0, 3)\n")
    assert found.endswith(
        "\n    x:  float32[2, 3]   variable 'w'\n    Index 3 at place 1 is out of range for an axis of size 3."
    )


def test_too_many_indices_are_an_error(env: lg.VariableEnvironment) -> None:
    """More than there are axes."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("b")[0, 0]

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot index float32[2] with 2 indices

{at(step, "return")}

    It has 1 axes."""
    )


def test_assigning_another_shape_is_an_error(env: lg.VariableEnvironment) -> None:
    """An update op keeps the shape of its variable."""

    def step(ctx: lg.Context) -> Any:
        return ctx.assign("w", ctx.variable("b"))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot assign to variable 'w'

{at(step, "return")}

    variable:  float32[2, 3]
    value:     float32[2]   variable 'b'
    A variable keeps its shape: reshape the value, or lg.broadcast_to it."""
    )


def test_assigning_to_what_is_no_variable_is_an_error(env: lg.VariableEnvironment) -> None:
    """A computed tensor cannot be assigned to."""

    def step(ctx: lg.Context) -> Any:
        y = ctx.variable("w") + 1
        return ctx.assign(y, 0)

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot assign to what is not a variable

{at(step, "return")}

    target:  float32[2, 3]   add, {place(step, "y =")}
    Give the variable, its name, or the tensor that ctx.variable(name) returned."""
    )


def test_assigning_a_variable_twice_in_one_run_is_an_error(env: lg.VariableEnvironment) -> None:
    """There is one new value; which of two would count is not guessed."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        one = ctx.assign(b, b + 1)
        return one, ctx.assign(b, b * 2)

    for call in (lambda: env.run(step), env.compile(step)):
        assert (
            message(env, lg.GraphError, call)
            == f"""variable 'b' is assigned twice in one run

{at(step, "return")}

    before:  add, {place(step, "one =")}
    A run gives each variable one new value: push one of the updates, or combine them."""
        )


def test_pushing_the_same_update_twice_is_no_conflict(env: lg.VariableEnvironment) -> None:
    """One value, asked for twice."""

    def step(ctx: lg.Context) -> Any:
        update = ctx.assign("b", ctx.variable("b") + 1)
        return update, update

    before = env["b"]
    env.run(step)
    np.testing.assert_array_equal(before + 1, env["b"])
