"""Variables: unknown ones, names that are taken, arrays that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import at
from told import message, of_step

import lazygrad as lg


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
