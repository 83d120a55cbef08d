"""L-BFGS with one evaluation a step."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_checks import runner
from snapshots import snapshot

import lazygrad as lg


def rosenbrock(x):
    """Rosenbrock 1960; 0 at ones."""
    return lg.sum(100 * lg.square(x[1:] - lg.square(x[:-1])) + lg.square(1 - x[:-1]))


def begun(n, dtype="float64", **given):
    """An environment at the usual start, and the optimizer."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set(np.resize([-1.2, 1.0], n).astype(dtype))
    return env, lg.optim.LBFGS(env, **given)


def descent(env, optimizer, loss, calls, way="run"):
    """The losses of so many calls."""

    def step(ctx):
        f = loss(ctx)
        return f, optimizer.minimize(f)

    run = runner(env, step, way)
    return [float(run()[0]) for _ in range(calls)]


@pytest.mark.parametrize(
    ("n", "dtype", "way", "calls"),
    [(2, "float64", "run", 50), (2, "float64", "compile", 50), (2, "float32", "run", 60), (10, "float64", "run", 110)],
)
def test_it_finds_the_minimum_of_rosenbrock_in_as_many_calls_as_scipy(n, dtype, way, calls):
    """SciPy's L-BFGS-B needs 45 evaluations in 2 dimensions and 93 in 10."""
    env, optimizer = begun(n, dtype)
    losses = descent(env, optimizer, lambda ctx: rosenbrock(ctx.variable("x")), calls, way)
    optimizer.settle()
    np.testing.assert_allclose(1, env["x"], atol=1e-6 if dtype == "float64" else 1e-3)
    assert min(losses) < (1e-12 if dtype == "float64" else 1e-6)
    assert calls == optimizer.step_count


def test_a_quadratic_of_n_dimensions_takes_few_steps():
    """With a condition of 30, of several variables of several shapes, one of them a single number."""
    rng = np.random.default_rng(0)
    env = lg.VariableEnvironment(dtype="float64")
    for path, shape in {"a": (2, 3), "b": (4,), "c": ()}.items():
        env.name(path).set(rng.normal(size=shape))
    scales = np.geomspace(1, 30, 11)

    def loss(ctx):
        parts = [lg.reshape(ctx.variable(path), (-1,)) for path in "abc"]
        return lg.sum(scales * lg.square(lg.concat(parts) - 0.5)) + 3

    optimizer = lg.optim.LBFGS(env)
    losses = descent(env, optimizer, loss, 40)
    optimizer.settle()
    assert min(losses) == pytest.approx(3, abs=1e-12)
    for path in "abc":
        np.testing.assert_allclose(0.5, env[path], atol=1e-6)


def test_the_first_two_steps_are_those_of_the_formula():
    """Along −g, as long as 1/‖g‖₁; then by the two loops with one pair, which is H of BFGS written out."""
    scales = np.array([1.0, 10.0])
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set([1.0, 1.0])
    optimizer = lg.optim.LBFGS(env)

    def loss(ctx):
        return lg.sum(scales * lg.square(ctx.variable("x")) / 2)

    x0 = np.array([1.0, 1.0])
    g0 = scales * x0
    descent(env, optimizer, loss, 1)
    x1 = x0 - g0 / 11
    np.testing.assert_allclose(x1, env["x"], rtol=1e-14)
    descent(env, optimizer, loss, 1)
    g1 = scales * x1
    s, y = x1 - x0, g1 - g0
    rho = 1 / (s @ y)
    v = np.eye(2) - rho * np.outer(y, s)
    inverse = v.T @ (s @ y / (y @ y) * np.eye(2)) @ v + rho * np.outer(s, s)
    np.testing.assert_allclose(x1 - inverse @ g1, env["x"], rtol=1e-13)


