"""Every public entry answers wrong input with one exception of lazygrad, in four parts, and nothing is lost.

The texts are compared literally, but for the line of the test itself, which is looked up.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from snapshots import at, place, snapshot

import lazygrad as lg
from lazygrad import errors
from lazygrad.define import elementwise, movement, opaque, reduction
from lazygrad.tensor import Array

NO_VALUE = "it has no value while the graph is being written"
WHERE = "Write lg.where(condition, a, b) instead of if, or return it and look at the array."
ENDED = (
    "A tensor lives as long as the call of the step that made it. Compute what you need inside the step, and return it."
)


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """An environment with three variables and an optimizer that has made a step."""
    env = lg.VariableEnvironment(seed=1)
    env.name("w").set(np.ones((2, 3), "float32"))
    env.name("b").set(np.zeros(2, "float32"))
    env.namespace("encoder").name("weights").set(np.ones(3))
    sgd = lg.optim.SGD(env, 0.1, momentum=0.9)
    env.run(lambda ctx: sgd.minimize(lg.sum(ctx.variable("b")) + lg.sum(ctx.random.normal(2)), ["b"]))
    return env


def message(env: lg.VariableEnvironment, kind: type[lg.LazygradError], call: Callable[[], Any]) -> str:
    """What ``call`` raises; it is of exactly this kind, and leaves the environment as it was."""
    before = snapshot(env)
    with pytest.raises(lg.LazygradError) as caught:
        call()
    assert type(caught.value) is kind
    assert snapshot(env) == before
    env.run(lambda ctx: ctx.variable("w"))  # and usable
    return str(caught.value)


def of_step(env: lg.VariableEnvironment, kind: type[lg.LazygradError], step: Callable[..., Any], *args: Any) -> str:
    """What a step raises while it is written: the same under run, compile and trace."""
    first = message(env, kind, lambda: env.run(step, *args))
    assert first == message(env, kind, lambda: env.run(step, *args))
    assert first == message(env, kind, lambda: env.compile(step)(*args))
    assert first == message(env, kind, lambda: env.trace(step, *args))
    return first


def test_the_tree_of_exceptions_is_the_one_that_is_documented() -> None:
    """Each is a LazygradError, and Python's kind of error that a caller would catch."""
    bases = {
        "DefinitionError": TypeError,
        "SpecError": ValueError,
        "GraphError": ValueError,
        "GradientError": ValueError,
        "FeedError": LookupError,
        "VariableError": KeyError,
        "TraceError": RuntimeError,
        "BackendError": RuntimeError,
        "DataError": ValueError,
        "SaveError": ValueError,
    }
    drawn = dict(re.findall(r"── (\w+)\((\w+)\)", errors.__doc__ or ""))
    assert drawn == {name: base.__name__ for name, base in bases.items()}
    for name, base in bases.items():
        assert getattr(errors, name).__bases__ == (lg.LazygradError, base)


# Variables.


def test_an_unknown_variable_is_answered_with_near_names(env: lg.VariableEnvironment) -> None:
    """Reading from the environment."""

    def call() -> Any:
        return env["encoder/wieghts"]

    assert (
        message(env, lg.VariableError, call)
        == f"""there is no variable 'encoder/wieghts'

{at(call, "return")}

    Did you mean 'encoder/weights'?"""
    )


def test_an_unknown_variable_without_near_names_is_answered_with_all_names(env: lg.VariableEnvironment) -> None:
    """Setting in the environment."""

    def call() -> Any:
        env["quite another"] = 3

    assert (
        message(env, lg.VariableError, call)
        == f"""there is no variable 'quite another'

{at(call, "env[")}

    There are: 'w', 'b', 'encoder/weights', 'sgd/step', 'sgd/learning_rate', 'sgd/momentum', 'sgd/b/velocity'."""
    )


