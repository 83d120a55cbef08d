"""Tensors out of place: of another graph, of a step that has ended, used as values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from snapshots import at, place
from told import ENDED, NO_VALUE, WHERE, kept_tensor, message, of_step

import lazygrad as lg


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
    (np.hypot.reduce, "an argument of np.hypot.reduce", "Use a function of lazygrad (lg.*) in place of NumPy's."),
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
