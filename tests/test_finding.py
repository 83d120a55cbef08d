"""Where something that is not finite begins, and whether a gradient is right."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import lazygrad as lg

RNG = np.random.default_rng(0)
DEEP = 30


def deep(env: lg.VariableEnvironment) -> Any:
    """A training step of 30 layers, of which the one in the middle overflows for large rows."""
    layers = [lg.nn.Linear(env, 8, 8, name=f"layer{k}") for k in range(DEEP)]
    sgd = lg.optim.SGD(env, 0.001)

    def step(ctx: Any, x: Any, y: Any) -> Any:
        h = x
        for k, layer in enumerate(layers):
            h = h + 0.1 * lg.tanh(layer(h))
            if k == 17:
                h = lg.log(lg.exp(h) + 3.0)
        loss = lg.mean(lg.square(h - y))
        return loss, sgd.minimize(loss)

    return step


def batch(number: int) -> tuple[Any, Any]:
    """An ordinary one; that of step 300 has two rows that are too large."""
    x, y = (RNG.normal(size=(16, 8)).astype("f4") for _ in range(2))
    if number == 300:
        x[5, 3], x[9, 0] = 120.0, 95.0
    return x, y


def test_an_overflow_at_step_300_of_30_layers_is_found_in_one_call() -> None:
    """With its line, its operands and the rows, though the variables are NaN by then."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(deep(env))
    for number in range(400):
        x, y = batch(number)
        loss, _ = step(x, y)
        if not np.isfinite(loss):
            break
    assert 300 == number
    assert not np.isfinite(env["layer0/weight"]).all()
    finding = step.find("finite", x, y)
    assert finding is not None
    assert ("h = lg.log(lg.exp(h) + 3.0)", "forward", "exp") == (finding.origin.text, finding.part, finding.op)
    assert ((5, 9), 16) == (finding.rows, finding.batch)
    assert "as they were before the last update" == finding.variables
    assert "from -" in finding.operands[0]
    text = str(finding)
    assert "the result is not finite: it begins in exp" in text
    assert "rows:  5, 9 of 16" in text


def test_fit_finds_it_too() -> None:
    """In the epoch and the batch, and the variables are those of before."""
    env = lg.VariableEnvironment(seed=0)
    step = env.compile(deep(env), wait=True)
    x = RNG.normal(size=(64, 8)).astype("f4")
    x[37, 2] = 200.0
    before = env["layer0/weight"]
    with pytest.warns(RuntimeWarning, match="loss is not finite in epoch 1, batch 3") as said:
        history = lg.fit(step, (x, x), epochs=2, batch_size=16, shuffle=False, check="finite")
    text = str(said[0].message)
    assert "comes from:  h = lg.log(lg.exp(h) + 3.0)" in text
    assert "rows:  5 of 16" in text
    assert "in the data:  row 37" in text
    assert "as they were before the last update" in text
    assert history.stopped.startswith("loss is ")
    np.testing.assert_array_equal(before, env["layer0/weight"])


def root(ctx: Any, x: Any) -> Any:
    """A loss that is finite at 0, where its derivative is not."""
    w = ctx.variable("w")
    loss = lg.sum(lg.sqrt(w * x))
    return loss, ctx.assign("w", w - 0.1 * lg.grad(loss, w))


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """With a variable of which one number is 0."""
    made = lg.VariableEnvironment(seed=0)
    made.name("w").set(np.array([0.0, 1.0, 4.0], "f4"))
    return made


def test_what_is_only_in_the_gradient_is_found(env: lg.VariableEnvironment) -> None:
    """Before the run, and after it."""
    x = np.ones((4, 3), "f4")
    step = env.compile(root)
    for _ in range(2):
        finding = step.find("finite", x)
        assert finding is not None
        assert ("gradient", "loss = lg.sum(lg.sqrt(w * x))") == (finding.part, finding.origin.text)
        assert "the new value of variable 'w'" == finding.reaches
        step(x)
    assert not np.isfinite(env["w"]).all()