def test_an_unknown_variable_in_an_empty_environment_is_answered_so() -> None:
    """There is nothing near, and nothing at all."""
    env = lg.VariableEnvironment()

    def call() -> Any:
        return env["w"]

    with pytest.raises(lg.VariableError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""there is no variable 'w'

{at(call, "return")}

    There are none yet."""
    )


def test_an_unknown_variable_in_a_step_is_answered_at_its_line(env: lg.VariableEnvironment) -> None:
    """Reading in a step."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("ww")

    assert (
        of_step(env, lg.VariableError, step)
        == f"""there is no variable 'ww'

{at(step, "return")}

    Did you mean 'w'?"""
    )


def test_an_unknown_name_in_a_namespace_is_answered_with_its_path(env: lg.VariableEnvironment) -> None:
    """Reading from a namespace."""

    def call() -> Any:
        return env.namespace("encoder")["weight"]

    assert (
        message(env, lg.VariableError, call)
        == f"""there is no variable 'encoder/weight'

{at(call, "return")}

    Did you mean 'encoder/weights'?"""
    )


def test_assigning_to_an_unknown_variable_is_answered_at_its_line(env: lg.VariableEnvironment) -> None:
    """An update op for a variable that is not there."""

    def step(ctx: lg.Context) -> Any:
        return ctx.assign("bb", 0)

    assert (
        of_step(env, lg.VariableError, step)
        == f"""there is no variable 'bb'

{at(step, "return")}

    Did you mean 'b'?"""
    )


def test_registering_a_name_twice_is_an_error(env: lg.VariableEnvironment) -> None:
    """Outside a step."""

    def call() -> Any:
        env.name("w").set(3.0)

    assert (
        message(env, lg.VariableError, call)
        == f"""there is a variable 'w' already

{at(call, "env.name")}

    registered:  float32[2, 3]
    Write env['w'] = array to give it new numbers, or use another name."""
    )


@pytest.mark.parametrize("name", ["", " w", "w ", "a//b", "/a", "a/", "a\n", 3, None])
def test_a_name_that_cannot_be_one_is_refused(env: lg.VariableEnvironment, name: Any) -> None:
    """Names of variables and of namespaces."""

    def call() -> Any:
        env.name(name).set(3.0)

    def inner() -> Any:
        env.namespace(name)

    for f in (call, inner):
        assert (
            message(env, lg.VariableError, f)
            == f"""cannot use {name!r} as a name

{at(f, "env.name")}

    A name is printable text without spaces at its ends; '/' divides namespaces."""
        )


def test_setting_a_variable_to_another_shape_is_an_error(env: lg.VariableEnvironment) -> None:
    """Nothing broadcasts into a variable."""

    def call() -> Any:
        env["w"] = np.zeros(3)

    assert (
        message(env, lg.SpecError, call)
        == f"""cannot set variable 'w'

{at(call, "env[")}

    variable:  float32[2, 3]
    array:     float64[3]
    A variable keeps its shape. Register another one under a new name."""
    )


NOT_NUMBERS = [
    ("abc", "an array of <U3"),
    ([1j], "an array of complex128"),
    (None, "NoneType None"),
    ([[1], [1, 2]], "list [[1], [1, 2]]"),
    (np.array(["2020-01-01"], "datetime64[D]"), "an array of datetime64[D]"),
]


@pytest.mark.parametrize(("value", "shown"), NOT_NUMBERS, ids=[shown for _, shown in NOT_NUMBERS])
def test_what_is_not_an_array_of_numbers_is_refused(env: lg.VariableEnvironment, value: Any, shown: str) -> None:
    """Registering, setting, constants, arguments of a step."""

    def register() -> Any:
        env.name("v").set(value)

    def set_it() -> Any:
        env["w"] = value

    def step(ctx: lg.Context) -> Any:
        return ctx.constant(value)

    def expected(line: str) -> str:
        return f"""cannot make a tensor of {shown}

{line}

    lazygrad computes with real numbers and booleans: give an array of them, a number, or a list of numbers."""

    assert message(env, lg.SpecError, register) == expected(at(register, "env.name"))
    assert message(env, lg.SpecError, set_it) == expected(at(set_it, "env["))
    assert of_step(env, lg.SpecError, step) == expected(at(step, "ctx.constant"))


@pytest.mark.parametrize(("value", "shown"), NOT_NUMBERS[:4], ids=[shown for _, shown in NOT_NUMBERS[:4]])
def test_an_operand_that_is_not_numbers_is_refused(env: lg.VariableEnvironment, value: Any, shown: str) -> None:
    """Beside a tensor, in an operator."""

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w") * value

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot make a tensor of {shown}

{at(step, "return")}

    lazygrad computes with real numbers and booleans: give an array of them, a number, or a list of numbers."""
    )


# Shapes and dtypes, at the user's line.


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


# Feeds.


def fed(ctx: lg.Context) -> Any:
    """A step with a placeholder."""
    return ctx.placeholder("image", (2, 3)) * 2


BAD_FEEDS: list[tuple[Any, str]] = [
    (
        {},
        """placeholder 'image' has no array

{line}

    placeholder:  float32[2, 3]
    Feed it: .feed('image', array), or env.run(step, feeds={{'image': array}}).""",
    ),
    (
        {"image": np.zeros((3, 2))},
        """cannot feed 'image': its shape does not fit

{line}

    placeholder:  float32[2, 3]
    fed:          float64[3, 2]
    Feed an array of shape [2, 3].""",
    ),
    (
        {"image": np.zeros((2, 3), "complex64")},
        """cannot feed 'image': cannot make a tensor of an array of complex64

{line}

    Feed an array of real numbers or booleans.""",
    ),
    (
        {"image": [[1], [1, 2]]},
        """cannot feed 'image': cannot make a tensor of list [[1], [1, 2]]

{line}

    Feed an array of real numbers or booleans.""",
    ),
    (
        {"image": np.zeros((2, 3)), "imago": np.zeros(2)},
        """there is no placeholder 'imago'

{line}

    Did you mean 'image'?""",
    ),
]


@pytest.mark.parametrize(("feeds", "expected"), BAD_FEEDS, ids=["none", "shape", "complex", "ragged", "unknown"])
def test_a_wrong_feed_is_an_error_where_the_step_is_run(env: lg.VariableEnvironment, feeds: Any, expected: str) -> None:
    """Under run, and under compile at the first call and at later ones."""
    fast = env.compile(fed)

    def run() -> Any:
        return env.run(fed, feeds=feeds)

    def compiled() -> Any:
        return fast(feeds=feeds)

    assert message(env, lg.FeedError, run) == expected.format(line=at(run, "return"))
    assert message(env, lg.FeedError, compiled) == expected.format(line=at(compiled, "return"))
    for _ in range(2):
        fast(feeds={"image": np.zeros((2, 3))})
        env.run(fed, feeds={"image": np.zeros((2, 3))})
    assert message(env, lg.FeedError, compiled) == expected.format(line=at(compiled, "return"))
    assert message(env, lg.FeedError, run) == expected.format(line=at(run, "return"))


def test_a_feed_of_floats_for_whole_numbers_is_an_error(env: lg.VariableEnvironment) -> None:
    """A cast that would lose numbers is not made silently."""

    def step(ctx: lg.Context) -> Any:
        return ctx.placeholder("i", 3, "int32")

    def call() -> Any:
        return env.run(step, feeds={"i": np.ones(3)})

    assert (
        message(env, lg.FeedError, call)
        == f"""cannot feed 'i': float64 does not become int32 by itself

{at(call, "return")}

    placeholder:  int32[3]
    fed:          float64[3]
    Cast it first, with array.astype('int32')."""
    )


def test_a_size_of_minus_one_needs_an_array(env: lg.VariableEnvironment) -> None:
    """There is nothing to take the size from."""

    def step(ctx: lg.Context) -> Any:
        return ctx.placeholder("x", (-1, 3))

    assert (
        of_step(env, lg.FeedError, step)
        == f"""placeholder 'x' has a size -1, and no array was given that it could be taken from

{at(step, "return")}

    Give its array when the step is run: env.run(step, feeds={{'x': array}})."""
    )


def test_an_array_that_does_not_fit_sizes_beside_minus_one_is_an_error(env: lg.VariableEnvironment) -> None:
    """The other sizes must be those of the array."""

    def step(ctx: lg.Context) -> Any:
        return ctx.placeholder("x", (-1, 3))

    assert (
        message(env, lg.FeedError, lambda: env.run(step, feeds={"x": np.ones((3, 4))}))
        == f"""cannot feed 'x': its shape does not fit

{at(step, "return")}

    placeholder:  [-1, 3]
    fed:          [3, 4]
    Sizes other than -1 must be those of the array."""
    )


def test_feeding_an_unknown_placeholder_to_an_evaluator_is_an_error(env: lg.VariableEnvironment) -> None:
    """At the line of ``feed``."""

    def step(ctx: lg.Context) -> Any:
        x = ctx.placeholder("image", 3)
        return ctx.evaluator().push(x).feed("images", np.ones(3)).run()

    assert (
        message(env, lg.FeedError, lambda: env.run(step))
        == f"""there is no placeholder 'images'

{at(step, "return")}

    Did you mean 'image'?"""
    )


def test_feeding_what_is_no_placeholder_is_an_error(env: lg.VariableEnvironment) -> None:
    """A tensor that is computed, or a variable, has no array to be given."""

    def step(ctx: lg.Context) -> Any:
        return ctx.evaluator().feed(ctx.variable("b"), np.ones(2)).run()

    assert (
        message(env, lg.FeedError, lambda: env.run(step))
        == f"""cannot feed <Tensor float32[2] variable 'b'>: it is not a placeholder

{at(step, "return")}

    Feed what ctx.placeholder returned in this call of the step, or its name."""
    )


def test_feeds_that_are_not_a_dict_are_an_error(env: lg.VariableEnvironment) -> None:
    """Names and arrays."""

    def run() -> Any:
        return env.run(fed, feeds=[np.ones(3)])  # type: ignore[arg-type]

    def compiled() -> Any:
        return env.compile(fed)(feeds=[np.ones(3)])  # type: ignore[arg-type]

    for call in (run, compiled):
        assert (
            message(env, lg.FeedError, call)
            == f"""cannot use a list as feeds

{at(call, "return")}

    feeds is a dict of arrays by the names of their placeholders."""
        )


def test_feeding_an_argument_of_the_step_is_an_error(env: lg.VariableEnvironment) -> None:
    """It has its array."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return x

    def run() -> Any:
        return env.run(step, np.ones(3), feeds={"x": np.zeros(3)})

    def compiled() -> Any:
        return env.compile(step)(np.ones(3), feeds={"x": np.zeros(3)})

    for call in (run, compiled):
        assert (
            message(env, lg.FeedError, call)
            == f"""cannot feed 'x': it is an argument of the step

{at(call, "return")}

    Pass the array as the argument."""
        )


def test_a_name_that_stands_for_two_placeholders_is_an_error(env: lg.VariableEnvironment) -> None:
    """Of two shapes."""

    def step(ctx: lg.Context) -> Any:
        first = ctx.placeholder("x", 3)
        return first, ctx.placeholder("x", 4)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""there is a placeholder 'x' already

{at(step, "return")}

    before:  float32[3], {place(step, "first =")}
    now:     float32[4]
    Use another name, or the same shape and dtype."""
    )


def test_a_placeholder_named_like_an_argument_is_an_error(env: lg.VariableEnvironment) -> None:
    """The argument is that placeholder."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.placeholder("x", (3,), "float64")

    found = message(env, lg.SpecError, lambda: env.run(step, np.ones(3))).split("\n")
    assert found[0] == "there is a placeholder 'x' already"
    assert found[2] == at(step, "return")
    assert found[-1] == "    It is an argument of the step, which is a placeholder already: use the argument."


@pytest.mark.parametrize("name", [3, None, b"x"])
def test_a_placeholder_is_named_by_text(env: lg.VariableEnvironment, name: Any) -> None:
    """Another name could not be told from its repr."""

    def step(ctx: lg.Context) -> Any:
        return ctx.placeholder(name, 3)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot use {name!r} as the name of a placeholder

{at(step, "return")}

    Its name is a string, by which it is fed."""
    )


# Tensors out of place.


def kept_tensor(env: lg.VariableEnvironment) -> lg.Tensor:
    """A tensor of a call that has ended."""
    kept: list[lg.Tensor] = []

    def keeping(ctx: lg.Context) -> Any:
        kept.append(ctx.variable("b"))
        return kept[0]

    env.run(keeping)
    return kept[0]


def test_a_tensor_of_another_graph_cannot_be_an_operand(env: lg.VariableEnvironment) -> None:
    """Both graphs are named by their tensors' origin."""
    old = kept_tensor(env)

    def step(ctx: lg.Context) -> Any:
        return ctx.variable("w") + old

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot use tensors of two graphs together

{at(step, "return")}

    one:    <Tensor float32[2] variable 'b'>
    Every call of a step writes its own graph. Make the tensor in the same call, or pass its value in as an array."""
    )


def test_a_tensor_of_another_graph_cannot_be_pushed(env: lg.VariableEnvironment) -> None:
    """Explicitly, in an evaluator."""
    old = kept_tensor(env)

    def step(ctx: lg.Context) -> Any:
        return ctx.evaluator().push(old).run()

    assert (
        message(env, lg.GraphError, lambda: env.run(step))
        == f"""cannot push <Tensor float32[2] variable 'b'>: it belongs to another graph

{at(step, "return")}

    Every call of a step writes its own graph. Push tensors made in this call."""
    )


def test_a_tensor_of_another_graph_cannot_be_returned(env: lg.VariableEnvironment) -> None:
    """At the line that runs the step, as the step has ended."""
    old = kept_tensor(env)

    def call() -> Any:
        return env.run(lambda ctx: (ctx.variable("w"), old))

    assert (
        message(env, lg.GraphError, call)
        == f"""cannot push <Tensor float32[2] variable 'b'>: it belongs to another graph

{at(call, "return")}

    Every call of a step writes its own graph. Push tensors made in this call."""
    )


def test_a_tensor_of_a_finished_context_cannot_be_used(env: lg.VariableEnvironment) -> None:
    """Computing with it, evaluating it, differentiating it."""
    old = kept_tensor(env)

    def compute() -> Any:
        return old + 1

    def evaluate() -> Any:
        return old.eval()

    def differentiate() -> Any:
        return lg.grad(old, old)

    for call, verb in ((compute, "add"), (evaluate, "evaluate"), (differentiate, "differentiate")):
        assert (
            message(env, lg.GraphError, call)
            == f"""cannot {verb}: the call of the step that this tensor belongs to has ended

{at(call, "return")}

    {ENDED}"""
        )


def test_an_evaluator_and_a_context_cannot_be_used_after_their_step(env: lg.VariableEnvironment) -> None:
    """What they would write to is closed."""
    kept: list[Any] = []

    def keeping(ctx: lg.Context) -> Any:
        kept.extend([ctx, ctx.evaluator().push(ctx.variable("b"))])
        return ctx.variable("w")

    env.run(keeping)
    ctx, evaluator = kept
    calls: list[Callable[[], Any]] = [
        evaluator.run,
        lambda: evaluator.push(kept_tensor(env)),
        lambda: ctx.variable("w"),
        lambda: ctx.variable("encoder/weights"),
        lambda: ctx.constant(2.0),
        lambda: ctx.constant([2.0]),
        lambda: ctx.placeholder("x", 3),
        lambda: ctx.random.normal(3),
        lambda: ctx.assign("w", 3),
        lambda: ctx.variables(),
        lambda: ctx.evaluator().run(),
    ]
    for call in calls:
        found = message(env, lg.GraphError, call)
        assert "ended" in found or "another graph" in found


LATER = "Return the tensor from the step and use the array it gives, or call .eval() inside env.run."
OF_MATH = "In place of a function of math take lazygrad's, such as lg.sin(x)."
USES: list[tuple[Callable[[Any], Any], str, str]] = [
    (bool, "a bool", WHERE),
    (
        lambda t: 1 if t else 2,
        "a bool",
        "Write lg.where(condition, a, b) instead of if, or return it and look at the array.",
    ),
    (lambda t: not t, "a bool", WHERE),
    (float, "a float", f"{LATER} {OF_MATH}"),
    (math.sin, "a float", f"{LATER} {OF_MATH}"),
    (lambda t: f"{t!s:.0}" + "%.2f" % t, "a float", f"{LATER} {OF_MATH}"),  # noqa: UP031
    (int, "an int", f"{LATER} A cast in the graph is x.astype(int)."),
    (lambda t: "%d" % t, "an int", f"{LATER} A cast in the graph is x.astype(int)."),  # noqa: UP031
    (complex, "a complex", LATER),
    (round, "a rounded number", f"{LATER} Rounding in the graph is lg.round(x)."),
    (lambda t: round(t, 2), "a rounded number", f"{LATER} Rounding in the graph is lg.round(x)."),
    (math.floor, "an int", f"{LATER} In the graph it is lg.floor(x)."),
    (math.ceil, "an int", f"{LATER} In the graph it is lg.ceil(x)."),
    (math.trunc, "an int", f"{LATER} In the graph it is lg.trunc(x)."),
    (lambda t: f"{t:.2f}", "text of the form '.2f'", f"{LATER} x.show(label) prints it in every run."),
    (lambda t: format(t, "d"), "text of the form 'd'", f"{LATER} x.show(label) prints it in every run."),
    (lambda t: [1, 2][t], "an index", "Use lg.take(x, indices), or x[indices] with this tensor as the index."),
    (range, "an index", "Use lg.take(x, indices), or x[indices] with this tensor as the index."),
    (np.asarray, "a NumPy array", "Use lazygrad's function (lg.*) in place of NumPy's, or return the tensor."),
    (
        lambda t: np.zeros(2) + np.array(t),
        "a NumPy array",
        "Use lazygrad's function (lg.*) in place of NumPy's, or return the tensor.",
    ),
    (np.mean, "an argument of np.mean", "It is lg.mean."),
    (np.sum, "an argument of np.sum", "It is lg.sum."),
    (lambda t: np.concatenate([t, t]), "an argument of np.concatenate", "Write lg.concat."),
    (np.linalg.inv, "an argument of np.linalg.inv", "It is lg.linalg.inv."),
    (np.cumsum, "an argument of np.cumsum", "Write lg.cumulative_sum."),
    (np.fft.fft, "an argument of np.fft.fft", "Use a function of lazygrad (lg.*) in place of NumPy's."),
    (np.add.reduce, "an argument of np.add.reduce", "It is lg.sum."),
    (np.spacing, "an argument of np.spacing", "Use a function of lazygrad (lg.*) in place of NumPy's."),
]


@pytest.mark.parametrize(("use", "what", "cure"), USES)
def test_a_tensor_cannot_be_used_as_a_value(
    env: lg.VariableEnvironment, use: Callable[[Any], Any], what: str, cure: str
) -> None:
    """As a bool, a number, an index or an array; the message says what to do instead."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return use(b)

    found = of_step(env, lg.TraceError, step).split("\n\n")
    assert found[0] == f"cannot turn float32[2] into {what}: {NO_VALUE}"
    assert found[2] == f"    tensor:  float32[2]   variable 'b'\n    {cure}"


def test_a_tensor_in_a_condition_is_named_with_its_line(env: lg.VariableEnvironment) -> None:
    """The whole message once, as it is the mistake that newcomers make."""

    def step(ctx: lg.Context) -> Any:
        loss = lg.sum(ctx.variable("b"))
        if loss > 0:
            return loss
        return -loss

    assert (
        of_step(env, lg.TraceError, step)
        == f"""cannot turn bool[] into a bool: it has no value while the graph is being written

{at(step, "if loss")}

    tensor:  bool[]   greater, {place(step, "if loss")}
    Write lg.where(condition, a, b) instead of if, or return it and look at the array."""
    )


def test_a_function_of_numpy_that_lazygrad_has_takes_tensors(env: lg.VariableEnvironment) -> None:
    """NumPy hands its ufuncs over: ``np.exp(tensor)`` is ``lg.exp(tensor)``, lazily."""

    def step(ctx: lg.Context) -> Any:
        y = np.exp(ctx.variable("b"))  # type: ignore[call-overload]
        assert isinstance(y, lg.Tensor)
        return y, np.ones(2, "float32") + y, np.float64(2) * y

    y, *_ = env.run(step)
    np.testing.assert_array_equal(np.exp(env["b"]), y)


def test_assigning_into_a_tensor_is_an_error(env: lg.VariableEnvironment) -> None:
    """It says what to write instead."""

    def step(ctx: lg.Context) -> Any:
        x = ctx.variable("w")
        x[0] = 3.0
        return x

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot assign into float32[2, 3]: a tensor never changes

{at(step, "x[0] =")}

    tensor:  float32[2, 3]   variable 'w'
    Write x = x.at[index].set(value) instead, or x.at[index].add(value) to add."""
    )


def test_a_tensor_without_axes_has_no_length(env: lg.VariableEnvironment) -> None:
    """Nor can it be walked through."""

    def length(ctx: lg.Context) -> Any:
        return len(lg.sum(ctx.variable("w")))

    def walk(ctx: lg.Context) -> Any:
        return list(lg.sum(ctx.variable("w")))

    for step in (length, walk):
        assert (
            of_step(env, lg.SpecError, step)
            == f"""cannot take the length of float32[]

{at(step, "return")}

    It has no axes."""
        )


def test_functions_outside_a_step_are_an_error(env: lg.VariableEnvironment) -> None:
    """There is no graph to write to."""

    def call() -> Any:
        return lg.exp(3.0)

    assert (
        message(env, lg.GraphError, call)
        == f"""cannot exp: no graph is being written

{at(call, "return")}

    Call it in a step, a function given to env.run, env.compile or env.trace."""
    )


# Steps.


def test_a_step_that_returns_nothing_useful_is_an_error_under_run(env: lg.VariableEnvironment) -> None:
    """It wrote nodes and asked for none of them."""

    def step(ctx: lg.Context) -> Any:
        lg.sum(ctx.variable("w"))

    assert (
        message(env, lg.GraphError, lambda: env.run(step))
        == """the step wrote 2 nodes and asked for none of them: it returned None

    Nothing would be computed, and no variable changed.
    Return what you want computed, such as `return loss, optimizer.minimize(loss)`."""
    )


@pytest.mark.parametrize("returned", [None, 5, "text", ()])
def test_a_step_that_returns_nothing_useful_is_an_error_under_compile(
    env: lg.VariableEnvironment, returned: Any
) -> None:
    """There would be nothing to plan; the message says what it returned."""

    def step(ctx: lg.Context) -> Any:
        lg.sum(ctx.variable("w"))
        return returned

    for call in (env.compile(step), lambda: env.trace(step)):
        assert (
            message(env, lg.TraceError, call)
            == f"""the step wrote 2 nodes and asked for none of them: it returned {returned!r}

    Nothing would be computed, and no variable changed.
    Return what you want computed, such as `return loss, optimizer.minimize(loss)`."""
        )


def test_asking_for_a_value_while_tracing_is_an_error(env: lg.VariableEnvironment) -> None:
    """Through ``eval`` and through an evaluator, under compile and trace."""

    def by_eval(ctx: lg.Context) -> Any:
        return ctx.variable("w").eval()

    def by_evaluator(ctx: lg.Context) -> Any:
        return ctx.evaluator().push(ctx.variable("w")).run()

    for step in (by_eval, by_evaluator):
        for call in (env.compile(step), partial(env.trace, step)):
            assert (
                message(env, lg.TraceError, call)
                == f"""cannot evaluate: the step is being traced, and no values exist yet

{at(step, "return")}

    Return the tensor from the step instead of evaluating it; the compiled step then returns its value."""
            )


@pytest.mark.parametrize("what", [5, None, "step"])
def test_what_is_no_function_cannot_be_run(env: lg.VariableEnvironment, what: Any) -> None:
    """Nor compiled, nor traced; at that very line."""

    def run() -> Any:
        return env.run(what)

    def compiled() -> Any:
        return env.compile(what)

    def traced() -> Any:
        return env.trace(what)

    for call in (run, compiled, traced):
        assert (
            message(env, lg.GraphError, call)
            == f"""cannot run {what!r}: it is not a function

{at(call, "return")}

    Give a function that takes a context: def step(ctx, ...): ..."""
        )


def test_pushing_what_is_no_tensor_is_an_error(env: lg.VariableEnvironment) -> None:
    """Only tensors and update ops can be evaluated."""

    def step(ctx: lg.Context) -> Any:
        return ctx.evaluator().push(3).run()  # type: ignore[arg-type]

    assert (
        message(env, lg.GraphError, lambda: env.run(step))
        == f"""cannot push 3

{at(step, "return")}

    Push a tensor, or an update op such as optimizer.update(variables, grads)."""
    )


@pytest.mark.parametrize("value", [{1}, bytearray(b"a"), SimpleNamespace()], ids=["set", "bytearray", "namespace"])
def test_an_argument_that_cannot_be_hashed_cannot_be_compiled_for(env: lg.VariableEnvironment, value: Any) -> None:
    """What is not an array is part of the signature."""

    def step(ctx: lg.Context, x: Any) -> Any:
        return ctx.variable("w")

    fast = env.compile(step)

    def call() -> Any:
        return fast(value)

    assert (
        message(env, lg.TraceError, call)
        == f"""cannot compile for an argument of type {type(value).__name__}

{at(call, "return")}

    Arguments that are not arrays are part of the signature, and must be hashable."""
    )


def test_what_a_compiled_step_runs_is_not_known_before_its_first_call(env: lg.VariableEnvironment) -> None:
    """Its plan and its source."""
    fast = env.compile(fed)

    def plan() -> Any:
        return fast.plan

    def source() -> Any:
        return fast.source()

    for call in (plan, source):
        assert (
            message(env, lg.TraceError, call)
            == f"""the step has not been compiled yet

{at(call, "return")}

    Call the compiled step once: it is planned for the arguments it is called with."""
        )


INSIDE: dict[str, Callable[[lg.VariableEnvironment], Any]] = {
    "run": lambda env: env.run(lambda ctx: ctx.variable("w")),
    "compiled": lambda env: env.compile(lambda ctx: ctx.variable("w"))(),
    "set": lambda env: env.__setitem__("b", [1, 1]),
    "register": lambda env: env.name("late").set(1.0),
}


@pytest.mark.parametrize("what", INSIDE)
def test_a_hook_must_leave_its_environment_alone(env: lg.VariableEnvironment, what: str) -> None:
    """Running, setting and registering in a hook are errors, and stop the run that called it."""

    def step(ctx: lg.Context) -> Any:
        return ctx.assign("w", ctx.variable("w").hook(lambda array: INSIDE[what](env)) + 1)

    for call in (lambda: env.run(step), env.compile(step)):
        found = message(env, lg.GraphError, call).split("\n\n")
        assert found[0] == "cannot change the environment, or run a step, while a step is being evaluated"
        cure = "A hook, and a handler or a finalizer that is called meanwhile, must leave the environment alone: "
        assert found[2] == f"    {cure}keep the array, and go on afterwards."


# Gradients.


def test_an_op_without_a_derivative_on_the_path_is_an_error(env: lg.VariableEnvironment) -> None:
    """The gradient for the shape parameter of a gamma draw is undefined, and named at its line."""

    def step(ctx: lg.Context) -> Any:
        alpha = lg.exp(ctx.variable("b"))
        draw = ctx.random.gamma(2, alpha)
        return lg.grad(lg.sum(draw), alpha)

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot differentiate gamma with respect to 'alpha': no derivative is known

{at(step, "draw =")}

    alpha:  float32[2]   exp, {place(step, "alpha =")}
    Put lg.stop_gradient around that operand to hold it constant, or give the derivative with lg.custom_gradient."""
    )


