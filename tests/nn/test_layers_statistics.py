"""Running statistics: how BatchNorm moves them, and that a step cannot forget them."""

import numpy as np
import pytest
from layer_checks import both, check_slope, environment, numbers

import lazygrad as lg

nn = lg.nn
MODES = pytest.mark.parametrize("mode", ["run", "compile"])


def caller(env, step, mode):
    """The step in one of the two modes."""
    return env.compile(step, wait=True) if mode == "compile" else (lambda *args: env.run(step, *args))


@MODES
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)], ids=str)
def test_training_moves_the_statistics_as_pytorch_does(mode, shape):
    """new = (1 − m)·old + m·batch, the variance divided by n − 1; the output by that of the batch, divided by n."""
    env = environment()
    layer = nn.BatchNorm(env, 3, momentum=0.3, eps=1e-3, name="bn")
    call = caller(env, lambda ctx, x: (layer(x, train=True), ctx.updates()), mode)
    mean, variance = np.zeros(3), np.ones(3)
    axes = tuple(i for i in range(len(shape)) if i != 1)
    for seed in range(3):
        x = 3 * numbers(*shape, seed=seed) + 2
        y, _ = call(x)
        center, spread = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        np.testing.assert_allclose(y, (x - center) / np.sqrt(spread + 1e-3), rtol=1e-10, atol=1e-12)
        mean = 0.7 * mean + 0.3 * x.mean(axes)
        variance = 0.7 * variance + 0.3 * x.var(axes, ddof=1)
        np.testing.assert_allclose(env["bn/mean"], mean, rtol=1e-12)
        np.testing.assert_allclose(env["bn/variance"], variance, rtol=1e-12)


def test_in_use_it_normalises_by_the_running_statistics():
    """And changes nothing."""
    env = environment()
    layer, x = nn.BatchNorm(env, 3, name="bn"), numbers(4, 3)
    for name, array in {
        "mean": [1.0, 2, 3],
        "variance": [4.0, 5, 6],
        "scale": [7.0, 8, 9],
        "shift": [1.0, 0, 1],
    }.items():
        env[f"bn/{name}"] = np.array(array)
    before = {v.path: v.value for v in env}
    expected = (x - before["bn/mean"]) / np.sqrt(before["bn/variance"] + 1e-5) * before["bn/scale"] + before["bn/shift"]
    np.testing.assert_allclose(both(env, layer, x), expected, rtol=1e-12)
    for path, array in before.items():
        np.testing.assert_array_equal(array, env[path])


def test_the_slope_in_training_goes_through_the_statistics_of_the_batch():
    """Mean and variance change with the input."""
    env = environment()
    layer = nn.BatchNorm(env, 3)
    check_slope(env, lambda x: layer(x, train=True), numbers(4, 3, 2))


@MODES
def test_updates_that_leave_out_the_statistics_are_refused(mode):
    """The network would train well, and be wrong when it is used; nothing has changed afterwards."""
    env = environment()
    layer, sgd = nn.BatchNorm(env, 3, name="bn"), lg.optim.SGD(env, 0.1)

    def step(ctx, x):
        loss = lg.mean(lg.square(layer(x, train=True) - 1))
        return loss, sgd.minimize(loss)

    before = {v.path: v.value for v in env}
    with pytest.raises(lg.GraphError) as error:
        caller(env, step, mode)(numbers(4, 3))
    assert str(error.value).startswith("the running statistics of 'bn' are not asked for: return ctx.updates() as well")
    assert "written:  'bn/mean', " in str(error.value)
    for path, array in before.items():
        np.testing.assert_array_equal(array, env[path])


def test_a_trace_that_leaves_out_the_statistics_is_refused():
    """As a run is."""
    env = environment()
    layer, sgd = nn.BatchNorm(env, 3, name="bn"), lg.optim.SGD(env, 0.1)
    with pytest.raises(lg.GraphError, match="the running statistics of 'bn' are not asked for"):
        env.trace(lambda ctx, x: sgd.minimize(lg.mean(layer(x, train=True))), numbers(4, 3))


