"""Feeds and placeholders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import at, place
from told import fed, message, of_step

import lazygrad as lg

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