def test_an_op_without_a_derivative_beside_the_path_is_no_error(env: lg.VariableEnvironment) -> None:
    """The scale of the same draw has one, and a stopped operand gets zeros."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b") + 1
        scaled = lg.sum(ctx.random.gamma(2, 2.0, scale=b))
        stopped = lg.sum(ctx.random.gamma(2, lg.stop_gradient(b) + 1))
        return lg.grad(scaled, b) * b, ctx.random.gamma(2, 2.0), lg.grad(stopped, b)

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


# Optimizers.


SETTINGS: list[tuple[Callable[[Any], Any], str, str]] = [
    (
        lambda env: lg.optim.Adam(env, learning_rate="fast"),  # type: ignore[arg-type]
        "cannot use 'fast' as learning_rate",
        "Settings are finite numbers; a learning rate may also be one of lg.optim.schedules.",
    ),
    (
        lambda env: lg.optim.Adam(env, eps=float("nan")),
        "cannot use nan as eps",
        "Settings are finite numbers; a learning rate may also be one of lg.optim.schedules.",
    ),
    (lambda env: lg.optim.SGD(env, -0.1), "cannot use -0.1 as learning_rate", "It is a number from 0 up."),
    (lambda env: lg.optim.SGD(env, 0.1, momentum=-1), "cannot use -1 as momentum", "It is a number from 0 up."),
    (
        lambda env: lg.optim.Adam(env, betas=(0.9, 1.0)),
        "cannot use 1.0 as beta2",
        "It is a number from 0 up to but not including 1.",
    ),
    (
        lambda env: lg.optim.Lion(env, betas=0.9),  # type: ignore[arg-type]
        "cannot use 0.9 as betas",
        "Give two numbers, such as betas=(0.9, 0.99).",
    ),
    (
        lambda env: lg.optim.SGD(env, 0.1, nesterov=True),
        "cannot use nesterov=True without momentum",
        "Nesterov's method looks ahead along the velocity: give a momentum, such as 0.9.",
    ),
    (
        lambda env: lg.optim.RMSprop(env, rho=1.5),
        "cannot use 1.5 as rho",
        "It is a number from 0 up to but not including 1.",
    ),
    (
        lambda env: lg.optim.schedules.Cosine(0.1, 0),
        "cannot make Cosine(rate=0.1, steps=0, final=0.0)",
        "steps must be positive.",
    ),
    (
        lambda env: lg.optim.schedules.Piecewise((3, 5), (1.0, 0.1)),
        "cannot make Piecewise(boundaries=(3, 5), rates=(1.0, 0.1))",
        "There must be one rate more than boundaries.",
    ),
    (
        lambda env: lg.optim.schedules.Constant("x"),  # type: ignore[arg-type]
        "cannot make Constant(rate='x')",
        "rate must be a finite number.",
    ),
]


@pytest.mark.parametrize(("make", "what", "cure"), SETTINGS, ids=[what for _, what, _ in SETTINGS])
def test_a_setting_that_cannot_be_is_refused(
    env: lg.VariableEnvironment, make: Callable[[Any], Any], what: str, cure: str
) -> None:
    """And neither variables nor a name are left behind."""

    def call() -> Any:
        make(env)

    found = message(env, lg.SpecError, call).split("\n\n")
    assert [found[0], found[2]] == [what, f"    {cure}"]


def test_an_optimizer_needs_an_environment(env: lg.VariableEnvironment) -> None:
    """Its state lies there."""

    def call() -> Any:
        lg.optim.Adam(0.1)  # type: ignore[arg-type]

    assert (
        message(env, lg.DefinitionError, call)
        == f"""cannot keep state in 0.1