def test_a_run_that_is_checked_changes_nothing(env: lg.VariableEnvironment) -> None:
    """It raises in place of committing; what is finite runs as ever."""
    with pytest.raises(lg.FiniteError, match="the new value of variable 'w' is not finite: it begins in") as caught:
        env.run(root, np.ones((4, 3), "f4"), check="finite")
    assert "gradient" == caught.value.finding.part  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.array([0, 1, 4], "f4"), env["w"])
    env["w"] = np.array([1.0, 1.0, 4.0], "f4")
    loss, _ = env.run(root, np.ones((4, 3), "f4"), check="finite")
    assert 16.0 == loss
    assert env["w"][0] != 1.0


def test_fit_looks_at_the_variables_after_every_batch(env: lg.VariableEnvironment) -> None:
    """A NaN that is only in the gradient is told of the batch that makes it, not of the next one."""
    sgd = lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")
        loss = lg.mean(lg.sqrt(lg.abs(x - 2.0)) * w) + lg.sum(lg.sqrt(lg.sum(lg.square(w)) * lg.mean(x)))
        return loss, sgd.minimize(loss)

    env["w"] = np.array([3.0, 1.0, 4.0], "f4")
    x = np.full((6, 3), 0.5, "f4")
    x[2:4] = 0.0
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        history = lg.fit(env.compile(step), x, epochs=1, batch_size=2, shuffle=False, check="finite")
    assert "variable 'w' is not finite after epoch 1, batch 2" == history.stopped
    assert "loss = lg.mean(lg.sqrt(lg.abs(x - 2.0)) * w) + lg.sum(lg.sqrt(lg.sum(lg.square(w)) * lg.mean(x)))" in str(
        said[0].message
    )
    assert "part:  the gradient" in str(said[0].message)


@pytest.mark.parametrize("masked", [np.nan, np.inf])
def test_what_a_where_does_not_choose_is_not_the_cause(env: lg.VariableEnvironment, masked: float) -> None:
    """The root of what is negative is dropped; the logarithm of 0 is not."""

    def step(ctx: Any, x: Any, m: Any) -> Any:
        dropped = lg.where(x > 0, lg.sqrt(x), 0.0) + lg.where(lg.isfinite(m), m, 1.0)
        low = lg.log(lg.maximum(x, 0.0))
        return lg.sum(dropped + lg.where(x > -5, low, 0.0))

    x = np.array([[1.0, -9.0], [2.0, 3.0], [0.0, 4.0]], "f4")
    finding = env.compile(step).find("finite", x, np.full((3, 2), masked, "f4"))
    assert finding is not None
    assert ("log", 1, (2, 0)) == (finding.op, finding.count, finding.first[0])
    assert (2,) == finding.rows
    x[2, 0] = 1.0
    assert env.compile(step).find("finite", x, np.full((3, 2), masked, "f4")) is None


