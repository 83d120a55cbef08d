"""What the body of a loop may do: draw, show, call hooks, update variables, differentiate, and loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.training.fingerprint import of_graph


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """Two variables."""
    env = lg.VariableEnvironment(seed=3, dtype="float64")
    env.name("w").set(np.array([1.0, 2.0]))
    env.name("v").set(np.array([3.0, 4.0]))
    return env


def both(env: lg.VariableEnvironment, step: Any, *args: Any) -> list[Any]:
    """What a step gives in run and in compile, from the same state of the environment."""
    other = env.copy()
    return [env.run(step, *args), other.compile(step, wait=True)(*args)]


def test_every_turn_draws_numbers_of_its_own_which_the_seed_determines(env: lg.VariableEnvironment) -> None:
    """Also in a loop in a loop, and in every run."""

    def step(ctx: lg.Context) -> Any:
        def outer(c: Any, _: Any) -> Any:
            return c, (lg.scan(lambda d, _: (d, ctx.random.normal(2)), 0, length=3)[1], ctx.random.uniform(()))

        return lg.scan(outer, 0, length=4)[1]

    same = env.copy()
    first, second = env.run(step), env.run(step)
    numbers = np.concatenate([np.ravel(a) for a in (*first, *second)])
    assert len(numbers) == len(np.unique(numbers)) == 2 * (24 + 4)
    compiled = same.compile(step, wait=True)
    for expected in (first, second):
        for a, b in zip(compiled(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_gradient_sees_the_numbers_that_were_drawn(env: lg.VariableEnvironment) -> None:
    """d/dw Σ w·z is Σ z."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")

        def body(c: Any, _: Any) -> Any:
            z = ctx.random.normal(2)
            return c + w * z, z

        last, zs = lg.scan(body, lg.zeros(2), length=5)
        return zs, lg.grad(lg.sum(last), w)

    for zs, gradient in both(env, step):
        np.testing.assert_allclose(gradient, zs.sum(0), rtol=1e-12)


def test_an_update_in_a_body_is_made_in_every_turn(env: lg.VariableEnvironment) -> None:
    """The next turn reads the new value; outside of the loop the old one is read, as in every run."""

    def step(ctx: lg.Context) -> Any:
        def body(c: Any, _: Any) -> Any:
            w = ctx.variable("w")
            return c + w, (w, {"u": ctx.assign("w", w * 2)})

        total, (seen, update) = lg.scan(body, lg.zeros(2), length=3)
        return total, seen, update, ctx.variable("w") * 1

    other = env.copy()
    for result, at in ((env.run(step), env), (other.compile(step, wait=True)(), other)):
        total, seen, update, outside = result
        np.testing.assert_array_equal(total, [7.0, 14.0])
        np.testing.assert_array_equal(seen, [[1, 2], [2, 4], [4, 8]])
        assert update == {"u": None}
        np.testing.assert_array_equal(outside, [1, 2])
        np.testing.assert_array_equal(at["w"], [8.0, 16.0])