{at(call, "Adam")}

    Write Adam(env, ...): its state is variables of an environment."""
    )


def test_two_optimizers_of_one_name_are_an_error(env: lg.VariableEnvironment) -> None:
    """When the name was given."""

    def call() -> Any:
        lg.optim.Adam(env, name="sgd")

    assert (
        message(env, lg.DefinitionError, call)
        == f"""there is an optimizer named 'sgd' already

{at(call, "Adam")}

    Give the second one another name, or leave it out."""
    )


def test_a_variable_where_the_state_of_an_optimizer_would_lie_is_an_error(env: lg.VariableEnvironment) -> None:
    """The user's own namespace may have the name of an optimizer."""
    env.namespace("adam").name("step").set(np.ones(2, "float32"))

    def call() -> Any:
        lg.optim.Adam(env)

    assert (
        message(env, lg.VariableError, call)
        == f"""'adam' cannot use variable 'adam/step'

{at(call, "Adam")}

    wanted:      int64[], not trainable
    registered:  <Variable 'adam/step' float32[2]>
    Another variable stands where its state would lie: give the optimizer another name."""
    )


def optimizer(env: lg.VariableEnvironment) -> lg.optim.Optimizer:
    """An optimizer in the environment."""
    return lg.optim.SGD(env, 0.1, name="mine")


