"""Learning rates and their schedules, settings that change between runs, and clipping."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.optim import schedules

# Rates.


def staircase(k: int, steps: float) -> float:
    """k / steps, rounded down."""
    return math.floor(k / steps)


RATES: dict[str, tuple[schedules.Schedule, Callable[[int], float]]] = {
    "constant": (schedules.Constant(0.1), lambda k: 0.1),
    "inverse time": (schedules.InverseTime(0.1, 0.5), lambda k: 0.1 / (1 + 0.5 * k)),
    "inverse time steps": (schedules.InverseTime(0.1, 0.5, steps=10), lambda k: 0.1 / (1 + 0.5 * k / 10)),
    "inverse time stairs": (
        schedules.InverseTime(0.1, 0.5, steps=10, staircase=True),
        lambda k: 0.1 / (1 + 0.5 * staircase(k, 10)),
    ),
    "exponential": (schedules.Exponential(0.1, 0.9), lambda k: 0.1 * 0.9**k),
    "exponential steps": (schedules.Exponential(0.1, 0.5, steps=7), lambda k: 0.1 * 0.5 ** (k / 7)),
    "exponential stairs": (
        schedules.Exponential(0.1, 0.5, steps=7, staircase=True),
        lambda k: 0.1 * 0.5 ** staircase(k, 7),
    ),
    "piecewise": (
        schedules.Piecewise((10, 30), (1.0, 0.1, 0.01)),
        lambda k: 1.0 if k < 10 else 0.1 if k < 30 else 0.01,
    ),
    "piecewise none": (schedules.Piecewise((), (0.5,)), lambda k: 0.5),
    "cosine": (
        schedules.Cosine(0.1, 40, final=0.01),
        lambda k: 0.01 + 0.09 * 0.5 * (1 + math.cos(math.pi * min(k / 40, 1))),
    ),
    "warm-up": (schedules.WarmUp(5, 0.2), lambda k: 0.2 * min((k + 1) / 5, 1)),
    "warm-up then cosine": (
        schedules.WarmUp(10, schedules.Cosine(0.1, 20)),
        lambda k: min((k + 1) / 10, 1) * 0.05 * (1 + math.cos(math.pi * min(max(k - 10, 0) / 20, 1))),
    ),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["run", "compile"])
@pytest.mark.parametrize("name", RATES)
def test_a_schedule_follows_its_formula(name: str, compiled: bool) -> None:
    """The rate that SGD uses at steps 0 to 50, read off a parameter that falls by it; nothing is traced again."""
    schedule, formula = RATES[name]
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, schedule)
    assert optimizer.learning_rate is schedule
    traces = []

    def step(ctx: lg.Context) -> Any:
        traces.append(1)
        return optimizer.update([ctx.variable("p")], [1.0])

    fast = env.compile(step)
    for k in range(51):
        env["p"] = 0.0
        fast() if compiled else env.run(step)
        np.testing.assert_allclose(-env["p"], formula(k), rtol=1e-14)
    assert len(traces) == (1 if compiled else 51)


def test_equal_schedules_are_equal() -> None:
    """They are values: settings that a graph may be kept for."""
    assert schedules.WarmUp(5, 0.2) == schedules.WarmUp(5, schedules.Constant(0.2))
    assert hash(schedules.Cosine(0.1, 5)) == hash(schedules.Cosine(0.1, 5))
    assert schedules.Piecewise([1, 2], [1.0, 2.0, 3.0]) == schedules.Piecewise((1, 2), (1.0, 2.0, 3.0))  # type: ignore[arg-type]


def descending(env: lg.VariableEnvironment, optimizer: lg.optim.Optimizer) -> tuple[Callable[..., Any], list[int]]:
    """A step that moves ``p`` by the learning rate, and a list that grows at every trace."""
    traces: list[int] = []

    def step(ctx: lg.Context) -> Any:
        traces.append(1)
        return optimizer.update([ctx.variable("p")], [1.0])

    return step, traces


def test_the_learning_rate_can_be_set_at_any_time_without_tracing_again() -> None:
    """Under compile a number is a variable; the next call uses it."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, 0.5)
    step, traces = descending(env, optimizer)
    fast = env.compile(step)
    expected = 0.0
    for rate in (0.5, 0.25, 2, np.float32(0.125), 0.0, 1.0):
        optimizer.learning_rate = rate
        assert optimizer.learning_rate == float(rate)
        fast()
        expected -= float(rate)
        assert env["p"] == expected
    assert len(traces) == 1


