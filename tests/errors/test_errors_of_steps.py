"""Steps that return nothing, ask for values, or are no functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from snapshots import at
from told import fed, message

import lazygrad as lg


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