def test_as_many_gradients_as_variables_are_needed(env: lg.VariableEnvironment) -> None:
    """In ``update``."""
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        return sgd.update([ctx.variable("w"), ctx.variable("b")], [ctx.variable("w")])

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot update 2 variables with 1 gradients

{at(step, "return")}

    Give one gradient for each variable, in the same order."""
    )


def test_a_gradient_has_the_shape_of_its_variable(env: lg.VariableEnvironment) -> None:
    """In ``update``."""
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        w, b = ctx.variable("w"), ctx.variable("b")
        return sgd.update([w, b], [b, w])

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot update variable 'w'

{at(step, "return")}

    variable:  float32[2, 3]   'w'
    gradient:  float32[2]   variable 'b'
    A gradient has the shape of its variable. Are the two lists in the same order?"""
    )


def test_a_variable_cannot_be_updated_twice(env: lg.VariableEnvironment) -> None:
    """In one ``update``."""
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return sgd.update([b, "b"], [b, b])

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot update variable 'b' twice

{at(step, "return")}

    One update gives each variable one new value: add up its gradients, and name it once."""
    )


def test_what_is_no_variable_cannot_be_updated(env: lg.VariableEnvironment) -> None:
    """A computed tensor."""
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        y = ctx.variable("b") * 2
        return sgd.update([y], [y])

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot update <Tensor float32[2] multiply, {place(step, "y =")}>: it is not a variable

{at(step, "return")}

    Give what ctx.variable(name) returned, a variable, or its name."""
    )