def test_positions_are_followed_through_movements(env: lg.VariableEnvironment) -> None:
    """A slice of a transpose leaves the bad rows out that it leaves out."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.log(x).T[1:] * 2.0)

    x = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 4.0]], "f4")
    finding = env.compile(step).find("inf", x)
    assert finding is not None
    assert ("log", 1, (1, 1), (1,)) == (finding.op, finding.count, finding.first[0], finding.rows)


def test_a_nan_of_infinities_is_followed_to_what_made_them(env: lg.VariableEnvironment) -> None:
    """But to a number that the user wrote it is not: then it begins where the NaN does."""

    def made(ctx: Any, x: Any) -> Any:
        large = lg.exp(x)
        return lg.sum(large - large * 2.0)

    def written(ctx: Any, x: Any) -> Any:
        low = lg.where(x > 0, -np.inf, x)
        return lg.sum(low - lg.max(low))

    x = np.full((2, 2), 100.0, "f4")
    step = env.compile(made)
    for kind in ("nan", "finite", "inf"):
        finding = step.find(kind, x)
        assert finding is not None
        assert ("exp", "large = lg.exp(x)") == (finding.op, finding.origin.text)
    given = env.compile(lambda ctx, x, mask: lg.sum((x + mask) - lg.max(x + mask)))
    for kind in ("nan", "finite"):
        finding = env.compile(written).find(kind, x)
        assert finding is not None
        assert ("subtract", "return lg.sum(low - lg.max(low))") == (finding.op, finding.origin.text)
        finding = given.find(kind, x, np.full((2, 2), -np.inf, "f4"))
        assert finding is not None
        assert "subtract" == finding.op
        assert any("infinite" in operand for operand in finding.operands)


def test_arguments_and_variables_are_named(env: lg.VariableEnvironment) -> None:
    """With the rows of an argument."""
    step = env.compile(lambda ctx, x, y: lg.sum(ctx.variable("w") * x + y))
    x, y = np.ones((5, 3), "f4"), np.ones((5, 3), "f4")
    y[3, 1] = np.nan
    finding = step.find("nan", x, y)
    assert finding is not None
    assert ("argument", "y", (3,)) == (finding.op, finding.name, finding.rows)
    assert "the result is NaN: argument 'y' is so" in str(finding)
    env["w"] = np.array([1.0, np.nan, 1.0], "f4")
    finding = step.find("nan", x, x)
    assert finding is not None
    assert ("variable", "w", None) == (finding.op, finding.name, finding.rows)


def test_rows_that_are_to_blame_only_together_are_not_named(env: lg.VariableEnvironment) -> None:
    """And rows are found behind a sum over the batch, by filling it with others."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.exp(lg.sum(lg.square(x)))

    fast = env.compile(step)
    x = np.zeros((20, 2), "f4")
    x[13] = 30.0
    finding = fast.find("finite", x)
    assert finding is not None
    assert ((13,), 20) == (finding.rows, finding.batch)