def test_a_schedule_can_be_set_later_and_taken_away_again() -> None:
    """It starts at the steps made so far; each change of kind traces once more, under run it just holds."""
    for compiled in (False, True):
        env = lg.VariableEnvironment(dtype="float64")
        env.name("p").set(0.0)
        optimizer = lg.optim.SGD(env, 0.5)
        step, traces = descending(env, optimizer)
        fast = env.compile(step) if compiled else lambda env=env, step=step: env.run(step)
        rates = []
        for k in range(9):
            if k == 3:
                optimizer.learning_rate = schedules.Exponential(1.0, 0.5)
            if k == 5:
                optimizer.learning_rate = schedules.Piecewise((6,), (7.0, 9.0))
            if k == 7:
                optimizer.learning_rate = 0.25
            before = env["p"]
            fast()
            rates.append(float(before - env["p"]))
        assert rates == [0.5, 0.5, 0.5, 0.125, 0.0625, 7.0, 9.0, 0.25, 0.25]
        assert len(traces) == (4 if compiled else 9)


def test_setting_the_learning_rate_in_the_environment_is_setting_it() -> None:
    """The number lies in a variable of the optimizer's namespace."""
    env = lg.VariableEnvironment()
    optimizer = lg.optim.Adam(env, 0.1)
    assert env["adam/learning_rate"] == 0.1
    env["adam/learning_rate"] = 0.2
    assert optimizer.learning_rate == 0.2