def test_an_optimizer_moves_floating_numbers_only(env: lg.VariableEnvironment) -> None:
    """A trainable counter is a mistake that is named."""
    env.name("count").set(3)
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        return sgd.minimize(lg.sum(ctx.variable("b")))

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot update variable 'count'

{at(step, "return")}

    variable:  int64[]   'count'
    An optimizer moves floating numbers: register it with trainable=False, or leave it out."""
    )


def test_an_optimizer_belongs_to_its_environment(env: lg.VariableEnvironment) -> None:
    """Its state lies in another."""
    other = lg.VariableEnvironment()
    other.name("b").set([0.0, 0.0])
    sgd = optimizer(other)

    def step(ctx: lg.Context) -> Any:
        return sgd.minimize(lg.sum(ctx.variable("b")))

    assert (
        of_step(env, lg.GraphError, step)
        == f"""mine belongs to another environment

{at(step, "return")}

    Make an optimizer for each environment."""
    )


def test_there_must_be_something_to_train() -> None:
    """``minimize`` without variables finds none that is trainable."""
    env = lg.VariableEnvironment()
    env.name("w").set([1.0], trainable=False)
    sgd = optimizer(env)

    def step(ctx: lg.Context) -> Any:
        return sgd.minimize(lg.sum(ctx.variable("w")))

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot minimize: there is no trainable variable

{at(step, "return")}

    Register a variable with env.name(name).set(array), or name those that shall change."""
    )


