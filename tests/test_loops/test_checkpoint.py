"""A scan of a checkpointed body: the same numbers, and memory that grows as the square root of the turns."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import lazygrad as lg


def step(ctx: lg.Context, xs: Any, start: Any, checkpoint: bool, reverse: bool) -> Any:
    """A loss of a recurrence, and its gradient."""

    def body(h: Any, x: Any) -> Any:
        after = lg.tanh(lg.sin(h * 1.1) + x)
        return after, {"sum": lg.sum(after * h), "none": None}

    last, ys = lg.scan(lg.checkpoint(body) if checkpoint else body, start, xs, reverse=reverse)
    assert ys["none"] is None
    loss = lg.sum(last**2) + lg.sum(ys["sum"] ** 2)
    return loss, ys["sum"], *lg.grad(loss, [xs, start])


@pytest.mark.parametrize("length", [0, 1, 4, 7, 16, 23])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_checkpointed_body_gives_the_same_numbers(length: int, reverse: bool) -> None:
    """Bit for bit, whatever the number of turns and of those that are left over."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")
    xs = np.random.default_rng(0).normal(size=(length, 3))
    expected, found = (env.run(step, xs, np.ones(3), checkpoint, reverse) for checkpoint in (False, True))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_memory_of_a_gradient_grows_as_the_root_of_the_turns() -> None:
    """Four times the turns take less than 2.5 times the memory; without they take more than 3.5 times."""
    peaks = {}
    for length in (100, 400):
        xs = np.random.default_rng(0).normal(size=(length, 1))
        for checkpoint in (False, True):
            env = lg.VariableEnvironment(seed=0, dtype="float64")
            given = (step, xs, np.ones(10_000), checkpoint, False)
            env.run(*given)
            tracemalloc.start()
            env.run(*given)
            peaks[length, checkpoint] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert peaks[400, True] < 2.5 * peaks[100, True]
    assert peaks[400, False] > 3.5 * peaks[100, False]
    assert peaks[400, True] < peaks[400, False] / 5


def test_an_update_in_a_checkpointed_body_is_made_in_every_turn() -> None:
    """Such a scan is not cut into segments."""
    env = lg.VariableEnvironment(seed=0)
    env.name("w").set(1.0)

    def doubled(ctx: lg.Context) -> Any:
        def body(c: Any, _: None) -> Any:
            return c, ctx.assign("w", ctx.variable("w") * 2)

        return lg.scan(lg.checkpoint(body), 0, length=5)

    env.run(doubled)
    assert env["w"] == 32
