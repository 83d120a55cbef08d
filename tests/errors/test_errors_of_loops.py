"""What is said of loops that are written wrongly, or fail in a turn; the environment is as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from snapshots import at, place, snapshot
from told import of_step

import lazygrad as lg


def test_a_carry_that_changes_its_shape_is_named_with_both_specs(env: lg.VariableEnvironment) -> None:
    """And with the lines where both were written."""

    def step(ctx: lg.Context) -> Any:
        start = {"h": lg.zeros(3)}

        def body(carry: Any, _: None) -> Any:
            longer = lg.concat([carry["h"], carry["h"]])
            return {"h": longer}, None

        return lg.scan(body, start, length=4)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot scan: carry['h'] changes from float32[3] to float32[6]

{at(step, "lg.scan")}

    given:     float32[3]   full, {place(step, "start =")}
    returned:  float32[6]   concat, {place(step, "longer =")}
    A carry keeps its shapes and dtypes: cast or reshape it in the body, or begin with another."""
    )


def test_a_carry_that_changes_its_dtype_or_nesting_is_refused_by_every_loop(env: lg.VariableEnvironment) -> None:
    """Numbers of Python's become what the body makes of them; what has a dtype keeps it."""
    three = lambda: lg.zeros(3)  # noqa: E731
    said = {
        lambda ctx: lg.while_loop(lambda c: c[0] < 1, lambda c: c.astype("int32"), three()): (
            "cannot loop: the carry changes from float32[3] to int32[3]"
        ),
        lambda ctx: lg.fori_loop(0, 3, lambda i, c: (c, c), three()): (
            "cannot loop: the body returns a carry of another structure"
        ),
        lambda ctx: lg.scan(lambda c, _: ([c[0]], None), (three(),), length=2): (
            "cannot scan: the body returns a carry of another structure"
        ),
    }
    for step, first in said.items():
        with pytest.raises(lg.SpecError) as caught:
            env.run(step)
        assert first == str(caught.value).splitlines()[0]
    last = env.run(lambda ctx: lg.fori_loop(0, 3, lambda i, c: c + lg.asarray(0.5, "float64"), 0))
    assert (np.float64(1.5), np.float64) == (last, last.dtype)


def test_a_body_returns_a_pair(env: lg.VariableEnvironment) -> None:
    """Of the carry and of what is stacked."""

    def step(ctx: lg.Context) -> Any:
        return lg.scan(lambda carry, x: carry, lg.zeros(3), length=4)

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot scan: its body returned a Tensor, not (carry, y)

{at(step, "lg.scan")}

    A body returns a pair, (carry, y); y is None where there is nothing to stack."""
    )


def test_xs_have_one_length(env: lg.VariableEnvironment) -> None:
    """All of them are named with their lines."""

    def step(ctx: lg.Context) -> Any:
        xs = {"a": lg.zeros(3), "b": lg.ones((4, 2))}
        return lg.scan(lambda carry, x: (carry, None), 0.0, xs)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot scan over xs of several lengths

{at(step, "lg.scan")}

    xs['a']:  float32[3]   full, {place(step, "xs =")}
    xs['b']:  float32[4, 2]   full, {place(step, "xs =")}
    All are gone through together: their first axes are equal, and equal to length where that is given."""
    )


def test_a_scan_over_nothing_needs_a_length(env: lg.VariableEnvironment) -> None:
    """A whole number, not negative."""

    def step(ctx: lg.Context) -> Any:
        return lg.scan(lambda carry, x: (carry, None), 0.0)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot scan: there are no xs, and no length

{at(step, "lg.scan")}

    Give length=, the number of turns."""
    )
    for length in (-1, 2.5, True, "3"):
        with pytest.raises(lg.SpecError, match="cannot scan with length="):
            env.run(lambda ctx, n=length: lg.scan(lambda c, x: (c, None), 0.0, length=n))


def test_a_condition_is_a_single_boolean(env: lg.VariableEnvironment) -> None:
    """Of while_loop, and likewise the predicate of cond."""

    def step(ctx: lg.Context) -> Any:
        return lg.while_loop(lambda c: c > 0, lambda c: c - 1, ctx.variable("b"))

    def choice(ctx: lg.Context) -> Any:
        return lg.cond(lg.sum(ctx.variable("b")), lambda: 1.0, lambda: 2.0)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot loop while bool[2]: a condition is a single boolean

{at(step, "lg.while_loop")}

    condition:  bool[2]   greater, {place(step, "lg.while_loop")}
    Compare numbers, and combine what is compared with lg.all or lg.any, so that one bool[] comes out."""
    )
    assert (
        of_step(env, lg.SpecError, choice)
        == f"""cannot choose by float32[]: a predicate is a single boolean

{at(choice, "lg.cond")}

    predicate:  float32[]   sum, {place(choice, "lg.cond")}
    Compare numbers; lg.where chooses element by element."""
    )


def test_both_functions_of_a_choice_return_the_same(env: lg.VariableEnvironment) -> None:
    """The same nesting of the same specs."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        return lg.cond(lg.sum(b) > 0, lambda: (b, b), lambda: b)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot choose between functions that return something different

{at(step, "lg.cond")}

    if true:   (float32[2], float32[2])
    if false:  float32[2]
    Both return the same nesting of the same shapes and dtypes: cast or broadcast one of them."""
    )