def test_a_loss_is_a_tensor_of_this_step(env: lg.VariableEnvironment) -> None:
    """Not a number, and not a tensor of a call that has ended."""
    sgd, old = optimizer(env), kept_tensor(env)

    def number(ctx: lg.Context) -> Any:
        return sgd.minimize(3.0)  # type: ignore[arg-type]

    def ended(ctx: lg.Context) -> Any:
        return sgd.minimize(old)

    assert (
        of_step(env, lg.GraphError, number)
        == f"""cannot minimize 3.0: it is not a tensor

{at(number, "return")}

    Give the loss as a tensor of this step."""
    )
    assert (
        of_step(env, lg.GraphError, ended)
        == f"""cannot minimize: the graph of this tensor is finished

{at(ended, "return")}

    A tensor lives as long as the call of the step that made it: write the update in that call."""
    )


def test_an_update_outside_a_step_is_an_error(env: lg.VariableEnvironment) -> None:
    """There is no graph to write to."""
    sgd = optimizer(env)

    def call() -> Any:
        sgd.update(["b"], [np.zeros(2)])

    assert (
        message(env, lg.GraphError, call)
        == f"""cannot update with mine: no graph is being written

{at(call, "sgd.update")}

    Call it in a step, a function given to env.run, env.compile or env.trace."""
    )


def test_setting_a_learning_rate_that_is_no_number_is_an_error(env: lg.VariableEnvironment) -> None:
    """The old one stays."""
    sgd = optimizer(env)

    def call() -> Any:
        sgd.learning_rate = "slow"

    assert (
        message(env, lg.SpecError, call)
        == f"""cannot use 'slow' as learning_rate

{at(call, "sgd.learning_rate")}

    Settings are finite numbers; a learning rate may also be one of lg.optim.schedules."""
    )
    assert sgd.learning_rate == 0.1


CLIPS: list[tuple[Callable[[Any], Any], str, str]] = [
    (
        lambda g: lg.optim.clip_by_global_norm(g, 1.0),
        "cannot scale gradients: they are one tensor, not a list",
        "Write [g] for one: the lengths of several are taken together.",
    ),
    (lambda g: lg.optim.clip_by_global_norm([g], -1.0), "cannot use -1.0 as norm", "A length is not negative."),
    (lambda g: lg.optim.normalize_gradient([g], -1.0), "cannot use -1.0 as length", "A length is not negative."),
    (lambda g: lg.optim.clip_by_value([g], 1, -1), "cannot clip between 1 and -1", "The lower bound comes first."),
]


@pytest.mark.parametrize(("clip", "what", "cure"), CLIPS, ids=[what for _, what, _ in CLIPS])
def test_gradients_are_not_clipped_to_what_cannot_be(
    env: lg.VariableEnvironment, clip: Callable[[Any], Any], what: str, cure: str
) -> None:
    """A negative length, bounds in the wrong order, one tensor for a list."""

    def step(ctx: lg.Context) -> Any:
        return clip(ctx.variable("b"))

    found = of_step(env, lg.SpecError, step).split("\n\n")
    assert [found[0], found[2]] == [what, f"    {cure}"]


# Environments, backends, files.


def test_an_unknown_backend_is_an_error() -> None:
    """With those that there are."""

    def call() -> Any:
        lg.VariableEnvironment(backend="tpu")

    with pytest.raises(lg.BackendError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""there is no backend 'tpu'

{at(call, "backend=")}

    There are: 'numpy', 'cupy'."""
    )


def test_the_backend_cupy_without_cupy_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where CuPy is installed: the import is made to fail."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(lg.BackendError) as caught:
        lg.VariableEnvironment(backend="cupy")
    assert (
        str(caught.value)
        == """cannot use backend='cupy': CuPy is not installed

    import cupy: import of cupy halted; None in sys.modules
    Install it for your driver: pip install "lazygrad[gpu-cuda12]" or "lazygrad[gpu-cuda13]"."""
    )


def test_the_backend_cupy_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy is there, and finds no device."""

    def no_device() -> int:
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    fake = SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=no_device)))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    with pytest.raises(lg.BackendError) as caught:
        lg.VariableEnvironment(backend="cupy")
    assert (
        str(caught.value)
        == """cannot use backend='cupy': CuPy finds no GPU that works

    RuntimeError: cudaErrorNoDevice: no CUDA-capable device is detected
    Look at `nvidia-smi`, and use backend='numpy' on a machine without a GPU."""
    )


