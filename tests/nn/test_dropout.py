"""Dropout."""

import numpy as np
import pytest

import lazygrad as lg
from lazygrad.testing import check_gradient


def test_elements_are_dropped_at_the_rate_and_the_others_grow(value):
    """So that the mean stays; which ones is drawn anew at every run."""
    env = lg.VariableEnvironment(seed=0)
    x = np.ones((200, 500), "float32")
    y = env.run(lambda ctx, x: lg.nn.dropout(x, 0.25), x)
    assert np.float32 == y.dtype
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-7)
    # The part of 100,000 has the standard deviation 0.0014.
    assert abs(np.mean(y == 0) - 0.25) < 0.006


@pytest.mark.parametrize("way", ["run", "compile"])
def test_every_run_drops_others_and_the_seed_repeats_them(way):
    """Three runs of two environments with one seed."""

    def masks():
        env = lg.VariableEnvironment(seed=3)

        def step(ctx, x):
            return lg.nn.dropout(x, 0.5)

        call = env.compile(step) if way == "compile" else lambda x: env.run(step, x)
        return [call(np.ones(100)) for _ in range(3)]

    first, second = masks(), masks()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[1], first[2])


def test_two_dropouts_of_one_step_drop_different_elements():
    """They are two draws, and never made one."""
    env = lg.VariableEnvironment(seed=0)
    for _ in range(2):
        a, b = env.run(lambda ctx, x: (lg.nn.dropout(x, 0.5), lg.nn.dropout(x, 0.5)), np.ones(100))
        assert not np.array_equal(a, b)


@pytest.mark.parametrize("way", ["run", "compile"])
def test_the_gradient_passes_where_the_value_does(way):
    """With the same factor."""
    env = lg.VariableEnvironment(seed=0, dtype="float64")

    def step(ctx, x):
        y = lg.nn.dropout(x, 0.3)
        return y, lg.grad(y, x)

    call = env.compile(step) if way == "compile" else lambda x: env.run(step, x)
    for _ in range(3):
        y, g = call(np.full(50, 2.0))
        assert 0 < np.sum(y == 0) < 50
        np.testing.assert_array_equal(y / 2, g)


@pytest.mark.parametrize("settings", [{"rate": 0.5, "train": False}, {"rate": 0.0}, {"rate": 0}], ids=str)
def test_what_is_not_dropped_is_the_tensor_itself(settings):
    """In use, and at a rate of 0: no node is written."""

    def step(ctx, x):
        assert lg.nn.dropout(x, **settings) is x
        return x

    lg.VariableEnvironment().run(step, np.ones(3))


def test_in_use_the_gradient_is_the_cotangent():
    """Defect 10 of the Rust crate, where asking for it fails; ours is inverted, so nothing is scaled."""
    check_gradient(lambda x: lg.nn.dropout(lg.exp(x), 0.4, train=False), np.array([0.1, -0.2]))


def test_what_is_dropped_hides_infinities(value):
    """A dropped NaN or infinity is 0, in the value and in the gradient."""
    env = lg.VariableEnvironment(seed=0)
    y = env.run(lambda ctx, x: lg.nn.dropout(x, 0.5), np.full(100, np.inf))
    assert {0.0, np.inf} == set(y.tolist())


@pytest.mark.parametrize("rate", [1, 1.0, -0.1, 2, float("nan")])
def test_a_rate_out_of_range_is_refused(refusal, rate):
    """At 1 nothing would be left to grow."""
    assert refusal(lambda x: lg.nn.dropout(x, rate), np.ones((4, 3), "float32")) == (
        "cannot dropout float32[4, 3]\n\n"
        "    PLACE\n\n"
        "    x:  float32[4, 3]   placeholder 'argument0'\n"
        f"    rate is {rate}; it must be 0 or more, and below 1."
    )


@pytest.mark.parametrize("rate", ["half", None, [0.5]])
def test_a_rate_that_is_no_number_is_refused(refusal, rate):
    """It is part of the graph, so a tensor cannot be one either."""
    message = refusal(lambda x: lg.nn.dropout(x, rate), np.ones(3))
    assert message.endswith(f"    rate is a number, not {rate!r}.")
    message = refusal(lambda x: lg.nn.dropout(x, x), np.ones((), "float32"))
    assert message.endswith("    rate is a number, not <Tensor float32[] placeholder 'argument0'>.")
