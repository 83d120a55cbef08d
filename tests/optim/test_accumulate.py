"""Gradients of several batches gathered into one update."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_checks import KINDS
from snapshots import snapshot

import lazygrad as lg

BATCHES = np.random.default_rng(1).normal(size=(12, 2, 3))
START = np.arange(6.0).reshape(2, 3) - 2.5


def made(dtype="float64"):
    """An environment with a matrix."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("w").set(START.astype(dtype))
    return env


def mean_of_four(k):
    """The mean of four batches as it is added up."""
    a, b, c, d = BATCHES[4 * k : 4 * k + 4]
    return (((a + b) + c) + d) / 4


@pytest.mark.parametrize("name", KINDS)
def test_an_update_is_that_of_the_mean_of_the_batches(name):
    """To the bit, with every optimizer; between nothing moves, its state and its step count neither."""
    env, whole = made(), made()
    gathering, plain = lg.optim.accumulate(KINDS[name](env), 4), KINDS[name](whole)
    for k in range(3):
        whole.run(lambda ctx, g: plain.update(["w"], [g]), mean_of_four(k))
        for i, g in enumerate(BATCHES[4 * k : 4 * k + 4]):
            before = env["w"]
            env.run(lambda ctx, g: gathering.update(["w"], [g]), g)
            assert np.array_equal(before, env["w"]) is (i < 3)
            assert k + (i == 3) == gathering.step_count
        for v in whole:
            np.testing.assert_array_equal(v.value, env[v.path], err_msg=v.path)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_compiled_it_is_that_of_the_mean_too(dtype):
    """Numbers of all widths, with a schedule and a rate of NumPy's; sums of halves are kept in single precision."""
    env, whole = made(dtype), made(dtype)
    rate = lg.optim.schedules.Exponential(np.float32(0.5), 0.5)
    gathering, plain = lg.optim.accumulate(lg.optim.SGD(env, rate, 0.5), np.int64(4)), lg.optim.SGD(whole, rate, 0.5)
    step = env.compile(lambda ctx, g: gathering.update(["w"], [g]), wait=True)
    batches = np.round(BATCHES * 8) / 8  # sums and products of these are exact in halves
    for k in range(2):
        g = batches[4 * k : 4 * k + 4].sum(axis=0) / 4
        whole.run(lambda ctx, g: plain.update(["w"], [g]), g.astype(dtype))
        for g in batches[4 * k : 4 * k + 4]:
            step(g.astype(dtype))
        np.testing.assert_array_equal(whole["w"], env["w"])
    assert "float32" == env["sgd/accumulated/w/sum"].dtype or dtype == "float64"
    assert whole["w"].dtype == env["w"].dtype == dtype


def test_a_training_by_fit_gathers_over_its_batches():
    """Four batches of 4 are one of 16, in an epoch without shuffling; a rest is gathered into the next epoch."""
    x = np.random.default_rng(2).normal(size=(20, 3))

    def fitted(batch_size, wrap):
        env = lg.VariableEnvironment(dtype="float64", seed=0)
        line = lg.nn.Linear(env, 3, 1)
        adam = wrap(lg.optim.Adam(env, 0.1))

        @env.compile
        def step(ctx, x):
            loss = lg.mean(lg.square(line(x) - 1))
            return loss, adam.minimize(loss)

        lg.fit(step, x if batch_size == 4 else x[:16], epochs=1, batch_size=batch_size, shuffle=False)
        return env, adam

    env, adam = fitted(4, lambda adam: lg.optim.accumulate(adam, 4))
    whole, _ = fitted(16, lambda adam: adam)
    np.testing.assert_allclose(whole["linear/weight"], env["linear/weight"], rtol=1e-12)
    assert (1, 1) == (adam.step_count, env["adam/accumulated/count"])


def test_it_goes_on_in_the_middle_from_a_file(tmp_path):
    """What was gathered is saved, and the number of batches too."""

    def step(optimizer):
        return lambda ctx, g: optimizer.update(["w"], [g])

    env = made()
    first = lg.optim.accumulate(lg.optim.Adam(env, 0.1), 4)
    for g in BATCHES[:6]:
        env.run(step(first), g)
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    second = lg.optim.accumulate(lg.optim.Adam(loaded), 3)
    assert 4 == second.batches
    for g in BATCHES[6:]:
        env.run(step(first), g)
        loaded.run(step(second), g)
    assert snapshot(env) == snapshot(loaded)
    assert 3 == first.step_count