def test_a_trial_that_is_too_long_is_halved_and_one_too_short_doubled():
    """By Wolfe's conditions; what is accepted last is what settle gives back."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set([4.0])
    long = lg.optim.LBFGS(env, learning_rate=16.0)

    def loss(ctx):
        return lg.sum(lg.square(ctx.variable("x"))) / 2

    seen = []
    for _ in range(4):
        descent(env, long, loss, 1)
        seen.append(env["x"].item())
    assert [-12.0, -4.0, 0.0] == seen[:3]  # 16, 8 and 4 long, of which the last is the minimum
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set([4.0])
    short = lg.optim.LBFGS(env, learning_rate=0.0625)
    descent(env, short, loss, 1)
    assert 3.9375 == env["x"].item()
    descent(env, short, loss, 1)
    assert 3.875 == env["x"].item()  # f' has hardly changed: twice as far
    with pytest.raises(lg.GraphError):
        lg.optim.LBFGS(env).settle()
    short.settle()
    assert 4.0 == env["x"].item()


@pytest.mark.parametrize("way", ["run", "compile"])
def test_a_trial_without_a_value_is_too_long(way):
    """A loss of NaN or infinity beyond a wall is never accepted."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set([3.0])
    optimizer = lg.optim.LBFGS(env, learning_rate=8.0)

    def loss(ctx):
        x = ctx.variable("x")
        return lg.sum(x - lg.log(x))  # 1 at 1, and NaN below 0

    losses = descent(env, optimizer, loss, 60, way)
    assert any(np.isnan(losses))
    optimizer.settle()
    np.testing.assert_allclose(1, env["x"], rtol=1e-7)


def test_a_start_without_a_value_is_left_as_it_is():
    """Nothing is accepted, and the next call looks again."""
    env = lg.VariableEnvironment(dtype="float64")
    env.name("x").set([-1.0])
    optimizer = lg.optim.LBFGS(env)
    descent(env, optimizer, lambda ctx: lg.sum(lg.log(ctx.variable("x"))), 2)
    assert [-1.0] == env["x"].tolist()
    env["x"] = [3.0]
    descent(env, optimizer, lambda ctx: lg.sum(lg.square(ctx.variable("x"))), 20)
    optimizer.settle()
    np.testing.assert_allclose(0, env["x"], atol=1e-9)


def test_at_the_minimum_it_stays():
    """A gradient of zero, and one that is only rounding, move nothing that counts."""
    env, optimizer = begun(2)
    env["x"] = [1.0, 1.0]
    descent(env, optimizer, lambda ctx: rosenbrock(ctx.variable("x")), 5)
    assert [1.0, 1.0] == env["x"].tolist()
    env, optimizer = begun(2, "float32")
    losses = descent(env, optimizer, lambda ctx: rosenbrock(ctx.variable("x")) + 1000, 150)
    optimizer.settle()
    assert np.isfinite(env["x"]).all()
    assert 1000 <= min(losses) <= 1000.001


def test_it_goes_on_from_a_file(tmp_path):
    """History and line search are variables: the numbers go on to the bit."""

    def loss(ctx):
        return rosenbrock(ctx.variable("x"))

    env, optimizer = begun(4, memory=3)
    descent(env, optimizer, loss, 12)
    env.save(tmp_path / "env.json")
    loaded = lg.VariableEnvironment.load(tmp_path / "env.json")
    again = lg.optim.LBFGS(loaded, memory=3)
    assert descent(env, optimizer, loss, 10) == descent(loaded, again, loss, 10)
    assert snapshot(env) == snapshot(loaded)


def test_batches_of_the_data_are_gathered_into_one_evaluation():
    """The loss is gathered as the gradients are: the same points as with all of the data."""
    x = np.random.default_rng(0).normal(size=(8, 2))

    def fitted(wrap, parts):
        env = lg.VariableEnvironment(dtype="float64")
        env.name("w").set([0.5, 0.5])
        optimizer = wrap(lg.optim.LBFGS(env))

        def step(ctx, x):
            loss = lg.mean(lg.log(1 + lg.exp(-(x @ ctx.variable("w"))))) + lg.sum(lg.square(ctx.variable("w")))
            return optimizer.minimize(loss)

        for _ in range(6):
            for part in np.split(x, parts):
                env.run(step, part)
        optimizer.settle()
        return env["w"]

    np.testing.assert_allclose(fitted(lambda o: o, 1), fitted(lambda o: lg.optim.accumulate(o, 4), 4), rtol=1e-12)


