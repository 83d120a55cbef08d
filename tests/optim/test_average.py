"""Averages of the variables that an optimizer moves: exponential, and of equal weights."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from cupy_double.forced import on_host
from optimizer_checks import runner
from snapshots import snapshot

import lazygrad as lg

GRADS = np.random.default_rng(3).normal(size=(9, 3))


def made(dtype="float64"):
    """An environment with a weight."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(np.array([1.0, -2.0, 0.5], dtype))
    return env


def mean_of(averaged):
    """The average of the weight, as an array of NumPy."""
    return on_host(averaged.values())["w"]


def trained(env, optimizer, way="run", grads=GRADS):
    """The values of the weight, one after each update."""
    run = runner(env, lambda ctx, g: optimizer.update(["w"], [g]), way)
    values = []
    for g in grads:
        run(g)
        values.append(env["w"])
    return np.array(values)


@pytest.mark.parametrize("way", ["run", "compile"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_exponential_average_is_the_mean_with_weights_that_fall(dtype, way):
    """Σ dᵏ·w / Σ dᵏ, from the first value on, whatever the variable was before."""
    env = made(dtype)
    averaged = lg.optim.average(lg.optim.Adam(env, 0.1), np.float64(0.9))
    values = trained(env, averaged, way).astype("float64")
    weights = 0.9 ** np.arange(len(values))[::-1]
    expected = weights @ values / weights.sum()
    assert dtype == mean_of(averaged).dtype
    np.testing.assert_allclose(expected, mean_of(averaged), rtol={"float16": 1e-3}.get(dtype, 1e-6))
    if dtype == "float64":
        np.testing.assert_allclose(expected, mean_of(averaged), rtol=1e-13)
    assert len(values) == averaged.count == averaged.step_count


@pytest.mark.parametrize(
    ("start", "every", "taken"), [(0, 1, slice(None)), (3, 1, slice(3, None)), (2, 3, slice(4, None, 3))]
)
def test_an_average_of_equal_weights_takes_one_value_in_so_many(start, every, taken):
    """Izmailov et al. 2018, Algorithm 1, after ``start`` updates."""
    env = made()
    averaged = lg.optim.average(lg.optim.SGD(env, 0.1, momentum=0.9), start=start, every=every)
    values = trained(env, averaged)[taken]
    np.testing.assert_allclose(values.mean(axis=0), mean_of(averaged), rtol=1e-14)
    assert len(values) == averaged.count


def test_the_optimizer_moves_as_without_an_average():
    """Averages change nothing."""
    one, other = made(), made()
    np.testing.assert_array_equal(
        trained(one, lg.optim.Adam(one, 0.1)), trained(other, lg.optim.average(lg.optim.Adam(other, 0.1), 0.9))
    )


@pytest.mark.parametrize("way", ["run", "compile"])
def test_what_is_averaged_is_gathered_outside(way):
    """One value an update, not one a batch."""
    env, whole = made(), made()
    gathering = lg.optim.accumulate(lg.optim.average(lg.optim.SGD(env, 0.5), 0.5), 3)
    trained(env, gathering, way)
    plain = lg.optim.average(lg.optim.SGD(whole, 0.5), 0.5)
    trained(whole, plain, grads=[((a + b) + c) / 3 for a, b, c in GRADS.reshape(3, 3, 3)])
    np.testing.assert_allclose(mean_of(plain), mean_of(gathering), rtol=1e-14)
    assert 3 == gathering.count


def test_the_averages_stand_in_the_variables_while_it_is_asked_for():
    """Compiled steps see them without being traced again; afterwards all is as before, after an error too."""
    env = made()
    averaged = lg.optim.average(lg.optim.Adam(env, 0.1), 0.9)
    traces = []

    @env.compile
    def read(ctx):
        traces.append(1)
        return ctx.variable("w") * 1

    read()
    trained(env, averaged)
    before = snapshot(env)
    with averaged.swapped():
        np.testing.assert_array_equal(mean_of(averaged), read())
        assert not np.array_equal(before, snapshot(env))
    assert before == snapshot(env)
    with pytest.raises(ZeroDivisionError), averaged.swapped():
        1 / 0  # noqa: B018
    assert before == snapshot(env)
    assert 1 == len(traces)
    np.testing.assert_array_equal(env["w"], read())


def test_the_averages_can_be_taken_for_good():
    """They are the variables then."""
    env = made()
    averaged = lg.optim.average(lg.optim.Adam(env, 0.1))
    values = trained(env, averaged)
    averaged.adopt()
    np.testing.assert_allclose(values.mean(axis=0), env["w"], rtol=1e-14)


def test_averages_go_on_from_a_file(tmp_path):
    """They, their settings and their counts are variables."""
    env = made()
    first = lg.optim.average(lg.optim.Adam(env, 0.1), 0.9, start=2)
    trained(env, first, grads=GRADS[:5])
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    second = lg.optim.average(lg.optim.Adam(loaded), 0.5)
    np.testing.assert_array_equal(mean_of(first), mean_of(second))
    trained(env, first, grads=GRADS[5:])
    trained(loaded, second, grads=GRADS[5:])
    assert snapshot(env) == snapshot(loaded)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_goes_on_by_itself(copied):
    """With its environment, the optimizer, and what is wrapped around it."""
    env = made()
    wrapped = lg.optim.accumulate(lg.optim.average(lg.optim.Adam(env, 0.1, rates={"w": 0.2}), 0.9), 2)
    trained(env, wrapped, grads=GRADS[:5])
    env_2, wrapped_2 = copied((env, wrapped))
    before = snapshot(env)
    trained(env_2, wrapped_2, grads=GRADS[5:])
    assert before == snapshot(env)
    trained(env, wrapped, grads=GRADS[5:])
    assert snapshot(env) == snapshot(env_2)
    np.testing.assert_array_equal(mean_of(wrapped), mean_of(wrapped_2))


def test_an_interrupted_training_ends_with_the_same_bits(tmp_path):
    """From a checkpoint in the middle of gathered batches, with averages."""
    x = np.random.default_rng(0).normal(size=(10, 2)).astype("float32")

    def fitted(epochs, checkpoint):
        env = lg.VariableEnvironment(seed=0)
        line = lg.nn.Linear(env, 2, 1)
        adam = lg.optim.accumulate(lg.optim.average(lg.optim.Adam(env, 0.1), 0.9), 4)

        @env.compile
        def step(ctx, x):
            loss = lg.mean(lg.square(line(x) - 1))
            return loss, adam.minimize(loss)

        lg.fit(step, x, epochs=epochs, batch_size=3, checkpoint=checkpoint)
        return snapshot(env)

    whole = fitted(5, tmp_path / "whole.json")
    fitted(3, tmp_path / "parts.json")
    assert whole == fitted(5, tmp_path / "parts.json")


def test_without_a_value_there_is_no_average():
    """The message says when there will be; nothing is changed."""
    env = made()
    averaged = lg.optim.average(lg.optim.Adam(env), start=5, every=2)
    trained(env, averaged, grads=GRADS[:6])
    before = snapshot(env)

    def swap():
        with averaged.swapped():
            raise AssertionError

    for ask in (averaged.values, averaged.adopt, swap):
        with pytest.raises(lg.GraphError) as refused:
            ask()
        assert "there is no average yet" == str(refused.value).splitlines()[0]
        assert "updates:  6" in str(refused.value)
        assert "The first value is taken after update 7" in str(refused.value)
    assert before == snapshot(env)
    trained(env, averaged, grads=GRADS[:1])
    np.testing.assert_array_equal(env["w"], mean_of(averaged))


def test_averages_are_not_swapped_within_a_step():
    """What it reads is read after they have been swapped back."""
    env = made()
    averaged = lg.optim.average(lg.optim.SGD(env, 0.1), 0.9)
    trained(env, averaged)
    before = snapshot(env)

    def step(ctx):
        with averaged.swapped():
            return ctx.variable("w")

    with pytest.raises(lg.GraphError) as refused:
        env.run(step)
    assert "cannot swap averages while a step is being written" == str(refused.value).splitlines()[0]
    assert before == snapshot(env)


def test_a_swap_can_be_used_again_and_within_itself():
    """Each time the averages of then; what was before comes back."""
    env = made()
    averaged = lg.optim.average(lg.optim.SGD(env, 0.1), 0.9)
    trained(env, averaged)
    before, mean, swap = env["w"], mean_of(averaged), averaged.swapped()
    with swap, swap:
        np.testing.assert_array_equal(mean, env["w"])
    with swap:
        np.testing.assert_array_equal(mean, env["w"])
    np.testing.assert_array_equal(before, env["w"])


def test_training_on_the_averages_is_an_error():
    """It would be lost without a word; the variables are those of before."""
    env = made()
    averaged = lg.optim.average(lg.optim.SGD(env, 0.1), 0.9)
    trained(env, averaged)
    before = env["w"]
    with pytest.raises(lg.GraphError) as refused, averaged.swapped():
        trained(env, averaged)
    assert "the variables were trained while their averages stood in their place" == str(refused.value).splitlines()[0]
    np.testing.assert_array_equal(before, env["w"])


@pytest.mark.parametrize(
    "given", [{"decay": 1.0}, {"decay": -0.1}, {"decay": "fast"}, {"start": -1}, {"every": 0}, {"every": 1.5}]
)
def test_settings_out_of_range_are_refused(given):
    """Nothing is left behind."""
    env = made()
    adam = lg.optim.Adam(env)
    before = snapshot(env)
    with pytest.raises(lg.SpecError) as refused:
        lg.optim.average(adam, **given)
    ((key, value),) = given.items()
    assert f"cannot use {value!r} as {key}" == str(refused.value).splitlines()[0]
    assert before == snapshot(env)


def test_halves_are_averaged_in_single_precision():
    """A value that moves the mean by less than a half can say is not lost."""
    env = made("float16")
    averaged = lg.optim.average(lg.optim.SGD(env, 1.0), 0.999)
    trained(env, averaged, grads=np.full((200, 3), -(2.0**-10)))
    values = np.array([1.0, -2.0, 0.5]) + np.arange(1, 201)[:, None] * 2.0**-10
    weights = 0.999 ** np.arange(200)[::-1]
    exact = (weights[:, None] * values)[:, 0].sum() / weights.sum()
    np.testing.assert_allclose(exact, env["sgd/averaged/w/average"][0], rtol=1e-5)
