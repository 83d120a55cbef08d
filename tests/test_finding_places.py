"""Where something that is not finite begins, in places that are hard to see into: loops, batches, ops that fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lazygrad as lg

ONES = np.ones((5, 3), "f4")


@pytest.fixture
def env() -> lg.VariableEnvironment:
    """With a variable of which one number is 0."""
    made = lg.VariableEnvironment(seed=0)
    made.name("w").set(np.array([0.0, 1.0, 4.0], "f4"))
    return made


def found(env: lg.VariableEnvironment, step: Any, *args: Any, kind: str = "finite") -> Any:
    """The finding of a step that has one."""
    finding = env.compile(step).find(kind, *args)
    assert finding is not None
    return finding


def test_what_a_loop_drops_in_a_turn_is_not_the_cause(env: lg.VariableEnvironment) -> None:
    """The logarithm of 0 in turn 0 is not chosen; the root in turn 1 is what reaches the result."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            safe = lg.where(row > 0, lg.log(row), 0.0)
            return lg.sqrt(c - 1.0) + safe, None

        return lg.sum(lg.scan(body, lg.zeros((3,)) + 1.5, x)[0])

    x = ONES.copy()
    x[0] = 0.0
    finding = found(env, step, x)
    assert ("sqrt", 1, "return lg.sqrt(c - 1.0) + safe, None") == (finding.op, finding.turn, finding.origin.text)


def test_a_loop_makes_its_own_nan_beside_one_that_it_drops(env: lg.VariableEnvironment) -> None:
    """The argument is NaN, but only the logarithm gets out of the loop; without it nothing does."""

    def step(ctx: Any, x: Any, y: Any) -> Any:
        def body(c: Any, rows: Any) -> Any:
            return lg.log(c - rows[1]) + lg.where(lg.isnan(rows[0]), 0.0, rows[0]), None

        return lg.sum(lg.scan(body, lg.zeros((3,)) + 10.0, (x, y))[0])

    x = ONES.copy()
    x[1, 1] = np.nan
    finding = found(env, step, x, 3 * ONES, kind="nan")
    assert ("log", 1) == (finding.op, finding.turn)
    assert env.compile(step).find("nan", x, -3 * ONES) is None


def test_a_carry_that_is_meant_to_be_infinite_is_not_the_cause(env: lg.VariableEnvironment) -> None:
    """The least so far begins with infinity."""

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            return (lg.minimum(c[0], lg.sum(row)), lg.log(c[1] - 1.0)), None

        best, last = lg.scan(body, (np.float32(np.inf), np.float32(5.0)), x)[0]
        return best + last

    for kind in ("finite", "nan"):
        finding = found(env, step, ONES, kind=kind)
        assert ("log", 2) == (finding.op, finding.turn)


def test_every_loop_around_has_its_turn(env: lg.VariableEnvironment) -> None:
    """The line is that of the innermost body; a choice and a checkpoint have no turns."""

    def step(ctx: Any, x: Any) -> Any:
        def outer(c: Any, row: Any) -> Any:
            return lg.scan(lambda d, e: (lg.log(d - e), None), c, row)[0], None

        return lg.scan(outer, 100.0 * x[0, 0], x)[0]

    finding = found(env, step, ONES, kind="nan")
    assert ("log", (1, 0), 0) == (finding.op, finding.turns, finding.turn)
    assert "turn:  0 of the loop, in turn 1 of the loop around it" in str(finding)
    for choice in (
        lambda ctx, x: lg.sum(lg.cond(lg.sum(x) > 0, lambda: lg.log(x - 1.0), lambda: x)),
        lambda ctx, x: lg.checkpoint(lambda y: lg.sum(lg.log(y - 1.0)))(x),
    ):
        finding = found(env, choice, ONES)
        assert ("log", None) == (finding.op, finding.turn)
        assert "turn:" not in str(finding)


def test_what_a_loop_is_given_is_named(env: lg.VariableEnvironment) -> None:
    """A captured variable, the xs, and the carry at first, of both kinds of loops."""
    env["w"] = np.array([0.0, np.nan, 4.0], "f4")

    def scanned(ctx: Any, x: Any) -> Any:
        return lg.sum(lg.scan(lambda c, row: (lg.tanh(c * ctx.variable("w") + row), None), x[0], x)[0])

    def repeated(ctx: Any, x: Any) -> Any:
        def body(c: Any) -> Any:
            return c[0] + ctx.variable("w"), c[1] + 1

        return lg.sum(lg.while_loop(lambda c: c[1] < 3, body, (x[0], 0))[0])

    for step in (scanned, repeated):
        finding = found(env, step, ONES)
        assert ("variable", "w", "as they are now") == (finding.op, finding.name, finding.variables)
    env["w"] = np.ones(3, "f4")
    x = ONES.copy()
    x[0, 1] = np.nan
    for step in (scanned, repeated):
        finding = found(env, step, x)
        assert ("argument", "x", (0,)) == (finding.op, finding.name, finding.rows)