def test_it_trains_in_fit_with_all_of_the_data():
    """A line is found in a few epochs of one batch."""
    x = np.random.default_rng(0).normal(size=(20, 2))
    env = lg.VariableEnvironment(dtype="float64", seed=0)
    line = lg.nn.Linear(env, 2, 1)
    optimizer = lg.optim.LBFGS(env)

    @env.compile
    def step(ctx, x, y):
        loss = lg.mean(lg.square(line(x) - y))
        return loss, optimizer.minimize(loss)

    history = lg.fit(step, (x, x @ [[2.0], [-3.0]] + 1), epochs=20, batch_size=20)
    optimizer.settle()
    assert history["loss"][-1] < 1e-12
    np.testing.assert_allclose([[2], [-3]], line.weight.value, atol=1e-6)


def test_it_needs_the_loss_and_the_same_variables():
    """The messages say what to do; the environment is as before."""
    env, optimizer = begun(3)
    env.name("y").set([1.0])
    env.name("z").set(np.ones(4), trainable=False)
    before = snapshot(env)
    with pytest.raises(lg.GraphError) as refused:
        env.run(lambda ctx: optimizer.update(["x"], [np.ones(3)]))
    assert "lbfgs needs the loss, not only gradients" == str(refused.value).splitlines()[0]
    assert before == snapshot(env)
    descent(env, optimizer, lambda ctx: rosenbrock(ctx.variable("x")) + lg.sum(ctx.variable("y") ** 2), 2)
    before = snapshot(env)
    with pytest.raises(lg.VariableError) as refused:
        env.run(lambda ctx: optimizer.minimize(rosenbrock(ctx.variable("x")), ["x"]))
    assert "lbfgs was begun with other variables" == str(refused.value).splitlines()[0]
    assert "before:  4 numbers" in str(refused.value)
    with pytest.raises(lg.VariableError) as refused:
        env.run(lambda ctx: optimizer.minimize(lg.sum(ctx.variable("z") ** 2), ["z"]))
    assert "new:     'z'" in str(refused.value)
    assert before == snapshot(env)
    for memory in (0, 2.5):
        with pytest.raises(lg.SpecError):
            lg.optim.LBFGS(env, memory=memory)
    assert before == snapshot(env)


def test_variables_may_be_given_in_any_order():
    """What is remembered of each is found again."""

    def trained(orders):
        env = lg.VariableEnvironment(dtype="float64")
        env.name("a").set([1.0, -2.0])
        env.name("b").set([3.0])
        optimizer = lg.optim.LBFGS(env)
        for order in orders:
            env.run(lambda ctx, o=order: optimizer.minimize(lg.sum(ctx.variable("a") ** 4 + ctx.variable("b") ** 2), o))
        return env["a"], env["b"]

    for one, other in zip(trained([["a", "b"]] * 6), trained([["a", "b"], ["b", "a"]] * 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_half_takes_part():
    """It is kept in single precision between the steps."""
    env = lg.VariableEnvironment()
    env.name("h").set(np.array([3.0], "float16"))
    env.name("s").set(np.array([-2.0], "float32"))
    optimizer = lg.optim.LBFGS(env)
    descent(env, optimizer, lambda ctx: lg.sum(lg.square(ctx.variable("h") - 1)) + lg.sum(ctx.variable("s") ** 2), 12)
    optimizer.settle()
    assert ("float16", "float32") == (env["h"].dtype, env["s"].dtype)
    np.testing.assert_allclose(1, env["h"], atol=1e-3)
    np.testing.assert_allclose(0, env["s"], atol=1e-3)