def test_the_number_of_batches_is_set_without_tracing_again():
    """The next update is the mean of what has been gathered then."""
    env = made()
    sgd = lg.optim.accumulate(lg.optim.SGD(env, 1.0), 4)
    traces = []

    @env.compile
    def step(ctx, g):
        traces.append(1)
        return sgd.update(["w"], [g])

    for g in BATCHES[:3]:
        step(g)
    sgd.batches = 2
    step(BATCHES[3])
    np.testing.assert_array_equal(START - mean_of_four(0), env["w"])
    step(BATCHES[4])
    step(BATCHES[5])
    np.testing.assert_allclose(START - mean_of_four(0) - BATCHES[4:6].mean(axis=0), env["w"], rtol=1e-14)
    assert 1 == len(traces)


def test_what_is_not_finite_waits_with_the_rest():
    """A gradient of infinity moves nothing before its turn."""
    env = made()
    sgd = lg.optim.accumulate(lg.optim.SGD(env, 1.0), 2)
    env.run(lambda ctx: sgd.update(["w"], [np.full((2, 3), np.inf)]))
    np.testing.assert_array_equal(START, env["w"])


def test_the_settings_are_those_of_the_optimizer():
    """They are read and set through it; a frozen variable is left alone."""
    env = made()
    adam = lg.optim.Adam(env, 0.1, rates={"w": 0.2})
    gathering = lg.optim.accumulate(adam, 2)
    gathering.learning_rate = 0.5
    gathering.rates["w"] = 0.25
    assert (0.5, 0.5, 0.25, 0) == (
        adam.learning_rate,
        gathering.current_rate,
        adam.rates["w"],
        gathering.step_count,
    )
    assert "<Accumulated of <Adam 'adam', step 0>>" == repr(gathering)
    with pytest.raises(AttributeError):
        gathering.momentun  # noqa: B018
    (w,) = (v for v in env if v.path == "w")
    w.trainable = False
    with pytest.raises(lg.GradientError):
        env.run(lambda ctx: gathering.minimize(lg.sum(ctx.variable("w")), [w]))


@pytest.mark.parametrize("batches", [0, -1, 2.5, True, "4", None])
def test_the_number_of_batches_is_a_whole_number_from_one(batches):
    """Else nothing is left behind, and what is set stays."""
    env = made()
    adam = lg.optim.Adam(env)
    before = snapshot(env)
    with pytest.raises(lg.SpecError) as refused:
        lg.optim.accumulate(adam, batches)
    assert f"cannot use {batches!r} as batches" == str(refused.value).splitlines()[0]
    assert str(refused.value).endswith("It is a whole number, 1 or more.")
    assert before == snapshot(env)
    gathering = lg.optim.accumulate(adam, 2)
    with pytest.raises(lg.SpecError):
        gathering.batches = batches
    assert 2 == gathering.batches


def test_only_an_optimizer_gathers_and_only_once():
    """The second would gather what the first has gathered, under the same name."""
    env = made()
    adam = lg.optim.Adam(env)
    lg.optim.accumulate(adam, 2)
    with pytest.raises(lg.DefinitionError) as refused:
        lg.optim.accumulate(adam, 4)
    assert str(refused.value).startswith("there is an optimizer named 'adam/accumulated' already")
    with pytest.raises(lg.DefinitionError) as refused:
        lg.optim.accumulate(lg.optim.Adam, 4)
    assert "it is not an optimizer" in str(refused.value)
    with pytest.raises(lg.DefinitionError):
        lg.optim.average(env)


def test_variables_of_another_environment_are_refused():
    """By a gathering optimizer as by any, and in a step of another environment."""
    env, other = made(), made()
    gathering = lg.optim.accumulate(lg.optim.SGD(env), 2)
    before = snapshot(other), snapshot(env)
    with pytest.raises(lg.GraphError) as refused:
        env.run(lambda ctx: gathering.minimize(lg.sum(ctx.variable("w")), list(other)))
    assert "it is of another environment" in str(refused.value)
    with pytest.raises(lg.GraphError) as refused:
        other.run(lambda ctx: gathering.minimize(lg.sum(ctx.variable("w"))))
    assert "belongs to another environment" in str(refused.value)
    assert before == (snapshot(other), snapshot(env))


def test_clipping_is_of_each_batch():
    """What is given is what is gathered."""
    env = made()
    sgd = lg.optim.accumulate(lg.optim.SGD(env, 1.0), 2)
    g = np.array([[3.0, 0, 0], [0, 4, 0]])
    for factor in (1, 2):
        env.run(lambda ctx, g: sgd.update(["w"], lg.optim.clip_by_global_norm([g], 2.5)), factor * g)
    np.testing.assert_array_equal(START - g / 2, env["w"])