def test_an_optimizer_in_a_body_makes_as_many_steps_as_there_are_turns() -> None:
    """An epoch is a scan over batches: the same as a run for each batch."""
    xs = np.random.default_rng(0).normal(size=(6, 8, 2))
    found = []
    for whole in (True, False):
        env = lg.VariableEnvironment(seed=0, dtype="float64")
        env.name("w").set(np.zeros(2))
        adam = lg.optim.Adam(env, 0.1)

        def loss(ctx: lg.Context, x: Any) -> Any:
            return lg.mean((x @ ctx.variable("w") - lg.sum(x, axis=1)) ** 2)

        def batch(ctx: lg.Context, x: Any, adam: Any = adam, loss: Any = loss) -> Any:
            value = loss(ctx, x)
            return value, adam.minimize(value)

        def epoch(ctx: lg.Context, all_xs: Any, batch: Any = batch) -> Any:
            return lg.scan(lambda c, x: (c, batch(ctx, x)), 0, all_xs)[1]

        losses = env.run(epoch, xs)[0] if whole else [env.run(batch, one)[0] for one in xs]
        found.append([np.asarray(losses), *[env[v.path] for v in env]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_show_and_hooks_happen_in_every_turn_and_once(
    env: lg.VariableEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a gradient is taken, for which the loop is written once more."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")

        def body(c: Any, x: Any) -> Any:
            c = c * w + x
            c.show("c")
            return c, c

        last, _ = lg.scan(body, lg.zeros(2), lg.arange(3) * 1.0)
        return lg.grad(lg.sum(last**2), w)

    def alone(ctx: lg.Context) -> None:
        lg.scan(lambda c, _: (c + 1, c.show("n") * 0), 0, length=2)

    def expected() -> str:
        return "c: [0. 0.]\nc: [1. 1.]\nc: [3. 4.]\n"

    for run in (lambda: env.run(step), env.compile(step), env.compile(step, wait=True)):
        run()
        assert expected() == capsys.readouterr().out
    env.run(alone)
    assert "n: 0\nn: 1\n" == capsys.readouterr().out


def test_a_gradient_can_be_taken_in_a_body(env: lg.VariableEnvironment) -> None:
    """For the carry, for what is captured, and through what was computed outside of the loop."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        u = lg.sin(w)

        def body(c: Any, _: Any) -> Any:
            loss = lg.sum(c**2 * u)
            by_carry, by_variable = lg.grad(loss, [c, w])
            return c - 0.1 * by_carry, by_variable

        return lg.scan(body, lg.ones(2), length=3)

    w = env["w"]
    c, rows = np.ones(2), []
    for _ in range(3):
        rows.append(c**2 * np.cos(w))
        c = c - 0.1 * 2 * c * np.sin(w)
    for last, ys in both(env, step):
        np.testing.assert_allclose(last, c, rtol=1e-12)
        np.testing.assert_allclose(ys, np.stack(rows), rtol=1e-12)


def test_the_users_own_gradients_hold_in_a_body(env: lg.VariableEnvironment) -> None:
    """A rule that uses tensors of the body, and of the graph around it."""

    def step(ctx: lg.Context, scan: bool) -> Any:
        w = ctx.variable("w")

        @lg.custom_gradient
        def odd(x: Any) -> Any:
            y = lg.exp(x)
            return y, lambda g: g * y * w

        def body(c: Any, _: Any) -> Any:
            return odd(c * 0.1) + w, None

        c = lg.ones(2) * w
        if scan:
            c, _ = lg.scan(body, c, length=3)
        else:
            for _ in range(3):
                c, _ = body(c, None)
        return c, lg.grad(lg.sum(c**2), w)

    expected = env.run(step, False)
    for found in both(env, step, True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


RULES = {
    "formulas": lambda x: lg.exp(x) * lg.where(x > 0, x, 2.0) + lg.ones_like(x),
    "reductions": lambda x: lg.logsumexp(x) + x.mean() + lg.linalg.vector_norm(x),
    "parts": lambda x: x[[0, 0, 1]] + lg.concat([x[:2], x[2:]]) + x.at[0].set(2.0) + lg.sort(x),
    "products": lambda x: x @ np.eye(3) + lg.einsum("i,i->", x, x),
    "loops": lambda x: lg.scan(lambda c, v: (c + v, None), 0.0, x)[0] + lg.cond(x[0] > 0, lambda: x, lambda: -x),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_the_users_may_use_tensors_of_the_body_without_its_cotangent(name: str) -> None:
    """The body has ended when it is differentiated; what the rule holds of it is known all the same."""
    given = lg.custom_gradient(lambda x: (lg.exp(x), lambda g: g * RULES[name](x)))

    def step(ctx: lg.Context, x: Any, scan: bool) -> Any:
        rows = lg.scan(lambda c, v: (c, given(v)), 0, x)[1] if scan else lg.stack([given(v) for v in x])
        return lg.grad(lg.sum(rows), x)

    env, x = lg.VariableEnvironment(dtype="float64"), np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(env.run(step, x, True), env.run(step, x, False), rtol=1e-12)


def test_a_scan_of_length_0_gives_its_carry_and_no_ys(env: lg.VariableEnvironment) -> None:
    """And zeros for a gradient through its body."""

    def step(ctx: lg.Context) -> Any:
        w = ctx.variable("w")
        last, ys = lg.scan(lambda c, x: (c * w, x * c), w * 2, lg.zeros((0, 2)))
        return last, ys, lg.grad(lg.sum(last) + lg.sum(ys), w)

    for last, ys, gradient in both(env, step):
        np.testing.assert_array_equal(last, [2.0, 4.0])
        assert ys.shape == (0, 2)
        np.testing.assert_array_equal(gradient, [2.0, 2.0])


def test_writing_a_step_with_a_loop_again_follows_what_was_written_before(env: lg.VariableEnvironment) -> None:
    """The body's nodes, and the plan of the step, are used again; another body is written anew."""
    factor = [2.0]

    def step(ctx: lg.Context) -> Any:
        return lg.scan(lambda c, _: (c * factor[0], None), ctx.variable("w"), length=2)[0]

    assert [4.0, 8.0] == env.run(step).tolist() == env.run(step).tolist()
    (guide,) = next(iter(env._guides.values())) if isinstance(env._guides, dict) else (None,)
    assert guide is None or len(guide.plans) == 1
    factor[0] = 3.0
    assert [9.0, 18.0] == env.run(step).tolist()


def test_the_fingerprint_of_a_step_sees_the_bodies_of_its_loops(env: lg.VariableEnvironment) -> None:
    """So a training is not taken up with another loop than it was left with."""

    def step(ctx: lg.Context, factor: float) -> Any:
        return lg.scan(lambda c, _: (c * factor, None), ctx.variable("w"), length=2)[0]

    one, same, other = (of_graph(env.trace(step, factor), []).tolist() for factor in (2.0, 2.0, 3.0))
    assert one == same
    assert one != other


def test_a_step_that_reads_a_number_in_a_body_is_traced_anew_when_it_changes(env: lg.VariableEnvironment) -> None:
    """As where it reads it outside."""
    settings = {"factor": 2.0}
    step = env.compile(
        lambda ctx: lg.scan(lambda c, _: (c * settings["factor"], None), ctx.variable("w"), length=2)[0], wait=True
    )
    assert [4.0, 8.0] == step().tolist()
    settings["factor"] = 3.0
    assert [9.0, 18.0] == step().tolist()


def test_a_loop_is_printed_with_its_body_below_it_and_drawn_as_a_box(env: lg.VariableEnvironment) -> None:
    """The body stands indented; in the picture a dashed arrow comes out of its box."""
    graph = env.trace(lambda ctx: lg.scan(lambda c, x: (c + x, None), lg.sum(ctx.variable("v")), ctx.variable("w"))[0])
    lines = str(graph).splitlines()
    first = next(k for k, line in enumerate(lines) if line.startswith("    body:"))
    inside = [line.split("(")[0].split(" = ")[-1].strip() for line in lines[first : first + 6]]
    assert ["body:", "given %0, %1", "parameter", "parameter", "add", "return %2"] == inside
    assert all(line.startswith("    ") for line in lines[first : first + 6])
    (at,) = [i for i, node in enumerate(graph.nodes) if node.op.name == "scan"]
    dot = graph.to_dot(fold=False)
    assert f"subgraph cluster_n{at}_0_" in dot
    assert f"n{at}_0_2 -> n{at} [" in dot


def test_what_gives_nothing_but_shows_something_is_run(
    env: lg.VariableEnvironment, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scan, a choice and a call without results."""

    def shown(x: Any, label: str) -> None:
        x.show(label)

    def step(ctx: lg.Context, x: Any) -> Any:
        last, ys = lg.scan(lambda c, r: (c, shown(r, "r")), None, x)
        assert (last, ys) == (None, None)
        assert lg.cond(lg.sum(x) > 0, lambda: shown(x, "yes"), lambda: shown(x, "no")) is None
        assert lg.checkpoint(lambda: shown(x, "again"))() is None
        return lg.sum(x)

    for run in (env.run, lambda step, x: env.compile(step)(x), lambda step, x: env.compile(step, wait=True)(x)):
        assert run(step, np.arange(2.0)) == 1.0
        assert "r: 0.0\nr: 1.0\nyes: [0. 1.]\nagain: [0. 1.]\n" == capsys.readouterr().out