@pytest.mark.parametrize("seed", [-1, 1.5, "abc", True])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    """That is not negative."""

    def call() -> Any:
        lg.VariableEnvironment(seed=seed)

    with pytest.raises(lg.SpecError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""cannot use {seed!r} as a seed

{at(call, "seed=")}

    A seed is a whole number that is not negative, or None for a fresh one."""
    )


@pytest.mark.parametrize("dtype", ["int32", "float16", "float31", "complex64", None, 3])
def test_the_dtype_of_an_environment_is_single_or_double(dtype: Any) -> None:
    """Other dtypes are for single variables."""

    def call() -> Any:
        lg.VariableEnvironment(dtype=dtype)

    with pytest.raises(lg.SpecError) as caught:
        call()
    assert (
        str(caught.value)
        == f"""cannot compute in {dtype!r} by default

{at(call, "dtype=")}

    Choose 'float32' or 'float64'; single variables may have any real dtype."""
    )


def test_a_damaged_file_is_an_error(env: lg.VariableEnvironment, tmp_path: Any) -> None:
    """A file that is cut off, for ``load`` and ``restore``; more in test_serialize.py."""
    path = tmp_path / "env.json"
    env.save(path)
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    for call in (lambda: env.restore(path), lambda: lg.VariableEnvironment.load(path)):
        found = message(env, lg.SaveError, call)
        assert found.startswith(f"cannot read {str(path)!r}\n")


def test_a_folder_that_is_not_there_is_an_error(env: lg.VariableEnvironment, tmp_path: Any) -> None:
    """Saving to it."""
    path = tmp_path / "none" / "env.json"

    def call() -> Any:
        env.save(path)

    assert (
        message(env, lg.SaveError, call)
        == f"""cannot save to {str(path)!r}

{at(call, "env.save")}

    FileNotFoundError: No such file or directory
    Choose a file in a folder that exists and that you may write to. An old file there is unchanged."""
    )


# Declarations.


def test_a_declaration_without_a_docstring_is_an_error() -> None:
    """An op says in one line what it computes."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise()
        def silent(xp: Any, x: Array) -> Any:
            return x

    assert str(caught.value) == "op 'silent' has no docstring: say in one line what it computes"


def test_a_kernel_takes_the_namespace_first() -> None:
    """Its first parameter is the array namespace."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise()
        def wrong(x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'wrong': the first parameter is 'xp' (or 'rng'), not 'x'"


def test_there_are_as_many_rules_as_operands() -> None:
    """Rule and signature are compared when the op is declared."""
    with pytest.raises(lg.DefinitionError) as caught:

        @elementwise(vjp=lambda g, y, a, b: g)
        def two(xp: Any, a: Array, b: Array) -> Any:
            """Nothing."""
            return a

    assert str(caught.value).startswith("op 'two' has 2 operands (a, b), but 1 vjp rules")


def test_a_rule_takes_what_the_op_has() -> None:
    """Operands, and settings by name."""
    with pytest.raises(lg.DefinitionError) as caught:

        @movement(shape=lambda x, n: x, vjp=lambda g, y, x, *, m: g)
        def other(xp: Any, x: Array, *, n: int) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'other': its vjp names settings that it has not: {'m'}"
    with pytest.raises(lg.DefinitionError) as caught:

        @opaque(shape=lambda x: x, vjp=lambda g, x: g)
        def fewer(xp: Any, x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "op 'fewer': its vjp takes (g, y, x), not 2 operands"


def test_a_reduction_takes_axis_and_keepdims() -> None:
    """It is one of its kind."""
    with pytest.raises(lg.DefinitionError) as caught:

        @reduction()
        def total(xp: Any, x: Array) -> Any:
            """Nothing."""
            return x

    assert str(caught.value) == "reduction 'total' must take axis= and keepdims="


def test_a_kernel_that_returns_something_else_than_declared_is_an_error(env: lg.VariableEnvironment) -> None:
    """The first run compares."""

    @opaque(shape=lambda x: x, vjp=None)
    def halved(xp: Any, x: Array) -> Any:
        """Half of the elements, though the rule says all."""
        return x[: len(x) // 2]

    def step(ctx: lg.Context) -> Any:
        return halved(ctx.variable("b"))

    assert (
        message(env, lg.DefinitionError, lambda: env.run(step))
        == f"""op 'halved' declares float32[2], but its kernel returned float32[1]

{at(step, "return")}

    Correct its shape or dtype rule, or cast in the kernel."""
    )


# Where nothing can be said relative to the current folder.


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which is no more."""
    folder = tmp_path / "removed"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a folder that is in use")
def test_an_error_in_a_removed_folder_is_that_error(env: lg.VariableEnvironment, removed: Path) -> None:
    """The places in it are whole paths; whatever is said, it is not that the folder is missing."""
    with pytest.raises(lg.SpecError) as caught:
        env.run(lambda ctx: ctx.variable("w") + ctx.variable("encoder/weights") + np.ones(7))
    text = str(caught.value)
    assert text.startswith("cannot add float64[2, 3] and float64[7]\n\n    ")
    assert f"  {__file__}:" in text
    with pytest.raises(lg.VariableError, match="there is no variable 'v'"):
        env["v"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not remove a folder that is in use")
def test_what_needs_the_removed_folder_says_so_and_all_else_works(
    env: lg.VariableEnvironment, removed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths are refused with the system's reason; absolute ones, runs and compiling need no folder."""
    monkeypatch.setenv("LAZYGRAD_CACHE", "relative")
    before = snapshot(env)
    for use in (env.save, lg.VariableEnvironment.load, env.restore):
        with pytest.raises(lg.SaveError, match="FileNotFoundError: No such file or directory"):
            use("c.json")
    sgd = lg.optim.SGD(env, 0.1, name="other")

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(ctx.variable("w") - x.astype("float32")))
        return loss, sgd.minimize(loss, ["w"])

    compiled = env.compile(step, wait=True)
    with pytest.raises(lg.SaveError, match=r"cannot use 'c\.json' as a checkpoint"):
        lg.fit(compiled, np.ones((4, 3)), epochs=1, batch_size=2, checkpoint="c.json")
    assert before[0] == [row for row in snapshot(env)[0] if not row[0].startswith("other/")]
    assert f"{__file__}:" in str(env.trace(step, np.ones((2, 3))))
    assert 1 == lg.fit(compiled, np.ones((4, 3)), epochs=1, batch_size=2, checkpoint=tmp_path / "c.json").epochs
    env.save(tmp_path / "env.json")
    assert snapshot(env)[0] == snapshot(lg.VariableEnvironment.load(tmp_path / "env.json"))[0]