def test_the_gradient_of_a_loop_is_looked_into(env: lg.VariableEnvironment) -> None:
    """The line is that of the body, and an op that only derivatives write is explained."""

    def step(ctx: Any, x: Any) -> Any:
        w = ctx.variable("w")
        loss = lg.sum(lg.scan(lambda c, row: (lg.tanh(c + lg.sqrt(w) * row), None), lg.zeros((3,)), x)[0])
        return loss, lg.grad(loss, w)

    finding = found(env, step, ONES)
    assert ("gradient", 4) == (finding.part, finding.turn)
    assert "lg.sqrt(w) * row" in finding.origin.text
    assert "which is:  g / x, and 0 where g is 0" in str(finding)


def test_hooks_in_bodies_are_heard_once_of_a_checked_run_and_never_by_looking(env: lg.VariableEnvironment) -> None:
    """Though the search computes the loop again and again, and a profile does so too."""
    heard: list[Any] = []

    def step(ctx: Any, x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            c.hook(heard.append)
            return lg.log(c - row), None

        return lg.sum(lg.scan(body, lg.zeros((3,)) + 1.5, x)[0])

    fast = env.compile(step)
    assert fast.find("nan", ONES) is not None
    fast.profile(ONES, runs=2)
    assert [] == heard
    with pytest.raises(lg.FiniteError, match="turn:  1 of the loop"):
        env.run(step, ONES, check="finite")
    assert 5 == len(heard)


@lg.define.opaque(shape=lambda x: x, vjp=lambda g, y, x: g)
def strict(xp: Any, x: Any) -> Any:
    """x, if it is finite, as a solver of LAPACK would have it."""
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError("it did not converge")
    return x.copy()


def test_an_op_that_fails_for_what_it_is_given_does_not_end_the_search(env: lg.VariableEnvironment) -> None:
    """What it was given is followed; an op that fails by itself raises as in a run, with its line."""

    def step(ctx: Any, x: Any) -> Any:
        return lg.sum(strict(lg.exp(x)))

    x = ONES.copy()
    x[3, 1] = 200.0
    message = r"what strict is given \(it fails: it did not converge\) is not finite: it begins in exp"
    with pytest.raises(lg.FiniteError, match=message) as caught:
        env.run(step, x, check="finite")
    assert (3,) == caught.value.finding.rows  # type: ignore[attr-defined]
    with pytest.raises(np.linalg.LinAlgError) as raised:
        env.compile(lambda ctx, x: lg.sum(lg.linalg.inv(x.T @ x))).find("nan", ONES)
    assert "lg.linalg.inv(x.T @ x)" in raised.value.__notes__[0]


@lg.define.opaque(shape=lambda x: x, vjp=lambda g, y, x: g)
def broken(xp: Any, x: Any) -> Any:
    """x, but for a NaN that is always there."""
    return xp.where(xp.arange(x.shape[1]) == 1, np.nan, x).astype(x.dtype)


def test_an_op_that_is_bad_whatever_it_is_given_is_to_blame_itself(env: lg.VariableEnvironment) -> None:
    """Though an operand of it is not finite either."""
    x = ONES.copy()
    x[2, 0] = np.inf
    step = lambda ctx, x: lg.sum(lg.where(lg.isfinite(x), broken(x * 2.0), 0.0))  # noqa: E731
    assert "broken" == found(env, step, x).op
    assert "argument" == found(env, lambda ctx, x: lg.sum(broken(x * 2.0)[:, 0]), x).op


def test_numbers_that_are_known_beforehand_are_told_as_such(env: lg.VariableEnvironment) -> None:
    """By the line that makes them, though passes have computed it."""

    def step(ctx: Any, x: Any) -> Any:
        low = lg.zeros((3,)) - 1.0
        root = lg.sqrt(low)
        return lg.sum(x * root)

    finding = found(env, step, ONES)
    assert ("literal", "root = lg.sqrt(low)") == (finding.op, finding.origin.text)
    assert "which is:  a number of the program, or what follows from such numbers alone" in str(finding)


def bad_at(*place: int, shape: tuple[int, ...]) -> Any:
    """Ones, but for a 0."""
    x = np.ones(shape, "f4")
    x[place] = 0.0
    return x


def test_class_weights_are_no_batch(env: lg.VariableEnvironment) -> None:
    """Two numbers beside five rows."""

    def step(ctx: Any, x: Any, y: Any, weights: Any) -> Any:
        return lg.mean(lg.nn.cross_entropy(x, y, weight=weights))

    finding = found(env, step, ONES, np.array([0, 1, 2, 1, 0]), np.array([1.0, np.nan, 1.0], "f4"))
    assert ("argument", "weights", None) == (finding.op, finding.name, finding.rows)


@pytest.mark.parametrize(
    ("shape", "place", "other", "rows", "said"),
    [
        ((3, 5), (1, 4), (1, 5), (4,), "4 of 5, along axis 1 of 'x' and axis 1 of 'y'"),
        ((7, 5, 3), (2, 4, 1), (5, 1), (2,), "4 of 5, along axis 1 of 'x' and axis 0 of 'y'"),
        ((5, 3), (4, 1), (3,), (4,), "1 of 3, along axis 1 of 'x' and axis 0 of 'y'"),
        ((5, 3), (4, 1), (5, 1), (4,), "rows:  4 of 5\n"),
    ],
)
def test_a_batch_along_another_axis_is_found(
    env: lg.VariableEnvironment, shape: Any, place: Any, other: Any, rows: Any, said: str
) -> None:
    """If arguments share its size; where more than one axis may be the batch, both are told."""
    step = lambda ctx, x, y: lg.mean(lg.log(x) * y)  # noqa: E731
    finding = found(env, step, bad_at(*place, shape=shape), np.ones(other, "f4"))
    assert rows == finding.rows
    assert said in str(finding)


def test_a_row_that_makes_all_others_bad_is_named(env: lg.VariableEnvironment) -> None:
    """By way of the mean of the batch; alone it would be none, as it would be its own mean."""
    layer = lg.nn.BatchNorm(env, 3, name="norm")

    def step(ctx: Any, x: Any) -> Any:
        return lg.mean(layer(x, train=True)), ctx.updates()

    x = np.random.default_rng(0).normal(size=(12, 3)).astype("f4")
    x[7, 2] = 1e25
    finding = found(env, step, x)
    assert ("square", (7,), "the new value of variable 'norm/variance'") == (finding.op, finding.rows, finding.reaches)


def test_a_step_in_mixed_precision_is_looked_into_before_it_has_run(env: lg.VariableEnvironment) -> None:
    """The scale of the loss is registered by the first run, not by a look."""
    layer, sgd = lg.nn.Linear(env, 3, 2, name="layer"), lg.optim.SGD(env, 0.1)

    def step(ctx: Any, x: Any) -> Any:
        loss = lg.mean(lg.exp(layer(x)))
        return loss, sgd.minimize(loss)

    fast, before = env.compile(step, precision="mixed"), [v.path for v in env]
    assert fast.find("finite", ONES) is None
    finding = fast.find("finite", 1e4 * ONES)
    assert finding is not None
    assert "exp" == finding.op
    assert before == [v.path for v in env]
    env.run(lambda ctx, x: lg.mean(lg.square(layer(x))), ONES, precision="mixed", check="gradient")


def test_what_native_code_alone_makes_infinite_is_found_there(env: lg.VariableEnvironment) -> None:
    """A product whose sums overflow in the one order, and not in the other; nothing is changed by looking."""
    pytest.importorskip("llvmlite", reason="native code needs llvmlite")
    half = np.full(64, 1.8e19, "f4")
    x, y = np.concatenate([half, half])[None], np.concatenate([half, -half])[:, None]

    def step(ctx: Any, x: Any, y: Any) -> Any:
        w = ctx.variable("w")
        return lg.sum(x @ y), ctx.assign("w", w + 1.0)

    if not np.isfinite(x @ y).all() or np.isfinite(env.compile(step, wait=True)(x, y)[0]):
        pytest.skip("NumPy and native code sum these in one order here")
    fast, before = env.compile(step, wait=True), env["w"]
    assert fast.find("finite", x, y) is None  # it has not run
    fast(x, y)
    state = env._store.state
    finding = fast.find("finite", x, y)
    assert finding is not None
    assert ("matmul", "the result", 1) == (finding.op, finding.reaches, finding.count)
    assert "native code makes of it, and NumPy does not" in str(finding)
    assert state == env._store.state
    np.testing.assert_array_equal(before + 1.0, env["w"])
