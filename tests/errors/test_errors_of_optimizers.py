"""Optimizers: settings, names, and what they are told to move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from snapshots import at, place
from told import kept_tensor, message, of_step

import lazygrad as lg

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

    shown = f"<Tensor float32[2] multiply, {place(step, 'y =')}>"[:60]
    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot update {shown}: it is not a variable

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

    Make an optimizer for each environment, or copy, or pickle, the two together."""
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