def test_the_gradient_of_a_loop_with_a_condition_needs_max_steps(env: lg.VariableEnvironment) -> None:
    """Forwards it does not."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        last = lg.while_loop(lambda c: lg.sum(c) < 5, lambda c: c + 1, b)
        return lg.grad(lg.sum(last), b)

    assert (
        of_step(env, lg.GradientError, step)
        == f"""cannot differentiate a while_loop without max_steps: how many turns are to be kept is not known

{at(step, "last =")}

    Give max_steps, a number of turns that it never exceeds; or put lg.stop_gradient around what it starts from."""
    )


def test_a_loop_takes_no_more_than_max_steps(env: lg.VariableEnvironment) -> None:
    """It is an error of the run, which changes nothing."""

    def step(ctx: lg.Context) -> Any:
        b = ctx.variable("b")
        last = lg.while_loop(lambda c: lg.sum(c) < 50, lambda c: c + 1, b, max_steps=5)
        return last, ctx.assign("b", last)

    before = snapshot(env)
    for run in (lambda: env.run(step), env.compile(step), env.compile(step, wait=True)):
        with pytest.raises(lg.LoopError) as caught:
            run()
        assert (
            str(caught.value)
            == f"""a while_loop has taken max_steps=5 turns, and its condition still holds

{at(step, "last =")}

    Give more max_steps, or see why the carry does not come to where the condition is false."""
        )
        assert before == snapshot(env)


def test_what_fails_in_a_turn_says_in_which(env: lg.VariableEnvironment) -> None:
    """A singular matrix in turn 317; nothing has changed."""

    def step(ctx: lg.Context) -> Any:
        def body(c: Any, _: None) -> Any:
            solved = lg.linalg.solve(lg.eye(2) * c, lg.ones((2, 1)))
            return c - 1, lg.sum(solved)

        last, ys = lg.scan(body, 317.0, length=500)
        return ys, ctx.assign("b", lg.stack([last, last]))

    before = snapshot(env)
    for run in (lambda: env.run(step), env.compile(step), env.compile(step, wait=True)):
        with pytest.raises(np.linalg.LinAlgError) as caught:
            run()
        assert f"in turn 317 of the scan, {at(step, 'lg.scan').strip()}" in caught.value.__notes__
        assert before == snapshot(env)


def test_a_tensor_of_a_body_cannot_be_used_outside(env: lg.VariableEnvironment) -> None:
    """It has a value in every turn, and none behind the loop."""

    def step(ctx: lg.Context) -> Any:
        kept = []
        lg.scan(lambda c, _: (kept.append(c * 2) or c, None), 1.0, length=3)
        return kept[0] + 1

    def returned(ctx: lg.Context) -> Any:
        kept = []
        lg.scan(lambda c, _: (kept.append(c * 2) or c, None), 1.0, length=3)
        return kept[0]

    assert (
        of_step(env, lg.GraphError, step)
        == f"""cannot add: the tensor was made in the body of scan, which has ended

{at(step, "return")}

    What a body computes leaves it as what it returns: as a carry, or as a y of every turn."""
    )
    with pytest.raises(lg.GraphError, match="made in the body of scan, which has ended"):
        env.run(returned)


def test_a_tensor_of_another_call_cannot_be_used_in_a_body(env: lg.VariableEnvironment) -> None:
    """A body takes tensors of the graphs around it, and no others."""
    kept: list[Any] = []
    env.run(lambda ctx: kept.append(ctx.variable("b")) or kept[0])

    def step(ctx: lg.Context) -> Any:
        return lg.scan(lambda c, _: (c + kept[0], None), lg.zeros(2), length=3)

    assert of_step(env, lg.GraphError, step).startswith("cannot use tensors of two graphs together")


def test_a_body_has_no_values(env: lg.VariableEnvironment) -> None:
    """They are seen with show, or as ys."""

    def step(ctx: lg.Context) -> Any:
        return lg.scan(lambda c, _: (c.eval(), None), 1.0, length=3)

    with pytest.raises(lg.TraceError, match="it is in the body of scan, which is being written"):
        env.run(step)


def test_a_body_returns_the_updates_that_it_writes(env: lg.VariableEnvironment) -> None:
    """And one of a variable in a turn."""

    def lost(ctx: lg.Context) -> Any:
        return lg.scan(lambda c, _: (c + 0 * bool(ctx.assign("b", c)), None), lg.zeros(2), length=3)

    def twice(ctx: lg.Context) -> Any:
        return lg.scan(lambda c, _: (c, (ctx.assign("b", c), ctx.assign("b", c + 1))), lg.zeros(2), length=3)

    assert (
        of_step(env, lg.GraphError, lost)
        == f"""cannot scan: its body writes an update, and does not return it

{at(lost, "lg.scan")}

    update:  of 'b', {place(lost, "lg.scan")}
    Return it among the ys: `return carry, (y, update)`."""
    )
    assert of_step(env, lg.GraphError, twice).startswith("cannot scan: variable 'b' is assigned twice in one turn")


def test_a_loop_with_a_condition_has_a_carry(env: lg.VariableEnvironment) -> None:
    """Else its condition would never change."""

    def step(ctx: lg.Context) -> Any:
        return lg.while_loop(lambda c: lg.sum(ctx.variable("b")) > 0, lambda c: c, None)

    assert (
        of_step(env, lg.SpecError, step)
        == f"""cannot loop: there is no carry

{at(step, "lg.while_loop")}

    Begin with at least one number: nothing else can change from turn to turn, and end the loop."""
    )