def test_the_step_count_is_a_variable() -> None:
    """It counts committed updates only."""
    env = lg.VariableEnvironment()
    env.name("p").set([0.0])
    optimizer = lg.optim.SGD(env, 0.1)
    assert optimizer.step_count == env["sgd/step"] == 0
    for _ in range(3):
        env.run(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
    assert optimizer.step_count == env["sgd/step"] == 3
    assert env["sgd/step"].dtype == "int64"
    env.trace(lambda ctx: optimizer.update(["p"], [np.ones(1)]))
    with pytest.raises(lg.GraphError, match="neither returns nor pushes"):
        env.run(lambda ctx: (optimizer.update(["p"], [np.ones(1)]), ctx.variable("p"))[1])
    assert optimizer.step_count == 3


def test_a_setting_can_be_changed_between_runs() -> None:
    """Momentum is a variable as well, and nothing is traced again."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("p").set(0.0)
    optimizer = lg.optim.SGD(env, 1.0, momentum=0.5)
    step, traces = descending(env, optimizer)
    fast = env.compile(step)
    fast()
    fast()
    env["sgd/momentum"] = 0.0
    fast()
    assert env["p"] == -(1.0 + 1.5 + 1.0)
    assert len(traces) == 1


def test_the_current_rate_is_that_of_the_next_update() -> None:
    """Of a schedule, of one within another, and of a number; reading it changes nothing."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(np.ones(2, "float32"))
    schedule = lg.optim.schedules.WarmUp(2, lg.optim.schedules.Exponential(0.5, 0.5))
    sgd = lg.optim.SGD(env, schedule)
    step = env.compile(lambda ctx: sgd.minimize(lg.sum(ctx.variable("w"))))
    found = []
    for _ in range(4):
        before = env["w"][0]
        found.append(sgd.current_rate)
        step()
        assert found[-1] == pytest.approx(before - env["w"][0], rel=1e-6)
    assert [0.25, 0.5, 0.5, 0.25] == found
    assert schedule is sgd.learning_rate
    sgd.learning_rate = 0.125
    assert 0.125 == sgd.current_rate


# Clipping.

GRADS = [np.array([[3.0, 0.0], [0.0, 4.0]]), np.array([12.0])]


def clipped(f: Callable[[Any], Any], grads: list[np.ndarray] = GRADS, dtype: str = "float64") -> list[np.ndarray]:
    """What becomes of gradients, run twice, as a program the second time."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, grads: Any) -> Any:
        return f(grads)

    first = env.run(step, [g.astype(dtype) for g in grads])
    second = env.run(step, [g.astype(dtype) for g in grads])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    return first


def test_clipping_by_global_norm_scales_all_gradients_together() -> None:
    """Their length is 13; to 6.5 all are halved."""
    halved = clipped(lambda g: lg.optim.clip_by_global_norm(g, 6.5))
    for got, g in zip(halved, GRADS, strict=True):
        np.testing.assert_allclose(got, g / 2, rtol=1e-15)
    assert clipped(lambda g: [lg.optim.global_norm(g)])[0] == 13.0


@pytest.mark.parametrize("norm", [13.0, 20, 1e30])
def test_gradients_short_enough_are_not_clipped(norm: float) -> None:
    """They come back to the bit."""
    for got, g in zip(clipped(lambda g: lg.optim.clip_by_global_norm(g, norm)), GRADS, strict=True):
        np.testing.assert_array_equal(got, g)


@pytest.mark.parametrize(
    "f",
    [
        lambda g: lg.optim.clip_by_global_norm(g, 1.0),
        lambda g: lg.optim.clip_by_global_norm(g, 0.0),
        lambda g: lg.optim.normalize_gradient(g, 1.0),
    ],
    ids=["clip", "clip to nothing", "normalize"],
)
def test_zero_gradients_stay_zero(f: Callable[[Any], Any]) -> None:
    """Nothing is divided by a length of zero."""
    for got in clipped(f, [np.zeros((2, 2)), np.zeros(1)]):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_clipping_to_nothing_gives_zeros() -> None:
    """A norm of zero is a norm."""
    for got in clipped(lambda g: lg.optim.clip_by_global_norm(g, 0.0)):
        np.testing.assert_array_equal(got, np.zeros_like(got))


def test_the_norm_may_be_a_variable() -> None:
    """It changes from step to step without anything being traced again."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("norm").set(6.5, trainable=False)
    traces = []

    def step(ctx: lg.Context, g: Any) -> Any:
        traces.append(1)
        return lg.optim.clip_by_global_norm([g], ctx.variable("norm"))[0]

    fast = env.compile(step)
    np.testing.assert_allclose(fast(np.array([5.0, 12.0])), [2.5, 6.0])
    env["norm"] = 26.0
    np.testing.assert_allclose(fast(np.array([5.0, 12.0])), [5.0, 12.0])
    assert len(traces) == 1


def test_gradients_of_several_dtypes_keep_theirs() -> None:
    """The length is that of all together."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context, a: Any, b: Any) -> Any:
        return lg.optim.clip_by_global_norm([a, b], 2.5), lg.optim.normalize_gradient([a, b], 10.0)

    (a, b), (c, d) = env.run(step, np.array([3.0], "float32"), np.array([4.0]))
    assert [x.dtype for x in (a, b, c, d)] == ["float32", "float64", "float32", "float64"]
    np.testing.assert_allclose([a[0], b[0], c[0], d[0]], [1.5, 2.0, 6.0, 8.0], rtol=1e-7)


def test_clipping_by_value_holds_every_element() -> None:
    """Between a lower and an upper bound, which may be tensors."""
    got = clipped(lambda g: lg.optim.clip_by_value(g, -1.0, 3.5))
    for x, g in zip(got, GRADS, strict=True):
        np.testing.assert_array_equal(x, np.clip(g, -1.0, 3.5))


def test_a_normalised_gradient_has_the_wanted_length() -> None:
    """Longer or shorter than before, its direction kept."""
    for length in (1.0, 130.0):
        got = clipped(lambda g, length=length: lg.optim.normalize_gradient(g, length))
        np.testing.assert_allclose(np.sqrt(sum(np.sum(g**2) for g in got)), length, rtol=1e-14)
        np.testing.assert_allclose(got[0], GRADS[0] * length / 13, rtol=1e-14)


def test_a_normalised_gradient_may_be_measured_over_some() -> None:
    """The others are scaled by the same factor."""
    first, second = clipped(lambda g: lg.optim.normalize_gradient(g, 1.0, over=g[:1]))
    np.testing.assert_allclose(first, GRADS[0] / 5, rtol=1e-15)
    np.testing.assert_allclose(second, GRADS[1] / 5, rtol=1e-15)


def test_no_gradients_are_clipped_to_no_gradients() -> None:
    """An empty list is a list."""
    env = lg.VariableEnvironment()

    def step(ctx: lg.Context) -> Any:
        return [
            lg.optim.clip_by_global_norm([], 1.0),
            lg.optim.clip_by_value([], -1, 1),
            lg.optim.normalize_gradient([], 1.0),
        ]

    assert env.run(step) == [[], [], []]