def test_a_turn_of_a_loop_is_named(env: lg.VariableEnvironment) -> None:
    """With the line in the body."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            return lg.exp(c) + row, None

        return lg.sum(lg.scan(body, lg.zeros((2,)), x)[0])

    finding = env.compile(step).find("finite", np.ones((9, 2), "f4"))
    assert finding is not None
    assert ("exp", "return lg.exp(c) + row, None", 3) == (finding.op, finding.origin.text, finding.turn)


def test_layers_are_named() -> None:
    """Those in which it begins."""
    env = lg.VariableEnvironment(seed=0)
    one, two = lg.nn.Linear(env, 3, 3, name="one"), lg.nn.Linear(env, 3, 3, name="two")
    env["two/weight"] = np.full((3, 3), 3e38, "f4")
    finding = env.compile(lambda ctx, x: lg.sum(two(lg.abs(one(x))))).find("finite", np.ones((4, 3), "f4"))
    assert finding is not None
    assert ("two", "matmul") == (finding.layer, finding.op)


def test_draws_are_those_of_the_run(env: lg.VariableEnvironment) -> None:
    """What a run drew is drawn again, after it, though others have drawn since elsewhere."""

    def step(ctx: Any) -> Any:
        u = ctx.random.uniform((50,))
        w = ctx.variable("w")
        return lg.sum(lg.log(lg.where(u < 0.02, 0.0, u))), ctx.assign("w", w + 1)

    fast = env.compile(step)
    for _ in range(20):
        value, _ = fast()
        if not np.isfinite(value):
            break
    assert not np.isfinite(value)
    finding = fast.find("finite")
    assert finding is not None
    assert "log" == finding.op


def test_nothing_is_changed_by_looking() -> None:
    """Nor does a first look register anything."""
    env = lg.VariableEnvironment(seed=0)
    layer, adam = lg.nn.Linear(env, 3, 1, name="layer"), lg.optim.Adam(env)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.square(layer(x))) + 0.0 * lg.sum(ctx.random.normal((3,)))
        return loss, adam.minimize(loss)

    x, fast = np.ones((4, 3), "f4"), env.compile(step)
    count, state = len(env), env._store.state
    assert fast.find("nan", x) is None
    assert (count, state) == (len(env), env._store.state)


def test_hooks_are_not_called_by_looking_and_once_by_a_checked_run(env: lg.VariableEnvironment) -> None:
    """A run is a run, and a look is none."""
    seen: list[Any] = []

    def step(ctx: Any, x: Any) -> Any:
        return lg.sum((x * 2).hook(seen.append))

    env.compile(step).find("nan", np.ones(3, "f4"))
    assert [] == seen
    env.run(step, np.ones(3, "f4"), check="finite")
    assert 1 == len(seen)


@pytest.mark.parametrize("kind", ["NaN", "", None, 3])
def test_what_is_looked_for_is_one_of_three(env: lg.VariableEnvironment, kind: Any) -> None:
    """The message says which."""
    with pytest.raises(lg.SpecError, match='The first argument is "nan", "inf" or "finite"'):
        env.compile(lambda ctx, x: x).find(kind, np.ones(3))


@pytest.mark.parametrize("check", ["finit", True, ("finite", "w"), ("gradient", 3), ("gradient",)])
def test_a_check_is_one_of_three(env: lg.VariableEnvironment, check: Any) -> None:
    """Of a run and of a training."""
    with pytest.raises(lg.SpecError, match='It is "finite", "gradient", or'):
        env.run(lambda ctx, x: x, np.ones(3), check=check)


@lg.define.elementwise(vjp=lambda g, y, x: g * 2.5)
def wrong(xp: Any, x: Any) -> Any:
    """x², with a derivative that is none."""
    return x * x


def test_a_wrong_gradient_is_told_from_differences(env: lg.VariableEnvironment) -> None:
    """With an element and both numbers; nothing has run."""

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.sum(wrong(ctx.variable("w") * x))
        return loss, ctx.assign("w", ctx.variable("w") * 0)

    with pytest.raises(
        lg.GradientError, match="the gradient with respect to variable 'w' is not that of the loss"
    ) as e:
        env.run(step, np.ones(3, "f4"), check="gradient")
    assert "w[" in str(e.value)
    assert "gradient 2.5, differences" in str(e.value)
    np.testing.assert_array_equal(np.array([0, 1, 4], "f4"), env["w"])


def test_a_right_gradient_passes() -> None:
    """Of a network in float32 with draws, a loop and a kink; also of a variable that is named."""
    env = lg.VariableEnvironment(seed=0)
    first, second = lg.nn.Linear(env, 4, 6, name="first"), lg.nn.Linear(env, 6, 2, name="second")
    adam = lg.optim.Adam(env)

    def step(ctx: Any, x: Any) -> Any:
        h = lg.nn.relu(first(x)) + 0.1 * ctx.random.normal((5, 6))
        h = lg.scan(lambda c, _: (lg.tanh(c), None), h, lg.ones((3,)))[0]
        loss = lg.mean(lg.square(second(h)))
        return loss, adam.minimize(loss)

    x = RNG.normal(size=(5, 4)).astype("f4")
    for check in ("gradient", ("gradient", "second/bias")):
        env.run(step, x, check=check)
    assert 2 == adam.step_count
    history = lg.fit(env.compile(step), x, epochs=1, batch_size=5, check="gradient")
    assert 1 == history.epochs


def test_a_gradient_that_cannot_be_checked_says_why(env: lg.VariableEnvironment) -> None:
    """No loss, no variable, or another name."""
    with pytest.raises(lg.GradientError, match="there is no loss whose gradient"):
        env.run(lambda ctx, x: x, np.ones(3), check="gradient")
    with pytest.raises(lg.GradientError, match="the loss depends on no trainable variable"):
        env.run(lambda ctx, x: lg.sum(x), np.ones(3), check="gradient")
    with pytest.raises(lg.VariableError, match="there is no variable 'v'"):
        env.run(lambda ctx, x: lg.sum(x), np.ones(3), check=("gradient", "v"))
    with pytest.raises(lg.GradientError, match="the loss does not depend on variable 'w'"):
        env.run(lambda ctx, x: lg.sum(x), np.ones(3), check=("gradient", "w"))