def test_updates_taken_before_the_last_layer_are_refused():
    """They lack what the layer wrote afterwards, or hold what it wrote before."""
    env = environment()
    first, second = nn.BatchNorm(env, 3, name="first"), nn.BatchNorm(env, 3, name="second")

    def early(ctx, x):
        h = first(x, train=True)
        updates = ctx.updates()
        return second(h, train=True), updates

    def stale(ctx, x):
        h = first(x, train=True)
        updates = ctx.updates()
        return first(h, train=True), updates

    for step, name in ((early, "second"), (stale, "first")):
        with pytest.raises(lg.GraphError, match=f"the running statistics of '{name}' are not asked for"):
            env.run(step, numbers(4, 3))


def test_a_step_without_updates_need_not_ask_for_the_statistics():
    """It only looks, as a measurement of the loss in training does."""
    env = environment()
    layer = nn.BatchNorm(env, 3, name="bn")
    both(env, lambda x: layer(x, train=True), numbers(4, 3))
    np.testing.assert_array_equal(np.zeros(3), env["bn/mean"])


def test_a_step_may_assign_the_statistics_itself():
    """In place of the moves of the layer."""
    env = environment()
    layer = nn.BatchNorm(env, 1, name="bn")

    def step(ctx, x):
        return layer(x, train=True), ctx.assign("bn/mean", [5.0]), ctx.assign("bn/variance", [6.0])

    env.run(step, numbers(4, 1))
    assert (5.0, 6.0) == (float(env["bn/mean"][0]), float(env["bn/variance"][0]))


@MODES
def test_a_layer_called_twice_moves_twice(mode):
    """The second call starts from what the first has made."""
    env, twice = environment(), environment()
    once, layer = nn.BatchNorm(env, 3, name="bn"), nn.BatchNorm(twice, 3, name="bn")
    x, z = numbers(4, 3), numbers(5, 3) + 2
    for batch in (x, z):
        env.run(lambda ctx, x: (once(x, train=True), ctx.updates()), batch)
    caller(twice, lambda ctx, x, z: (layer(x, train=True), layer(z, train=True), ctx.updates()), mode)(x, z)
    for name in ("bn/mean", "bn/variance"):
        np.testing.assert_allclose(twice[name], env[name], rtol=1e-14)


def test_one_number_a_feature_cannot_be_learned_from():
    """Its variance would be divided by zero."""
    env = environment()
    layer = nn.BatchNorm(env, 3)
    with pytest.raises(lg.SpecError, match="One number a feature has no variance: train with two examples or more"):
        env.run(lambda ctx, x: (layer(x, train=True), ctx.updates()), numbers(1, 3))


@MODES
def test_updates_of_a_step_without_statistics_are_empty(mode):
    """A step may return them whatever its layers are."""
    env = environment()
    layer, sgd = nn.Linear(env, 3, 1, name="out"), lg.optim.SGD(env, 0.1)

    def step(ctx, x):
        loss = lg.mean(layer(x))
        return loss, sgd.minimize(loss), ctx.updates()

    result = caller(env, step, mode)(numbers(4, 3))
    assert [None, None] == list(result[1:])
    assert 1 == sgd.step_count


@MODES
def test_a_step_may_return_empty_updates_alone(mode):
    """Nothing is computed, and nothing is wrong."""
    env = environment()
    call = caller(env, lambda ctx, x: ctx.updates(), mode)
    assert [None, None] == [call(numbers(2)), call(numbers(2))]


@pytest.mark.filterwarnings("ignore:.*computes in float64")
def test_statistics_stay_in_float32():
    """Also where the input is float64."""
    env = lg.VariableEnvironment(seed=0)
    layer = nn.BatchNorm(env, 3, name="bn")
    env.run(lambda ctx, x: (layer(x, train=True), ctx.updates()), numbers(4, 3))
    assert np.float32 == env["bn/mean"].dtype
